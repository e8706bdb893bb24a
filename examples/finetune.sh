#!/bin/sh
# Histology from nothing, then a LoRA: finetune.sh METADATA [DIR]
#
# METADATA is a metadata.jsonl with file_name, text ("Histology image of healthy tissue") and label
# (healthy, cancer), as PatchCamelyon's patches in ImageFolder form have it. A small model is made: its
# tokenizer from the captions, its autoencoder from all images, its U-Net and text encoder from the
# patches of one label, at SIZE x SIZE pixels. Then a LoRA learns the other label on top of it. For either
# label a sheet shows real patches, each beside one that was drawn from its caption.
#
# Seen on two cores without a GPU, beside other work, in half an hour, from fifty patches of each label:
# the stain's colours, dense fields of soft nuclei at the right scale, now and then a pale gap; no vessels,
# fat or strands. The LoRA's are pinker or more violet, as its patches are. The autoencoder has 28.5 dB.
#
# STEPS (2000) of the U-Net, VAE_STEPS (2000), LORA_STEPS (700), SIZE (64), ROWS (16) of a sheet.
set -eu
[ $# -ge 1 ] || {
	echo "usage: finetune.sh METADATA [DIR]" >&2
	exit 2
}
top=$(cd "${0%/*}/.." && pwd)
. "$top/examples/lib.sh"
data=$(absolute "$1")
dir=${2:-$top/build/finetune}
steps=${STEPS:-2000} vae_steps=${VAE_STEPS:-2000} lora_steps=${LORA_STEPS:-700} size=${SIZE:-64} rows=${ROWS:-16}
PATH=$top/bin:${BUILD:-$top/build/release}/examples:$PATH

# names FILE: of the images that its records name
names() {
	sed 's/.*"file_name": *"\([^"]*\)".*/\1/' "$1"
}
# draw LABEL [OPTION...]: one image for each of the label's first captions, and the sheet
draw() {
	label=$1
	shift
	head -n "$rows" "$label.jsonl" >prompts.jsonl
	sdgen -q -m run "$@" --scheduler dpmpp-2m --steps 25 -g 2 -W "$size" -H "$size" -o "$label" \
		prompts.jsonl >"$label.made.jsonl"
	names prompts.jsonl >real.txt
	names "$label.made.jsonl" | paste real.txt - |
		awk -F'\t' '{ printf "{\"real\":\"%s\",\"drawn\":\"%s\"}\n", $1, $2 }' |
		sheet -o "$label.png" --across 4 --cell 128 real drawn
}

there "$data"
fresh "$dir"

# one label each, names of files made absolute
for label in healthy cancer; do
	grep "\"label\": *\"$label\"" "$data" |
		sed "s,\"file_name\": *\",&${data%/*}/," >"$label.jsonl"
done
cat healthy.jsonl cancer.jsonl >all.jsonl

echo "1. A model with an autoencoder made from all $(wc -l <all.jsonl) patches: $vae_steps steps" >&2
mkmodel -q -o model --captions all.jsonl --vae-from-images all.jsonl --vae-steps "$vae_steps" --vae-crop 32 \
	--vae-lr 2e-3 small >vae.jsonl
grep '"psnr_db"' vae.jsonl

echo "2. Its U-Net and text encoder, from the healthy ones: $steps steps" >&2
sdtrain -q -m model -o run --resolution "$size" -b 8 --max-steps "$steps" --lr 1e-3 --lr-scheduler cosine \
	--lr-warmup-steps $((steps / 25)) --prediction-type v_prediction --train-text-encoder --empty-prompts 0.1 \
	--random-flip --use-ema --cache-latents --checkpoint-steps 0 --log-every 50 healthy.jsonl >train.jsonl
tail -n 1 train.jsonl

echo "3. A LoRA of the other label on top: $lora_steps steps" >&2
sdtrain -q -m run -o lora --resolution "$size" -b 8 --max-steps "$lora_steps" --lr 1e-3 --lr-scheduler cosine \
	--lr-warmup-steps $((lora_steps / 25)) --lora-rank 16 --empty-prompts 0.1 --random-flip --cache-latents \
	--checkpoint-steps 0 --log-every 50 cancer.jsonl >lora.jsonl
tail -n 1 lora.jsonl

echo "4. $rows images of either label, each beside a real one: $dir/healthy.png, $dir/cancer.png" >&2
draw healthy
draw cancer --lora lora/pytorch_lora_weights.safetensors
