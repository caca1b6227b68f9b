#!/usr/bin/env bash
# The benchmarks, in release mode, beside the C peer and other crates; writes docs/benchmarks.md.
# --short only runs each of them once at its small size and compares checksums; its figures mean
# nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh

arguments=(--markdown docs/benchmarks.md)
if is_short "$@"; then
  arguments=(--short)
fi
cargo run --release -p vmaple-bench -- "${arguments[@]}"
