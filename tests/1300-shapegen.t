#!/bin/sh
# shapegen: images of shapes, their masks and their records.
. "${0%/*}/lib.sh"

small() {
	shapegen --height 40 --width 60 --min 6 --max 15 "$@"
}

# pictures DIR: how many whole files, and no others
pictures() {
	find "$1" -type f | sed 's/.*[0-9]_/_/' | sort | uniq -c | tr -s ' \n' ' '
}

rc 0 'images of the default size' shapegen -n 3 -s 7 -o a
same 'their records' stdout "$golden/1300-records.jsonl"
is 'an image and a mask each, and nothing else' "$(pictures a)" ' 3 _image.png 3 _mask.png '

small -n 25 -o one -j1 >one.jsonl
small -n 25 -o one -j8 >eight.jsonl
same '-j8 writes the records of -j1' eight.jsonl one.jsonl
small -n 25 -o eight -j8 >/dev/null
ok '-j8 draws the images of -j1' diff -r one eight

for i in 1 2 3; do
	small -n 25 -o three --shard $i/3 >part$i.jsonl
done
is 'three shards draw each its part' "$(wc -l <part1.jsonl)" 9
cat part?.jsonl | sed 's/three/one/g' | sort >parts
sort one.jsonl >whole
same 'shards hold the records of the whole' parts whole
ok 'shards draw the images of the whole' diff -r one three
SLURM_ARRAY_TASK_ID=2 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=1 \
	small -n 25 -o three >slurm.jsonl
same 'an array job takes its part' slurm.jsonl part2.jsonl

small -n 10 -o ten >/dev/null
ok 'image 10 does not depend on how many there are' cmp ten/10_image.png one/10_image.png
small -n 10 -o other -s 1 >/dev/null
rc 1 'another seed draws another image' cmp -s ten/1_image.png other/1_image.png
small -n 10 -o strict --strict-masks >/dev/null
ok 'strict masks leave the image alone' cmp ten/1_image.png strict/1_image.png
rc 1 'but not every mask' diff -rq ten strict

shapegen --img_height 40 --img_width 60 --min_shape_px 6 --max_shape_px 15 --num_images 10 \
	--image_dir x/i --mask_dir x/m >aliases.jsonl
ok 'the other spellings work: images' cmp x/i/10_image.png ten/10_image.png
ok 'the other spellings work: masks' cmp x/m/10_mask.png ten/10_mask.png
like 'records name both folders' "$(head -1 aliases.jsonl)" \
	'*"file_name":"x/i/1_image.png","mask_file_name":"x/m/1_mask.png"*'
shapegen -n 0 -o none --class-dict classes.csv >none.jsonl
is 'no images asked, none drawn' "$(cat none.jsonl; ls none)" ''
is 'the classes' "$(cat classes.csv)" '"name","r","g","b"
"rectangle",255,255,255
"unknown",0,0,0'

small -n 12 -o single --single -s 3 --class-dict single.csv >single.jsonl
same 'single shapes: their records' single.jsonl "$golden/1300-single.jsonl"
small -n 12 -o single8 --single -s 3 -j8 >/dev/null
ok 'with -j8 the same images' diff -r single single8
is 'masks are of any shape' "$(sed -n 2p single.csv)" '"shape",255,255,255'
rc 2 'nothing hides a single shape' shapegen --single --strict-masks
like 'is said' "$(cat stderr)" '*nothing is hidden*'

echo mine >ten/3_image.png
rm ten/4_mask.png
small -n 10 -o ten --skip-done >skip.jsonl
is 'a file that is there stays' "$(cat ten/3_image.png)" mine
ok 'one that is not is drawn' cmp ten/4_mask.png one/4_mask.png
is 'all records are written' "$(wc -l <skip.jsonl)" 10
small -n 10 -o ten >/dev/null
ok 'without it files are replaced' cmp ten/3_image.png one/3_image.png

rc 2 'min above max' shapegen --min 9 --max 8
like 'is said' "$(cat stderr)" '*--min 9 is larger than --max 8*'
rc 2 'a shape as large as the canvas has no room' shapegen --width 40 -n 1
like 'is said too' "$(cat stderr)" '*41 pixels*too large*224*'
rc 0 'one pixel smaller has' shapegen --width 41 -n 1 -o fits
rc 2 'an operand' shapegen file
rc 2 'an unknown option' shapegen --sides 3
rc 2 'a number that is none' shapegen -n ten
rc 2 'a negative number' shapegen -n -1
rc 2 'a size of 0' shapegen --height 0
rc 2 'a bad shard' shapegen --shard 4/3
is 'wrong usage draws nothing' "$(find . -maxdepth 1 -name '*.png')" ''

echo >file
rc 2 'a folder that cannot be' shapegen -n 1 -o file/x
like 'is named' "$(cat stderr)" '*file*'
rc 2 'a file that cannot be written' shapegen -n 1 --class-dict none/x/y.csv
mkdir -p taken/2_image.png
small -n 4 -o taken >taken.jsonl 2>taken.err
is 'an image that cannot be written ends it' $? 2
is 'records of those before it are out' "$(wc -l <taken.jsonl)" 1
rm -r taken/2_image.png
is 'and nothing half is left' "$(find taken -name '.*')" ''

# a limit on the size of files stands for a full disk; the pipe is not limited
(
	trap '' XFSZ
	ulimit -f 0
	small -n 4 -o full 2>&1
	echo "status $?"
) | cat >full.out
like 'a full disk ends it' "$(cat full.out)" '*full/1_mask.png*status 2'
is 'with nothing left' "$(ls -A full)" ''

if [ -w /dev/full ]; then
	small -n 4 -o devfull >/dev/full 2>stderr
	is 'records that cannot be written' $? 2
fi
small -n 5000 -o closed 2>stderr | head -1 >first
is 'a reader that leaves ends it' "$(wc -l <first)" 1
ok 'before all is drawn' test "$(find closed -type f | wc -l)" -lt 10000
is 'and leaves nothing half' "$(find closed -name '.*')" ''

shapegen --height 40 --width 60 --min 6 --max 15 -n 100000 -o killed -j4 >killed.jsonl 2>stderr &
pid=$!
wait_until $pid '[ -e killed/20_image.png ]'
kill -TERM $pid
wait $pid
is 'TERM ends it' $? 143
is 'and leaves nothing half' "$(find killed -name '.*')" ''
n=$(find killed -name '*.png' | sed 's/.*\///; s/_.*//' | sort -n | tail -1)
small -n "$n" -o again >/dev/null
ok 'whole images only' sh -c 'for f in killed/*; do cmp $f again/${f#*/} || exit; done'

done_testing
