#!/bin/bash
# How often the strongest clip of ar-generate-action-clip lies where the action is. Clips of UCF-101 are joined into long
# videos, one per group with a segment per class, so the boundaries are known; the classifier (Tiny Darknet, frozen) is
# trained on frames of other groups. Needs the programs ffmpeg and ffprobe.
#
#   evaluate_action_clips.sh BIN UCF101 WEIGHTS WORK
#
# BIN: folder of the built programs; UCF101: folder with a folder per class of videos v_CLASS_gXX_cYY.avi; WEIGHTS: a
# Darknet file of Tiny Darknet; WORK: folder for all that is made, used again by the next run.
set -euo pipefail
if (($# != 4)); then sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; fi
bin=$1 ucf=$2 weights=$3 work=$4
train_groups=$(seq -f 'g%02g' 8 19) test_groups=$(seq -f 'g%02g' 20 25)
mkdir -p "$work/videos"
mapfile -t classes < <(cd "$ucf" && ls -d */ | tr -d /)

echo "frames of the training groups"
for class in "${classes[@]}"; do
  mkdir -p "$work/frames/$class"
  for group in $train_groups; do
    for video in "$ucf/$class/v_${class}_${group}"_*.avi; do
      name=$(basename "$video" .avi)
      [[ -e $work/frames/$class/${name}_1.jpg ]] ||
        ffmpeg -nostdin -v error -i "$video" -vf fps=2 -q:v 3 "$work/frames/$class/${name}_%d.jpg"
    done
  done
done

echo "long videos of the test groups"
duration() { ffprobe -v error -show_entries format=duration -of csv=p=0 "$1"; }
for group in $test_groups; do
  long=$work/videos/$group.mkv
  [[ -e $long ]] && continue
  at=0 inputs=() filter='' n=0
  : >"$work/videos/$group.segments"
  # The order of the classes differs from group to group.
  for class in $(printf '%s\n' "${classes[@]}" | sort -R --random-source=<(yes "$group")); do
    start=$at
    for video in "$ucf/$class/v_${class}_${group}"_*.avi; do
      inputs+=(-i "$video")
      filter+="[$n:v]fps=25,setsar=1,setpts=PTS-STARTPTS[v$n];"
      n=$((n + 1))
      at=$(awk -v a="$at" -v d="$(duration "$video")" 'BEGIN { print a + d }')
    done
    echo "$class $start $at" >>"$work/videos/$group.segments"
  done
  filter+=$(seq -f '[v%g]' -s '' 0 $((n - 1)))concat=n=$n
  ffmpeg -nostdin -v error "${inputs[@]}" -filter_complex "$filter" -c:v libx264 -preset veryfast -crf 20 -y "$long.part.mkv"
  mv "$long.part.mkv" "$long"
done

[[ -e $work/model.pt ]] ||
  "$bin/ar-train-image" --data-dir "$work/frames" --feature-extractor tiny_darknet --pretrained "$weights" --freeze-fe \
    --epochs 6 --batch-size 32 --optimizer Adam --learning-rate 1e-3 --validation-split 0 --save-checkpoint "$work/model.pt"

right=0 all=0
for class in "${classes[@]}"; do
  "$bin/ar-generate-action-clip" --video-path "$work/videos" --image-classifier-checkpoint "$work/model.pt" \
    --action "$class" --out-dir "$work/clips/$class" --sample-fps 3 --n-clips 1 --quiet --no-audio --no-report
  for group in $test_groups; do
    read -r from to < <(awk -v c="$class" '$1 == c { print $2, $3 }' "$work/videos/$group.segments")
    middle=$(tr -d '\r' <"$work/clips/$class/clips.csv" |
      awk -F, -v g="$group" '$2 == g && $7 == 1 { print ($3 + $4) / 2 }')
    all=$((all + 1))
    if awk -v m="${middle:--1}" -v a="$from" -v b="$to" 'BEGIN { exit !(m >= a && m < b) }'; then
      right=$((right + 1))
    else
      echo "  $class in $group: the clip's middle is at ${middle:-none} s, the segment from $from to $to s"
    fi
  done
done
echo "first-rank clips with their middle inside the action: $right of $all ($((100 * right / all)) %)"
