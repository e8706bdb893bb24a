#!/bin/sh
# From captions to pictures, by a model that is made from nothing: shapes.sh [DIR]
#
# Single shapes are drawn with captions ("a red triangle on a white background"); an autoencoder learns the
# pictures, then a U-Net and its text encoder learn them together, and pictures are made of all 54 captions,
# four of each, with noise of seeds of their own. Rules about pixels (examples/shapes.c), which know nothing
# of the model, name shape and colour on each, and score tells how often they are what was asked for.
#
# Seen on lavapipe, on 216 pictures: shape and colour 0.917, shape 0.917, colour 1.00, background 1.00. Most
# that is wrong are triangles with a second tip or hollow sides. The autoencoder has 24.3 dB. A quiet pair of
# cores makes 3.4 steps of the U-Net a second, so that the whole takes about fifty minutes. The rules are right
# about all 600 drawn pictures that they are tested on.
#
# STEPS (9000) of the U-Net, VAE_STEPS (1500), IMAGES (4000) to learn from, EACH (4) to make, SAMPLING (25).
set -eu
top=$(cd "${0%/*}/.." && pwd)
. "$top/examples/lib.sh"
dir=${1:-$top/build/shapes}
shapes=${BUILD:-$top/build/release}/examples/shapes
steps=${STEPS:-9000} vae_steps=${VAE_STEPS:-1500} images=${IMAGES:-4000} each=${EACH:-4} sampling=${SAMPLING:-25}
PATH=$top/bin:$PATH

# accuracy FILE [OPTION...]: how often the prediction is the truth
accuracy() {
	score --task labels --metrics accuracy "$@" | sed 's/.*"metric": "accuracy".*"value": \([0-9.]*\).*/\1/'
}

fresh "$dir"

echo "1. $images pictures with captions, a thirtieth of them held out" >&2
shapegen -q --single -n "$images" -s 1 --width 32 --height 32 --min 14 --max 26 -o pictures |
	awk -v n="$images" 'NR > n - n / 30 { sub(/}$/, ",\"split\":\"validation\"}") } { print }' >pictures.jsonl
grep '"split":"validation"' pictures.jsonl | "$shapes" -q >drawn.jsonl
echo "the rules are right about $(accuracy drawn.jsonl) of those held out, drawn" >&2

echo "2. An autoencoder: $vae_steps steps" >&2
mkmodel -o model --captions pictures.jsonl --vae-from-images pictures.jsonl --vae-steps "$vae_steps" --vae-crop 32 \
	--vae-lr 2e-3 small >vae.jsonl
grep '"metric":"psnr_db".*"validation"' vae.jsonl

echo "3. A U-Net and a text encoder: $steps steps" >&2
sdtrain -m model -o run -b 16 --max-steps "$steps" --lr 1e-3 --lr-scheduler cosine --lr-warmup-steps $((steps / 25)) \
	--prediction-type v_prediction --train-text-encoder --empty-prompts 0.1 --use-ema --cache-latents \
	--checkpoint-steps 0 --log-every 50 pictures.jsonl >train.jsonl
grep '"kind":"eval"' train.jsonl

echo "4. $each pictures of each caption" >&2
for colour in red green blue yellow cyan magenta; do
	for background in white gray black; do
		for shape in rectangle ellipse triangle; do
			printf '{"id":"%s-%s-%s","label":"%s %s","shape":"%s","colour":"%s","background":"%s","text":"%s"}\n' \
				"$colour" "$shape" "$background" "$colour" "$shape" "$shape" "$colour" "$background" \
				"a $colour $shape on a $background background"
		done
	done
done >prompts.jsonl
sdgen -q -m run -n "$each" --scheduler ddim --steps "$sampling" -g 3 -s 7 -o made prompts.jsonl >made.jsonl

echo "5. Do they show what their captions say?" >&2
"$shapes" -q --sheet sheet.png --columns "$each" made.jsonl >seen.jsonl
printf 'shape and colour %s, shape %s, colour %s, background %s, of %d pictures\n' "$(accuracy seen.jsonl)" \
	"$(accuracy --truth shape --pred pred_shape seen.jsonl)" \
	"$(accuracy --truth colour --pred pred_colour seen.jsonl)" \
	"$(accuracy --truth background --pred pred_background seen.jsonl)" "$(wc -l <seen.jsonl)"
echo "the pictures, a row for each caption: $dir/sheet.png" >&2
