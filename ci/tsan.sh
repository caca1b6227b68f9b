#!/usr/bin/env bash
# Readers and a writer of the tree under ThreadSanitizer: accesses that nothing orders. Needs a
# nightly compiler. --short is the same: there is only one test worth its time.
#
# Limits, which is why ci/loom.sh is the check that counts:
# - The standard library is the prebuilt one, which is not instrumented: what it orders (joining a
#   thread, dropping an Arc) is not seen, so reports from its code and from the test runner are
#   false. Only a report in the sources of our crates fails this check.
# - ThreadSanitizer does not model fences, nor the membarrier call. What is ordered by them alone
#   may be reported, and what they leave open may not.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh

is_short "$@" || true
if ! cargo +nightly --version >/dev/null 2>&1; then
  skip "ThreadSanitizer: there is no nightly compiler"
  exit 0
fi
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
log=$(mktemp)
trap 'rm -f "$log"' EXIT

CARGO_TARGET_DIR="$(target_dir)/tsan" TSAN_OPTIONS="exitcode=0" \
  RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer" \
  cargo +nightly test --target "$host" -p maple-tree --test stress 2>&1 | tee "$log"

if grep -E '^SUMMARY: .*/crates/[^ ]*/src/' "$log" | sort | uniq -c; then
  echo "ThreadSanitizer: races in our sources (above)" >&2
  exit 1
fi
echo "ThreadSanitizer: no report in our sources"
