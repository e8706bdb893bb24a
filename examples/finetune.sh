#!/bin/sh
# Histology from nothing, then a LoRA: finetune.sh METADATA [DIR]
#
# METADATA is a metadata.jsonl with file_name, text ("Histology image of healthy tissue") and label
# (healthy, cancer), as PatchCamelyon's patches in ImageFolder form have it. A small model of 64 x 64
# pixels is made: its tokenizer from the captions, its autoencoder from the images, its U-Net and text
# encoder from the patches of one label. Then a LoRA learns the other label on top of it. Each is judged
# by a sheet of real patches beside drawn ones. STEPS (1500) sets how long the U-Net is trained; on two
# cores without a GPU a step of eight patches takes about a second.
set -eu
[ $# -ge 1 ] || {
	echo "usage: finetune.sh METADATA [DIR]" >&2
	exit 2
}
top=$(cd "${0%/*}/.." && pwd)
data=$(cd "$(dirname "$1")" && pwd)
name=$(basename "$1")
dir=${2:-$top/build/finetune}
steps=${STEPS:-1500}
PATH=$top/bin:$PATH

rm -rf "$dir"
mkdir -p "$dir"
cd "$dir"

# one label each, names of files made absolute
for label in healthy cancer; do
	grep "\"label\":\"$label\"" "$data/$name" |
		sed "s,\"file_name\":\",&$data/," >"$label.jsonl"
done
caption=$(sed -n '1s/.*"text":"\([^"]*\)".*/\1/p' healthy.jsonl)
other=$(sed -n '1s/.*"text":"\([^"]*\)".*/\1/p' cancer.jsonl)

echo "1. A model with an autoencoder made from all $(cat healthy.jsonl cancer.jsonl | wc -l) patches" >&2
cat healthy.jsonl cancer.jsonl >all.jsonl
mkmodel -o model --captions all.jsonl --vae-from-images all.jsonl --vae-steps $((steps / 2)) tiny >vae.jsonl
grep '"kind":"result"' vae.jsonl

echo "2. Its U-Net and text encoder, from the healthy ones: $steps steps" >&2
sdtrain -m model -o run -b 8 --max-steps "$steps" --lr 5e-4 --lr-scheduler cosine --lr-warmup-steps $((steps / 20)) \
	--train-text-encoder --random-flip --snr-gamma 5 --empty-prompts 0.1 --use-ema --log-every 50 \
	--checkpoint-steps 0 --validation-steps $((steps / 2)) --validation-prompt "$caption" \
	--scheduler ddim --guidance-scale 2 healthy.jsonl >train.jsonl
tail -n 1 train.jsonl

echo "3. A LoRA of the other label on top: $((steps / 2)) steps" >&2
sdtrain -m run -o lora -b 8 --max-steps $((steps / 2)) --lr 1e-3 --lora-rank 8 --random-flip --snr-gamma 5 \
	--log-every 50 --checkpoint-steps 0 --validation-steps $((steps / 2)) --validation-prompt "$other" \
	--scheduler ddim --guidance-scale 2 cancer.jsonl >lora.jsonl
tail -n 1 lora.jsonl

echo "4. Sixteen images of either kind" >&2
head -n 16 healthy.jsonl | sdgen -m run --scheduler ddim --steps 25 -g 2 --preview 16 -o healthy >made.jsonl
head -n 16 cancer.jsonl | sdgen -m run --lora lora/pytorch_lora_weights.safetensors --scheduler ddim \
	--steps 25 -g 2 --preview 16 -o cancer >>made.jsonl
echo "real beside drawn: $dir/run/validation/step-$steps.png, $dir/lora/validation/step-$((steps / 2)).png" >&2
