#!/usr/bin/env bash
# Counts the instructions of a pair of memory calls, row by row, under callgrind, beside what Linux's
# own code was counted to need, and writes docs/instructions.md. Unlike times, the counts hardly
# depend on what else the machine does. Fails if a row takes more than half of Linux's. --short
# counts the first row only, and writes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh

short=0
is_short "$@" && short=1
need_package valgrind valgrind
have valgrind || exit 0

cargo build --release -p vmaple-bench
bench="$(target_dir)/release/bench"
nr_pairs=10000
log="$(mktemp)"
trap 'rm -f "$log" "$log.out"' EXIT

# count ROW: instructions of a pair, with 1,000 mappings.
count() {
  valgrind --tool=callgrind --callgrind-out-file="$log.out" --collect-atstart=no \
    --toggle-collect="*vma::Bench::$1*" "$bench" --one vmaple "vma:$1/1000" --short >"$log" 2>&1 ||
    { cat "$log" >&2; return 1; }
  awk -v nr=$nr_pairs '/^(summary|totals):/ { print int($2 / nr + 0.5); exit }' "$log.out"
}

# The rows and Linux's counts, as the benchmark knows them.
rows() {
  sed -n 's/^ *("\([a-z]*\)", \[.*\], \([0-9]*\)),$/\1 \2/p' crates/bench/src/vma.rs |
    grep -v '^iterate '
}

table="| row | Linux | vmaple | vmaple / Linux |
|---|---|---|---|"
nr_above=0
while read -r row linux; do
  ours="$(count "$row")"
  line="| $row | $linux | $ours | $(awk -v a="$ours" -v b="$linux" 'BEGIN { printf "%.2f", a / b }') |"
  printf '%s\n' "$line" >&2
  table+=$'\n'"$line"
  if [ $((2 * ours)) -gt "$linux" ]; then
    nr_above=$((nr_above + 1))
  fi
  if [ $short = 1 ]; then
    break
  fi
done < <(rows)

if [ $short = 0 ]; then
  cat >docs/instructions.md <<EOF
# Instructions of memory calls

Written by \`ci/instructions.sh\`; never edited by hand.

Instructions of a pair of calls after which the map is as before, at a random one of 1,000 mappings of 16 KiB that lie 64 KiB apart; \`find\` is one lookup. Callgrind counts them, over $nr_pairs pairs in one write section. No system calls, page tables or lock acquisitions: the pure cost of the calls. The rows are defined in \`crates/bench/src/vma.rs\`.

Linux's figures are those of its own VMA code (7.3.4) built for user space and measured once with the same rows on an AMD Zen 5, counted by the processor. The compilers differ: $(rustc --version), built for any x86-64, here; gcc there.

$table
EOF
fi
if [ $nr_above -gt 0 ]; then
  printf '%d rows take more than half the instructions of Linux\n' $nr_above >&2
  exit 1
fi
