#!/usr/bin/env bash
# Plants the bugs of crates/maple-tree/planted.txt one by one and shows which test catches each. One
# that survives is a hole in the tests, and fails this script. --short takes the first three that
# need no model checker; names as arguments take those.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh

list=crates/maple-tree/planted.txt
folder="$(target_dir)/planted"
mkdir -p "$folder"

# plant NAME [CRATE/]TEST: runs the test binary with the bug in it; succeeds if the test fails.
plant() {
  local flags="--cfg planted=\"$1\"" log="$folder/$1.log" crate=maple-tree test=${2##*/}
  case $2 in */*) crate=${2%/*} ;; esac
  if [ "$test" = loom ]; then
    flags="$flags --cfg loom"
    export LOOM_MAX_PREEMPTIONS=2
  fi
  if CARGO_TARGET_DIR="$folder" RUSTFLAGS="$flags" timeout 600 \
    cargo test --release -p "$crate" --test "$test" --no-fail-fast >"$log" 2>&1; then
    printf 'SURVIVED  %s (%s)\n' "$1" "$2"
    return 1
  fi
  if grep -q '^error\(\[\|: could not compile\)' "$log"; then
    printf 'NOT BUILT %s: see %s\n' "$1" "$log"
    return 1
  fi
  printf 'caught    %-20s by %s: %s\n' "$1" "$2" \
    "$({ grep -oE "^thread '[^']+'|\(signal: [^)]*\)" "$log" || true; } | sort -u | tr '\n' ' ')"
}

nr_taken=0
nr_survived=0
while read -r name rest; do
  case $name in ''|'#'*) continue ;; esac
  test=${rest##* }
  case ${1:-} in
    '') ;;
    --short) [ "${test##*/}" != loom ] && [ $nr_taken -lt 3 ] || continue ;;
    *) [[ " $* " == *" $name "* ]] || continue ;;
  esac
  nr_taken=$((nr_taken + 1))
  plant "$name" "$test" </dev/null || nr_survived=$((nr_survived + 1))
done <"$list"
printf '%d planted, %d survived\n' $nr_taken $nr_survived
[ $nr_survived = 0 ] && [ $nr_taken -gt 0 ]
