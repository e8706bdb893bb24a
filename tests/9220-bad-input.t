#!/bin/sh
# What is wrong with the input of a pipeline is said in one clear line each, with the right exit status, and
# what is right goes on.
. "${0%/*}/lib.sh"

# said STATUS LINES OUT NAME PATTERN COMMAND...: the command exits so, says so many lines, the first of them
# like this, each by the program's name, and writes OUT lines (-: any number)
said() {
	want="$1, $2 lines said, $3 out" outs=$3 title=$4 pattern=$5
	shift 5
	bash -o pipefail -c "$*" >stdout 2>stderr
	got=$?
	[ "$outs" = - ] || outs=$(wc -l <stdout)
	got="$got, $(wc -l <stderr) lines said, $outs out"
	# shellcheck disable=SC2254 # a pattern it is
	case $(head -n 1 stderr) in
	$pattern) ;;
	*) got="$got, unlike $pattern" ;;
	esac
	! grep -qv '^[a-z]*: ' stderr || got="$got, a line without the program's name"
	is "$title" "$got" "$want"
	[ "$got" = "$want" ] || sed 's/^/# /' stderr | cut -c 1-200 | head -5
}

dino='--network dino --weights dino.safetensors'
clip='--network clip --weights clip.safetensors'
net='-e resnet18:width=0.125 --decoder-channels 16,8,8 -a unet -b 4'
mkmodel -o dino.safetensors dino-mini && mkmodel -o clip.safetensors clip-mini && mkmodel -o mini mini &&
    shapegen -q -n 8 --height 40 --width 40 --min 8 --max 16 --strict-masks -o s |
    sed 's/^{/{"text":"a picture","label":"x",/' >s.jsonl || exit 2
# shellcheck disable=SC2086
segtrain -q $net -o run --max-steps 1 s.jsonl >log || exit 2

# gray FILE WIDTH HEIGHT VALUE: a PNG of one colour
gray() {
	perl -MCompress::Zlib -e '
		my ($f, $w, $h, $v) = @ARGV;
		sub chunk { pack("N", length $_[1]) . $_[0] . $_[1] . pack("N", crc32($_[0] . $_[1])) }
		open F, ">", $f;
		print F "\x89PNG\r\n\x1a\n", chunk("IHDR", pack("NNCCCCC", $w, $h, 8, 0, 0, 0, 0)),
		    chunk("IDAT", compress(("\0" . chr($v) x $w) x $h)), chunk("IEND", "");' "$@"
}
# not_finite FILE OUT OFFSET: a copy in which the float there is NaN
not_finite() {
	perl -e 'my ($in, $out, $at) = @ARGV; local $/; open F, "<", $in; $_ = <F>;
		substr($_, $at, 4) = pack("f<", "nan"); open G, ">", $out; print G $_' "$1" "$2" "$3"
}
# floats FILE: where the numbers of a safetensors file begin
floats() {
	perl -e 'open F, "<", shift; read F, $_, 8; print 8 + unpack "Q<", $_' "$1"
}

# ---- bad images among good ones
echo 'no picture' >text.png
archc -q --format jpg -o jpg s.jsonl >jpg.jsonl || exit 2
jpg=$(find jpg -name '*.jpg' | head -n 1)
head -c $(($(wc -c <"$jpg") / 2)) "$jpg" >cut.jpg
head -c $(($(wc -c <s/1_image.png) / 2)) s/1_image.png >cut.png
for f in text.png cut.jpg cut.png gone.png; do
	echo "{\"id\":\"$f\",\"text\":\"a\",\"label\":\"x\",\"file_name\":\"$f\",\"mask_file_name\":\"s/1_mask.png\",\"pred_mask_file_name\":\"$f\"}"
done >bad.jsonl
sed 's/"mask_file_name":"\([^"]*\)"/&,"pred_mask_file_name":"\1"/' s.jsonl >p.jsonl
{ head -n 4 p.jsonl; cat bad.jsonl; tail -n 4 p.jsonl; } >midway.jsonl
first='midway.jsonl:5: text.png: text.png: is neither PNG nor JPEG'
said 1 4 8 'embed: four of twelve' "embed: $first" "embed -q $dino --inline midway.jsonl"
said 1 4 8 'embed, promptgen: the rest gets prompts' "embed: $first" \
    "embed -q $dino --inline midway.jsonl | promptgen -q --preset mep-histo --outliers keep --clusters 2"
