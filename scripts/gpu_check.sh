#!/bin/bash
# Checks the CUDA backend on a machine with a GPU, CUDA, cuDNN, CMake and a compiler; neither network nor package manager
# is needed. Builds, runs the GPU tests, compute-sanitizer over them, and, in what is left of ten minutes, the benchmarks
# beside PyTorch, where $PYTHON (python3) has it. Ends with a table; the exit status is 0 if nothing failed.
#   scripts/gpu_check.sh deps.tar.gz [folder for logs]
# deps.tar.gz is made by scripts/bundle_deps.sh.
set -uo pipefail
deps=$(realpath "${1:?"gpu_check.sh: the archive made by bundle_deps.sh is missing"}")
cd "$(dirname "$0")/.."
logs=$(realpath -m "${2:-build/gpu_check/logs}")
build=build/gpu_check
mkdir -p "$logs" "$build"
export PATH=$PATH:/usr/local/cuda/bin AR_REQUIRE_CUDA=1

rows=() failed=0
# step NAME COMMAND...: runs it, keeps its output in a log, adds a row to the table.
step() {
  local name=$1 begin=$SECONDS result=passed
  shift
  if ! "$@" >"$logs/$name.log" 2>&1; then
    result=FAILED failed=1
    tail -n 15 "$logs/$name.log"
  fi
  rows+=("$(printf '%-22s %-7s %4d s  %s' "$name" "$result" $((SECONDS - begin)) \
    "$(grep -E 'tests? ran|PASSED|ERROR SUMMARY|hazards' "$logs/$name.log" | tail -n 1 | cut -c1-80)")")
}

build_googletest() {
  cmake -S "$build/deps/googletest" -B "$build/googletest" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_INSTALL_PREFIX="$PWD/$build/deps" && cmake --build "$build/googletest" --parallel --target install
}
configure() {
  local architecture
  architecture=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
  cmake -S . -B "$build/ar" -DCMAKE_BUILD_TYPE=Release -DAR_CUDA=ON -DAR_CUDA_ARCHITECTURES="$architecture" \
    -DAR_BUILD_BENCH=ON -DCMAKE_PREFIX_PATH="$PWD/$build/deps"
}
tests=$build/ar/bin/test_cuda gradients='CudaGradcheck.*'
sanitize() {  # smaller cases: every access is followed
  AR_TEST_ELEMENTS=20000 compute-sanitizer --tool "$1" --error-exitcode 1 --print-limit 20 "$tests" --gtest_brief=1 \
    --gtest_filter="-$gradients" "${@:2}"
}
in_parallel() { cmake --build "$build/ar" --parallel --target "$@"; }

tar -C "$build" -xzf "$deps"
step gpu nvidia-smi
step googletest build_googletest
step configure configure
step build in_parallel ar_cuda test_cuda ar-bench-gpu
step tests "$tests" --gtest_brief=1 --gtest_filter="-$gradients"
step tests_own_kernels env AR_CUDA_OWN=1 "$tests" --gtest_brief=1 --gtest_filter="-$gradients"
step gradients "$tests" --gtest_brief=1 --gtest_filter="$gradients"
step tests_deterministic env AR_DETERMINISTIC=1 "$tests" --gtest_brief=1 --gtest_filter='CudaConv*:CudaGemm*:CudaNetworks*'
# cuBLAS and cuDNN read and write as they please: initcheck and racecheck look at our own kernels.
step memcheck env AR_CUDA_CACHE=0 bash -c "$(declare -f sanitize); tests=$tests gradients=$gradients; sanitize memcheck"
step racecheck env AR_CUDA_OWN=1 bash -c "$(declare -f sanitize); tests=$tests gradients=$gradients; sanitize racecheck"
step initcheck env AR_CUDA_OWN=1 AR_CUDA_CACHE=0 bash -c "$(declare -f sanitize); tests=$tests gradients=$gradients; sanitize initcheck"
# The budget counts from the script's begin; without Python there is nobody to compare with.
benchmarks() {
  local left=$((590 - SECONDS))
  bench/compare_gpu.py --build "$build/ar" --python "${PYTHON:-python3}" --budget $((left > 60 ? left : 60)) \
    --out "$logs/benchmarks.json"
}
if command -v python3 >/dev/null; then
  step benchmarks benchmarks
else
  step benchmarks "$build/ar/bin/ar-bench-gpu" training 32
fi

echo
printf '%s\n' "${rows[@]}"
grep '^[|{]' "$logs/benchmarks.log"
echo "logs: $logs"
exit $failed
