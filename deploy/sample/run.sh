#!/bin/sh
# A demonstration: a receiver, the daemon, and a sample log published to it. Ctrl-C stops all of it.
set -eu
erbd=$1
here=$(dirname "$0")

"$erbd" sink --listen 127.0.0.1:8081 &
sink=$!
"$erbd" serve --config "$here/erbd.yaml" &
serve=$!
stop() {
  kill $serve 2>/dev/null || true
  wait $serve 2>/dev/null || true
  kill $sink 2>/dev/null || true
  wait $sink 2>/dev/null || true
  exit 0
}
trap stop INT TERM

ready=
for _ in $(seq 100); do
  kill -0 $serve 2>/dev/null || break
  if "$erbd" status --config "$here/erbd.yaml" >/dev/null 2>&1; then ready=yes; break; fi
  sleep 0.1
done
if [ -z "$ready" ]; then
  kill $serve $sink 2>/dev/null || true
  exit 1
fi
"$erbd" publish --config "$here/erbd.yaml" "$here/tracking.log"
sleep 3
"$erbd" status --config "$here/erbd.yaml"
echo
echo "The daemon goes on: publish more with \"$erbd publish --config $here/erbd.yaml FILE\"; Ctrl-C stops it."
wait $serve
kill $sink 2>/dev/null || true
