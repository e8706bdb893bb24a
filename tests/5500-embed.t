#!/bin/sh
# embed: vectors beside records and in them; the contract of a record filter.
. "${0%/*}/lib.sh"

XDG_CACHE_HOME=${XDG_CACHE_HOME:-$BUILD/cache}
export XDG_CACHE_HOME
# rows FILE: the floats of a .npy file without its header, as text, a row of $2 a line
rows() {
	tail -c +129 "$1" | od -An -v -tf4 -w$((4 * $2))
}
# vectors FILE: those in records
vectors() {
	sed 's/.*"embedding":\[\([^]]*\)\].*/\1/' "$1" | tr , ' '
}
# near A B: the same numbers but for printing
near() {
	paste -d ' ' "$1" "$2" | awk '{ n = NF / 2; for (i = 1; i <= n; i++) { d = $i - $(i + n); if (d < 0) d = -d
		if (d > 1e-6 + 1e-6 * ($i < 0 ? -$i : $i)) exit 1; k++ } } END { exit !k }'
}
net='--network dino --weights dino.safetensors'
mkmodel -o dino.safetensors dino-mini || exit 2
shapegen -q -n 10 --height 48 --width 60 --min 8 --max 16 -o s >s.jsonl || exit 2
shapegen -q -n 3 --height 90 --width 31 --min 8 --max 16 -o odd >>s.jsonl || exit 2

