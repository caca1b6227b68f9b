#!/usr/bin/env bash
# The benchmarks, in release mode. --short only sees that each of them runs; its figures mean
# nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh

arguments=()
if is_short "$@"; then
  arguments=(-- --short)
fi
if [ ! -e crates/bench/src/main.rs ] && [ ! -d crates/bench/src/bin ]; then
  skip "benchmarks: crates/bench has no program yet"
  exit 0
fi
cargo run --release -p vmaple-bench "${arguments[@]}"
