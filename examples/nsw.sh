#!/bin/sh
# Human embryos by phase, from downloaded archives to scores, at a size for trying: nsw.sh ANNOTATIONS [DIR]
#
# ANNOTATIONS is a folder of VIDEO_phases.csv, as the time-lapse data set of Gomez et al. (2022) has them.
# Its ten files are made on the spot from VIDEOS (40) of these, with drawings for frames, since the true
# ones have 100 GB. From there on it is the job itself: the archives are checked and unpacked, videos
# split fairly, one frame taken of each phase, a model trained, and as many images drawn and compared.
# The real job: DOWNLOADS=FOLDER MODEL=SD-2.1-FOLDER INCEPTION=FILE PHASES=all STEPS=20000 nsw.sh -
set -eu
[ $# -ge 1 ] || {
	echo "usage: nsw.sh ANNOTATIONS [DIR]" >&2
	exit 2
}
top=$(cd "${0%/*}/.." && pwd)
. "$top/examples/lib.sh"
[ "$1" = - ] || annotations=$(cd "$1" && pwd)
dir=${2:-$top/build/nsw}
phases=${PHASES:-t2,t4} steps=${STEPS:-300} images=${IMAGES:-8}
absolute_in DOWNLOADS MODEL INCEPTION
PATH=$top/bin:$PATH

fresh "$dir"

[ -n "${DOWNLOADS-}" ] || {
	echo "1. Ten files like those that are published" >&2
	DOWNLOADS=$PWD/downloads
	mkdir -p downloads made/embryo_dataset_annotations made/embryo_dataset_time_elapsed
	# a picture for each phase: more and smaller cells
	n=0
	for p in $(echo "$phases" | tr , ' '); do
		n=$((n + 1))
		shapegen -q -n 1 -s $n --height 64 --width 64 --min $((32 / n)) --max $((40 / n)) -o shapes-$n |
			archc -q --format jpg -o "frame-$p" >"frame-$p.jsonl"
	done
	echo video_name,TE,ICM >downloads/embryo_dataset_grades.csv
	for csv in $(find "$annotations" -name '*_phases.csv' | sort | head -n "${VIDEOS:-40}"); do
		video=$(basename "$csv" _phases.csv)
		cp "$csv" made/embryo_dataset_annotations/
		echo frame_index,time >"made/embryo_dataset_time_elapsed/${video}_timeElapsed.csv"
		echo "$video,A,B" >>downloads/embryo_dataset_grades.csv
		for p in $(echo "$phases" | tr , ' '); do
			# three frames of the phase, if the video has it
			# shellcheck disable=SC2013
			for f in $(sed -n "s/^$p,\([0-9]*\),.*/\1/p" "$csv"); do
				for plane in '' _F15 _F30 _F45 _F-15 _F-30 _F-45; do
					mkdir -p "made/embryo_dataset$plane/$video"
					for frame in "$f" $((f + 1)) $((f + 2)); do
						cp "$(find "frame-$p" -name '*.jp*g')" \
							"made/embryo_dataset$plane/$video/${video}_RUN$frame.jpeg"
					done
				done
			done
		done
	done
	for folder in made/*; do
		tar -C made -czf "downloads/${folder#made/}.tar.gz" "${folder#made/}"
	done
}

echo "2. Check and unpack" >&2
archx -q -j 2 --manifest nsw -o tree "$DOWNLOADS" >members.jsonl

echo "3. Split videos fairly, take one frame of each phase of each, say what it is" >&2
splitsel -q --nsw-tree tree --planes none --preset nsw --allow-empty --split-json split.json
for set in train test; do
	splitsel -q --nsw-tree tree --split-file split.json --set $set --phases "$phases" --planes F+00 --one-per-phase |
		promptgen -q --preset nsw-gray >$set.jsonl
done

echo "4. Train: $steps steps" >&2
[ -n "${MODEL-}" ] || {
	MODEL=$PWD/model
	mkmodel -o model --captions train.jsonl --vae-from-images train.jsonl --vae-steps "$steps" tiny >vae.jsonl
}
sdtrain -m "$MODEL" -o tuned -b 4 --max-steps "$steps" --lr "${LR:-5e-4}" --train-text-encoder --checkpoint-steps 0 \
	--log-every 50 train.jsonl >train-log.jsonl
tail -n 1 train-log.jsonl

echo "5. $images images of each phase" >&2
mkdir -p runs
: >made.jsonl
for p in $(echo "$phases" | tr , ' '); do
	sdgen -m tuned --layout nsw --dataset-name "$p" --phase "$p" -n "$images" --steps "${SAMPLING:-25}" -o runs |
		sed "s/}\$/,\"label\":\"$p\"}/" >>made.jsonl
done

echo "6. How near they are to the frames of videos that were not trained on" >&2
[ -n "${INCEPTION-}" ] || {
	INCEPTION=$PWD/inception.safetensors
	mkmodel -o "$INCEPTION" inception >/dev/null
}
sed 's/"label": *"[^"]*", *//; s/"phase": *\("[^"]*"\)/"label": \1, &/' test.jsonl |
	fid --network inception --weights "$INCEPTION" --by label --neighbours "${NEIGHBOURS:-3}" \
		- made.jsonl
