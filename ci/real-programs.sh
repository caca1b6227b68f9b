#!/usr/bin/env bash
# The main job on real input: runs programs under `vmaple run --check every` and wants their own
# exit status, no difference and no re-seed. --short takes the programs that need a few seconds;
# without it come larger programs and random memory calls over many seeds (NR_SEEDS, default 25,
# for each of the profiles).
set -uo pipefail
cd "$(dirname "$0")/.." || exit
source ci/lib.sh

short=false
is_short "$@" && short=true
cargo build --release -p vmaple-cli || exit
vmaple="$(target_dir)/release/vmaple"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
nr_run=0
failed=()

# field NAME: the number with that name in the result's outermost object.
field() {
  sed -n "s/^  \"$1\": \\([0-9]*\\),*\$/\\1/p" "$work/result.json"
}

# expect STATUS PROGRAM…: one program; its output goes nowhere, that of vmaple only if it fails.
expect() {
  local wanted=$1 status=0 verdict=ok
  shift
  have "$1" || { skip "$1 is not installed"; return; }
  rm -f "$work/result.json"
  timeout 300 "$vmaple" run --check every --json "$work/result.json" -- "$@" \
    >/dev/null 2>"$work/messages" </dev/null || status=$?
  nr_run=$((nr_run + 1))
  if [ "$status" != "$wanted" ] || [ "$(field differences)" != 0 ] || [ "$(field reseeds)" != 0 ]; then
    verdict=FAILED
    failed+=("$*")
  fi
  printf '%-6s status %3d, %6s calls, %s differences, %s re-seeds: %.90s\n' "$verdict" "$status" \
    "$(field calls)" "$(field differences)" "$(field reseeds)" "${*//$'\n'/ }"
  if [ $verdict = FAILED ]; then
    tail -n 25 "$work/messages"
  fi
}

everyday_programs() {
  expect 0 ls -lR /usr/share/doc
  expect 0 bash -c 'for i in 1 2 3; do (echo $i | tr 1-3 a-c) | cat; done; wait'
  expect 0 python3 -c '
import json, threading
def work():
    for i in range(20):
        blocks = [bytearray(300_000) for _ in range(8)]
        json.dumps(list(range(2000)))
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]'
  expect 0 perl -e 'my @a = map { $_ x 1000 } 1..2000; fork or exit 0; wait'
}

larger_programs() {
  expect 0 node -e '
const { Worker } = require("worker_threads");
const work = "const a = []; for (let i = 0; i < 2e4; i++) a.push({ i, s: `x${i}` });";
for (let i = 0; i < 3; i++) new Worker(work, { eval: true });'
  expect 0 cargo --version
  expect 0 git log --oneline -n 50
  printf '#include <stdio.h>\nint main(void) { return puts("hi") < 0; }\n' >"$work/hello.c"
  expect 0 cc -O2 -o "$work/hello" "$work/hello.c"
}

# Programs of our own; see the headers of their sources.
own_programs() {
  local source name profile seed
  have cc || { skip "own programs: there is no C compiler"; return; }
  for source in crates/cli/tests/programs/*.c; do
    name=$(basename "$source" .c)
    cc -O1 -pthread -o "$work/$name" "$source" || { failed+=("cc $source"); continue; }
  done
  expect 0 "$work/kitchen_sink"
  expect 0 "$work/pages"
  expect 0 "$work/threads"
  expect 0 "$work/forks"
  expect 0 "$work/rename_unlink"
  for name in alarm altstack stop-child restart; do expect 0 "$work/signals" $name; done
  expect 139 "$work/signals" die SEGV
  expect 137 "$work/signals" die KILL
  expect 42 "$work/signals" exit 42
  for profile in merge mremap mlock brk fork files stack mixed; do
    for seed in $(seq "$($short && echo 1 || echo "${NR_SEEDS:-25}")"); do
      expect 0 "$work/random_ops" "$seed" 1500 $profile
    done
  done
}

everyday_programs
$short || larger_programs
own_programs
if [ ${#failed[@]} -gt 0 ]; then
  printf 'real programs: %d of %d failed:\n' ${#failed[@]} "$nr_run"
  printf '  %.120s\n' "${failed[@]//$'\n'/ }"
  exit 1
fi
printf 'real programs: %d ran, each equal to the kernel call by call\n' "$nr_run"
