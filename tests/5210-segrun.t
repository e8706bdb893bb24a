#!/bin/sh
# segrun: masks of images, whole or in windows; the contract of a record filter.
. "${0%/*}/lib.sh"

XDG_CACHE_HOME=${XDG_CACHE_HOME:-$BUILD/cache}
export XDG_CACHE_HOME
net='-e resnet18:width=0.125 --decoder-channels 16,8,8 -a unet -b 4'
shapegen -q -n 12 --height 32 --width 32 --min 8 --max 16 --strict-masks -o shapes --class-dict dict.csv \
    >shapes.jsonl || exit 2
# shellcheck disable=SC2086
segtrain -q $net -o run -n 8 --lr 3e-3 shapes.jsonl >log || exit 2
# shellcheck disable=SC2086
segtrain -q $net -o colour -n 1 --class-dict dict.csv shapes.jsonl >log2 || exit 2

rc 0 'masks are made' segrun -q -m run/best -o out shapes.jsonl
cp stdout first
is 'one record an image' "$(wc -l <first)" 12
for i in 1 7 12; do
	is "record $i names its mask" "$(sed -n "${i}s/.*\"pred_mask_file_name\":\"\\([^\"]*\\)\".*/\\1/p" first)" \
	    "out/shapes/${i}_image.png"
done
is 'masks are there, all' "$(find out -name '*.png' | wc -l)" 12
sed 's/,"pred_mask_file_name":"[^"]*"//' first >bare
same 'all else passes untouched' bare shapes.jsonl

rc 0 'eight at once' segrun -q -j 8 -m run/best -o out8 shapes.jsonl
sed 's,"out8/,"out/,' stdout >j8
same 'write the same records' j8 first
ok 'and the same masks' diff -r out out8
for i in 1 2 3; do
	segrun -q --shard $i/3 -m run/best -o parts shapes.jsonl >s$i
done
ok 'shards make the same masks' diff -r out parts
paste -d '\n' s1 s2 s3 | sed '/^$/d; s,"parts/,"out/,' >whole
same 'and the same records' whole first

rm out/shapes/3_image.png
touch -d '2001-01-01' out/shapes/4_image.png
rc 0 '--skip-done' segrun -q --skip-done -m run/best -o out shapes.jsonl
same 'writes the same records' stdout first
ok 'makes what is missing' cmp out/shapes/3_image.png out8/shapes/3_image.png
ok 'leaves what is there' test ! out/shapes/4_image.png -nt dict.csv

# ---- other outputs ----
rc 0 'overlays and probabilities' segrun -q --overlay --probabilities -m run/best -o look shapes.jsonl
is 'each three files' "$(find look -name '*.png' | wc -l)" 36
ok 'named in the record' grep -q '"overlay_file_name":"look/shapes/1_image_overlay.png","pred_file_name_prob":"look/shapes/1_image_prob.png"' stdout
rc 0 'class colours' segrun -q -m colour/best -o rgb shapes.jsonl
rc 0 'class numbers' segrun -q --labels -m colour/best -o labels shapes.jsonl
ok 'differ' sh -c '! cmp -s rgb/shapes/1_image.png labels/shapes/1_image.png'
rc 0 'another field' segrun -q --field mask -m run/best -o out shapes.jsonl
ok 'is used' grep -q '"mask":"out/shapes/1_image.png"' stdout
rc 0 'threshold 0: all foreground' segrun -q --threshold 0 -m run/best -o zero shapes.jsonl
rc 0 'threshold 1: none' segrun -q --threshold 1 -m run/best -o none shapes.jsonl
ok 'differ' sh -c '! cmp -s zero/shapes/1_image.png none/shapes/1_image.png'

rc 0 'a contact sheet' segrun -q -j 4 --sheet sheet.png -m colour/best -o rgb shapes.jsonl
ok 'is a picture' test "$(wc -c <sheet.png)" -gt 5000
sed 's/,"mask_file_name":"[^"]*"//' shapes.jsonl >notruth.jsonl
rc 0 'one without truth' segrun -q --sheet sheet2.png -m run/best -o out notruth.jsonl
ok 'is another' sh -c '! cmp -s sheet.png sheet2.png'
rc 0 'one of nothing' segrun -q --sheet sheet3.png -m run/best -o out /dev/null
ok 'is not written' test ! -e sheet3.png

