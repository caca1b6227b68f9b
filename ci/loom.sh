#!/usr/bin/env bash
# Every interleaving of the lock-free protocols, under the model checker loom, on the real code.
# --short bounds the preemptions of one execution to two, by which nearly all known bugs of this
# kind show; without it the number is free, but where a test would not come to an end: those name
# their own bound (`Preemptions::AtMost`), which is three to eight.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh

if is_short "$@"; then
  export LOOM_MAX_PREEMPTIONS=2
fi
export CARGO_TARGET_DIR="$(target_dir)/loom" RUSTFLAGS="--cfg loom"
cargo test --release -p vmaple-rcu -p maple-tree -p vmaple-locks --test 'loom*'
cargo test --release -p vmaple-locks --lib checks
# How steps of a failing execution are shown.
cargo test --release -p vmaple-sync --lib columns
