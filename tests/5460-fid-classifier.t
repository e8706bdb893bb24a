#!/bin/sh
# A classifier's numbers, from images or by way of embed: distance, entropy, accuracy, as NSW tables have them.
. "${0%/*}/lib.sh"
XDG_CACHE_HOME=${XDG_CACHE_HOME:-$BUILD/cache}
export XDG_CACHE_HOME

shapegen -q -n 6 --height 40 --width 40 --min 8 --max 20 -o real >real.jsonl
shapegen -q -n 5 --height 40 --width 40 --min 4 --max 30 -s 1 -o gen >gen.jsonl
mkmodel -o net.safetensors densenet121
net='--network densenet121 --weights net.safetensors --preprocess nsw --size 64'
names=$(seq -f phase%.0f 0 999 | paste -s -d , -)

# shellcheck disable=SC2086 # $net is words
{
# ---- embed says what the classifier says
for s in real gen; do
	embed -q $net --scores p --classes "$names" --inline $s.jsonl >said.jsonl || exit 2
	# the first two are what the net takes them for, the others are not
	awk '{ match($0, /"pred_label":"[^"]*"/)
		label = NR <= 2 ? substr($0, RSTART + 14, RLENGTH - 15) : "other"
		sub(/}$/, ",\"label\":\"" label "\"}"); print }' said.jsonl >$s-said.jsonl
	sed 's/,"embedding":.*\(,"label"\)/\1/' $s-said.jsonl >$s.jsonl
done
is 'a probability of each class' "$(sed 's/.*"p":\[\([^]]*\)\].*/\1/' gen-said.jsonl | awk -F , '
	{ s = 0; for (i = 1; i <= NF; i++) s += $i; if (s < 1 - 1e-6 || s > 1 + 1e-6 || NF != 1000) print }')" ''
is 'the likeliest is the prediction' "$(sed 's/.*"p":\[\([^]]*\)\].*"pred_label":"\([^"]*\)".*/\1,\2/' gen-said.jsonl |
    awk -F , '{ best = 1; for (i = 2; i < NF; i++) if ($i > $best) best = i; if ($NF != "phase" best - 1) print }')" ''
sed 's/,"embedding":.*//' gen-said.jsonl >a
sed 's/,"label":.*//' gen.jsonl >b
same 'all else passes untouched' a b
rc 0 'numbers for names' embed -q $net --classes 1000 --inline gen.jsonl
is 'are the places of the names' "$(sed 's/.*"pred_label":"\([^"]*\)".*/phase\1/' stdout)" \
    "$(sed 's/.*"pred_label":"\([^"]*\)".*/\1/' gen-said.jsonl)"
ok 'without probabilities' test "$(grep -c '"p":' stdout)" = 0
rc 0 'one at a time' embed -q -j 1 --batch-size 1 $net --scores p --classes "$names" --inline gen.jsonl
sed 's/"label":"[^"]*",//' stdout >a
sed 's/,"label":"[^"]*"//' gen-said.jsonl >b
same 'says the same' a b
rc 0 'what is done is left' embed -q --skip-done $net --scores p --classes "$names" --inline gen-said.jsonl
same 'as it was' stdout gen-said.jsonl
sed 's/"p":/"q":/' gen-said.jsonl >lacking.jsonl
rc 0 'what lacks probabilities is not done' embed -q --skip-done $net --scores p --classes "$names" --inline lacking.jsonl
is 'but made' "$(grep -c '"p":' stdout)" 5

# ---- the table: mean of -sum p ln p, share of the predictions that are the label
entropy() {
	sed 's/.*"p":\[\([^]]*\)\].*/\1/' "$1" |
		awk -F , '{ for (i = 1; i <= NF; i++) if ($i > 0) e -= $i * log($i) } END { printf "%.6f\n", e / NR }'
}
rc 0 'from records' fid --layout nsw --scores p real-said.jsonl gen-said.jsonl
cp stdout table
is 'a line for all' "$(sed -n 2p table | cut -d , -f 1-4,7,8)" 'densenet121,real-said,gen-said,all,0.3333333333333333,0.4'
is 'entropies' "$(sed -n 2p table | cut -d , -f 5,6 | tr , '\n' | awk '{ printf "%.6f\n", $1 }')" \
    "$(entropy real-said.jsonl; entropy gen-said.jsonl)"
rc 0 'from the images themselves' fid -q --layout nsw --classes "$names" $net --no-cache real.jsonl gen.jsonl
sed 's/real-said,gen-said/real,gen/' table >want
ok 'the same to 1e-6' awk -F , 'NR == FNR { w[FNR] = $0; n = FNR; next }
	{ split(w[FNR], v, ","); if (NF != 9) exit 1
	  for (i = 1; i <= 9; i++) if (FNR == 1 || i < 5 ? v[i] != $i : (v[i] == "") != ($i == "") ||
	      v[i] - $i > 1e-6 * (1 + $i) || $i - v[i] > 1e-6 * (1 + $i)) { print FNR, i, v[i], $i; bad = 1 } }
	END { exit bad || FNR != n }' want stdout
cp stdout images
rc 0 'from probabilities in records' fid --layout nsw --scores p --classes "$names" real-said.jsonl gen-said.jsonl
same 'predictions that are there stay' stdout table
sed 's/"pred_label":"[^"]*",//' gen-said.jsonl >unpredicted.jsonl
fid --layout nsw --scores p --classes "$names" real-said.jsonl unpredicted.jsonl | sed 's/unpredicted/gen-said/' >got
same 'others are made' got table

# ---- wrong usage
rc 2 'too few names' embed -q $net --classes a,b,c --inline gen.jsonl
is 'one line' "$(cat stderr)" 'embed: net.safetensors: a classifier of 1000 classes, not 3'
rc 2 'a name' embed -q $net --classes a --inline gen.jsonl
rc 2 'twice the same' embed -q $net --classes a,b,a --inline gen.jsonl
like 'is named' "$(head -n 1 stderr)" 'embed: --classes: a,b,a: a is there twice*'
rc 2 'too few in the table' fid --layout nsw --scores p --classes a,b unpredicted.jsonl gen-said.jsonl
is 'one line' "$(tail -n 1 stderr)" 'fid: unpredicted.jsonl: probabilities of 1000 classes, not 2'
rc 2 'no probabilities' fid --layout nsw --classes 2 unpredicted.jsonl gen-said.jsonl
rc 2 '--classes for another table' fid --classes 2 --scores p real-said.jsonl gen-said.jsonl
mkmodel -o dino.safetensors dino-mini
rc 2 'a network without classes' embed -q --network dino --weights dino.safetensors --scores p --inline gen.jsonl
is 'one line' "$(cat stderr)" 'embed: dino.safetensors: dino has no classes'
}
done_testing
