#!/usr/bin/env bash
# Random schedules of readers beside writers under shuttle, on the real code: larger runs than loom
# can take, without its weak memory. The tree twice: with nodes reused at once, and with freed
# memory poisoned; then whole lookups beside changes of address spaces, and who waits for whom. NR_SCHEDULES (default 100000) of each kind for each test; --short takes 1000.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh

export NR_SCHEDULES=${NR_SCHEDULES:-100000}
if is_short "$@"; then
  NR_SCHEDULES=1000
fi
export SHUTTLE_SILENCE_WARNINGS=1
export RUSTFLAGS="--cfg shuttle" CARGO_TARGET_DIR="$(target_dir)/shuttle"
cargo test --release -p maple-tree --test shuttle
cargo test --release -p maple-tree --features strict --test shuttle
cargo test --release -p vmaple-locks --test shuttle
cargo test --release -p vmaple --test shuttle