said 1 5 1 'fid: the rest is measured' "fid: $first" "fid -q --no-cache $dino --metrics fid s.jsonl midway.jsonl"
said 1 4 8 'segrun: the rest gets masks' "segrun: $first" 'segrun -q -m run/best -o masks midway.jsonl'
is 'as many as there are records' "$(find masks -type f | wc -l)" 8
said 1 4 - 'score: the rest is scored' "score: $first" 'score -q midway.jsonl'
sed 's/,"pred_mask_file_name":"[^"]*"//' midway.jsonl >midway2.jsonl
said 1 2 10 'archc: the rest is packed, what is cut off as it is' 'archc: midway2.jsonl:5: text.png: text.png: is neither PNG nor JPEG' \
    'archc -q -o packed midway2.jsonl'
said 1 4 - 'segtrain: the rest is trained on' "segtrain: $first" "segtrain -q $net -o run2 --max-steps 1 midway.jsonl"
said 1 4 2 'sdtrain: the rest is trained on' "sdtrain: $first" \
    'sdtrain -q -m mini -o tuned -b 4 --max-steps 1 --checkpoint-steps 0 midway.jsonl'
said 2 5 0 'sdtrain: none is left' 'sdtrain: bad.jsonl:1: text.png: *' 'sdtrain -q -m mini -o none -b 4 --max-steps 1 bad.jsonl'
said 2 5 0 'fid: none is left' 'fid: bad.jsonl:1: text.png: *' "fid -q --no-cache $dino s.jsonl bad.jsonl"
ok 'nothing is left of it' test ! -e none

# ---- few images, images of one colour, of all sizes
head -n 3 s.jsonl >three.jsonl
head -n 1 s.jsonl >one.jsonl
mkdir c m
for i in 1 2 3 4 5 6 7 8; do
	gray c/$i.png 40 40 128
	echo "{\"id\":\"c$i\",\"text\":\"a\",\"file_name\":\"c/$i.png\"}"
done >constant.jsonl
for wh in '40 40' '31 90' '1 1' '200 3' '64 64' '40 41' '3 200' '50 50'; do
	# shellcheck disable=SC2086
	gray "m/${wh% *}-${wh#* }.png" $wh 100
	echo "{\"text\":\"a\",\"file_name\":\"m/${wh% *}-${wh#* }.png\"}"
done >mixed.jsonl
fid="fid -q --no-cache $dino"
said 2 1 0 'fewer images than neighbours' 'fid: three.jsonl: 3 images; precision needs 6 for 5 neighbours (--neighbours)' \
    "$fid s.jsonl three.jsonl"
said 2 1 0 'one image' 'fid: one.jsonl: 1 image; fid needs 2' "$fid s.jsonl one.jsonl"
said 2 1 0 'no image' 'fid: /dev/null: no image' "$fid s.jsonl /dev/null"
said 0 1 6 'images of one colour' 'fid: constant.jsonl: 8 images for 64 features: the covariance is singular *' \
    "$fid constant.jsonl constant.jsonl"
is 'are at no distance' "$(sed -n 's/.*"metric": "fid", "value": \([^,]*\),.*/\1/p' stdout)" 0
said 0 1 6 'of all sizes' 'fid: mixed.jsonl: 8 images for 64 features*' "$fid s.jsonl mixed.jsonl"
said 0 0 8 'embed: images of one colour' '' "embed -q $dino --inline constant.jsonl"
is 'have one vector' "$(sed 's/.*"embedding":\[\([^]]*\)\].*/\1/' stdout | sort -u | wc -l)" 1
sed 's/^{/{"label":"x",/' stdout >same.jsonl
said 0 0 8 'promptgen: more clusters than kinds' '' \
    'promptgen -q --preset mep-histo --outliers keep --clusters 3 same.jsonl'
for f in constant mixed one; do
	said 0 0 2 "sdtrain: $f" '' "sdtrain -q -m mini -o sd-$f -b 4 --max-steps 1 --checkpoint-steps 0 $f.jsonl"
	said 0 0 - "segrun: $f" '' "segrun -q -m run/best -o seg-$f $f.jsonl"
done

gray wide.png 20000 1 0
gray tall.png 1 20000 0
for f in wide tall; do
	echo "{\"file_name\":\"$f.png\",\"mask_file_name\":\"$f.png\"}"
