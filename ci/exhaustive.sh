#!/usr/bin/env bash
# All small trees at fan-out 3 and 4, and all single writes to them, over a larger index space than
# the normal tests take: CELLS (default 11) cells instead of 8. Each cell more takes about four
# times as long: 9 half a minute, 11 a quarter of an hour. --short is what `cargo test` runs.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh

cells=${CELLS:-11}
if is_short "$@"; then
  cells=0
fi
EXHAUSTIVE_CELLS=$cells cargo test --release -p maple-tree --test exhaustive -- --nocapture
