# What the check scripts share. Sourced, not run.

steps=()

# step NAME COMMAND…: runs it under a headline, and says how long it took.
step() {
  local name=$1 start=$SECONDS
  shift
  printf '\n=== %s: %s\n' "$name" "$*" >&2
  if ! "$@"; then
    printf '=== %s: FAILED after %d s\n' "$name" $((SECONDS - start)) >&2
    exit 1
  fi
  printf '=== %s: ok, %d s\n' "$name" $((SECONDS - start)) >&2
  steps+=("$(printf '%5d s  %s' $((SECONDS - start)) "$name")")
}

summary() {
  printf '\n=== all passed\n' >&2
  printf '%s\n' "${steps[@]}" >&2
  printf '%5d s  in all\n' "$SECONDS" >&2
}

# skip WHY: says that something is not checked.
skip() {
  printf 'skipped: %s\n' "$*" >&2
}

have() {
  command -v "$1" >/dev/null 2>&1
}

# need_package PROGRAM PACKAGE: installs the Debian package if the program is missing.
need_package() {
  have "$1" && return
  if [ "$(id -u)" = 0 ] && have apt-get; then
    apt-get update -q && apt-get install -q -y --no-install-recommends "$2" && return
  fi
  skip "$1 is missing and $2 cannot be installed: what needs it is passed over"
}

# is_short ARGUMENTS…: whether --short is among them; any other argument ends the script.
is_short() {
  local short=1 argument
  for argument in "$@"; do
    case $argument in
      --short) short=0 ;;
      *) printf 'usage: %s [--short]\n' "$0" >&2; exit 2 ;;
    esac
  done
  return $short
}

# The folder for builds; variants (loom, sanitizers) get their own beside it.
target_dir() {
  printf '%s' "${CARGO_TARGET_DIR:-target}"
}