done >thin.jsonl
said 2 1 0 'segtrain: images that have no size in common' 'segtrain: images that keep their sizes would share one of 20000 x 20000 *' \
    "segtrain -q $net -o thin --max-steps 1 thin.jsonl"
said 0 0 - 'segtrain: unless they are given one' '' "segtrain -q $net -o thin --image-size 32x32 --max-steps 1 thin.jsonl"

# ---- features
# shellcheck disable=SC2086
embed -q $dino -o s.npy s.jsonl >se.jsonl && embed -q $clip --inline s.jsonl >other.jsonl &&
    fid -q $dino --no-cache --partial -o dino.npz s.jsonl >log || exit 2
not_finite s.npy nan.npy $((128 + 4 * (64 * 3 + 5)))
sed 's/"s.npy"/"nan.npy"/' se.jsonl >nan.jsonl
head -c 1000 s.npy >cut.npy
fid="fid -q --metrics fid"
said 2 1 0 'NaN in features' 'fid: nan.npy: row 3: feature 5 is not finite' "$fid nan.npy s.npy"
said 2 1 0 'NaN in the generated' 'fid: nan.npy: row 3: feature 5 is not finite' "$fid s.npy nan.npy"
said 2 1 0 'NaN for statistics' 'fid: nan.npy: row 3: feature 5 is not finite' 'fid -q --partial -o nan.npz nan.npy'
ok 'makes no file' test ! -e nan.npz
said 1 3 1 'records of NaN' 'fid: nan.jsonl:4: *: feature 5 is not finite' "$fid s.npy nan.jsonl"
said 2 1 0 'features that are cut off' 'fid: cut.npy: *' "$fid s.npy cut.npy"
said 2 1 0 'text for features' 'fid: t.npy: is no .npy file' "echo hello >t.npy; $fid s.npy t.npy"
said 2 1 0 'statistics of another network' 'fid: dino.npz has 64 features, other.jsonl has 32' "$fid dino.npz other.jsonl"
said 2 1 0 'images for statistics of another' 'fid: dino.npz has 64 features, s.jsonl has 32' \
    "$fid --no-cache $clip dino.npz s.jsonl"
morph='promptgen -q --preset mep-histo --outliers keep'
said 1 1 7 'promptgen: NaN' 'promptgen: nan.jsonl:4: *: its vector is not finite' "$morph --clusters 2 nan.jsonl"
said 1 8 0 'promptgen: the vectors are gone' 'promptgen: -:1: *: gone.npy: No such file or directory' \
    "sed 's/\"s.npy\"/\"gone.npy\"/' se.jsonl | $morph --clusters 2"
said 1 8 8 'promptgen: two networks' 'promptgen: -:9: *: embedding_network is clip, that of the first dino' \
    "cat se.jsonl other.jsonl | $morph --clusters 2"
said 2 1 0 'promptgen: more clusters than vectors' 'promptgen: 9 clusters of 8 rows' "$morph --clusters 9 se.jsonl"
said 2 1 0 'promptgen: centroids of NaN' 'promptgen: nan.npy: row 3 is not finite' "$morph --centroids nan.npy se.jsonl"
said 2 1 0 'promptgen: all are outliers' 'promptgen: all 8 images were removed; --outliers keep leaves them' \
    'promptgen -q --preset mep-histo --clusters 2 se.jsonl'

# ---- networks: of NaN, of another kind, cut off, none
not_finite dino.safetensors dinonan.safetensors "$(floats dino.safetensors)"
said 2 2 0 'embed: weights of NaN' 'embed: dinonan.safetensors: not finite: *' \
    'embed -q --network dino --weights dinonan.safetensors -o e.npy s.jsonl'
ok 'make no file' test ! -e e.npy
said 2 1 0 'embed: of another network' 'embed: clip.safetensors: holds a net of clip, not dino' \
    'embed -q --network dino --weights clip.safetensors --inline s.jsonl'
said 2 1 0 'embed: cut off' 'embed: cut.safetensors: *' \
    'head -c 100000 dino.safetensors >cut.safetensors; embed -q --network dino --weights cut.safetensors --inline s.jsonl'
