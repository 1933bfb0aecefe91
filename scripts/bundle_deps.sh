#!/bin/bash
# Packs what scripts/gpu_check.sh needs on a machine without network and package manager: the headers of Eigen and the
# sources of GoogleTest, from the Debian packages libeigen3-dev and googletest.
#   scripts/bundle_deps.sh deps.tar.gz
set -euo pipefail
out=${1:?"bundle_deps.sh: the name of the archive to write is missing"}
eigen=/usr/include/eigen3/Eigen googletest=/usr/src/googletest
for folder in "$eigen" "$googletest"; do
  [[ -d $folder ]] || { echo "error: bundle_deps.sh: $folder is missing; install libeigen3-dev and googletest" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/deps/include/eigen3" "$work/deps/share/eigen3/cmake"
cp -r /usr/include/eigen3/Eigen "$work/deps/include/eigen3/"
cp -r /usr/share/eigen3/cmake "$work/deps/share/eigen3/"
mkdir "$work/deps/googletest"
cp -r "$googletest"/{CMakeLists.txt,googletest,googlemock} "$work/deps/googletest/"
tar -C "$work" -czf "$out.partial" deps
mv "$out.partial" "$out"
echo "$out: $(du -h "$out" | cut -f1)"
