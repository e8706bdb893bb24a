#!/bin/sh
# sdgen: images and records on a model as small as can be, and what every filter keeps.
. "${0%/*}/lib.sh"

gen() {
	sdgen -m m --steps 3 "$@"
}
# names DIR: of its files
names() {
	find "$1" -mindepth 1 -maxdepth 1 ! -name '.*' | sed 's,.*/,,' | LC_ALL=C sort
}
# pictures DIR: how many
pictures() {
	find "$1" -type f -name '*.png' | wc -l
}

mkmodel -o m mini || exit
printf '{"id":"a","text":"a red circle","note" : 1.10}\n' >a.jsonl
{
	cat a.jsonl
	printf '{"id":"b","text":"a blue square","num_images":3,"seed":5}\n'
	printf '{"id":"c","text":"a cell","width":48,"height":16}\n'
	printf '{"id":"d","text":"a red circle","steps":2,"guidance_scale":1}\n'
	printf '{"text":"a cell","negative_text":"blue","strength":1}\n'
} >p.jsonl

rc 0 'images of prompts' gen -o one --batch 1 p.jsonl
cp stdout one.jsonl
is 'nothing is said' "$(cat stderr)" ''
is 'a record an image, in order' "$(sed 's/.*"id":"\([^"]*\)".*/\1/' one.jsonl | tr '\n' ' ')" \
	'a b-0 b-1 b-2 c d 000005 '
is 'files are there' "$(names one | tr '\n' ' ')" '000005.png a.png b-0.png b-1.png b-2.png c.png d.png '
like 'fields pass as they came' "$(head -1 one.jsonl)" '{"id":"a","text":"a red circle","note" : 1.10,*'
like 'what made it is told' "$(sed -n 3p one.jsonl)" '*"seed":6,"file_name":"one/b-1.png","width":32,"height":32,"steps":3,"guidance_scale":7.5,"scheduler":"pndm","rng":"philox","model":"m"*'
is 'num_images is taken out' "$(grep -c num_images one.jsonl)" 0
is 'sizes are those asked' "$(od -An -tx1 -j16 -N8 one/c.png)" ' 00 00 00 30 00 00 00 10'
ok 'what made it stands in the image' grep -aq 'Steps: 2, Sampler: PLMS, CFG scale: 1, Seed: ' one/d.png
ok 'and that it is synthetic' grep -aq trainedAlgorithmicMedia one/d.png
gen -o bare --no-metadata a.jsonl >bare.jsonl
rc 1 'unless told otherwise' grep -aq -e Sampler -e trainedAlgorithmicMedia bare/a.png

gen -o many --batch 5 p.jsonl >many.jsonl
ok 'the batch changes no image' diff -r one many
gen -o auto p.jsonl | sed 's/auto/one/' >auto.jsonl
ok 'nor does a batch of its own choice' diff -r one auto
same 'nor a record' auto.jsonl one.jsonl
for i in 1 2 3; do
	gen -o shard --shard $i/3 p.jsonl >part$i.jsonl
done
cat part?.jsonl | sed 's/shard/one/' | sort >parts
sort one.jsonl >whole
same 'shards hold the records of the whole' parts whole
ok 'and make its images' diff -r one shard
sed 's,one/,,' one.jsonl | gen -o again >again.jsonl
rm one/000005.png again/000005.png # its record came without an id
ok 'records that came out make their images again' diff -r one again
gen -o other -s 1 a.jsonl >/dev/null
rc 1 'another seed another image' cmp -s one/a.png other/a.png

# ---- ways of sampling
for s in ddpm ddim euler euler-a heun dpmpp-2m dpmpp-2m-karras dpmpp-2m-sde unipc lcm lms; do
	gen -o s --no-metadata --scheduler $s a.jsonl >/dev/null
	mv s/a.png s/$s.png
done
cp bare/a.png s/pndm.png
is 'every sampler makes its own image' "$(cksum s/*.png | cut -d' ' -f1 | sort -u | wc -l)" 12
gen -o t --no-metadata --rng torch-cpu a.jsonl >/dev/null
rc 1 'so does the other noise' cmp -s t/a.png bare/a.png
gen -o t --no-metadata --guidance-rescale 0.7 a.jsonl >/dev/null
rc 1 'and guidance brought back' cmp -s t/a.png bare/a.png
gen -o t --no-metadata --negative 'a cell' a.jsonl >/dev/null
rc 1 'and what is not wanted' cmp -s t/a.png bare/a.png
gen -o t --no-metadata --vae-tile 4 a.jsonl >/dev/null
rc 1 'and decoding in tiles' cmp -s t/a.png bare/a.png
rc 0 'from an image' gen -o from --init-image one/a.png --strength 0.7 -W 32 p.jsonl
is 'as large as it where nothing else is said' "$(grep -c '"width":32,"height":32' stdout)" 6
gen -o near --no-metadata --init-image bare/a.png --strength 0.4 a.jsonl >/dev/null
gen -o far --no-metadata --init-image bare/a.png --strength 1 a.jsonl >/dev/null
rc 1 'strength counts' cmp -s near/a.png far/a.png
printf '{"id":"i","text":"x","init_image":"one/a.png","strength":0.4}\n' | gen -o from >i.jsonl
is 'a record names its own' "$(grep -c '"strength":0.4,' i.jsonl)" 1
rc 0 'one prompt without records' gen --prompt 'a red circle' -n 2 -o prompt --preview 2 --format jpg
is 'images and a sheet' "$(names prompt | tr '\n' ' ')" '000001-0.jpg 000001-1.jpg preview.png '
mkmodel --convert -o m.safetensors m
sdgen -m m.safetensors --tokenizer m/tokenizer --steps 3 -o single --no-metadata a.jsonl >/dev/null
ok 'a single file makes the same' cmp single/a.png bare/a.png
sdgen -m m.safetensors --tokenizer m/tokenizer --v-prediction --steps 3 -o single --no-metadata a.jsonl >/dev/null
rc 1 'unless it predicts v' cmp -s single/a.png bare/a.png
rc 2 'a folder says that itself' gen --v-prediction -o v a.jsonl
mkmodel --convert --dtype f16 -o half m
gen -o h16 --precision f16 -m half a.jsonl >/dev/null
is '16 bits make an image' "$(pictures h16)" 1

# ---- numbers that 16 bits do not hold, and no numbers
# scale FILE NAME X: multiplies a tensor
scale() {
	perl -e 'my ($f, $name, $x) = @ARGV; open F, "+<:raw", $f; read F, my $n, 8; $n = unpack "Q<", $n; read F, my $h, $n;
		$h =~ /"\Q$name\E":\{[^}]*"data_offsets":\[(\d+),(\d+)/ or die; my $at = 8 + $n + $1; my $len = $2 - $1;
		seek F, $at, 0; read F, my $v, $len; seek F, $at, 0; print F pack "f<*", map { $_ * $x } unpack "f<*", $v' "$@"
}
cp -r m big
scale big/unet/diffusion_pytorch_model.safetensors conv_in.weight 2e5
rc 0 'what f16 does not hold' sdgen -m big --steps 2 --precision f16 -o big16 --no-metadata a.jsonl
like 'is told' "$(cat stderr)" '*beyond what 16 bits hold*loaded as f32*'
sdgen -m big --steps 2 --precision f32 -o big32 --no-metadata a.jsonl >/dev/null
ok 'and made by f32' cmp big16/a.png big32/a.png
rc 0 'bf16 holds it' sdgen -m big --steps 2 --precision bf16 -o bigb --no-metadata a.jsonl
is 'without a word' "$(cat stderr)" ''
rc 1 'less precisely' cmp -s bigb/a.png big32/a.png
cp -r m huge
scale huge/unet/diffusion_pytorch_model.safetensors conv_in.weight 1e38
rc 2 'what f32 does not hold' sdgen -m huge --steps 2 -o huge-out a.jsonl
like 'is told by the op' "$(cat stderr)" '*group_norm made a NaN*'
ok 'and no image is made' test ! -e huge-out
gen -o bf --no-metadata --precision bf16 a.jsonl >/dev/null
rc 1 'bf16 makes another image' cmp -s bf/a.png bare/a.png
sdgen -m half --steps 3 -o kept --no-metadata a.jsonl >/dev/null
sdgen -m half --steps 3 -o asked --no-metadata --precision f16 a.jsonl >/dev/null
ok 'f16 files stay f16' cmp kept/a.png asked/a.png
printf x >m.ckpt
rc 2 'a pickle' sdgen -m m.ckpt a.jsonl
like 'is refused with a way' "$(cat stderr)" '*pickled*phantom-models(7)*'

# ---- little memory: an autoencoder whose last level is wide
{
	printf '{"text_encoder":'
	cat m/text_encoder/config.json
	printf ',"unet":'
	cat m/unet/config.json
	printf ',"vae":'
	tr '\n' ' ' <m/vae/config.json | sed 's/"block_out_channels": \[[^]]*\]/"block_out_channels": [64, 16, 16]/'
	printf '}'
} >wide.json
mkmodel -o wide wide.json
large() {
	sdgen -m wide --steps 2 -W 256 -H 256 -g 1 --no-metadata "$@" a.jsonl >/dev/null
}
export PHANTOM_MEMORY=100M
rc 0 'what memory does not hold at once' large -o little
unset PHANTOM_MEMORY
large --vae-tile 32 -o tiles
ok 'is decoded in tiles' cmp little/a.png tiles/a.png
large -o wide-out
rc 1 'which are seen' cmp -s little/a.png wide-out/a.png

# ---- the newest model
mkdir several
cp -r m several/old
cp -r m several/mine
touch -t 202001010000 several/old/model_index.json
scale several/mine/unet/diffusion_pytorch_model.safetensors conv_out.weight 2
sdgen -m several/mine --steps 3 -o mine-out --no-metadata a.jsonl >/dev/null
rc 0 'the model that changed last' sdgen --latest-model-in several --steps 3 -o latest --no-metadata a.jsonl
like 'is named' "$(cat stdout)" '*"model":"several/mine"*'
ok 'and used' cmp latest/a.png mine-out/a.png
rc 2 'a folder without models' sdgen --latest-model-in one a.jsonl
rc 2 'one model or the newest' sdgen -m m --latest-model-in several a.jsonl

# ---- LoRA
at=mid_block.attentions.0.transformer_blocks.0
perl "$top/tests/lora.pl" l.safetensors 0.5 unet.$at.attn1.to_out.0=32,32
rc 0 'with a LoRA' gen -o lora --no-metadata --lora l.safetensors:0.5 a.jsonl
like 'the record says so' "$(cat stdout)" '*"model":"m","lora":"l.safetensors:0.5"}'
rc 1 'it changes the image' cmp -s lora/a.png bare/a.png
mkmodel --merge-lora l.safetensors:0.5 -o merged m
sdgen -m merged --steps 3 -o merged-out --no-metadata a.jsonl >/dev/null
ok 'as if it were merged' cmp lora/a.png merged-out/a.png
gen -o lora2 --no-metadata --lora l.safetensors:0 a.jsonl >/dev/null
ok 'one without strength does not' cmp lora2/a.png bare/a.png
rc 0 'by its base, as MEP' sdgen -m l.safetensors --LORA_base_model m --steps 3 -o lora3 a.jsonl
like 'it has a sampler of its own' "$(cat stdout)" '*"scheduler":"dpmpp-2m",*"lora":"l.safetensors:1"}'
ok 'the image says it too' grep -aq 'Model: m, Lora: l.safetensors:1,' lora3/a.png
perl "$top/tests/lora.pl" odd.safetensors 0.5 unet.$at.attn9.to_q=32,32
rc 2 'a LoRA that does not fit' gen -o lora4 --lora odd.safetensors a.jsonl
is 'is told key by key' "$(grep -c 'unknown .*attn9' stderr)" 2

# ---- models of classes
mkmodel --classes t2,t3 --class-tokens 3 -o classes mini
printf '{"id":"%s","phase":"%s"}\n' x t2 y t3 z t9 >classes.jsonl
rc 1 'classes instead of text' sdgen -m classes --steps 2 --label-field phase --no-metadata -o cls classes.jsonl
is 'those that it knows' "$(names cls | tr '\n' ' ')" 'x.png y.png '
rc 1 'are not one' cmp -s cls/x.png cls/y.png
like 'the other is told' "$(cat stderr)" '' # of cmp -s
sdgen -m classes --steps 2 --label-field phase -o cls classes.jsonl 2>&1 >/dev/null | grep -q "'t9' is no class"
report $? 'the other is told by its name'

# ---- layouts of others
mkdir runs
rc 0 'the layout of NSW' gen --layout nsw --dataset-name r1 --phase t2 -o runs -n 2
is 'its files' "$(names runs/r1 | tr '\n' ' ')" 'img0.jpg img1.jpg metadata.json '
like 'its metadata' "$(cat runs/r1/metadata.json)" \
	'{"datetime": "20??-??-??T??:??:??[+-]??:??", "prompt": "a grayscale microscopic image of human embryo at phase t2", "phase": "t2", "focal-plane": "F+00", "focal_plane": "F+00"}'
rc 2 'a run that is there' gen --layout nsw --dataset-name r1 --phase t2 -o runs
rc 2 'a parent that is not' gen --layout nsw --dataset-name r1 --phase t2 -o none
printf '{"Histology image of cancer tissue, morphology type three":7,"Histology image of healthy tissue, morphology type one":2}' >dict.json
rc 0 'the layout of MEP' gen --layout mep --prompt-dict dict.json -o mep/image/train --n-batch 2 --num-images-batch 2
is 'a row an image' "$(wc -l <mep/image/train/metadata.jsonl)" 8
like 'which says what it is' "$(sed -n 4p mep/image/train/metadata.jsonl)" \
	'{"file_name": "cancer_prompt_7_batch1_im1_?????????????????????????.jpg", "path": "mep/image/train/cancer_prompt_7_*.jpg", "label": 0, "label_name": "cancer", "text": "Histology image of cancer tissue, morphology type three", "prompt_idx": 7}'
is 'every file is there, and no other' "$(sed 's/{"file_name": "\([^"]*\)".*/\1/' mep/image/train/metadata.jsonl | LC_ALL=C sort)" "$(names mep/image/train | grep -v metadata)"
rc 2 'another name of the folder' gen --layout mep --prompt-dict dict.json -o mep

# ---- what is wrong
{
	head -1 p.jsonl
	echo '{"id":"bad"'
	echo '{"id":"none"}'
	echo '{"id":"size","text":"x","width":33}'
	echo '{"id":"a","text":"x"}'
	echo '{"id":"seed","text":"x","seed":-1}'
	echo '{"id":"passed","error":{"message":"x"}}'
	tail -1 p.jsonl
} >bad.jsonl
rc 1 'bad records' gen -o bad bad.jsonl
is 'are dropped, the rest is done' "$(sed 's/.*"id":"\([^"]*\)".*/\1/' stdout | tr '\n' ' ')" 'a passed 000008 '
is 'each is told' "$(sed 's/.*jsonl:\([0-9]*\):.*/\1/' stderr | tr '\n' ' ')" '2 3 4 5 6 '
rm -r bad
rc 1 'or passed on' gen -o bad --keep-bad bad.jsonl
is 'in their places' "$(grep -c '"error":' stdout)$(sed -n 4p stdout | grep -c '"id":"size"')" 61
rc 2 'or the end' gen -o strict --strict bad.jsonl
is 'after those before it' "$(wc -l <stdout)" 1
rc 0 'no records' gen -o empty /dev/null
is 'no images' "$(cat stdout)" ''
rc 2 'no model' sdgen a.jsonl
rc 2 'a model that is not there' sdgen -m none a.jsonl
rc 2 'a batch of none' gen --batch 0 a.jsonl
rc 2 'a sampler that is none' gen --scheduler best a.jsonl
cp -r m broken
perl -pi -e 's/conv_in\.weight/conv_ix.weight/' broken/unet/diffusion_pytorch_model.safetensors
rc 2 'a model that does not fit' sdgen -m broken a.jsonl
is 'every misfit is told' "$(grep -c -e 'missing conv_in.weight' -e 'unknown conv_ix.weight' stderr)" 2

# what is read late may be bad: no empty folder is left behind
for o in '-o late/on/it --prompt x' '-o late/image/train --layout mep --n-batch 1 --prompt x' \
    '-o runs --layout nsw --dataset-name late --phase t2'; do
	# shellcheck disable=SC2086
	rc 2 "a bad U-Net: $o" sdgen -q -m broken --steps 2 $o
done
ok 'leaves nothing' test ! -e late -a ! -e runs/late
mkdir own
sdgen -q -m broken --steps 2 -o own/x --prompt x 2>/dev/null
is 'but what was there before' "$(ls -A own)$(ls -d own)" own
for o in '--eta 0.5' '--label-field x' '--focal-plane F+00' '--init-image gone' '--phase t2' '--layout nsw --dataset-name d --phase t99' \
    '--layout nsw --dataset-name d --phase t2 --focal-plane F9' '--n-batch 2' '--vae-tile 3' '--unet m/unet --ckpt 3' \
    '-m m.safetensors --variant fp16 --tokenizer m/tokenizer' '--prompt-dict gone'; do
	# shellcheck disable=SC2086
	rc 2 "wrong: $o" gen -q -o wrong $o
	is 'one line about it' "$(wc -l <stderr)" 1
done
ok 'and no folder' test ! -e wrong
gen -o eta --no-metadata --scheduler ddim --eta 1 a.jsonl >/dev/null
rc 1 '--eta counts' cmp -s eta/a.png s/ddim.png
gen -o braces --prompt 'a {focal_plane}' >braces.jsonl
like 'only nsw puts words into prompts' "$(cat braces.jsonl)" '*"text":"a {focal_plane}"*'

cp one/a.png keep.png
printf 'mine' >one/a.png
rm one/b-1.png
gen -o one --skip-done p.jsonl >skip.jsonl
is 'what is there stays' "$(cat one/a.png)" mine
same 'records are written all the same' skip.jsonl one.jsonl
ok 'what is not there is made' cmp one/b-1.png many/b-1.png

if [ -w /dev/full ]; then
	gen -o devfull p.jsonl >/dev/full 2>stderr
	is 'records that cannot be written' $? 2
fi
# after the first picture, since drivers may keep memory in files without names
mkfifo asks says
(
	trap '' XFSZ
	exec sdgen -q -m m --steps 3 --batch 1 -o full - <asks >says 2>&1
) &
pid=$!
cat says >full.out &
exec 3>asks
echo '{"id":"1","text":"one"}' >&3
while [ ! -s full.out ] && kill -0 $pid; do sleep 0.1; done
prlimit --pid $pid --fsize=0
echo '{"id":"2","text":"two"}' >&3
exec 3>&-
wait $pid
is 'a full disk ends it' $? 2
wait
like 'and is told' "$(sed 1d full.out)" 'sdgen: *: File too large'
is 'what was made before stays, nothing half beside it' "$(ls -A full)" 1.png
gen -n 40 --batch 1 -o closed a.jsonl 2>stderr | head -1 >first
ok 'a reader that leaves ends it' test "$(pictures closed)" -lt 40
sdgen -m m --steps 3 --layout mep --prompt-dict dict.json -o stop/image/train --batch 1 >stop.jsonl 2>stderr &
pid=$!
wait_until $pid '[ "$(find stop -name "*.jpg" 2>/dev/null | wc -l)" -gt 3 ]'
kill -INT $pid
wait $pid
is 'INT ends it' $? 130
is 'its rows are merged' "$(find stop -name '*metadata*' | wc -l)$(names stop/image/train | grep -c tmp)" 10
is 'one for each image' "$(wc -l <stop/image/train/metadata.jsonl)" "$(names stop/image/train | grep -c jpg)"
# one record at a time is not held back
mkfifo slow
gen -o slowly <slow >slow.jsonl &
pid=$!
exec 9>slow
cat a.jsonl >&9
n=0
until [ -s slow.jsonl ] || [ $n -gt 600 ]; do
	sleep 0.1
	n=$((n + 1))
done
is 'the first record is not held back' "$(grep -c '"file_name":"slowly/a.png"' slow.jsonl)" 1
exec 9>&-
wait $pid
done_testing
