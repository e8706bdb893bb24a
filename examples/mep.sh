#!/bin/sh
# Histology whose prompts come from what images look like, as Osorio et al. (2024) do it:
# mep.sh METADATA [DIR]
#
# METADATA is a metadata.jsonl with file_name, text and label, as PatchCamelyon's patches in ImageFolder
# form have it. Patches are clustered by their DINO features, each cluster gets a prompt, a model is
# trained on these and draws images of each, which are compared with the real ones.
#
# Without published weights this runs with random ones, and its FID is comparable with nothing but
# itself. The real job: MODEL=SD-1.5-FOLDER DINO=dino-vitb8.safetensors INCEPTION=pt_inception.safetensors
# CLUSTERS=33 STEPS=20000 IMAGES=2500 mep.sh metadata.jsonl
set -eu
[ $# -ge 1 ] || {
	echo "usage: mep.sh METADATA [DIR]" >&2
	exit 2
}
top=$(cd "${0%/*}/.." && pwd)
. "$top/examples/lib.sh"
data=$(absolute "$1")
dir=${2:-$top/build/mep}
clusters=${CLUSTERS:-4} steps=${STEPS:-600} images=${IMAGES:-8}
absolute_in MODEL DINO INCEPTION
PATH=$top/bin:$PATH

there "$data"
fresh "$dir"
splitsel -q --resolve "$data" >real.jsonl

echo "1. Networks: made here where none is named" >&2
[ -n "${MODEL-}" ] || {
	MODEL=$PWD/model
	mkmodel -o model --captions real.jsonl --vae-from-images real.jsonl --vae-steps "$steps" tiny >vae.jsonl
}
[ -n "${DINO-}" ] || {
	DINO=$PWD/dino.safetensors
	mkmodel -o "$DINO" dino-mini >/dev/null
}
[ -n "${INCEPTION-}" ] || {
	INCEPTION=$PWD/inception.safetensors
	mkmodel -o "$INCEPTION" inception >/dev/null
}

echo "2. What patches look like: $clusters clusters of DINO features, a prompt for each and each label" >&2
embed --network dino --weights "$DINO" -o dino.npy real.jsonl >embedded.jsonl
promptgen --preset mep-histo --clusters "$clusters" --layout mep -o prompts --map prompts.png --stats clusters.jsonl \
	embedded.jsonl >prompts.jsonl
archc -o dataset prompts.jsonl >dataset.jsonl

echo "3. Fine-tuning: $steps steps" >&2
sdtrain -m "$MODEL" -o tuned -b 8 --max-steps "$steps" --lr "${LR:-5e-4}" --train-text-encoder --random-flip \
	--checkpoint-steps 0 --log-every 50 dataset/metadata.jsonl >train.jsonl
tail -n 1 train.jsonl

echo "4. $images images of each prompt" >&2
csvrec --to-csv -f text,prompt_idx dataset.jsonl | awk '!seen[$0]++' | csvrec >distinct.jsonl
mkdir -p synthetic/image/train
sdgen -m tuned --layout mep --n-batch 1 --num-images-batch "$images" --steps "${SAMPLING:-25}" --scheduler ddim -g 2 \
	--preview 16 -o synthetic/image/train distinct.jsonl >made.jsonl

echo "5. How near they are" >&2
fid --layout mep --network inception --weights "$INCEPTION" --neighbours "${NEIGHBOURS:-5}" \
	real.jsonl made.jsonl >metrics.csv
cat metrics.csv
