#!/bin/sh
# promptgen: prompts from fields, and from clusters of what images look like.
. "${0%/*}/lib.sh"

XDG_CACHE_HOME=${XDG_CACHE_HOME:-$BUILD/cache}
export XDG_CACHE_HOME

# ---- from fields
cat >in.jsonl <<'R'
{"id":"a","label":"Cancer","phase":"t2","focal_plane":"F+00","x":1.50}
{"id":"b","label":"healthy","phase":"tPB2","focal_plane":"F-15","cluster":32}
{"id":"c","label":"healthy","phase":"t4","text":"old","cluster":130}
R
rc 0 'a template' promptgen -q -t 'a {label} cell of {phase}' in.jsonl
is 'is filled, all else stays' "$(cat stdout)" '{"id":"a","label":"Cancer","phase":"t2","focal_plane":"F+00","x":1.50,"text":"a Cancer cell of t2"}
{"id":"b","label":"healthy","phase":"tPB2","focal_plane":"F-15","cluster":32,"text":"a healthy cell of tPB2"}
{"id":"c","label":"healthy","phase":"t4","text":"a healthy cell of t4","cluster":130}'
text() {
	sed 's/.*"text":"\([^"]*\)".*/\1/' "$1"
}
rc 0 'changed fields' promptgen -q -t '{label:lower} {label:capital} {{x}} [y]' in.jsonl
is 'lower, capital, braces' "$(text stdout | head -n 1)" 'cancer Cancer {x} [y]'
rc 1 'numbers in words' promptgen -q -t '[LABEL]: [MEP-CLUSTER-INDEX]' in.jsonl
is 'in the original spelling' "$(text stdout)" 'healthy: thirty-two
healthy: one hundred and thirty'
like 'a record without the field is told' "$(cat stderr)" 'promptgen: in.jsonl:1: a: no cluster, which the prompt names'
rc 1 '--keep-bad' promptgen -q -k -t '{cluster}' in.jsonl
is 'passes it on' "$(wc -l <stdout) $(grep -c '"error"' stdout)" '3 1'
rc 0 'a preset' promptgen -q --preset nsw in.jsonl
is 'of NSW' "$(text stdout | head -n 1)" 'a microscopic image of a human embryo at phase t2'
rc 1 'one with planes' promptgen -q --preset nsw-planes in.jsonl
is 'says them' "$(text stdout | head -n 1)" 'a microscopic image of a human embryo at phase t2 recorded at focal plane F+00'
rc 0 'another field' promptgen -q --field caption -t x in.jsonl
is 'is filled' "$(grep -c '"caption":"x"' stdout)" 3
printf 'one {id}\ntwo {id}\nthree {id}\n' >list
seq -f '{"id":"%g"}' 300 >many.jsonl
rc 0 'a list of templates' promptgen -q --templates list many.jsonl
cp stdout whole
is 'each is taken' "$(text whole | sed 's/ .*//' | sort | uniq -c | awk '$1 > 70' | wc -l)" 3
sort -R --random-source=list many.jsonl | promptgen -q --templates list -j 8 | sort >mixed
sort whole >sorted
same 'by id, in any order, on eight threads' mixed sorted
for i in 1 2 3; do promptgen -q --shard $i/3 --templates list many.jsonl; done | sort >shards
same 'shards equal the whole' shards sorted
promptgen -q -s 1 --templates list many.jsonl >other
ok 'another seed chooses others' sh -c '! cmp -s other whole'

