#!/bin/bash
# Checks the CUDA backend on a machine with a GPU, nvcc, CMake and a compiler; neither network nor package manager is
# needed. cuBLAS and cuDNN may be those of PyTorch's Python wheels. Builds, runs the GPU tests, the benchmarks beside
# PyTorch, where $PYTHON (python3) has it, and, in what is left of ten minutes, compute-sanitizer over the tests. Each
# step prints its row when it ends; the exit status is 0 if nothing failed.
#   scripts/gpu_check.sh deps.tar.gz [folder for logs]
# deps.tar.gz is made by scripts/bundle_deps.sh.
set -uo pipefail
deps=$(realpath "${1:?"gpu_check.sh: the archive made by bundle_deps.sh is missing"}")
cd "$(dirname "$0")/.."
logs=$(realpath -m "${2:-build/gpu_check/logs}")
build=build/gpu_check
mkdir -p "$logs" "$build"
export PATH=$PATH:/usr/local/cuda/bin AR_REQUIRE_CUDA=1

budget=590 # seconds for everything
failed=0
# step NAME COMMAND...: runs it for what is left of the time at most, keeps its output in a log, prints a row.
step() {
  local name=$1 begin=$SECONDS result=passed status=0
  shift
  if ((SECONDS > budget - 5)); then
    printf '%-22s no time left\n' "$name"
    failed=1
    return
  fi
  timeout --kill-after=5 $((budget - SECONDS)) "$@" >"$logs/$name.log" 2>&1 || status=$?
  if ((status)); then
    failed=1 result=FAILED
    ((status != 124 && status != 137)) || result="no end"
    tail -n 15 "$logs/$name.log"
  fi
  printf '%-22s %-7s %4d s  %s\n' "$name" "$result" $((SECONDS - begin)) \
    "$(grep -E 'tests? ran|PASSED|ERROR SUMMARY|hazards' "$logs/$name.log" | tail -n 1 | cut -c1-80)"
}

# Folders of the wheels nvidia-cublas, nvidia-cudnn-cu13 and their like, one a line.
wheels() {
  "${PYTHON:-python3}" -c 'import glob, nvidia
for path in nvidia.__path__: print(*glob.glob(path + "/*"), sep="\n")' 2>/dev/null
}
mapfile -t wheels < <(wheels)
prefixes=$PWD/$build/deps
for folder in "${wheels[@]}"; do
  prefixes+=";$folder"
  LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder/lib
done
export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}

tar -C "$build" -xzf "$deps"
step gpu nvidia-smi
architecture=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
step googletest cmake -S "$build/deps/googletest" -B "$build/googletest" -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_INSTALL_PREFIX="$PWD/$build/deps"
step googletest_build cmake --build "$build/googletest" --parallel "$(nproc)" --target install
step configure cmake -S . -B "$build/ar" -DCMAKE_BUILD_TYPE=Release -DAR_CUDA=ON -DAR_CUDA_EMULATION=OFF \
  -DAR_CUDA_ARCHITECTURES="$architecture" -DAR_BUILD_BENCH=ON -DCMAKE_PREFIX_PATH="$prefixes"
step build cmake --build "$build/ar" --parallel "$(nproc)" --target ar_cuda test_cuda ar-bench-gpu

tests=("$build/ar/bin/test_cuda" --gtest_brief=1) gradients='CudaGradcheck.*'
step tests "${tests[@]}" --gtest_filter="-$gradients"
step tests_own_kernels env AR_CUDA_OWN=1 "${tests[@]}" --gtest_filter="-$gradients"
step tests_deterministic env AR_DETERMINISTIC=1 "${tests[@]}" \
  --gtest_filter='CudaConv*:CudaGemm*:CudaNetworks*:CudaLstm*:CudaGraph*'
step gradients "${tests[@]}" --gtest_filter="$gradients"

# Without Python there is nobody to compare with. The sanitizers have the last third.
if command -v "${PYTHON:-python3}" >/dev/null; then
  left=$((budget - 200 - SECONDS))
  step benchmarks bench/compare_gpu.py --build "$build/ar" --python "${PYTHON:-python3}" \
    --budget $((left > 60 ? left : 60)) --out "$logs/benchmarks.json"
else
  step benchmarks "$build/ar/bin/ar-bench-gpu" training 32
fi

# Smaller cases, as every access is followed; that an allocation fails is a test. cuBLAS and cuDNN read and write as they
# please: initcheck and racecheck look at our own kernels.
sanitize() {  # TOOL VARIABLE=VALUE...
  local options=()
  [[ $1 != memcheck ]] || options=(--report-api-errors no)
  step "$1" env AR_TEST_ELEMENTS=20000 "${@:2}" compute-sanitizer --tool "$1" "${options[@]}" --error-exitcode 1 \
    --print-limit 20 "${tests[@]}" --gtest_filter="-$gradients"
}
sanitize racecheck AR_CUDA_OWN=1
sanitize memcheck AR_CUDA_CACHE=0
sanitize initcheck AR_CUDA_OWN=1 AR_CUDA_CACHE=0

echo
grep '^[|{]' "$logs/benchmarks.log"
echo "logs: $logs"
exit $failed
