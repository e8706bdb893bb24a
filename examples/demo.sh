#!/bin/sh
# The whole job on shapes it draws itself: archive -> records -> split -> train -> predict -> score.
# demo.sh [DIR]: works below DIR (build/demo); about ten minutes on two cores without a GPU.
set -eu
top=$(cd "${0%/*}/.." && pwd)
dir=${1:-$top/build/demo}
PATH=$top/bin:$PATH

say() {
	printf '\n\033[1m%s\033[0m\n' "$*" >&2
}
show() {
	printf '  $ %s\n' "$*" >&2
}

rm -rf "$dir"
mkdir -p "$dir"
cd "$dir"

say "1. Which Vulkan device is there?"
show gpuinfo
gpuinfo

say "2. Draw 1200 pictures of coloured rectangles and ellipses; the mask is the rectangles."
show 'shapegen -n 1200 --height 96 --width 96 --min 9 --max 17 --strict-masks -s 1 -o raw >raw.jsonl'
shapegen -n 1200 --height 96 --width 96 --min 9 --max 17 --strict-masks -s 1 -o raw >raw.jsonl

say "3. Pack them into one archive, as data sets come."
show 'archc -o shapes.tar.gz raw.jsonl'
archc -o shapes.tar.gz raw.jsonl >/dev/null
ls -l shapes.tar.gz >&2

say "4. Unpack the archive, one record for each file."
show 'archx -o data shapes.tar.gz >members.jsonl'
archx -o data shapes.tar.gz >members.jsonl
echo "$(wc -l <members.jsonl) members" >&2

say "5. Split by image: 80 % to train, 10 % to validate, 10 % held out."
show 'splitsel --weights 0.8,0.1,0.1 --resolve data/metadata.jsonl >split.jsonl'
splitsel --weights 0.8,0.1,0.1 --resolve data/metadata.jsonl >split.jsonl

say "6. Train a U-Net from random weights, on the device, in Vulkan shaders."
show "segtrain -o run $(cat "$top/examples/demo.opts") split.jsonl >train.jsonl"
# shellcheck disable=SC2046 # the options are words
segtrain -o run $(cat "$top/examples/demo.opts") split.jsonl >train.jsonl
sed -n 's/.*"kind":"eval","split":"\([a-z]*\)".*"epoch":\([0-9]*\).*"loss":\([0-9.]\{1,6\}\).*"iou":\([0-9.]\{1,6\}\).*/  epoch \2, \1: loss \3, IoU \4/p' \
	train.jsonl >&2

say "7. Apply the best net to the held-out images, and score its masks against the truth."
show "grep '\"split\":\"test\"' split.jsonl | segrun -m run/best -o pred | score --sheet sheet.png"
grep '"split":"test"' split.jsonl | segrun -m run/best -o pred >pred.jsonl
score --sheet sheet.png pred.jsonl >score.jsonl
iou=$(sed -n 's/.*"metric": *"iou".*"average": *"micro",.*"value": *\([0-9.]*\).*/\1/p' score.jsonl | head -n 1)

say "Rectangle IoU on $(wc -l <pred.jsonl) images that the net never saw: $iou"
echo "Image, truth and prediction side by side: $dir/sheet.png" >&2
