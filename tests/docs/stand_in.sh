#!/bin/bash
# Stands in, under its name, for every program that a document calls (see commands.sh, which sets source, bin and log).
# Programs of the project are run as they are written, but for what is listed here: data drawn for the test are few, networks
# start from random weights at 32 pixels, nothing is fetched. What cannot be run is checked for its options, with a reason.
set -euo pipefail
name=$(basename "$0")
arguments=("$@")
bad() { echo "$name: $*" >&2; exit 1; }
given() { printf '%s\n' "${arguments[@]}" | grep -qxF -e "$1"; }
without() {  # takes an option and its value out
  local kept=() i
  for ((i = 0; i < ${#arguments[@]}; ++i)); do
    if [[ ${arguments[i]} == "$1" ]]; then ((++i)); else kept+=("${arguments[i]}"); fi
  done
  arguments=("${kept[@]}")
}
first() { arguments=("$@" "${arguments[@]}"); }
last() { arguments+=("$@"); }
unless_given() { given "$1" || first "$@"; }
run() {
  echo "run" >>"$log"
  exec "${1:-$bin/$name}" "${arguments[@]}"
}
checked() { echo "checked: $name: $1" >>"$log"; exit 0; }
options_are_in() {  # FILE
  local argument
  for argument in "${arguments[@]}"; do
    [[ $argument != --* ]] || grep -qE -e "(^|[^a-z-])$argument([^a-z-]|\$)" "$1" || bad "there is no $argument in $1"
  done
}
serve() {  # until this ends
  rm -f serving
  "$bin/ar-make-demo-data" "$@" >serving &
  server=$!
  trap 'kill "$server" 2>/dev/null || true' EXIT
  for ((i = 0; i < 100; ++i)); do [[ ! -s serving ]] || break; sleep 0.1; done
  grep -q '^http' serving || bad "serves nothing"
}
preset_exists() { grep -q "\"name\": \"$1\"" "$source/CMakePresets.json" || bad "there is no preset $1"; }

case $name in
  ar-train-image)
    without --epochs
    first --epochs 1 --image-size 32
    unless_given --pretrained none
    ;;
  ar-train-video)
    without --epochs
    first --epochs 1 --clips-per-video 2
    given --preset || first --resize 32x40 --crop-size 32
    given --pretrained || last --pretrained none
    last --rnn-units 16
    ;;
  ar-clean-image-ds) first --pretrained none --image-size 32 --folds 2 ;;
  ar-build-image-ds)
    if given --check-engine; then  # of the drawn image search
      serve --serve ../drawn/site --profile my-google.json
      without --check-engine
      last --check-engine waving --allow-private
      [[ $(id -u) == 0 ]] || unshare --user true 2>/dev/null || last --no-sandbox
      if ! "$bin/$name" "${arguments[@]}" 2>errors; then
        ! grep -q '^error: driver auto: ' errors || checked "no browser is installed"
        bad "$(<errors)"
      fi
      echo run >>"$log"
      exit
    fi
    without --out-path
    first --dry-run --out-path not-there  # the network; scripts/demo.sh and tests/scrape search for pictures
    ;;
  ar-make-demo-data)
    if given --serve; then
      serve "${arguments[@]}"
      kill "$server" && wait "$server" || bad "does not end well"
      arguments=(--version)
    else
      first --images-per-action 2 --videos-per-action 1 --groups 2 --clips-per-group 1
    fi
    ;;
  ar-bench) [[ -x $bin/$name ]] && last 1 || checked "benchmarks are not built" ;;
  ar-bench-images) [[ -x $bin/$name ]] && last --rounds 1 || checked "benchmarks are not built" ;;
  ar-bench-sizes) [[ ${1:-} == networks || ${1:-} == convolutions ]] && checked "takes minutes" ;;
  bench_*) [[ -x $bin/$name ]] && last --benchmark_list_tests || checked "benchmarks are not built" ;;

  bundle_deps.sh)
    [[ -d /usr/src/googletest ]] || checked "needs the package googletest"
    run "$source/scripts/$name"
    ;;
  gpu_check.sh)
    bash -n "$source/scripts/$name"
    [[ -s ${1:?} ]] || [[ ! -d /usr/src/googletest ]] || bad "no archive $1"
    checked "needs a GPU"
    ;;
  demo.sh | test.sh)
    bash -n "$source/scripts/$name"
    options_are_in "$source/scripts/$name"
    checked "takes minutes; the test demo/quick runs the one, the other runs this"
    ;;
  compare.py | compare_gpu.py | scaling.py)
    options_are_in "$source/bench/$name"
    checked "takes half an hour, or a GPU, and other people's programs"
    ;;
  cmake | ctest)
    case "${arguments[*]}" in
      --preset\ *) preset_exists "${2:?}" ;;
      --build\ --preset\ *) preset_exists "${3:?}" ;;
      --install\ build/*\ --prefix\ *) grep -q 'cmake --install .* --prefix' "$source/tests/package/run.sh" || bad "not tested" ;;
      *) bad "nothing is known of: ${arguments[*]}" ;;
    esac
    checked "that is the build itself; tests/package installs it"
    ;;
  cpack)
    grep -q "cpack ${arguments[*]} " "$source/tests/package/archive.sh" || bad "tests/package does not run: ${arguments[*]}"
    checked "tests/package runs it"
    ;;
  pip)
    [[ "${arguments[*]:0:2}" == 'install -r' && -s ${3:?} ]] || bad "nothing is known of: ${arguments[*]}"
    checked "needs the network"
    ;;
  python3)
    [[ "${arguments[*]}" == '-m venv '* ]] || bad "nothing is known of: ${arguments[*]}"
    checked "needs the network"
    ;;
  *) [[ -x $bin/$name ]] || bad "there is no such program" ;;
esac
run
