#!/bin/bash
# usage: clang_tidy.sh BUILD_DIR [--all | FILE...]
# clang-tidy with .clang-tidy's checks over FILEs; by default over the library and the programs' main files, which brings
# in most headers of io/, scrape/ and apps/; --all takes their sources too, which takes twice as long. 77 is a skip.
# performance-unnecessary-value-param takes half of the time where CLI11 is included: by default not there.
build=$(realpath "$1")
shift
source "$(dirname "$0")/files.sh"
clang-tidy --version 2>/dev/null | grep -q 'version 14\.' || { echo "SKIPPED: needs clang-tidy 14"; exit 77; }
case ${1:-} in
  --all) set -- $(sources '*.cpp' | grep -E '^(tensor|autograd|nn|io|scrape|apps)/') ;;
  '')
    set -- $(sources '*.cpp' | grep -E '^(tensor|autograd|nn)/')
    programs=$(sources '*.cpp' | grep -E '^apps/ar-')
    ;;
esac
tidy() { xargs -r -P 2 -n 1 clang-tidy --quiet -p "$build" "$@" 2> >(grep -v 'warnings generated' >&2); }
printf '%s\n' "$@" | tidy &&
  printf '%s\n' ${programs:-} | tidy --checks=-performance-unnecessary-value-param
