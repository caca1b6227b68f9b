#!/usr/bin/env bash
# What `vmaple run` costs a program that does nothing but memory calls, as the table that the README
# has: memory calls a second, the median of NR_RUNS (default 5) runs taken in turns. Each run must be
# without a difference. Wants a machine that does nothing else. --short makes one run of few calls;
# its figures mean nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh

runs=${NR_RUNS:-5} few=600 many=30000
if is_short "$@"; then
  runs=1 few=60 many=600
fi
have cc || { skip "there is no C compiler"; exit 0; }
cargo build --release -p vmaple-cli
vmaple="$(target_dir)/release/vmaple"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc -O2 -o "$work/overhead" crates/cli/tests/programs/overhead.c

# take NAME SPARE CALLS PREFIX…: one run, its calls a second into the list of that name.
take() {
  local name=$1 spare=$2 calls=$3
  shift 3
  "$@" "$work/overhead" "$spare" "$calls" >>"$work/$name"
}

# median NAME: of the list, in thousands' groups.
median() {
  sort -n "$work/$1" | sed -n "$(((runs + 1) / 2))p" | sed -E ':a; s/^([0-9]+)([0-9]{3})/\1,\2/; ta'
}

# The program itself brings some 25 mappings along.
for _ in $(seq "$runs"); do
  take plain 0 $((10 * many))
  for one in "" "taskset -c 0"; do
    for check in every exit; do
      # Nothing in $one, or a command with its arguments.
      run=($one "$vmaple" run --quiet --check $check --)
      calls=$many
      take "few-$check-${one:+one}" 0 $calls "${run[@]}"
      [ $check = every ] && calls=$((few * 10))
      take "many-$check-${one:+one}" 975 $calls "${run[@]}"
    done
  done
done

printf '| mappings | `--check every` | `--check exit` |\n|---|---|---|\n'
row() {
  printf '| %s | %s | %s |\n' "$1" "$(median "$2-every-$3")" "$(median "$2-exit-$3")"
}
row "25" few ""
row "1,000" many ""
row "25, all on one processor (\`taskset -c 0 vmaple run …\`)" few one
row "1,000, all on one processor" many one
printf '\nWithout vmaple the same program makes %s calls a second.\n' "$(median plain)"
