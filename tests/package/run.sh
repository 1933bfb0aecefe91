#!/bin/bash
# usage: run.sh BUILD_DIR [CMake options...]
# Installs BUILD_DIR into a fresh folder and uses it from there as a stranger would: compiles every installed header by
# itself, builds every program of examples/, and runs the training step of lrcn_diy.
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
if [[ -x $work/examples/lrcn_diy ]]; then "$work/examples/lrcn_diy"; fi