# ---- sizes, windows ----
shapegen -q -n 1 --height 70 --width 101 --min 8 --max 16 -o odd >odd.jsonl
rc 0 'an image of odd size' segrun -q -m run/best -o o1 odd.jsonl
rc 0 'in windows' segrun -q --tile 32 --overlap 16 -m run/best -o o2 odd.jsonl
rc 0 'one window larger than the image' segrun -q --tile 128 -m run/best -o o3 odd.jsonl
rc 0 'windows one by one' segrun -q --tile 32 --overlap 16 --batch-size 1 -m run/best -o o4 odd.jsonl
ok 'give what batches give' diff -r o2 o4

# ---- bad records ----
echo 'no image' >text.png
head -c 200 shapes/1_image.png >cut.png
{
	head -n 3 shapes.jsonl
	printf '%s\n' '{"file_name":"text.png"}' '{"file_name":"cut.png"}' '{"file_name":"gone.png"}' '{"id":"x"}' no
	tail -n 2 shapes.jsonl
} >mixed.jsonl
rc 1 'bad records are told' segrun -q -m run/best -o m mixed.jsonl
is 'each in a line' "$(wc -l <stderr)" 5
is 'the rest comes out' "$(wc -l <stdout)" 5
rc 1 '--keep-bad' segrun -q -k -m run/best -o m mixed.jsonl
is 'passes them on' "$(wc -l <stdout) $(grep -c '"error"' stdout)" '10 5'
rc 2 '--strict' segrun -q --strict -m run/best -o m mixed.jsonl
printf '{"file_name":"../%s/shapes/1_image.png"}\n' "${PWD##*/}" >up.jsonl
rc 0 'a name that climbs out' segrun -q -m run/best -o up up.jsonl
ok 'stays below the output folder' test -s up/1_image.png

# ---- broken worlds ----
rc 0 'no records' segrun -q -m run/best -o m /dev/null
rc 2 '/dev/full' sh -c 'segrun -q -m run/best -o m shapes.jsonl >/dev/full'
# it ends while other threads want the device: that hung, or crashed, at the first or second try
for i in 1 2 3 4 5; do
	rc 2 '/dev/full, eight at once' sh -c 'segrun -q -j 8 -m run/best -o m shapes.jsonl >/dev/full'
done
(
	trap '' PIPE
	segrun -q -m run/best -o m shapes.jsonl 2>err
	echo $? >status
) | head -n 1 >/dev/null
is 'a reader that goes away ends it by SIGPIPE or not at all' "$(sed 's/^141$/0/' status)" 0
for o in '-m run/best' '-o x' '-m nothing -o x' '-m run/best -o x --tile 33' '-m run/best -o x --tile 32 --overlap 32' \
    '-m run/best -o x -d nonesuch' '-m run/best -o x --threshold 2' '-m run/best -o x -j 0' '-m run -o x' \
    '-m run/best -o x --overlap 8'; do
	# shellcheck disable=SC2086
	rc 2 "wrong: $o" segrun -q $o shapes.jsonl
	is 'one line about it' "$(wc -l <stderr)" 1
done
cp -rL run/best broken
head -c 1000 run/best/weights.safetensors >broken/weights.safetensors
rc 2 'cut weights' segrun -q -m broken -o x shapes.jsonl
cp -rL run/best other
cp colour/best/config.json other/config.json
rc 2 'weights of another net' segrun -q -m other -o x shapes.jsonl
like 'are told apart' "$(cat stderr)" 'segrun: other/weights.safetensors: does not fit this network: misshapen *'
cp -rL run/best nan
# the last four bytes of the file belong to some weight
size=$(wc -c <nan/weights.safetensors)
start=$(od -An -tu8 -N8 nan/weights.safetensors | tr -d ' ')
printf '\000\000\300\177' | dd of=nan/weights.safetensors bs=1 seek=$((start + 8)) conv=notrunc 2>/dev/null
is 'same size' "$(wc -c <nan/weights.safetensors)" "$size"
rc 2 'a NaN in the weights' segrun -q -m nan -o x shapes.jsonl
like 'is told' "$(cat stderr)" 'segrun: nan/weights.safetensors: does not fit this network: not finite: *'
mkdir notmodel
echo '{"model_type":"other"}' >notmodel/config.json
rc 2 'a model of another kind' segrun -q -m notmodel -o x shapes.jsonl
like 'is told' "$(cat stderr)" 'segrun: notmodel/config.json: *'

done_testing
