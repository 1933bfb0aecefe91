#!/bin/bash
# usage: run.sh BUILD_DIR [CMake options...]
# Installs BUILD_DIR into a fresh folder and uses it from there as a stranger would: compiles every installed header by
# itself, builds every program of examples/, and runs them.
set -euo pipefail
build=$(realpath "$1")
shift
here=$(realpath "$(dirname "$0")")
work=$build/package_test
rm -rf "$work"
mkdir -p "$work"

cmake --install "$build" --prefix "$work/prefix" >"$work/install.log"
for project in "$here" "$here/../../examples"; do
  name=$(basename "$(realpath "$project")")
  cmake -S "$project" -B "$work/$name" "-DCMAKE_PREFIX_PATH=$work/prefix" "$@"
  cmake --build "$work/$name" --parallel 2
done
for example in lrcn_diy custom_op custom_layer; do "$work/examples/$example"; done
