#!/bin/bash
# usage: commands.sh BIN_DIR WORK_DIR
# Every command in README.md and docs/ is run as it is written, in a folder with a little drawn data under the names that the
# documents use. stand_in.sh says what is made smaller, and what cannot be run and why. Options named in the text exist, too.
set -euo pipefail
source=$(realpath "$(dirname "$0")/../..")
bin=$(realpath "$1") work=$(realpath -m "$2")
export source bin log=$work/log
documents=(README.md docs/*.md)
failed=0
fail() { echo "$1"; failed=1; }
cd "$source"
documents=(README.md docs/*.md)
rm -rf "$work"
mkdir -p "$work"/{blocks,home,place}
awk -f tests/docs/blocks.awk "${documents[@]}" >"$work/all"

# ---- what the documents' commands find ------------------------------------------------------------------------------
cd "$work"
"$bin/ar-make-demo-data" --out-dir drawn --images-per-action 6 --videos-per-action 1 --groups 3 --clips-per-group 1 >/dev/null
cd place
mkdir -p data/ucf-101 data/kinetics400-image folder bench/peer
while IFS=, read -r action _ file kind; do
  [[ $kind == good ]] || continue
  mkdir -p "data/kinetics400-image/$action"
  cp "../drawn/site/$file" "data/kinetics400-image/$action/"
done < <(tail -n +2 ../drawn/site/truth.csv)
cp ../drawn/actions.names data/kinetics400.names
ln -s "$work"/drawn/ucf-101/{videos,annots} data/ucf-101/
ln -s "$work"/drawn/ucf-101/{videos,annots} .
for alias in DIR FOLDER stanford8; do ln -s data/kinetics400-image "$alias"; done
cp data/kinetics400-image/waving/000.jpg photo.jpg
cp photo.jpg dog.jpg
cp photo.jpg folder/
cp ../drawn/untrimmed/waving/Waving_01.mp4 video.mp4
seq 1000 >imagenet.names
{ printf '\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0'; head -c 4185952 /dev/zero; } >tiny.weights
echo moved >old-place
printf 'new-place\told-place\n' >data/kinetics400-image/moved.tsv
ln -s "$source/bench/peer/requirements.txt" bench/peer/

stand_in() { mkdir -p "$1"; for name in "${@:2}"; do ln -s "$source/tests/docs/stand_in.sh" "$1/$name"; done; }
mapfile -t programs < <(cd "$source/apps" && basename -s .cpp ar-*.cpp)
mapfile -t benchmarks < <(cd "$source/bench" && printf '%s\n' *.cpp | sed 's/\.cpp$//; /^ar-/!s/^/bench_/')
stand_in "$work/path" cmake ctest cpack python3 "${programs[@]}"
stand_in build/release/bin "${programs[@]}" "${benchmarks[@]}"
stand_in scripts $(cd "$source/scripts" && ls ./*.sh)
stand_in bench compare.py compare_gpu.py scaling.py
stand_in "$work/home/peers/bin" python pip

# ---- each block -----------------------------------------------------------------------------------------------------
# Indented blocks that hold no commands, by how they begin.
other=('names of        ' 'find_package(ar' 'first-rank clips' 'cuda/kernels/*.cu ' 'tensor/    ' 'error: '
  'results  ' 'model = torchvision' '{"' '# ')
blocks=0
run_block() {  # PLACE
  local first text=$work/block begin=$SECONDS
  first=$(head -n 1 "$text")
  if [[ ! -e $work/path/${first%% *} && ! -e ${first%% *} && $first != while\ * ]]; then
    for known in "${other[@]}"; do [[ $first != "$known"* ]] || return 0; done
    fail "$1: neither a known command nor known to be something else: $first"
    return 0
  fi
  sed -i 's/ \.\.\.$//' "$text"  # further options, which a table below it names
  blocks=$((blocks + 1))
  env PATH="$work/path:$PATH" HOME="$work/home" AR_CACHE="$work/cache" bash -euo pipefail "$text" >"$work/out" 2>&1 </dev/null ||
    { fail "$1: fails:"; cat "$text"; tail -n 5 "$work/out"; }
  echo "$1: $((SECONDS - begin)) s"
}
while IFS= read -r line; do
  if [[ $line == @@\ * ]]; then
    [[ -z ${place:-} ]] || run_block "$place"
    place=${line#@@ }
    : >"$work/block"
  else
    printf '%s\n' "$line" >>"$work/block"
  fi
done < <(cat "$work/all"; echo '@@ end')
[[ -s new-place ]] || fail "docs/image-data-sets.md: nothing is moved back"

# ---- docs/file-formats.md names all that files hold, and nothing else ------------------------------------------------
# The names in the first column of a marked table are there, and what is there stands in the table.
fields_of() {  # KIND FILE: a name a line
  case $1 in
    columns) head -n 1 "$2" | tr -d '\r' | tr , '\n' ;;
    members)
      if [[ $2 == *.cpp ]]; then
        grep -oE 'visit\("[a-z0-9]+"' "$source/$2" | cut -d '"' -f 2
      else  # but for numbers of classes
        grep -oE '"[^"]+" *:' "$2" | tr -d '": ' | grep -v '^[0-9]*$'
      fi ;;
  esac | sort -u
}
while IFS=$'\t' read -r kind files first all; do
  what="docs/file-formats.md: $files:"
  if [[ $kind == in ]]; then  # the names of a checkpoint's members stand in it as they are
    for name in $first; do
      for file in ${files/ and / }; do grep -qaF "$name" "$file" || fail "$what there is no $name"; done
    done
    continue
  fi
  fields_of "$kind" "$files" >"$work/fields"
  for name in $first; do grep -qxF "$name" "$work/fields" || fail "$what there is no $name"; done
  while read -r name; do [[ " $all " == *" $name "* ]] || fail "$what $name is not named"; done <"$work/fields"
  formats=$((${formats:-0} + 1))
done < <(awk '
  function flush() { if (marked) print kind "\t" files "\t" first "\t" all; marked = 0 }
  /^<!-- (members of|columns of|in) / { flush(); marked = 1; first = all = ""; kind = $2; files = $0
                                        sub(/^<!-- (members of|columns of|in) /, "", files); sub(/ -->$/, "", files); next }
  marked && /^\| `/ {
    split($0, cells, "|")
    for (i = 2; i in cells; ++i) {
      n = split(cells[i], parts, "`")
      for (j = 2; j <= n; j += 2) { all = all " " parts[j]; if (i == 2) first = first " " parts[j] }
    }
    next }
  marked && !/^\|/ { flush() }
  END { flush() }' "$source/docs/file-formats.md")
((${formats:-0} >= 12)) || fail "docs/file-formats.md: only ${formats:-0} tables are marked"

# ---- options in the text --------------------------------------------------------------------------------------------
cd "$source"
for program in "${programs[@]}"; do "$bin/$program" --help >"$work/$program.help"; done
"$bin/ar-train-video" LRCN --help >>"$work/ar-train-video.help"
while IFS=: read -r document line text; do
  text=${text//\`/}
  program=${text%% *} places=("$work"/*.help bench/*.cpp bench/compare.py)
  case $program in
    --*) ;;
    ar-bench*) places=("bench/$program.cpp") ;;
    ar-*) places=("$work/$program.help") ;;
    scripts/*) places=("$program") ;;
    *) continue ;;
  esac
  for option in $(grep -oE -e '(^| )--[a-z][a-z0-9-]*' <<<"$text"); do
    grep -qE -e "(^|[^a-z-])$option([^a-z0-9-]|\$)" "${places[@]}" || fail "$document:$line: there is no $option: $text"
  done
done < <(grep -noE '`[^`]*--[^`]*`' "${documents[@]}")

sort "$log" | uniq -c
echo "$blocks blocks of commands in ${#documents[@]} documents"
((failed)) || rm -rf "$work"
exit $failed
