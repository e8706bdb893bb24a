#!/bin/sh
# fid on features, statistics and records: values worked out another way, what merges, what is refused.
. "${0%/*}/lib.sh"

# npy FILE ROWS COLUMNS [SHIFT [SEED]]: a matrix of sums of uniform numbers, each row around SHIFT
npy() {
	perl -e '
		my ($f, $n, $d, $shift, $seed) = (@ARGV, 0, 1)[0 .. 4];
		$shift //= 0; $seed //= 1;
		my $s = $seed * 7919 + 1;
		sub u { $s = ($s * 1103515245 + 12345) % 2147483648; $s / 2147483648 }
		u() for 1 .. 9;
		my $h = "{\x27descr\x27: \x27<f4\x27, \x27fortran_order\x27: False, \x27shape\x27: ($n, $d), }";
		$h .= " " x (63 - (10 + length $h) % 64) . "\n";
		open F, ">", $f;
		print F "\x93NUMPY\1\0", pack("v", length $h), $h;
		for (1 .. $n) {
			print F pack "f<*", map { u() + u() + u() + u() - 2 + $shift + $_ / 10 } 1 .. $d;
		}' "$@"
}
# value METRIC [LABEL]: from file out
value() {
	sed -n "s/.*\"metric\": \"$1\",${2+ \"by\": \"label\", \"label\": \"$2\",} \"value\": \([^,]*\),.*/\1/p" out | head -n 1
}
# near DESCRIPTION GOT WANTED [BOUND]: relative
near() {
	ok "$1: $2, error $(awk "BEGIN { print ($2) / ($3) - 1 }"), bound ${4-1e-12}" \
	    awk "BEGIN { d = ($2) / ($3) - 1; exit !(d < ${4-1e-12} && d > -${4-1e-12}) }"
}
# one_line DESCRIPTION PATTERN: stderr is one line that has it
one_line() {
	is "$1: one line" "$(wc -l <stderr)" 1
	like "$1: says why" "$(cat stderr)" "$2"
}

npy real.npy 60 8 0 1
npy gen.npy 40 8 0.5 2

