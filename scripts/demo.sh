#!/bin/bash
# The whole pipeline on data that are drawn here: an image search, a classifier, clips out of long videos, an LRCN. Sets
# up and builds what is needed, prints each command before it runs, and fails if a figure at the end is too low.
#   scripts/demo.sh                 leaves demo/index.html
#   scripts/demo.sh --quick         less data and shorter training: leaves demo/quick/index.html
#   scripts/demo.sh --out DIR       leaves everything there; a second run goes on from what there is
#   scripts/demo.sh --fresh         deletes what an earlier run has left there first
#   scripts/demo.sh --seed N        other people, places and initial weights
#   scripts/demo.sh --bin DIR       takes programs that are built already
set -euo pipefail
caller=$PWD
cd "$(dirname "$0")/.."

quick=false fresh=false out='' seed=1 bin=''
while (($#)); do
  case $1 in
    --quick) quick=true ;;
    --fresh) fresh=true ;;
    --out | --seed | --bin)
      [[ $# -ge 2 ]] || { echo "error: demo.sh: $1 needs a value" >&2; exit 2; }
      printf -v "${1#--}" %s "$2"
      shift
      ;;
    *) echo "error: demo.sh: unknown option $1" >&2; exit 2 ;;
  esac
  shift
done
# Folders are the caller's.
[[ -z $out || $out == /* ]] || out=$caller/$out
[[ -z $bin || $bin == /* ]] || bin=$caller/$bin

if $quick; then
  out=${out:-demo/quick}
  images=250 long_videos=1 groups=20 image_epochs=4 video_epochs=20
  recurrent=(--rnn-units 128 --bidirectional)  # learns the direction of a motion from fewer videos
  bounds=(--min-validation 0.65 --min-clips 0.75 --min-video 0.7 --min-gain 0.04)
else
  out=${out:-demo}
  images=400 long_videos=2 groups=30 image_epochs=5 video_epochs=25
  recurrent=(--rnn-units 128)
  bounds=(--min-validation 0.8 --min-clips 0.75 --min-video 0.8 --min-gain 0.05)
fi

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { printf '$'; printf ' %q' "$@"; printf '\n'; }
run() { show "$@"; "$@"; }
# A step of this name is done once for each folder; its command follows.
step() {
  local mark=$out/done/$1
  shift
  if [[ -e $mark ]]; then
    show "$@"
    echo "done before; delete $mark to do it again"
    return
  fi
  run "$@"
  touch "$mark"
}

if [[ -z $bin ]]; then
  say "Set-up and build"
  run scripts/setup.sh
  run cmake --preset release
  run cmake --build --preset release --parallel "$(nproc)" --target ar-make-demo-data ar-build-image-ds ar-train-image \
    ar-generate-action-clip ar-train-video ar-evaluate-video
  bin=build/release/bin
fi

settings="seed $seed, $images images, $long_videos long videos, $groups groups, $image_epochs + $video_epochs epochs, ${recurrent[*]}"
if $fresh && [[ -e $out/settings ]]; then
  (cd "$out" && rm -rf address cache clips data 'done' engine.json image.* images index.html logs lrcn* port settings)
fi
if [[ -e $out/settings && $(<"$out/settings") != "$settings" ]]; then
  echo "error: demo.sh: $out was made with other settings ($(<"$out/settings")); give --fresh to start again, or another --out" >&2
  exit 1
fi
mkdir -p "$out/done"
echo "$settings" >"$out/settings"
AR_CACHE=$(realpath "$out")/cache
export AR_CACHE
started=$SECONDS

say "1. Draw people doing actions: an image search, long videos, and short ones in UCF-101's layout"
step data "$bin/ar-make-demo-data" --out-dir "$out/data" --seed "$seed" --images-per-action "$images" \
  --videos-per-action "$long_videos" --groups "$groups" --clips-per-group 2

say "2. Build an image data set from the image search, with a real browser"
if [[ ! -e $out/done/images ]]; then
  # The addresses of results should stay the same when this goes on after an interruption.
  port=$(cat "$out/port" 2>/dev/null || true)
  rm -f "$out/engine.json" "$out/address"
  serve=("$bin/ar-make-demo-data" --serve "$out/data/site" --profile "$out/engine.json" --port "${port:-0}")
  show "${serve[@]}" '&'
  "${serve[@]}" >"$out/address" &
  server=$!
  trap 'kill "$server" 2>/dev/null || true' EXIT
  until [[ -s $out/address ]]; do
    kill -0 "$server" 2>/dev/null || { rm -f "$out/port"; echo "error: demo.sh: the image search did not start" >&2; exit 1; }
    sleep 0.1
  done
  grep -o '[0-9]*/search' "$out/address" | grep -o '[0-9]*' >"$out/port"
fi
sandbox=()  # Chromium's, which an ordinary user cannot have in many containers
[[ $(id -u) == 0 ]] || unshare --user true 2>/dev/null || sandbox=(--no-sandbox)
step images "$bin/ar-build-image-ds" --actions "$out/data/actions.names" --out-path "$out/images" \
  --images-per-action 9999 --num-workers 8 --engine "$out/engine.json" --allow-private --rate 0 "${sandbox[@]}"
if [[ -n ${server:-} ]]; then
  kill "$server"
  wait "$server" || true
  trap - EXIT
fi

say "3. Train an image classifier on it"
step image-classifier "$bin/ar-train-image" --data-dir "$out/images" --feature-extractor densenet121 \
  --pretrained none --image-size 64 --augment none --dropout 0.2 --validation-split 0.15 --batch-size 16 \
  --epochs "$image_epochs" --optimizer AdamW --learning-rate 1e-3 --weight-decay 0.01 --scheduler Cosine \
  --warmup-epochs 0.5 --seed "$seed" --save-checkpoint "$out/image.pt" --logdir "$out/logs/image" \
  --resume-checkpoint auto

say "4. Cut candidate clips out of long videos with it"
step clips "$bin/ar-generate-action-clip" --video-path "$out/data/untrimmed" \
  --image-classifier-checkpoint "$out/image.pt" --class-names "$out/data/actions.names" --action from-folder \
  --n-clips 2 --clip-len 3 --smooth 0.7 --out-dir "$out/clips"

say "5. Train an LRCN on short videos, over the features of that classifier"
lists=(--dataset UCF-101 --data-dir "$out/data/ucf-101/videos" --annots-dir "$out/data/ucf-101/annots")
step video-classifier "$bin/ar-train-video" "${lists[@]}" --frames-per-clip 16 --clips-per-video 3 --resize 64x64 \
  --crop-size 64 --batch-size 32 --epochs "$video_epochs" --optimizer AdamW --learning-rate 1e-3 \
  --weight-decay 0.01 --scheduler Cosine --validation-split 0.1 --seed "$seed" --save-checkpoint "$out/lrcn.pt" \
  --logdir "$out/logs/video" --resume-checkpoint auto \
  LRCN --feature-extractor densenet121 --image-checkpoint "$out/image.pt" --freeze-fe "${recurrent[@]}" --dropout 0.3

say "6. Test it on people it has not seen, beside single frames"
step evaluation "$bin/ar-evaluate-video" --checkpoint "$out/lrcn.pt" "${lists[@]}" --json "$out/lrcn.json" \
  --report "$out/lrcn.html"

say "Figures (after $((SECONDS - started)) s)"
status=0
run "$bin/ar-make-demo-data" --judge "$out" "${bounds[@]}" || status=$?
echo
echo "Everything is in $out; begin with $(realpath "$out")/index.html"
exit "$status"