# ---- from looks: three kinds of vectors, two labels
awk 'BEGIN {
	srand(7)
	for (i = 0; i < 300; i++) {
		k = i % 3
		printf "{\"id\":\"%d\",\"file_name\":\"p/%d.png\",\"label\":\"%s\",\"embedding\":[", i, i, i % 5 < 2 ? "cancer" : "healthy"
		for (j = 0; j < 8; j++)
			printf "%s%.4f", j ? "," : "", (j % 3 == k ? 5 : 0) + rand()
		print "]}"
	}
}' </dev/null >v.jsonl
mep='--preset mep-histo --outliers keep'
# shellcheck disable=SC2086
{
rc 0 'clusters' promptgen -q $mep --clusters 3 --stats stats --map map.png --save-centroids c.npy v.jsonl
cp stdout clustered
is 'every record comes out' "$(wc -l <clustered)" 300
is 'of each kind one cluster' "$(awk '{ match($0, /"cluster":[0-9]+/); print (NR - 1) % 3, substr($0, RSTART, RLENGTH) }' clustered | sort -u | wc -l)" 3
like 'the prompt says it' "$(text clustered | sort -u | head -n 1)" 'Histology image of cancer tissue, morphology type one'
is 'prompts are numbered in their order' "$(sed 's/.*"text":"\([^"]*\)","prompt_idx":\([0-9]*\).*/\1 \2/' clustered | LC_ALL=C sort -u | sed 's/.* //' | tr '\n' ' ')" '0 1 2 3 4 5 '
is 'stats: the clustering, and each prompt' "$(wc -l <stats)" 7
like 'its sizes' "$(head -n 1 stats)" '{"kind":"clustering","k":3,"inertia":*,"n":300,"removed":0,"taken":300,"sizes":\[100,100,100\]}'
like 'compactness' "$(tail -n 1 stats)" '{"kind":"prompt","prompt_idx":5,"text":"Histology image of healthy tissue, morphology type zero","n":60,"taken":true,"mean_variance":*,"max_distance2":*}'
ok 'a map' test "$(wc -c <map.png)" -gt 1000
rc 0 'again' promptgen -q $mep --clusters 3 v.jsonl
same 'gives the same' stdout clustered
rc 0 'with the same means' promptgen -q $mep --centroids c.npy v.jsonl
same 'too' stdout clustered
rc 0 'mini-batches' promptgen -q $mep --clusters 3 --mini-batch 50 v.jsonl
is 'find them as well' "$(awk '{ match($0, /"cluster":[0-9]+/); print (NR - 1) % 3, substr($0, RSTART, RLENGTH) }' stdout | sort -u | wc -l)" 3
rc 0 'a choice of k by silhouette' promptgen -q $mep --choose-k 2:5 --sample 0 --stats chosen v.jsonl
like 'finds three' "$(grep clustering chosen)" '{"kind":"clustering","k":3,*'
rc 0 'a choice of k by S_Dbw' promptgen -q $mep --choose-k 2:5 --by sdbw --stats chosen v.jsonl
is 'is that of the least' "$(sed -n 's/.*"clustering","k":\([0-9]*\).*/\1/p' chosen)" \
    "$(sed -n 's/.*"choice","k":\([0-9]*\).*"s_dbw":\([0-9.]*\).*/\2 \1/p' chosen | sort -n | sed 's/.* //; q')"
rc 0 'steps of a run' promptgen -q $mep --clusters 7 --iterations 1 --stats few v.jsonl
like 'are limited' "$(head -n 1 few)" '*"iterations":1,*'
rc 0 'a run that ends early' promptgen -q $mep --clusters 7 --runs 1 --tolerance 1 --stats early v.jsonl
rc 0 'and one that does not' promptgen -q $mep --clusters 7 --runs 1 --tolerance 0 --stats late v.jsonl
rc 1 'are not the same' cmp -s early late
rc 0 'labels by other names' promptgen -q $mep --clusters 3 --rename cancer=Tumor v.jsonl
is 'in record and prompt' "$(grep -c '"label":"Tumor".*of tumor tissue' stdout)" 120

# ---- balance: 120 of cancer (40 each), 180 of healthy (60 each)
rc 0 'balance' promptgen -q $mep --clusters 3 --balance --min-prompts 2 --first-size 30 --size-step 30 v.jsonl
cp stdout balanced
is 'the largest set of which every prompt has more: 210' "$(wc -l <balanced)" 210
is 'as many of each' "$(text balanced | sort | uniq -c | awk '{ print $1 }' | sort -u)" 35
is 'in the order they came' "$(sed 's/.*"id":"\([0-9]*\)".*/\1/' balanced | sort -n -c && echo yes)" yes
rc 2 'no size' promptgen -q $mep --clusters 3 --balance --min-prompts 3 v.jsonl
like 'is said as in the original' "$(cat stderr)" 'promptgen: No size matches the constraints for balancing prompt building*'
is 'and nothing comes out' "$(wc -c <stdout)" 0

# ---- splits
rc 0 'splits' promptgen -q $mep --clusters 3 --split 8:1:1 v.jsonl
is 'by weight' "$(sed 's/.*"split":"\([a-z]*\)".*/\1/' stdout | sort | uniq -c | awk '{ print $1 }' | tr '\n' ' ')" '30 240 30 '
is 'in every prompt' "$(sed 's/.*"prompt_idx":\([0-9]\).*"split":"\([a-z]*\)".*/\1 \2/' stdout | sort -u | wc -l)" 18

# ---- MEP's files
rc 0 'MEP layout' promptgen -q $mep --clusters 3 --balance --min-prompts 2 --first-size 30 --size-step 30 --split 8:1:1 --layout mep -o exp v.jsonl
is 'its files' "$(cd exp/metadata && find . -type f | LC_ALL=C sort | tr '\n' ' ')" './df_clean.csv ./df_plot_full_ds.csv ./df_prompts.csv ./df_subset.csv ./df_test.csv ./df_train.csv ./df_val.csv ./text_2_promptidx.json ./text_2_promptidx_valid_susbet.json '
is 'rows of them' "$(cd exp/metadata && for f in *.csv; do wc -l <"$f"; done | tr '\n' ' ')" '301 301 301 211 22 169 22 '
is 'the training table' "$(head -n 1 exp/metadata/df_train.csv)" 'path,image,label,target_name,cluster_lbl_n3,text,prompt_idx'
like 'a row of it' "$(sed -n 2p exp/metadata/df_train.csv)" 'p/*.png,*.png,?,*,?,"Histology image of * tissue, morphology type *",?'
rc 0 'the map of prompts is JSON with their numbers' sh -c 'grep -q "^{\"Histology image of cancer tissue, morphology type one\": 0, .*: 5}$" exp/metadata/text_2_promptidx.json'
rc 0 'one label alone' promptgen -q $mep --clusters 3 --layout mep -o one --only-label cancer v.jsonl
is 'in its table' "$(wc -l <one/metadata/df_train.csv)" 121

# ---- outliers
shapegen -q -n 6 --height 64 --width 64 --min 8 --max 20 -o s >s.jsonl
mkmodel -o dino.safetensors dino-mini
embed -q --network dino --weights dino.safetensors -o rows.npy s.jsonl >e.jsonl
rc 0 'outliers' promptgen -q --preset mep-histo --clusters 2 --min-contours 0 --min-std-h 0 --min-mean-s 0 --min-std-s 0 --min-mean-v 0 --min-std-v 0 --min-var-l 0 e.jsonl
is 'none by rules that all pass' "$(wc -l <stdout)" 6
ok 'the numbers are in the records' grep -q '"mean_v":.*,"median_v":.*,"std_v":.*,"std_h":.*,"var_l":.*,"n_contour":' stdout
rc 2 'all by one that none does' promptgen --preset mep-histo --clusters 2 --min-contours 1000 e.jsonl
is 'nothing comes out' "$(wc -l <stdout)" 0
is 'and it is said' "$(cat stderr)" 'promptgen: all 6 images were removed; --outliers keep leaves them'
mv s/3_image.png gone.png
rc 1 'an image that is not there' promptgen -q --preset mep-histo --clusters 2 --min-contours 0 --min-std-h 0 --min-mean-s 0 --min-std-s 0 --min-mean-v 0 --min-std-v 0 --min-var-l 0 e.jsonl
like 'is told' "$(cat stderr)" 'promptgen: e.jsonl:3: *'
is 'the rest goes on' "$(wc -l <stdout)" 5

# ---- bad records, broken worlds
{
	head -n 20 v.jsonl
	printf '%s\n' no '{"id":"x","file_name":"x"}' '{"id":"y","file_name":"y","embedding":[1,2]}' \
	    '{"id":"z","file_name":"z","embedding":["a"]}' '{"id":"w","embedding":[0,0,0,0,0,0,0,0]}'
} >bad.jsonl
rc 1 'bad records are told' promptgen -q $mep --clusters 3 bad.jsonl
is 'each in a line' "$(wc -l <stderr)" 5
is 'the rest comes out' "$(wc -l <stdout)" 20
sed 's/$/ /; s/} $/,"embedding_weights":"other"}/' v.jsonl | tail -n 1 >otherweights
rc 1 'vectors of another network' sh -c "cat v.jsonl otherweights | promptgen -q $mep --clusters 3 >/dev/null"
rc 0 'no records' promptgen -q $mep --clusters 3 /dev/null
rc 2 'more clusters than images' promptgen -q $mep --clusters 301 v.jsonl
rc 2 '/dev/full' sh -c "promptgen -q $mep --clusters 3 v.jsonl >/dev/full"
rc 2 '/dev/full, from fields' sh -c 'promptgen -q -t x in.jsonl >/dev/full'
(
	trap '' PIPE
	seq -f '{"id":"%g"}' 100000 | promptgen -q -t x 2>err
	echo $? >status
) | head -n 1 >/dev/null
is 'a reader that goes away ends it by SIGPIPE or not at all' "$(sed 's/^141$/0/; s/^2$/0/' status)" 0
}
for o in '' '--preset none' '-t {' '-t {x:upper}' '-t x --balance' '-t x --layout mep' '-t x --clusters 2 --choose-k 2:3' \
    '-t x --clusters 0' '-t x --clusters 2 --layout mep' '-t x --choose-k 5' '-t x --clusters 2 --split 1' \
    '-t x --clusters 2 --shard 1/2' '-t x --centroids gone.npy' '-t x --clusters 2 --outliers some' '--templates gone' \
    '-t x --rename a=b' '-t x -d 0' '-t x --runs 2' '-t x --clusters 2 --min-mean-v 3' '-t x --clusters 2 --by sdbw' \
    '-t x --clusters 2 --sample 9' '-t x --clusters 2 --min-prompts 1' '-t x --clusters 2 --first-size 9' \
    '-t x --clusters 2 --size-step 9' '-t x --centroids c.npy --mini-batch 9' '-t x --choose-k 2:3 --by sdbw --sample 9' \
    '-t x --clusters 2 --rename a' '-t x --clusters 2 --rename =a' '-t x --clusters 2 --map m.txt' \
    '-t x --clusters 2 --layout mep -o none --only-label nobody'; do
	# shellcheck disable=SC2086
	rc 2 "wrong: $o" promptgen -q $o v.jsonl
	is 'one line about it' "$(wc -l <stderr)" 1
done

done_testing