# ---- values ----
rc 0 'two matrices' fid real.npy gen.npy
cp stdout out
is 'the metrics of the default' "$(sed 's/.*"metric": "\([^"]*\)".*/\1/' out | tr '\n' ' ')" \
    'fid kid precision recall density coverage '
is 'each with its n' "$(grep -c '"n": 40, "n_real": 60' out)" 6
is 'nothing said' "$(cat stderr)" ''
fid_value=$(value fid)
ok 'the distance is above the means'"'"' 8 * .5^2' awk "BEGIN { exit !($fid_value > 1 && $fid_value < 4) }"
fid gen.npy real.npy >out
near 'it is symmetric' "$(value fid)" "$fid_value"
fid real.npy real.npy >out
ok 'of the same it is 0' awk "BEGIN { exit !($(value fid) < 1e-12) }"
near 'and all is met' "$(value precision)" 1
rc 0 'all metrics' fid --metrics fid,fid_infinity,kid,precision,recall,density,coverage,authpct,cmmd \
    --kid-subsets 20 --kid-subset-size 15 --bootstrap 30 real.npy gen.npy
cp stdout out
is 'KID has a standard error' "$(grep -c '"metric": "kid".*"std": .*"se": .*"subsets": 20, "subset_size": 15' out)" 1
is 'all but one have an interval' "$(grep -c '"low": .*"high": ' out)" 8
ok 'around the value' awk -F '"value": |"low": |"high": ' '/"low"/ { if (!($3 + 0 <= $2 + 0 && $2 + 0 <= $4 + 0)) exit 1 }' out
fid --metrics fid,kid,precision --kid-subset-size 15 --bootstrap 30 real.npy gen.npy >a
fid --metrics fid,kid,precision --kid-subset-size 15 --bootstrap 30 real.npy gen.npy >b
ok 'a seed gives the same again' cmp a b
fid --metrics kid --kid-subset-size 15 -s 1 real.npy gen.npy >a
fid --metrics kid --kid-subset-size 15 -s 2 real.npy gen.npy >b
ok 'another seed does not' test "$(cat a)" != "$(cat b)"
rc 0 'one metric by its other name' fid --metrics fd real.npy gen.npy
is 'is one line' "$(wc -l <stdout)" 1
npy logits.npy 40 3 0 5
rc 0 'logits of the generated' fid --metrics is --splits 4 --logits logits.npy real.npy gen.npy
cp stdout out
ok 'the Inception Score is between 1 and the number of classes' awk "BEGIN { x = $(value inception_score); exit !(x > 1 && x < 3) }"

rc 0 'probabilities in the records' fid --metrics is --splits 2 --scores p real.npy - <<EOF
{"embedding":[1,2,3,4,5,6,7,8],"p":[1,0]}
{"embedding":[1,2,3,4,5,6,7,8],"p":[0,1]}
{"embedding":[1,2,3,4,5,6,7,8],"p":[50,50]}
{"embedding":[1,2,3,4,5,6,7,8],"p":[2,2]}
EOF
cp stdout out
near 'a sure half of 2, an unsure half of 1' "$(value inception_score)" 1.5
npy same.npy 300 8 0 2
npy more.npy 300 8 0 3
fid --metrics fid,fid_infinity same.npy more.npy >out
ok "without the bias of few images equal sets are nearer: $(value fid_infinity) than $(value fid)" \
    awk "BEGIN { i = $(value fid_infinity); exit !(i * i < $(value fid) ^ 2 / 4) }"
# real ones at 0 and 10; 1 is nearer to 0 than 10 is, 25 further from 10 than 0 is
printf '{"id":"%s","embedding":[%s,0]}\n' zero 0 ten 10 >line.jsonl
printf '{"id":"%s","embedding":[%s,0]}\n' near 1 far 25 >points.jsonl
fid --metrics authpct --per-image line.jsonl points.jsonl >out
is 'authentic by hand' "$(sed -n 's/.*"nearest_id":/ /p' out | tr '\n' ' ')" \
    ' "zero","nearest_distance":1,"authentic":false}  "ten","nearest_distance":15,"authentic":true} '
near 'and counted' "$(value authpct)" 50

# ---- statistics ----
rc 0 '--partial' fid --partial -o real.npz real.npy
like 'tells of the file' "$(cat stdout)" '{"kind": "statistics", "statistics_file": "real.npz", "n": 60, "dim": 8,*'
fid --partial -o gen.npz gen.npy >/dev/null
rc 0 'two statistics' fid real.npz gen.npz
cp stdout out
is 'give FID alone' "$(wc -l <out)" 1
near 'the same' "$(value fid)" "$fid_value"
fid real.npz gen.npy >out
near 'statistics and a matrix' "$(value fid)" "$fid_value"
fid --partial -o real2.npz real.npy >/dev/null
ok 'statistics are the same bytes again' cmp real.npz real2.npz
/usr/bin/python3 -c '
import numpy as np
x = np.load("real.npy").astype(float)
f = np.load("real.npz")
assert abs(f["mu"] - x.mean(0)).max() < 1e-12 and abs(f["sigma"] - np.cov(x, rowvar=False)).max() < 1e-12
np.savez_compressed("theirs.npz", mu=f["mu"], sigma=f["sigma"])'
report $? 'NumPy reads them: mu and sigma of pytorch-fid'
fid --metrics fid theirs.npz gen.npy >out 2>/dev/null
near 'and we read what it deflated' "$(value fid)" "$fid_value"

# ---- records ----
awk 'BEGIN { for (i = 0; i < 40; i++) printf("{\"id\":\"g%d\",\"x\":1.10,\"label\":\"%s\",\"embedding_file\":\"gen.npy\",\"embedding_row\":%d,\"embedding_network\":\"N\",\"embedding_preprocess\":\"P\",\"embedding_weights\":\"W\"}\n", i, i % 2 ? "odd" : "even", i) }' >gen.jsonl
awk 'BEGIN { for (i = 0; i < 60; i++) printf("{\"id\":\"r%d\",\"label\":\"%s\",\"embedding_file\":\"real.npy\",\"embedding_row\":%d,\"embedding_network\":\"N\",\"embedding_preprocess\":\"P\",\"embedding_weights\":\"W\"}\n", i, i % 2 ? "odd" : "even", i) }' >real.jsonl
rc 0 'two streams' fid real.jsonl gen.jsonl
cp stdout out
near 'the same' "$(value fid)" "$fid_value"
is 'what made the features stands in each result' \
    "$(grep -c '"embedding_network": "N", "embedding_preprocess": "P", "embedding_weights": "W"}' out)" 6
fid real.jsonl - <gen.jsonl >b
ok 'from standard input' cmp out b
fid real.jsonl <gen.jsonl >b
ok 'which is the default' cmp out b
mkdir folder
cp real.npy folder/
cp real.jsonl folder/metadata.jsonl
fid folder gen.jsonl >b
ok 'a folder with metadata.jsonl' cmp out b
for i in 1 2 3; do
	fid --partial --shard $i/3 -o real-$i.npz real.jsonl >/dev/null
done
rc 0 '--merge' fid --merge -o merged.npz real-1.npz real-2.npz real-3.npz
like 'of as many' "$(cat stdout)" '*"n": 60, "dim": 8, "embedding_network": "N"*'
fid merged.npz gen.jsonl >out
near 'merged shards equal the whole' "$(value fid)" "$fid_value" 1e-12
SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_COUNT=3 fid --partial -o slurm.npz real.jsonl >/dev/null
ok 'shards of an array job' cmp slurm.npz real-2.npz
SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_COUNT=3 fid --metrics fid real.jsonl gen.jsonl >out
near 'which a comparison knows nothing of' "$(value fid)" "$fid_value"
printf '{"id":"%s","embedding":[%s]}\n' a 1,2 b 2,1 c 3,5 d 4,4 >inline.jsonl
rc 0 'inline vectors' fid --metrics fid inline.jsonl inline.jsonl

fid --partial -o stdin.npz <gen.jsonl >/dev/null
fid --metrics fid real.jsonl stdin.npz >out
near 'statistics of standard input' "$(value fid)" "$fid_value"
rc 0 'statistics of several inputs' fid --partial -o both.npz real.jsonl gen.jsonl
like 'are of all' "$(cat stdout)" '*"n": 100, *'

# by class
rc 0 '--by' fid --metrics fid,precision --by label real.jsonl gen.jsonl
cp stdout out
is 'all, then each' "$(sed 's/.*"metric": "\([^"]*\)",\( "by": "label", "label": "\([^"]*\)"\)*.*/\1\3/' out | tr '\n' ' ')" \
    'fid precision fideven precisioneven fidodd precisionodd '
grep odd real.jsonl >real-odd.jsonl
grep odd gen.jsonl >gen-odd.jsonl
odd=$(value fid odd)
fid --metrics fid real-odd.jsonl gen-odd.jsonl >out
near 'a class is what it is alone' "$odd" "$(value fid)"
fid --metrics fid --by label real.npy gen.jsonl >out
odd=$(value fid odd)
fid --metrics fid real.npy gen-odd.jsonl >out
near 'real ones without classes: all of them' "$odd" "$(value fid)"
sed '$s/odd/rare/' gen.jsonl >rare.jsonl
rc 1 'a class of one image' fid --metrics fid --by label real.jsonl rare.jsonl
one_line 'a class of one image' 'fid: rare: real.jsonl: 0 images; fid needs 2'
is 'has no value' "$(grep -c '"label": "rare", "value": null' stdout)" 1

# each image
rc 0 '--per-image' fid --metrics fid --per-image -o results real.jsonl gen.jsonl
is 'all records' "$(wc -l <stdout)" 40
like 'fields pass with their bytes, new ones come last' "$(head -n 1 stdout)" \
    '{"id":"g0","x":1.10,"label":"even",*"embedding_weights":"W","nearest_id":"r*","nearest_distance":*,"authentic":*}'
is 'results go elsewhere' "$(wc -l <results)" 1
fid --metrics authpct real.jsonl gen.jsonl >out
near 'the authentic ones are counted' "$(value authpct)" "$(grep -c '"authentic":true' stdout) / .4"
fid --metrics fid --per-image -o results gen.jsonl gen.jsonl >stdout
is 'an image is nearest to itself' "$(sed -n 's/.*"id":"\(g[0-9]*\)".*"nearest_id":"\1","nearest_distance":0,.*/1/p' stdout | wc -l)" 40

# ---- the filter ----
rc 0 '--rank' fid --rank real.jsonl gen.jsonl
one_line 'fewer features than components' '*real.jsonl: 60 images vary in 8 principal components only'
cp stdout ranked
is 'all records' "$(wc -l <ranked)" 40
ok 'least likely first' awk -F '"p_value":' '{ p = $2 + 0; if (NR > 1 && p < last) exit 1; last = p }' ranked
fid --rank --min-p .2 --components 8 real.jsonl gen.jsonl >b
sed 's/.*"p_value":\([^}]*\)}/\1/' ranked | awk '$1 >= .2 { n++ } END { print n }' >n
rc 0 'the filter and the nearest' fid --rank --per-image --components 8 real.jsonl gen.jsonl
is 'have all fields' "$(grep -c '"nearest_distance":.*"p_value":' stdout)" 40
is 'both keep the likely ones' "$(wc -l <b)" "$(cat n)"
rc 0 '--min-p' fid --min-p .2 --components 8 real.jsonl gen.jsonl
is 'keeps the order' "$(sed 's/.*"id":"g\([0-9]*\)".*/\1/' stdout)" "$(sed 's/.*"id":"g\([0-9]*\)".*/\1/' stdout | sort -n)"
ok 'some but not all' awk "BEGIN { exit !($(cat n) > 0 && $(cat n) < 40) }"

# ---- tables ----
fid --layout mep real.jsonl gen.jsonl >out
is 'MEP' "$(sed 's/,[^,]*$//' out)" 'metric,reference_ds,target_ds,split
fid_based_on_latents,real,gen,train
precision,real,gen,train
recall,real,gen,train'
near 'its FID' "$(sed -n 's/^fid.*,//p' out)" "$fid_value"
mkdir -p pcam.v2/image synth-1/image/train
cp real.npy gen.jsonl pcam.v2/image
cp real.jsonl pcam.v2/image/metadata.jsonl
cp gen.npy synth-1/image/train
sed 's/}$/,"split":"test"}/' gen.jsonl >synth-1/image/train/metadata.jsonl
fid --layout mep --metrics fid pcam.v2/image synth-1/image/train/ | tail -n 1 >names
like 'sets are called by the folder that says something' "$(cat names)" 'fid_based_on_latents,pcam.v2,synth-1,test,*'
mkdir metrics
fid --layout mep -o metrics real.jsonl gen.jsonl
ok 'into a folder, under its name' cmp out metrics/arxiv_analysis_fid_token_df.csv
sed 's/}$/,"pred_label":"odd","p":[0.5,0.5]}/' gen.jsonl >scored.jsonl
sed 's/}$/,"pred_label":"odd","p":[1,0]}/' real.jsonl >scored-real.jsonl
fid --layout nsw --scores p scored-real.jsonl scored.jsonl >out
is 'NSW' "$(sed 's/,[^,]*$//; s/\(0\.69314718055\)[0-9]*/\1/' out)" 'model_name,orig_data,synth_data,label,entropy_orig,entropy_synth,accuracy_orig,accuracy_synth
N,scored-real,scored,all,0,0.69314718055,0.5,0.5
N,scored-real,scored,even,0,0.69314718055,0,0
N,scored-real,scored,odd,0,0.69314718055,1,1'
fid --layout nsw --scores p -o metrics scored-real.jsonl scored.jsonl
fid --layout nsw --scores p -o metrics scored-real.jsonl scored.jsonl
is 'its table grows, with one header' "$(wc -l <metrics/synth_img_metrics.csv)" 7

# ---- what is bad ----
{
	sed -n 1,20p gen.jsonl
	echo '{"id":"no"}'
	echo '{"id":"far","embedding_file":"gen.npy","embedding_row":40}'
	echo '{"id":"absent","embedding_file":"none.npy","embedding_row":0}'
	echo '{"id":"nan","embedding":[1,2,3,4,5,6,7,1e40]}'
	echo '{"id":"short","embedding":[1,2]}'
	echo '{"id":"other","embedding":[1,2,3,4,5,6,7,8],"embedding_network":"M"}'
	echo 'nonsense'
	sed -n 21,40p gen.jsonl
} >bad.jsonl
rc 1 'bad records midway' fid --metrics fid real.jsonl bad.jsonl
is 'a line each' "$(wc -l <stderr)" 7
like 'no features' "$(cat stderr)" '*fid: bad.jsonl:21: no: no embedding_file, embedding or file_name*'
like 'no such row' "$(cat stderr)" '*bad.jsonl:22: far: gen.npy has no row 40*'
like 'no such file' "$(cat stderr)" '*bad.jsonl:23: absent: none.npy*'
like 'not finite' "$(cat stderr)" '*bad.jsonl:24: nan: feature 7 is not finite*'
like 'another length' "$(cat stderr)" '*bad.jsonl:25: short: 2 features, those before have 8*'
like 'another network' "$(cat stderr)" "*bad.jsonl:26: other: embedding_network 'M', before it was 'N'*"
cp stdout out
near 'the rest is measured' "$(value fid)" "$fid_value"
rc 1 '--keep-bad' fid -k --metrics fid real.jsonl bad.jsonl
is 'writes them first' "$(grep -c '"error"' stdout)" 7
rc 2 '--strict' fid --strict --metrics fid real.jsonl bad.jsonl
one_line '--strict' '*bad.jsonl:21:*'
head -n 3 gen.jsonl >three.jsonl
rc 2 'fewer images than neighbours' fid real.jsonl three.jsonl
one_line 'fewer images than neighbours' 'fid: three.jsonl: 3 images; precision needs 6 for 5 neighbours (--neighbours)'
is 'and no result' "$(cat stdout)" ''
head -n 1 gen.jsonl >one.jsonl
rc 2 'one image' fid real.jsonl one.jsonl
one_line 'one image' 'fid: one.jsonl: 1 image; fid needs 2'
rc 0 'fewer images than features' fid --metrics fid real.jsonl three.jsonl
one_line 'fewer images than features' 'fid: three.jsonl: 3 images for 8 features: *'
is 'is marked' "$(grep -c '"singular": true' stdout)" 1
perl -e 'print "{\"embedding\":[1,2,3]}\n" x 8' >constant.jsonl
rc 0 'constant images' fid constant.jsonl constant.jsonl
is 'are 0 from themselves' "$(grep -c '"metric": "fid", "value": 0,' stdout)" 1
rc 2 'constant images cannot rank' fid --rank constant.jsonl constant.jsonl
one_line 'constant images cannot rank' 'fid: constant.jsonl: the features do not vary'
perl -e 'print "{\"embedding\":[1e30,0,0]}\n"' >large.jsonl
rc 2 'features too large' fid --metrics fid large.jsonl large.jsonl
like 'features too large' "$(head -n 1 stderr)" 'fid: large.jsonl:1: feature 0 is too large'
perl -e 'print "{\"embedding\":[0,0,0]}\n" x 8' >zero.jsonl
rc 1 'features without direction' fid --metrics cmmd zero.jsonl zero.jsonl
one_line 'features without direction' 'fid: a feature vector without length has no direction'
sed 's/"embedding_network":"N"/"embedding_network":"M"/' gen.jsonl >other.jsonl
rc 2 'another network' fid real.jsonl other.jsonl
one_line 'another network' "fid: real.jsonl and other.jsonl are not of the same network: 'N', 'M'"
rc 2 'statistics of another network' fid real-1.npz other.jsonl
one_line 'statistics of another network' "*are not of the same network: 'N', 'M'"
fid --partial -o other.npz other.jsonl >/dev/null
rc 2 'are not merged' fid --merge -o no.npz real-1.npz other.npz
ok 'and nothing is written' test ! -e no.npz
sed 's/"embedding_weights":"W"/"embedding_weights":"V"/' gen.jsonl >other.jsonl
rc 2 'other weights' fid real.jsonl other.jsonl
rc 2 'another number of features' fid real.jsonl inline.jsonl
one_line 'another number of features' 'fid: real.jsonl has 8 features, inline.jsonl has 2'
rc 0 'a network on one side only' fid real.jsonl gen.npy
one_line 'a network on one side only' 'fid: gen.npy does not say which network it is of; real.jsonl is of N'
rc 2 'what needs features' fid --metrics kid real.npz gen.npy
one_line 'what needs features' 'fid: real.npz: kid needs features, not statistics'
rc 2 'resampling statistics' fid --bootstrap 10 real.npy gen.npz
one_line 'resampling statistics' 'fid: gen.npz: --bootstrap needs features, not statistics'
rc 2 'groups of statistics' fid --by label real.npz gen.jsonl
rc 2 'a sheet of no images' fid --metrics fid --sheet x.png real.npy gen.npy
one_line 'a sheet of no images' 'fid: real.npy and gen.npy name no images for a sheet'
rc 2 'a table without groups' fid --layout mep --by label real.jsonl gen.jsonl
rc 2 'a table of fid without fid' fid --layout nsw --metrics kid real.jsonl gen.jsonl
rc 2 'no logits' fid --metrics is real.npy gen.npy
one_line 'no logits' 'fid: gen.npy: no probabilities of classes for the inception_score'
perl -e 'local $/; open F, "<", "real.npy"; $_ = <F>; substr($_, 128 + 8 * 4 * 17, 4) = pack "f<", "nan"; open G, ">", "nan.npy"; print G $_'
rc 2 'a matrix with NaN' fid nan.npy gen.npy
one_line 'a matrix with NaN' 'fid: nan.npy: row 17: feature 0 is not finite'
head -c 500 real.npz >cut.npz
rc 2 'cut statistics' fid cut.npz gen.npy
one_line 'cut statistics' 'fid: cut.npz: *'
mkdir images
rc 2 'images without weights' fid images gen.npy
one_line 'images without weights' 'fid: images: images need --weights to make features with'
: >empty
rc 2 'empty input' fid real.npy empty
one_line 'empty input' 'fid: empty: no image'
rc 2 'a file that is not there' fid real.npy nowhere.jsonl
rc 2 'no operand' fid
rc 2 'three operands' fid a b c
rc 2 'both standard input' fid - -
rc 2 'a metric that is not there' fid --metrics fud real.npy gen.npy
one_line 'a metric that is not there' "*no metric 'fud'*"
rc 2 '--shard of a comparison' fid --shard 1/2 real.npy gen.npy
rc 2 '--partial to nowhere' fid --partial real.npy
rc 2 '--network without --weights' fid --network dino real.npy gen.npy
rc 2 '--dims of another network' fid --dims 64 --network dino --weights x real.npy gen.npy
for i in 0 10 20 30; do echo "{\"id\":\"$i\",\"embedding\":[$i,0]}"; done >line.jsonl
for i in -10 40 50; do echo "{\"id\":\"$i\",\"embedding\":[$i,0]}"; done >ends.jsonl
is '--inclusive: what is as far as the neighbour is within' "$(for o in --no-inclusive --inclusive; do
	fid $o --neighbours 1 --metrics precision line.jsonl ends.jsonl | sed 's/.*"value": \([0-9.]\{1,4\}\).*/\1/'
done | tr '\n' ' ')" '0 0.66 '
fid --metrics fid --ddof 0 real.npy gen.npy >ddof0
fid --metrics fid real.npy gen.npy >ddof1
rc 1 '--ddof counts' cmp -s ddof0 ddof1
for o in '--preprocess clean-fid' '--size 64' '--batch-size 2' '--cache c' '--sheet-rows 2' '--components 3' '--logits gen.npy'; do
	# shellcheck disable=SC2086
	rc 2 "$o alone" fid $o --metrics fid real.npy gen.npy
	like 'is told' "$(cat stderr)" "fid: ${o% *} goes with *"
done
rc 2 '--rank with --by' fid --rank --by label real.npy gen.npy
if [ -e /dev/full ]; then
	fid real.npy gen.npy >/dev/full 2>stderr
	is 'a full disk' $? 2
	rc 2 'a folder that is not there' fid --partial -o none/x.npz real.npy
fi
fid --per-image real.jsonl gen.jsonl 2>/dev/null | head -n 1 >a
is 'a reader that closes' "$(wc -l <a)" 1
is 'nothing half is left' "$(find . -name '.phantom-*')" ''

done_testing
