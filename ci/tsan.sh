#!/usr/bin/env bash
# Readers beside writers under ThreadSanitizer, of the tree and of address spaces: accesses that
# nothing orders. Needs a nightly compiler. --short takes the tree only. STRESS_SECONDS (default 1)
# for each test of the locks.
#
# Limits, which is why ci/loom.sh is the check that counts:
# - The standard library is the prebuilt one, which is not instrumented: what it orders (joining a
#   thread, dropping an Arc) is not seen, so reports from its code and from the test runner are
#   false. A report counts if a stack of its accesses leads through the sources of our crates and
#   none of its threads had ended (ci/tsan-reports.awk); those known to be false are listed with the
#   reason in ci/tsan-known.txt.
# - ThreadSanitizer does not model fences, nor the membarrier call. What is ordered by them alone
#   may be reported, and what they leave open may not. So the readers of address spaces are those
#   that count themselves, which needs no fence.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh

short=false
is_short "$@" && short=true
if ! cargo +nightly --version >/dev/null 2>&1; then
  skip "ThreadSanitizer: there is no nightly compiler"
  exit 0
fi
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
log=$(mktemp)
trap 'rm -f "$log"' EXIT

export CARGO_TARGET_DIR="$(target_dir)/tsan" TSAN_OPTIONS="exitcode=0"
export RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer"
cargo +nightly test --target "$host" -p maple-tree --test stress 2>&1 | tee "$log"
$short || cargo +nightly test --target "$host" -p vmaple-locks --test stress counted 2>&1 |
  tee -a "$log"

if awk -f ci/tsan-reports.awk "$log" | grep -vEf <(grep -v '^#' ci/tsan-known.txt) |
  sort | uniq -c | grep .; then
  echo "ThreadSanitizer: races in our sources (above)" >&2
  exit 1
fi
echo "ThreadSanitizer: no report in our sources"
