#!/usr/bin/env bash
# Random memory calls on the running kernel and on vmaple, compared after each one: all profiles,
# from a fixed seed and from a fresh one, on all processors. A difference is made small and kept as
# a script beside the log. --short makes 200,000 operations, the long form NR_OPS (default
# 10,000,000); a long run without a difference puts what it came to into docs/fidelity.md.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh

cargo build --release -p vmaple-cli
vmaple="$(target_dir)/release/vmaple"
found="$(target_dir)/fuzz-kernel"
mkdir -p "$found"

# fuzz OPTIONS…: 125 says that this kernel cannot judge.
fuzz() {
  local status=0
  "$vmaple" fuzz --save "$found" "$@" || status=$?
  [ $status = 125 ] && skip "no random calls on this machine" && exit 0
  return $status
}

# Puts the summaries between their marks in the document.
write_down() {
  local document=docs/fidelity.md
  {
    sed '/^<!-- long run: begin -->$/q' "$document"
    printf '\n%s, no difference in either half:\n\n' "$(LC_ALL=C date -u '+%-d %B %Y')"
    cat "$found/fixed.md"
    printf '\n'
    cat "$found/fresh.md"
    printf '\n'
    sed -n '/^<!-- long run: end -->$/,$p' "$document"
  } >"$found/document.md"
  cp "$found/document.md" "$document"
}

if is_short "$@"; then
  fuzz --seed 2026 --ops 100000
  fuzz --ops 100000
else
  ops=${NR_OPS:-10000000}
  fuzz --seed 1 --ops $((ops / 2)) --json "$found/fixed.json" --summary "$found/fixed.md"
  fuzz --ops $((ops - ops / 2)) --json "$found/fresh.json" --summary "$found/fresh.md"
  write_down
fi
