#!/usr/bin/env bash
# Lets programs that this project did not write judge its output: validators of xAPI statements and of Caliper events,
# and a record store. Exit code 1 where one of them refuses something of the strict profile, 2 where the judges are
# missing. Needs Go, Node.js with npm and, unless the judges' folder has node_modules, the npm registry.
#
#   JUDGES_DIR       folder of the judges: judge-xapi.mjs, judge-caliper.mjs, lrs/
#   CONFORMANCE_DIR  folder of the corpus (events.jsonl.gz, lms.json); unset: only golden/ and .ci/judge/odd.jsonl
#   JUDGE_OUT        folder to keep the statements and what the judges said; unset: a temporary one
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -z "${JUDGES_DIR:-}" ]; then
  echo "judge: error: JUDGES_DIR is not set" >&2
  echo "hint: name the folder of the judges: JUDGES_DIR=… make judge" >&2
  exit 2
fi
if [ ! -f "$JUDGES_DIR/judge-xapi.mjs" ] || [ ! -f "$JUDGES_DIR/judge-caliper.mjs" ] || [ ! -f "$JUDGES_DIR/lrs/ll-lrs.js" ]; then
  echo "judge: error: the judges are not in $JUDGES_DIR" >&2
  exit 2
fi
for tool in go node npm; do
  command -v "$tool" >/dev/null || { echo "judge: error: $tool is missing" >&2; exit 2; }
done

tmp=$(mktemp -d)
out=${JUDGE_OUT:-$tmp/out}
stores=()
cleanup() {
  for pid in ${stores[@]+"${stores[@]}"}; do kill "$pid" 2>/dev/null || true; done
  wait
  chmod -R u+w "$tmp"
  rm -rf "$tmp"
}
trap cleanup EXIT
mkdir -p "$out"
out=$(cd "$out" && pwd)

cp -R "$JUDGES_DIR" "$tmp/judges"
chmod -R u+w "$tmp/judges"
for dir in "$tmp/judges" "$tmp/judges/lrs"; do
  [ -d "$dir/node_modules" ] || (cd "$dir" && npm install --no-audit --no-fund --silent)
done
go build -o "$tmp/erbd" ./cmd/erbd

# store starts a record store on a free port; its address is in $store then.
store() {
  local port
  port=$(node -e 'const s=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})')
  (cd "$tmp/judges/lrs" && TMPDIR="$tmp" PORT=$port exec node ll-lrs.js) >"$out/lrs-$port.log" 2>&1 &
  stores+=($!)
  store=http://127.0.0.1:$port/xAPI
}
store; one_by_one=$store
store; in_batches=$store

# The inputs: a name for each, and how its events are transformed.
sets=(odd)
if [ -d golden ]; then sets+=(golden); fi
if [ -n "${CONFORMANCE_DIR:-}" ]; then
  sets+=(corpus)
  gunzip -c "$CONFORMANCE_DIR/events.jsonl.gz" | node -e '
    require("readline").createInterface({input: process.stdin})
      .on("line", line => console.log(JSON.stringify(JSON.parse(line).event)))' >"$tmp/corpus.jsonl"
fi

# statements SET BACKEND PROFILE prints one statement a line.
statements() {
  case $1 in
    golden) go run ./.ci/judge golden "$2" "$3" ;;
    corpus) "$tmp/erbd" transform "$tmp/corpus.jsonl" --backend "$2" --profile "$3" --lookup "$CONFORMANCE_DIR/lms.json" --lenient --summary none ;;
    odd) "$tmp/erbd" transform .ci/judge/odd.jsonl --backend "$2" --profile "$3" --lenient --summary none ;;
  esac
}

# verdict runs a judge and prints its last line, which counts; what it said is kept.
verdict() {
  local log=$1
  shift
  (cd "$tmp/judges" && node "$@") >"$log" 2>&1 || true
  tail -n 1 "$log"
}

failed=0
printf '%-8s %-8s %-8s %s\n' input profile backend verdict
for set in "${sets[@]}"; do
  for profile in compat strict; do
    for backend in xapi caliper; do
      file=$out/$set-$profile-$backend ok=0
      statements "$set" "$backend" "$profile" >"$file.jsonl"
      if [ ! -s "$file.jsonl" ]; then
        said="nothing to judge"
        failed=1
      elif [ "$backend" = xapi ]; then
        said=$(verdict "$file.log" judge-xapi.mjs "$file.jsonl")
        case $said in *" statements, 0 refused") ok=1 ;; *) ok=0 ;; esac
      else
        node -e 'const lines=require("fs").readFileSync(0,"utf8").trim().split("\n");console.log("["+lines.join(",")+"]")' <"$file.jsonl" >"$file.json"
        said=$(verdict "$file.log" judge-caliper.mjs "$file.json")
        case $said in *"schema refused 0, model refused 0, json-ld refused 0") ok=1 ;; *) ok=0 ;; esac
      fi
      printf '%-8s %-8s %-8s %s\n' "$set" "$profile" "$backend" "$said"
      if [ "$profile" = strict ]; then
        if [ "$ok" != 1 ]; then
          failed=1
          head -n 20 "$file.log" | cut -c1-400
        fi
        if [ "$backend" = xapi ]; then
          for how in "one by one" "batches of 50"; do
            size=1 store=$one_by_one
            if [ "$how" != "one by one" ]; then size=50 store=$in_batches; fi
            if said=$(node .ci/judge/post.mjs "$store" "$size" "$file.jsonl" 2>"$file-post-$size.log"); then ok=1; else
              failed=1
              head -n 20 "$file-post-$size.log" | cut -c1-400
            fi
            printf '%-8s %-8s %-8s record store, %s: %s\n' "$set" "$profile" "$backend" "$how" "$said"
          done
        fi
      fi
    done
  done
done

# An envelope, as it is sent.
"$tmp/erbd" transform .ci/judge/odd.jsonl --backend caliper --profile strict --envelope --batch 1000000 --lenient --summary none >"$out/envelope.json"
said=$(verdict "$out/envelope.log" judge-caliper.mjs "$out/envelope.json")
printf '%-8s %-8s %-8s %s\n' odd strict envelope "$said"
case $said in *"schema refused 0, model refused 0, json-ld refused 0") ;; *) failed=1 ;; esac

if [ "$failed" = 1 ]; then
  echo "judge: error: something of the strict profile was refused" >&2
  if [ -n "${JUDGE_OUT:-}" ]; then echo "hint: $out has the statements and what the judges said" >&2; else echo "hint: JUDGE_OUT=FOLDER keeps the statements and what the judges said" >&2; fi
  exit 1
fi