for part in unet vae text_encoder; do
	rm -rf nan
	cp -r mini nan
	f=$(echo nan/$part/*.safetensors)
	not_finite "$f" x "$(floats "$f")" && mv x "$f"
	said 2 2 0 "sdgen: NaN in $part" "sdgen: nan/$part: not finite: *" "sdgen -q -m nan --steps 2 -o nangen s.jsonl"
	said 2 2 0 "sdtrain: NaN in $part" "sdtrain: nan/$part: not finite: *" "sdtrain -q -m nan -o nanrun -b 4 s.jsonl"
done
ok 'nothing was begun' sh -c '[ -z "$(find nangen nanrun -type f 2>/dev/null)" ]'
cp dino.safetensors "$f"
said 2 41 0 'sdgen: a part of another network, not told tensor by tensor for ever' 'sdgen: nan/text_encoder: missing *' \
    'sdgen -q -m nan --steps 2 -o nangen s.jsonl'
cp -rL run/best seg
cp dino.safetensors seg/weights.safetensors
said 2 1 0 'segrun: of another network' 'segrun: seg/weights.safetensors: does not fit this network: missing *' \
    'segrun -q -m seg -o masks2 s.jsonl'
said 2 1 0 'segrun: a model of another kind' 'segrun: mini/config.json: No such file or directory' \
    'segrun -q -m mini -o masks2 s.jsonl'
for p in 'sdgen -q --steps 2' 'sdtrain -q -b 4'; do
	said 2 1 0 "${p%% *}: a model of another kind" "${p%% *}: run/best/text_encoder: no such folder, so this is no model" \
	    "$p -m run/best -o kind s.jsonl"
	said 2 1 0 "${p%% *}: a file of another kind" "${p%% *}: dino.safetensors: no text encoder of Stable Diffusion in it" \
	    "$p -m dino.safetensors -o kind s.jsonl"
done
said 2 1 0 'segtrain: another net goes on' 'segtrain: run/last: another model: *' \
    "segtrain -q $net -e resnet34:width=0.125 -o run --max-steps 2 --resume s.jsonl"
sdtrain -q -m mini -o goes -b 4 --max-steps 1 --checkpoint-steps 1 s.jsonl >log || exit 2
said 2 1 0 'sdtrain: another seed goes on' 'sdtrain: goes/*state.json: the run has seed 0, --seed says 1' \
    'sdtrain -q -m mini -o goes -b 4 --max-steps 2 --resume -s 1 s.jsonl'
said 2 1 0 'mkmodel: no captions' 'mkmodel: /dev/null: no captions to learn from' 'mkmodel --captions /dev/null -o nocap tiny'
mkdir tmp
said 2 1 0 'mkmodel: a text encoder that is too small' 'mkmodel: the tokenizer has * ids, the text encoder knows *' \
    "seq -f '{\"text\":\"word %g of a few thousand\"}' 3000 >words.jsonl; TMPDIR=tmp mkmodel --captions words.jsonl -o nocap mini"
is 'leaves nothing in the folder for such files' "$(ls tmp)" ''

# ---- no device
for p in "embed $dino --inline s.jsonl" "fid --no-cache $dino s.jsonl s.jsonl" 'segrun -m run/best -o nodev s.jsonl' \
    'sdgen -m mini -o nodev s.jsonl' 'sdtrain -m mini -o nodev s.jsonl' "segtrain $net -o nodev s.jsonl" \
    'mkmodel --vae-from-images s.jsonl -o nodev tiny' 'gpuinfo' "$morph --clusters 2 se.jsonl"; do
	said 2 1 0 "${p%% *}: no Vulkan device" "${p%% *}: no Vulkan device: install a driver *" \
	    "VK_ICD_FILENAMES=/nonexistent VK_DRIVER_FILES=/nonexistent $p"
done
ok 'nothing was begun there' test ! -e nodev

# ---- no room on it: worth another try elsewhere
for p in "embed -q $dino --inline s.jsonl" "fid -q --no-cache $dino s.jsonl s.jsonl" 'segrun -q -m run/best -o room s.jsonl' \
    'sdgen -q -m mini -o roomgen s.jsonl' "segtrain -q $net -o room s.jsonl" \
    'mkmodel -q --vae-from-images s.jsonl -o room tiny'; do
	said 75 1 0 "${p%% *}: no room" "${p%% *}: out of device memory: *" "PHANTOM_MEMORY=300K $p"
done
said 2 1 0 'sdtrain: no room' 'sdtrain: it takes *' 'PHANTOM_MEMORY=300K sdtrain -q -m mini -o room s.jsonl'
ok 'nothing was begun with it' sh -c '[ -z "$(find room roomgen -type f 2>/dev/null)" ]'
done_testing
