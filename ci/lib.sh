# What the check scripts share. Sourced, not run.

steps=()
nr_failed=0

# step NAME COMMAND…: runs it under a headline, and notes how it ended and how long it took. A
# step that fails does not keep the later ones from running.
step() {
  local name=$1 start=$SECONDS verdict=ok
  shift
  printf '\n=== %s: %s\n' "$name" "$*" >&2
  if ! "$@"; then
    verdict=FAILED
    nr_failed=$((nr_failed + 1))
  fi
  printf '=== %s: %s, %d s\n' "$name" $verdict $((SECONDS - start)) >&2
  steps+=("$(printf '%-6s %4d s  %s' $verdict $((SECONDS - start)) "$name")")
}

# summary: all steps again, one line each; fails if one of them did.
summary() {
  printf '\n=== %d steps, %d failed, %d s\n' ${#steps[@]} $nr_failed "$SECONDS" >&2
  printf '%s\n' "${steps[@]}" >&2
  return $((nr_failed > 0))
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
