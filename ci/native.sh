#!/usr/bin/env bash
# The tree's tests compiled for this machine's own processor: where that compares eight words at
# once, lookups and gap searches take another way (crates/maple-tree/src/search.rs). --short leaves
# out the long random tests.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh

tests=(--lib --tests)
if is_short "$@"; then
  tests=(--lib --test oracle --test copies)
fi
CARGO_TARGET_DIR="$(target_dir)/native" RUSTFLAGS="-C target-cpu=native" \
  cargo test -p maple-tree "${tests[@]}"
