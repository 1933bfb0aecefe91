#!/bin/bash
# All sources are as clang-format leaves them. Another version formats otherwise, so that is a skip (77).
source "$(dirname "$0")/files.sh"
clang-format --version 2>/dev/null | grep -q 'version 14\.' || { echo "SKIPPED: needs clang-format 14"; exit 77; }
sources '*.h' '*.cpp' '*.cu' | xargs clang-format --dry-run --Werror