# shellcheck disable=SC2086
{
rc 0 'vectors in a file' embed -q $net -o f.npy s.jsonl
cp stdout first
is 'one record an image' "$(wc -l <first)" 13
is 'the file holds a row of each' "$(wc -c <f.npy)" $((128 + 13 * 64 * 4))
like 'the record says where' "$(sed -n 3p first)" \
    '*,"embedding_file":"f.npy","embedding_row":2,"embedding_network":"dino","embedding_preprocess":"dino","embedding_weights":"fnv1a64:*"}'
sed 's/,"embedding_file":.*/}/' first >bare
same 'all else passes untouched' bare s.jsonl
rc 0 'vectors in the records' embed -q $net --inline s.jsonl
cp stdout inline
vectors inline >v
rows f.npy 64 >w
ok 'are the same' near v w
is 'rows differ' "$(sort -u w | wc -l)" 13

rc 0 'eight decoded at once' embed -q -j 8 $net -o f8.npy s.jsonl
ok 'give the same file' cmp f.npy f8.npy
rc 0 'one at a time' embed -q --batch-size 1 $net -o f1.npy s.jsonl
ok 'gives the same file' cmp f.npy f1.npy
for i in 1 2 3; do
	embed -q --shard $i/3 $net --inline s.jsonl >s$i
done
paste -d '\n' s1 s2 s3 | sed '/^$/d' >whole
same 'shards equal the whole' whole inline

# ---- the numbers themselves: the first image by dino, dinov2 and clip. CLIP's were worked out by PyTorch 1.13; the
# others are from these programs when they agreed with reference outputs of DINO and DINOv2 to 1e-6.
mkmodel -o dinov2.safetensors dinov2-mini
mkmodel -o clip.safetensors clip-mini
for n in dino dinov2 clip; do
	head -n 1 s.jsonl | embed -q --network $n --weights $n.safetensors --inline >one || exit 2
	vectors one
done >numbers
# seen 4e-7
ok 'are those of the references' awk '
	NR == FNR { want[FNR] = $0; next }
	{ n = split(want[FNR], w, " "); if (n != NF) exit 1
	  for (i = 1; i <= n; i++) { d = w[i] - $i; if (d > 2e-5 || d < -2e-5) exit 1; k++ } }
	END { exit k != 160 }' "$golden/5500-features" numbers

# ---- what is done is left
head -n 5 s.jsonl >five.jsonl
embed -q $net -o g.npy five.jsonl >g.jsonl
{ cat g.jsonl; tail -n +6 s.jsonl; } >more.jsonl
rm s/2_image.png
rc 0 '--skip-done goes on' embed -q --skip-done $net -o g.npy more.jsonl
sed 's/"f.npy"/"g.npy"/' first >want
same 'with the same records' stdout want
ok 'and the same file' cmp f.npy g.npy
rc 0 'inline too' embed -q --skip-done $net --inline inline
same 'nothing is done again' stdout inline
rc 1 'not with other preprocessing' embed -q --skip-done $net --preprocess hf --inline inline
is 'all but the lost one are made' "$(wc -l <stdout)" 12
rc 1 'a lost image' embed -q $net --inline s.jsonl
like 'is named' "$(cat stderr)" '*s/2_image.png*'
sed -i '/2_image/d' s.jsonl five.jsonl

# ---- preprocessing and other networks
for p in hf mep-edges imagenet clip nsw; do
	rc 0 "$p" embed -q $net --preprocess $p --inline five.jsonl -k
	ok 'is named' grep -q "\"embedding_preprocess\":\"$p" stdout
	vectors stdout >v.$p
done
ok 'each makes other vectors' test "$(cat v.* | sort -u | wc -l)" -ge 20
rc 0 'another size' embed -q $net --size 96 --inline -k five.jsonl
ok 'is named' grep -q '"embedding_preprocess":"dino:96"' stdout
rc 0 'the mean of patches' embed -q --network dino:patch-mean --weights dino.safetensors --inline -k five.jsonl
mkmodel -o resnet.safetensors resnet18
rc 0 'DINOv2' embed -q --network dinov2 --weights dinov2.safetensors --inline -k five.jsonl
rc 0 'CLIP' embed -q --network clip --weights clip.safetensors --inline -k five.jsonl
is 'its projection' "$(vectors stdout | head -n 1 | wc -w)" 32
rc 0 'a ResNet' embed -q --network resnet18 --weights resnet.safetensors --size 64 --inline -k five.jsonl
is 'what its classifier sees' "$(vectors stdout | head -n 1 | wc -w)" 512
rc 0 'and says' embed -q --network resnet:logits --weights resnet.safetensors --size 64 --inline -k five.jsonl
is 'of 1000 classes' "$(vectors stdout | head -n 1 | wc -w)" 1000
mkmodel -o densenet.safetensors densenet121
rc 0 'a DenseNet' embed -q --network densenet121 --weights densenet.safetensors --size 64 --inline -k five.jsonl
is 'what its classifier sees' "$(vectors stdout | head -n 1 | wc -w)" 1024
mkmodel -o efficientnet.safetensors efficientnet-b0
rc 0 'an EfficientNet' embed -q --network efficientnet-b0 --weights efficientnet.safetensors --size 64 --inline -k five.jsonl
is 'what its classifier sees' "$(vectors stdout | head -n 1 | wc -w)" 1280
rc 0 'at its own size' embed -q --network efficientnet --weights efficientnet.safetensors --inline -k five.jsonl
ok 'and preprocessing' grep -q '"embedding_preprocess":"dino"' stdout

# ---- files that do not fit: one line
for o in 'densenet resnet' 'resnet densenet' 'efficientnet densenet' 'densenet161 densenet' 'efficientnet-b1 efficientnet' \
    'efficientnet-b9 efficientnet' 'wide_resnet50_2 resnet' 'densenet:pool densenet' 'mobilenet densenet' 'mobilenet_v3 densenet' 'vgg efficientnet' \
    'vgg17 resnet'; do
	# shellcheck disable=SC2086
	set -- $o
	rc 2 "wrong: $o" embed -q --network "$1" --weights "$2.safetensors" --inline s.jsonl
	is 'said in a line' "$(wc -l <stderr)" 1
done
LC_ALL=C sed 's/features.norm5.bias/features.norm5.bios/' densenet.safetensors >renamed.safetensors
rc 2 'a tensor that is missing, one too many' embed -q --network densenet --weights renamed.safetensors --inline s.jsonl
is 'said in a line' "$(cat stderr)" \
    'embed: renamed.safetensors: does not fit this network: missing features.norm5.bias; unknown features.norm5.bios'
LC_ALL=C sed 's/"fc\./"fx./g' resnet.safetensors >headless.safetensors
rc 2 'a classifier of another name' embed -q --network resnet --weights headless.safetensors --inline s.jsonl
is 'is left over' "$(cat stderr)" \
    'embed: headless.safetensors: does not fit this network: unknown fx.weight; unknown fx.bias'

# ---- bad records
echo 'no image' >text.png
{
	head -n 3 s.jsonl
	printf '%s\n' '{"file_name":"text.png"}' '{"file_name":"gone.png"}' '{"id":"x"}' no
	tail -n 2 s.jsonl
} >mixed.jsonl
rc 1 'bad records are told' embed -q $net -o m.npy mixed.jsonl
is 'each in a line' "$(wc -l <stderr)" 4
is 'the rest comes out' "$(wc -l <stdout)" 5
is 'rows are counted without them' "$(tail -n 1 stdout | sed 's/.*"embedding_row":\([0-9]*\).*/\1/')" 4
rc 1 '--keep-bad' embed -q -k $net --inline mixed.jsonl
is 'passes them on' "$(wc -l <stdout) $(grep -c '"error"' stdout)" '9 4'
rc 2 '--strict' embed -q --strict $net -o strict.npy mixed.jsonl
ok 'leaves no file' test ! -e strict.npy

# ---- broken worlds
rc 0 'no records' embed -q $net -o empty.npy /dev/null
is 'an empty file of rows' "$(wc -c <empty.npy)" 128
rc 2 '/dev/full' sh -c "embed -q $net --inline s.jsonl >/dev/full"
rc 2 'no room for rows' embed -q $net -o /dev/full s.jsonl
(
	trap '' PIPE
	embed -q $net --inline s.jsonl 2>err
	echo $? >status
) | head -n 1 >/dev/null
is 'a reader that goes away ends it by SIGPIPE or not at all' "$(sed 's/^141$/0/; s/^2$/0/' status)" 0
mkfifo slow
embed -q $net -o killed.npy slow >killed.jsonl &
pid=$!
exec 5>slow
head -n 4 s.jsonl >&5
sleep 0.3
kill -9 $pid
exec 5>&-
wait $pid 2>/dev/null
ok 'killed midway, nothing is there' test ! -e killed.npy -a ! -s killed.jsonl
mkfifo slower
embed -q $net --inline slower >slow.jsonl &
pid=$!
exec 6>slower
head -n 1 s.jsonl >&6
i=0
until [ -s slow.jsonl ] || [ $i = 100 ]; do
	sleep 0.1
	i=$((i + 1))
done
is 'the first record is not held back' "$(wc -l <slow.jsonl)" 1
exec 6>&-
wait $pid
}
for o in '' '--network dino' '--network dino --weights dino.safetensors' '--network none --weights dino.safetensors --inline' \
    '--network dino --weights gone.safetensors --inline' '--network dino --weights dino.safetensors --inline -o x.npy' \
    '--network dino:pool --weights dino.safetensors --inline' '--network dino-vitb8 --weights dino.safetensors --inline' \
    '--network dinov2 --weights dino.safetensors --inline' '--network dino --weights dino.safetensors --inline --size 90' \
    '--network dino --weights dino.safetensors --inline --preprocess clean-fid' \
    '--network dino --weights dino.safetensors --inline --preprocess none' '--network resnet --weights dino.safetensors --inline'; do
	# shellcheck disable=SC2086
	rc 2 "wrong: $o" embed -q $o s.jsonl
	ok 'it is said' test -s stderr
done
rc 2 'weights of another network' embed -q --network inception --weights dino.safetensors --inline s.jsonl
is 'the first are told one by one' "$(wc -l <stderr)" 41
like 'and how many there are' "$(tail -n 1 stderr)" 'embed: *: does not fit this network (* tensors, of which the first are named)'

done_testing
