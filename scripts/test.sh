#!/bin/bash
# Sets up, configures, builds, and runs all tests; the last line counts them.
#   scripts/test.sh [--preset NAME] [options of ctest...]
#   scripts/test.sh                            all tests of the release build
#   scripts/test.sh -L gradcheck               only the gradient checks
#   scripts/test.sh --preset asan -E package   under AddressSanitizer, without the installation test
set -euo pipefail
cd "$(dirname "$0")/.."

preset=release
if [[ ${1:-} == --preset ]]; then
  preset=${2:?"test.sh: --preset needs a name: release, debug, asan, tsan or portable"}
  shift 2
fi

scripts/setup.sh
cmake --preset "$preset"
cmake --build --preset "$preset" --parallel "$(nproc)"

results=build/$preset/test-results.xml
rm -f "$results"
status=0
ctest --preset "$preset" --parallel 2 --no-tests=error --output-junit "$PWD/$results" "$@" || status=$?

count() { sed -n "0,/\b$1=\"/s/.*\b$1=\"\([0-9]*\)\".*/\1/p" "$results"; }
if [[ -f $results ]]; then
  total=$(count tests) failed=$(count failures) skipped=$(count skipped) disabled=$(count disabled)
  echo "$((total - failed - skipped - disabled)) passed, $failed failed, $((skipped + disabled)) skipped"
fi
exit "$status"
