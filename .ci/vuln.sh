#!/usr/bin/env bash
# Known vulnerabilities that the code reaches, by govulncheck. Fails where some are found. Where the database cannot be
# reached it says that nothing was checked, and passes: an offline machine tells nothing about the code.
# GOVULNDB names another database, such as a copy: file:///path.
set -uo pipefail
cd "$(dirname "$0")/.."
version=v1.9.0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! GOBIN=$work GOFLAGS=-mod=mod "${GO:-go}" install "golang.org/x/vuln/cmd/govulncheck@$version" 2>"$work/log"; then
  echo "vuln: NOT CHECKED: govulncheck $version cannot be installed:"
  tail -n 3 "$work/log"
  exit 0
fi
"$work/govulncheck" ${GOVULNDB:+-db "$GOVULNDB"} ./... >"$work/out" 2>"$work/log"
status=$?
cat "$work/out"
case $status in
0) echo "vuln: none of the known vulnerabilities is reached" ;;
3) echo "vuln: error: the code reaches known vulnerabilities: update the modules named above" && exit 1 ;;
*)
  if grep -q '^govulncheck: fetching vulnerabilities' "$work/log"; then
    echo "vuln: NOT CHECKED: the database of vulnerabilities cannot be reached:"
    tail -n 3 "$work/log"
    exit 0
  fi
  cat "$work/log"
  echo "vuln: error: govulncheck failed"
  exit 1
  ;;
esac
