#!/bin/sh
# Nuclei in real microscope images: nuclei.sh ARCHIVE [DIR]
#
# ARCHIVE holds, as the 2018 Data Science Bowl published them, ID/images/ID.png and a mask of every
# nucleus in ID/masks/. They are unpacked, the masks of an image merged, the images split, a net trained
# from random weights, and its foreground IoU on the held-out images printed: about ten minutes on two
# cores. Images are stretched to 128 x 128 for training; scores are at their own size. Images of one
# size came from one microscope and stain, so that each size is split for itself.
set -eu
[ $# -ge 1 ] || {
	echo "usage: nuclei.sh ARCHIVE [DIR [SEED]]" >&2
	exit 2
}
top=$(cd "${0%/*}/.." && pwd)
. "$top/examples/lib.sh"
archive=$(absolute "$1")
dir=${2:-$top/build/nuclei}
PATH=$top/bin:$PATH

there "$archive"
fresh "$dir"

# a record for each image; its mask is the folder of its nuclei, which segtrain and score merge
archx -o data "$archive" | awk '
	match($0, /"file_name":"[^"]*\/images\/[^"\/]*\.png"/) {
		file = substr($0, RSTART + 13, RLENGTH - 14)
		id = masks = file
		sub(/.*\//, "", id)
		sub(/\.png$/, "", id)
		sub(/\/images\/[^\/]*$/, "/masks", masks)
		# width and height stand in bytes 16 to 23 of a PNG
		bytes = "od -An -tx1 -j16 -N8 \"" file "\""
		bytes | getline size
		close(bytes)
		gsub(/ /, "", size)
		printf "{\"id\":\"%s\",\"file_name\":\"%s\",\"mask_file_name\":\"%s\",\"size\":\"%s\"}\n", id,
		    file, masks, size
	}' | splitsel --weights 0.6,0.1,0.3 --stratify size -s 1 >split.jsonl

segtrain -o run -a unet -e resnet18 --image-size 128 -b 8 -n 40 --lr 1e-3 --lr-scheduler cosine \
	--augment hflip:vflip -s "${3:-0}" split.jsonl >train.jsonl

grep '"split":"test"' split.jsonl | segrun -m run/last -o pred >pred.jsonl
score --metrics iou,f1 --average micro,micro-imagewise --sheet sheet.png pred.jsonl
echo "image, truth and prediction: $dir/sheet.png" >&2
