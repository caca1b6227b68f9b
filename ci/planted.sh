#!/usr/bin/env bash
# Plants the bugs of crates/*/planted.txt one by one and shows which test catches each. One that
# survives is a hole in the tests, and fails this script. --short takes the first three that need no
# model checker; names as arguments take those.
#
# A line of a list is a name, what it is, and last the tests that are to catch it, separated by
# commas: a test binary of the list's own crate, or CRATE/BINARY; `lib` for the tests inside the
# library, `checks::NAME` for one of those that loom runs; `types/NAME` for a program of tests-build
# that must not compile, which `cargo test` sees to. The bug is compiled into the crates of this
# workspace only, so that what they depend on is built once.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh

folder="$(realpath -m "$(target_dir)")/planted"
mkdir -p "$folder/wrappers" "$folder/logs"

# wrapper NAME: a compiler for the workspace's crates that has the bug; cargo knows it by its path.
wrapper() {
  local path="$folder/wrappers/$1"
  printf '#!/bin/sh\nexec "$@" --cfg '\''planted="%s"'\''\n' "$1" >"$path"
  chmod +x "$path"
  printf '%s' "$path"
}

# run_test CHECKER CRATE TEST NAME: the test binary, built for the checker. Without one it is built as
# `cargo test` does.
run_test() {
  local flags=() options=(-p "$2" --test "$3" --no-fail-fast)
  case $3 in
    lib) options=(-p "$2" --lib) ;;
    checks*) options=(-p "$2" --lib "$3") ;;
  esac
  case $1 in
    loom) flags=(LOOM_MAX_PREEMPTIONS=2) ;;
    shuttle) flags=(SHUTTLE_SILENCE_WARNINGS=1 NR_SCHEDULES=1000) ;;
  esac
  if [ "$1" != plain ]; then
    # One build for all bugs: the program asks for its own when it runs.
    flags+=(RUSTFLAGS="--cfg $1 --cfg plantable" PLANTED="$4")
    options+=(--release)
  else
    flags=(RUSTC_WORKSPACE_WRAPPER="$(wrapper "$4")")
  fi
  env "${flags[@]}" CARGO_TARGET_DIR="$folder/$1" timeout 900 cargo test "${options[@]}"
}

# plant NAME CRATE TEST: runs the test binary with the bug in it; succeeds if the test fails.
plant() {
  local log="$folder/logs/$1.$3" checker=plain
  case $3 in
    loom | shuttle) checker=$3 ;;
    checks*) checker=loom ;;
  esac
  if run_test $checker "$2" "$3" "$1" >"$log" 2>&1; then
    printf 'SURVIVED  %s (%s)\n' "$1" "$3"
    return 1
  fi
  if ! grep -q '^ *Running ' "$log"; then
    printf 'NOT BUILT %s: see %s\n' "$1" "$log"
    return 1
  fi
  printf 'caught    %-24s by %s: %s\n' "$1" "$3" \
    "$({ grep -oE "^thread '[^']+'|^test [^ ]+ \.\.\. FAILED|\(signal: [^)]*\)" "$log" || true; } |
      sed "s/^test \(.*\) \.\.\. FAILED/thread '\1'/" | sort -u | tr '\n' ' ')"
}

nr_taken=0
nr_survived=0
for list in crates/*/planted.txt; do
  own=$(sed -n 's/^name = "\(.*\)"$/\1/p' "$(dirname "$list")/Cargo.toml" | head -n 1)
  while read -r name rest; do
    case $name in '' | '#'*) continue ;; esac
    tests=${rest##* }
    case ${1:-} in
      '') ;;
      --short)
        case $tests in *loom* | *shuttle* | *checks* | types/*) continue ;; esac
        [ $nr_taken -lt 3 ] || continue
        ;;
      *) [[ " $* " == *" $name "* ]] || continue ;;
    esac
    nr_taken=$((nr_taken + 1))
    for test in ${tests//,/ }; do
      crate=$own
      case $test in types/*)
        [ -f "tests-build/fail/${test#*/}.stderr" ] && continue
        printf 'MISSING   %s (%s)\n' "$name" "$test"
        nr_survived=$((nr_survived + 1))
        continue
        ;;
      esac
      case $test in */*) crate=${test%/*} ;; esac
      plant "$name" "$crate" "${test##*/}" </dev/null || nr_survived=$((nr_survived + 1))
    done
  done <"$list"
done
printf '%d planted, %d survived\n' $nr_taken $nr_survived
[ $nr_survived = 0 ] && [ $nr_taken -gt 0 ]
