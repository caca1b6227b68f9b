#!/usr/bin/env bash
# The crates with unsafe code under AddressSanitizer: reads and writes outside allocations, after
# free, and leaks; real threads on address spaces, too. Needs a nightly compiler. --short leaves out
# the long random tests. STRESS_SECONDS (default 1) for each test of the locks with real threads.
#
# Limit: the standard library is the prebuilt one, which is not instrumented. Accesses in our code
# are all seen, generic code of the standard library that is compiled into ours included; those in
# its precompiled parts (formatting, input and output) are not.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh

tests=(--lib --tests)
if is_short "$@"; then
  tests=(--lib)
fi
if ! cargo +nightly --version >/dev/null 2>&1; then
  skip "AddressSanitizer: there is no nightly compiler"
  exit 0
fi
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR="$(target_dir)/asan" RUSTFLAGS="-Zsanitizer=address"
cargo +nightly test --target "$host" -p vmaple-sync -p vmaple-rcu -p maple-tree -p vmaple-locks \
  "${tests[@]}"
is_short "$@" || cargo +nightly test --target "$host" -p vmaple --test shared_space
