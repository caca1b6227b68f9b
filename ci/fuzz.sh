#!/usr/bin/env bash
# The tree under libFuzzer and AddressSanitizer: bytes as operations, compared with a naive tree.
# SECONDS_EACH (default 600) for each target; --short takes some seconds. What is found is made
# small and put among the test data that `cargo test` replays. Needs a nightly compiler, and
# cargo-fuzz, which is installed where that is possible.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh

seconds=${SECONDS_EACH:-600}
if is_short "$@"; then
  seconds=15
fi
if ! cargo +nightly --version >/dev/null 2>&1; then
  skip "fuzzing: there is no nightly compiler"
  exit 0
fi
if ! cargo +nightly fuzz --version >/dev/null 2>&1 &&
  ! cargo install --locked cargo-fuzz >&2; then
  skip "fuzzing: cargo-fuzz is missing and cannot be installed"
  exit 0
fi

data=crates/maple-tree/tests/testdata/fuzz
corpus="$(target_dir)/fuzz-corpus/tree"
found="$(target_dir)/fuzz-found/tree"
export CARGO_TARGET_DIR="$(target_dir)/fuzz"
mkdir -p "$corpus" "$found"
rm -f "$found"/*
# fuzz COMMAND…: without the dictionary that libFuzzer recommends in the end.
fuzz() {
  cargo +nightly fuzz "$@" 2>&1 | sed '/^"/d; /^###/d'
}

if fuzz run tree "$corpus" "$data" -- -max_total_time="$seconds" -max_len=2048 \
  -artifact_prefix="$(realpath "$found")/" -print_final_stats=1 -verbosity=0; then
  echo "fuzzing: nothing found"
  exit 0
fi
for bytes in "$found"/*; do
  [ -f "$bytes" ] || continue
  small="$data/$(basename "$bytes")"
  cp "$bytes" "$small"
  # Writes nothing where it cannot be made smaller.
  fuzz tmin tree "$bytes" -- -max_total_time=60 -exact_artifact_path="$(realpath "$small")" \
    >"$found/../tmin.log" || true
  echo "fuzzing: found $small" >&2
done
exit 1
