#!/bin/bash
# usage: isa_symbols.sh ISA OBJECT...
# Fails if an object built for one instruction set defines a symbol that the linker may share with other objects (weak,
# or unique) and whose name does not carry that set's namespace: the linker keeps one copy for all, perhaps the one that
# an older processor cannot run.
set -euo pipefail
isa=$1
shift
shared=$(nm --defined-only "$@" | awk -v isa="$isa" '$2 ~ /^[VvWwu]$/ && $3 !~ /^DW\.ref\./ && !index($3, isa) { print $3 }')
[[ -z $shared ]] || { sort -u <<<"$shared" | c++filt | sed "s/^/may be shared with other objects, but needs $isa: /"; exit 1; }
