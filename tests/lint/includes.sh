#!/bin/bash
# Who may include whom; quoted includes are paths from the root; public headers show no type of CUDA, Eigen or FFmpeg and
# do not depend on how the library was built.
source "$(dirname "$0")/files.sh"
declare -A may_include=([tensor]=tensor [autograd]='tensor|autograd' [nn]='tensor|autograd|nn' [cuda]='tensor|cuda'
                        [io]='tensor|io' [scrape]=scrape)
found=0
report() { echo "$1"; found=1; }
while IFS=: read -r file line text; do
  target=$(sed 's/[^"]*"\([^"]*\)".*/\1/' <<<"$text") allowed=${may_include[${file%%/*}]:-.*}
  [[ -f $target ]] || report "$file:$line: $target is not a file of the project, written from its root"
  [[ ${target%%/*} =~ ^($allowed)$ ]] || report "$file:$line: ${file%%/*}/ must not include $target"
done < <(sources '*.h' '*.cpp' '*.cu' | xargs grep -n '^ *# *include *"')
foreign='cuda_runtime|cudnn|cublas|cudaStream|cudaError|Eigen/|Eigen::|libav|libsw|AVFrame|AVPacket'
while read -r hit; do report "$hit (public header)"; done < <(
  sources '*.h' | grep -E '^(tensor|autograd|nn|io|scrape)/' | grep -vE '^(tensor/cpu|io/ffmpeg)/' |
    xargs -r grep -nE "^[^/]*($foreign)|^ *# *(if|ifdef|ifndef|elif)\b.*\bAR_")
exit $found
