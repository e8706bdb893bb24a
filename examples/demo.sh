#!/bin/sh
# Two whole jobs on one archive of pictures that it draws itself: masks of what a net has never seen,
# scored; and synthetic pictures, with their FID before and after fine-tuning. At most ten minutes on
# two cores without a GPU.
#
# demo.sh [--inception FILE|DIR] [DIR]: works in DIR (build/demo) and nowhere else. FID is that of
# Inception's published weights where --inception names them (see phantom-models(7)), otherwise of
# random ones. IMAGES, SINGLES, EPOCHS, MODEL, VAE_STEPS, STEPS, SAMPLES and SAMPLING change sizes.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
inception='' dir=''
. "$top/examples/lib.sh"

usage() {
	[ $# = 0 ] || echo "demo: $*" >&2
	echo "usage: demo.sh [--inception FILE|DIR] [DIR]" >&2
	exit 2
}
while [ $# -gt 0 ]; do
	case $1 in
	--inception)
		[ $# -ge 2 ] || usage "--inception: names no file"
		inception=$2
		shift
		;;
	--inception=*) inception=${1#*=} ;;
	-*) usage "$1: no such option" ;;
	*)
		[ -z "$dir" ] || usage "one folder, not two"
		dir=$1
		;;
	esac
	shift
done
[ -z "$inception" ] || [ -r "$inception" ] || usage "$inception: no file or folder that can be read"
images=${IMAGES:-1500} epochs=${EPOCHS:-5} # masks
singles=${SINGLES:-1000} vae_steps=${VAE_STEPS:-600} steps=${STEPS:-260} samples=${SAMPLES:-200}
sampling=${SAMPLING:-8} model=${MODEL:-small}
absolute_in inception
dir=$(absolute "${dir:-$top/build/demo}") build=$(absolute "${BUILD:-$top/build/release}")

fresh "$dir"
mkdir tmp
# kernels that a driver compiled and features that were computed stay here, too
export TMPDIR="$dir/tmp" XDG_CACHE_HOME="$dir/cache" PATH="$build/bin:$build/examples:$top/bin:$PATH"

title='' began_s=$(date +%s)
part_s=$began_s
trap 'status=$?; [ $status = 0 ] || echo "demo: stopped with exit status $status at: $title" >&2' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() {
	title=$1
	printf '\n\033[1m%s\033[0m\n' "$1" >&2
}
# shows a command, then does it
run() {
	printf '  $ %s\n' "$1" >&2
	eval "$1"
}
# sets took_s: seconds since it was last called
part() {
	took_s=$(($(date +%s) - part_s))
	part_s=$((part_s + took_s))
}
# value DIGITS PATTERN FILE: of the first result that has it
value() {
	printf "%.$1f" "$(sed -n "s/.*$2.*\"value\": *\([-0-9.e]*\).*/\1/p" "$3" | head -n 1)"
}

# how often images of a set show what their captions say
shares() {
	printf 'background %s, colour %s, shape %s' "$(value 2 '"accuracy"' background-"$1".jsonl)" \
		"$(value 2 '"accuracy"' colour-"$1".jsonl)" "$(value 2 '"accuracy"' shape-"$1".jsonl)"
}

say "1. Which Vulkan device is there?"
run "gpuinfo"

say "2. Draw crowds of rectangles and ellipses, whose masks are the rectangles; and single shapes with captions."
run "shapegen -q -j 8 -n $images --height 104 --width 104 --min 6 --max 10 --strict-masks -s 1 -o crowds >drawn.jsonl"
run "shapegen -q -j 8 -n $singles --height 32 --width 32 --min 12 --max 20 --single -s 2 -o singles >>drawn.jsonl"

say "3. Pack them into one archive, as data sets come."
run "archc -q -o shapes.tar.gz drawn.jsonl >packed.jsonl"
ls -l shapes.tar.gz >&2

say "4. Unpack the archive, one record for each file."
run "archx -q -o data shapes.tar.gz >members.jsonl"
echo "$(wc -l <members.jsonl) members" >&2

say "5. Split either kind by image: 75 % to train, 5 % to validate, 20 % held out."
run "splitsel -q --weights 0.75,0.05,0.2 --stratify seed --resolve data/metadata.jsonl >split.jsonl"
run "grep '\"rectangles\":' split.jsonl >crowds.jsonl"
run "grep '\"text\":' split.jsonl >singles.jsonl"
part
data_s=$took_s

