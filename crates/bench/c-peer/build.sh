#!/usr/bin/env bash
# Builds the C peer: the kernel's maple tree, compiled for user space from the distribution's
# source package, with the harness of this folder around it. The kernel's source is only compiled;
# no line of it is in this repository.
#
#   crates/bench/c-peer/build.sh FOLDER
#
# makes FOLDER/c-peer (default x86-64) and FOLDER/c-peer-native. Exit status 3, with a line that
# says so, where the compiler, the source package or liburcu cannot be had.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:?usage: build.sh FOLDER}"
folder=$(cd "$1" && pwd)

cannot() {
  printf 'C peer: skipped: %s\n' "$*" >&2
  exit 3
}

have_liburcu() {
  printf '#include <urcu.h>\n' | gcc -E - >/dev/null 2>&1
}

newest_archive() {
  find /usr/src -maxdepth 1 -name 'linux-source-6.*.tar.xz' 2>/dev/null | sort -V | tail -n 1
}

# Sets `archive`; installs what is missing where that is possible.
find_packages() {
  archive=$(newest_archive)
  if [ -z "$archive" ] || ! have_liburcu; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      apt-get update -q >&2 || true
      apt-get install -q -y --no-install-recommends liburcu-dev linux-source-6.12 >&2 || true
    fi
    archive=$(newest_archive)
  fi
  [ -n "$archive" ] || cannot "no linux-source package"
  have_liburcu || cannot "no liburcu-dev package"
  command -v gcc >/dev/null && command -v make >/dev/null || cannot "no C compiler or make"
}

# Unpacks the folders that the tree's user-space build needs. Sets `source`.
unpack() {
  local name
  name=$(basename "$archive" .tar.xz)
  source=$folder/$name
  if [ ! -e "$source/unpacked" ]; then
    tar -C "$folder" -xf "$archive" "$name/lib" "$name/tools" "$name/include"
    touch "$source/unpacked"
  fi
  generated=$source/tools/testing/radix-tree/generated
  make -s -C "$source/tools/testing/radix-tree" generated/map-shift.h generated/bit-length.h >&2
  printf '#include "bit-length.h"\n#define CONFIG_XARRAY_MULTI 1\n' >"$generated/autoconf.h"
}

# compile OUTPUT FLAG…
compile() {
  local output=$1
  shift
  gcc -O2 "$@" -g -fno-strict-aliasing -fno-strict-overflow -DNDEBUG -D_LGPL_SOURCE -D_GNU_SOURCE \
    -include "$generated/autoconf.h" -DTREE_SOURCE="\"$source/lib/maple_tree.c\"" \
    -I"$here/include" -I"$here" -I"$source/tools/testing/shared" \
    -I"$source/tools/testing/radix-tree" -I"$source/tools/include" \
    -I"$source/tools/arch/x86/include" -I"$source/lib" -Wno-unused-function \
    "$here/tree.c" "$here/slab.c" "$here/measure.c" "$here/layout.c" \
    "$here/rows_kernel.c" "$here/rows_random.c" "$here/rows_whole.c" "$here/main.c" \
    -lurcu -lpthread -o "$output"
}

find_packages
unpack
[ "$(uname -m)" = x86_64 ] || cannot "the build is for x86-64"
compile "$folder/c-peer" -march=x86-64
compile "$folder/c-peer-native" -march=native
