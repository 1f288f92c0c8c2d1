#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs the library into a folder of its own and builds and runs the example programs against that, once with
# CMake's package and once with pkg-config, as its users do.
#
# Usage: test/install_test.sh BUILD_DIR
set -euo pipefail
build=$(realpath "$1")
source=$(realpath "$(dirname "$0")/..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/prefix" > "$work/install.log"

cmake -S "$source/examples/library" -B "$work/examples" -DCMAKE_PREFIX_PATH="$work/prefix" > "$work/configure.log"
cmake --build "$work/examples" > "$work/build.log" || { cat "$work/build.log"; exit 1; }

export PKG_CONFIG_PATH="$work/prefix/lib/pkgconfig"
export LD_LIBRARY_PATH="$work/prefix/lib"
read -ra flags <<< "$(pkg-config --cflags --libs merrow)"
cc -std=c11 -Wall -Wextra -Wpedantic -Werror "$source/examples/library/notes.c" "${flags[@]}" -o "$work/notes"
c++ -std=c++20 -Wall -Wextra -Werror "$source/examples/library/two_editors.cc" "${flags[@]}" -o "$work/two_editors"

expect() { # PROGRAM LINE...
  local program=$1 printed
  shift
  printed=$("$program")
  for line in "$@"; do
    grep -qF -- "$line" <<< "$printed" || {
      printf '%s did not print\n  %s\nbut\n%s\n' "$program" "$line" "$printed" >&2
      exit 1
    }
  done
}

for program in "$work/notes" "$work/examples/notes"; do
  expect "$program" '{"body":"Hello, world","row":{"tags":["first",{"stars":5}]}}' 'copy: ['
done
for program in "$work/two_editors" "$work/examples/two_editors" "$work/examples/two_editors_static"; do
  expect "$program" '{"body":"the quick brown fox jumps","row":{"title":"Foxes"}}' \
    '[{"attributes":{"bold":true},"insert":"the"},{"insert":" quick brown fox jumps"}]'
done
echo "examples built against the installed library: ok"