say "6. Masks: train a U-Net from random weights, on the device, in Vulkan shaders."
run "segtrain -o masks -n $epochs $(cat "$top/examples/demo.opts") crowds.jsonl >segtrain.jsonl"
sed -n 's/.*"kind":"eval","split":"\([a-z]*\)".*"epoch":\([0-9]*\).*"loss":\([0-9.]\{1,6\}\).*"iou":\([0-9.]\{1,6\}\).*/  epoch \2, \1: loss \3, IoU \4/p' \
	segtrain.jsonl >&2

say "7. Apply the best net to the held-out images, and score its masks against the truth."
run "grep '\"split\":\"test\"' crowds.jsonl >test.jsonl"
run "segrun -q -m masks/best -o predicted test.jsonl >predicted.jsonl"
run "score -q --sheet masks.png predicted.jsonl >score.jsonl"
iou=$(value 4 '"iou".*"micro"' score.jsonl)
echo "rectangle IoU on $(wc -l <predicted.jsonl) images that the net never saw: $iou" >&2
part
masks_s=$took_s

say "8. Images: make a small Stable Diffusion; its autoencoder learns from the single shapes, its U-Net is random."
run "mkmodel -o made --captions singles.jsonl --vae-from-images singles.jsonl --vae-lr 2e-3 --vae-steps $vae_steps $model >vae.jsonl"
echo "the autoencoder gives held-out images back at $(value 1 '"psnr_db"' vae.jsonl) dB" >&2

say "9. Before fine-tuning: draw $samples images from captions of images that are not trained on."
run "grep -v '\"split\":\"train\"' singles.jsonl | sed 's/\"seed\":2,//' | head -n $samples >prompts.jsonl"
run "sdgen -q -m made -o before --scheduler dpmpp-2m --steps $sampling -g 2 prompts.jsonl >before.jsonl"

say "10. Fine-tune it on the training images and their captions: $steps steps."
run "sdtrain -q -m made -o tuned --max-steps $steps $(cat "$top/examples/demo.sd.opts") singles.jsonl >sdtrain.jsonl"
sed -n 's/.*"kind":"step","step":\([0-9]*\).*"loss":\([0-9.]\{1,6\}\).*/  step \1: loss \2/p' sdtrain.jsonl >&2

say "11. After it: draw from the same captions with the same seeds."
run "sdgen -q -m tuned -o after --scheduler dpmpp-2m --steps $sampling -g 2 prompts.jsonl >after.jsonl"

say "12. FID: how far these are from the real images of these captions; and, for scale, training images."
if [ -n "$inception" ]; then
	ln -s "$inception" inception
	weights="--weights inception"
	words="with the weights of $inception"
else
	words="with random Inception weights, so not comparable with published ones: --inception takes real weights"
	run "mkmodel -o inception.safetensors inception"
	weights="--weights inception.safetensors --size 96"
fi
echo "FID $words" >&2
run "grep '\"split\":\"train\"' singles.jsonl | head -n $samples >train.jsonl"
for set in train before after; do
	run "fid -q $weights --metrics fid prompts.jsonl $set.jsonl >fid-$set.jsonl"
done

say "13. What is on them, by rules about pixels that know nothing of the model; and real images beside them."
for set in before after; do
	run "shapes -q $set.jsonl >seen-$set.jsonl"
	for what in background colour shape; do
		run "score -q --task labels --metrics accuracy --truth $what --pred pred_$what seen-$set.jsonl >$what-$set.jsonl"
	done
	sed "s/\"file_name\"/\"$set\"/" seen-$set.jsonl >columns.jsonl
	csvrec -q --to-csv -f id,$set columns.jsonl >$set.csv
done
sed 's/"file_name"/"real"/' prompts.jsonl >columns.jsonl
csvrec -q --join id --with before.csv columns.jsonl >two.jsonl
csvrec -q --join id --with after.csv two.jsonl >rows.jsonl
run "sheet -o images.png --across 4 real before after <rows.jsonl"
part

cat >&2 <<EOF

Masks: rectangle IoU $iou on $(wc -l <predicted.jsonl) held-out images. Image, truth and prediction:
       $dir/masks.png
Images: FID $(value 2 '"fid"' fid-before.jsonl) before fine-tuning, $(value 2 '"fid"' fid-after.jsonl) after it; training images have $(value 2 '"fid"' fid-train.jsonl).
       This is FID $words.
       As their captions say, before: $(shares before); after: $(shares after).
       Real, before and after: $dir/images.png
Time: data $data_s s, masks $masks_s s, images $took_s s; $((part_s - began_s)) s in all.
EOF
