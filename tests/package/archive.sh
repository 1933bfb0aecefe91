#!/bin/bash
# usage: archive.sh BUILD_DIR
# Packs the archive that brings its libraries along, and runs every program of it in a root folder that holds nothing but
# the C library: chroot by a user namespace, so no rights are needed. 77 is a skip. Packs the .deb, and looks into it.
set -euo pipefail
build=$(realpath "$1")
unshare -rm true 2>/dev/null || { echo "SKIPPED: no user namespaces here"; exit 77; }
work=$build/archive_test
rm -rf "$work"
mkdir -p "$work/root"
cd "$build"
cpack -G TGZ -B "$work" >"$work/cpack.log" || { cat "$work/cpack.log"; exit 1; }
root=$work/root
tar -xzf "$work"/*.tar.gz -C "$root"
folder=$(basename "$root"/ar-*)

# Nothing of this system but the C library, and /proc, from which a program learns where it lies.
loader=$(readelf -l "$root/$folder/bin/ar-classify" | sed -n 's/.*program interpreter: \(.*\)]/\1/p')
mkdir -p "$root/$(dirname "$loader")" "$root/lib" "$root/proc"
cp -L "$loader" "$root/$loader"
for name in c m dl rt pthread resolv util mvec; do
  file=$(find "$(dirname "$(realpath "$loader")")" -maxdepth 1 -name "lib$name.so.[0-9]" | head -1)
  [[ -z $file ]] || cp -L "$file" "$root/lib/"
done

run() { unshare -rm sh -c 'mount --rbind /proc "$0/proc" && exec chroot "$0" "$@"' "$root" "$@"; }
failed=0
for program in "$root/$folder"/bin/*; do
  name=$(basename "$program")
  bytes=$(stat -c %s "$program")
  ((bytes < 15000000)) || { echo "$name: $bytes bytes, more than 15 MB"; failed=1; }
  run "/$folder/bin/$name" --version >"$work/out" 2>&1 || { echo "$name: does not start"; cat "$work/out"; failed=1; }
done
run "/$folder/bin/ar-gradcheck" --op relu
echo "$(du -sh "$work"/*.tar.gz | cut -f1) archive, $(find "$root/$folder/bin" -type f | wc -l) programs start in a bare root"
cpack -G DEB -B "$work" >"$work/cpack.log" || { cat "$work/cpack.log"; exit 1; }
dpkg-deb --contents "$work"/*.deb >"$work/contents"
grep -q ' \./usr/bin/ar-classify$' "$work/contents" || { echo "the .deb holds no /usr/bin/ar-classify"; failed=1; }
dpkg-deb --field "$work"/*.deb Depends | grep -q libavcodec || { echo "the .deb asks for no libavcodec"; failed=1; }
rm -rf "$work"
exit $failed
