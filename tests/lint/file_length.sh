#!/bin/bash
# A file longer than 650 lines holds two ideas: split it.
source "$(dirname "$0")/files.sh"
sources '*.h' '*.cpp' '*.cu' '*.py' '*.sh' | xargs wc -l | awk '$2 != "total" && $1 > 650 { print $2 ": " $1 " lines"; bad = 1 }
                                                  END { exit bad }'
