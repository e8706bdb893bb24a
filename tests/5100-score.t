#!/bin/sh
# score: masks, labels and scores against the truth, and what every filter keeps. Expected numbers are
# counted by hand or in awk.
. "${0%/*}/lib.sh"

# png FILE W H VALUES: 8-bit gray; rgb FILE W H HEX: a picture of hex colours
png() {
	perl -MCompress::Zlib -e '
		my ($f, $w, $h, $type, @v) = @ARGV;
		sub chunk { pack("N", length $_[1]) . $_[0] . $_[1] . pack("N", crc32($_[0] . $_[1])) }
		my $raw = "";
		for my $y (0 .. $h - 1) {
			$raw .= "\0";
			for my $v (@v[$y * $w .. $y * $w + $w - 1]) {
				$raw .= $type == 2 ? pack("H6", $v) : pack("C", $v);
			}
		}
		open F, ">", $f;
		print F "\x89PNG\r\n\x1a\n", chunk("IHDR", pack("NNCCCCC", $w, $h, 8, $type, 0, 0, 0)),
		    chunk("IDAT", compress($raw)), chunk("IEND", "");' "$@"
}
gray() {
	f=$1 w=$2 h=$3
	shift 3
	png "$f" "$w" "$h" 0 "$@"
}
rgb() {
	f=$1 w=$2 h=$3
	shift 3
	png "$f" "$w" "$h" 2 "$@"
}
# value METRIC AVERAGE [LABEL]: from file out
value() {
	sed -n "s/.*\"metric\": \"$1\",.*\"average\": \"$2\",${3+ \"label\": \"$3\",} \"value\": \([^,]*\),.*/\1/p" out
}
# near DESCRIPTION GOT WANTED: to 1e-12 (observed: 1e-16)
near() {
	ok "$1: error $(awk "BEGIN { print $2 - ($3) }"), bound 1e-12" \
	    awk "BEGIN { d = $2 - ($3); exit !(d < 1e-12 && d > -1e-12) }"
}

# ---- binary masks ----
gray t1.png 4 2 255 255 0 0 255 0 0 0
gray p1.png 4 2 255 0 255 0 255 0 0 0
gray t2.png 2 2 0 0 0 0
gray p2.png 2 2 0 0 0 0
cat >masks.jsonl <<'EOF'
{"id":"a","mask_file_name":"t1.png","pred_mask_file_name":"p1.png"}
{"id":"b","mask_file_name":"t2.png","pred_mask_file_name":"p2.png"}
EOF
rc 0 'binary masks' score masks.jsonl
cp stdout out
# a: tp 2 fp 1 fn 1 tn 4; b: tn 4
near 'foreground IoU, micro' "$(value iou micro)" 2/4
near 'F1' "$(value f1 micro)" 4/6
near 'accuracy' "$(value accuracy micro)" 10/12
near 'recall' "$(value recall micro)" 2/3
near 'precision' "$(value precision micro)" 2/3
near 'by image: an empty one counts 0' "$(value iou micro-imagewise)" 0.5/2
near 'the class' "$(value iou none foreground)" 2/4
is 'n is the number of images' "$(grep -c '"n": 2}' out) $(wc -l <out)" '25 25'
score --zero-division 1 masks.jsonl >out
near 'or 1' "$(value iou micro-imagewise)" 1.5/2
score --background count --average micro,macro,none --metrics iou masks.jsonl >out
near 'with the background, macro' "$(value iou macro)" '(2/4 + 8/10) / 2'
near 'with the background, micro' "$(value iou micro)" 10/14
near 'the background' "$(value iou none background)" 8/10
score --background count --average weighted,macro --class-weights 1,3 --metrics iou masks.jsonl >out
near 'class weights' "$(value iou weighted)" '8/10/4 + 2/4*3/4'
near 'macro divides by the classes again' "$(value iou macro)" '(8/10/4 + 2/4*3/4) / 2'
score --metrics all --average micro masks.jsonl >out
is 'all sixteen' "$(wc -l <out)" 16
near 'specificity' "$(value specificity micro)" 8/9
rc 0 '--per-image' score --per-image --metrics iou,dice --zero-division 1 -o results masks.jsonl
is 'sets the scores on the records' "$(cat stdout)" '{"id":"a","mask_file_name":"t1.png","pred_mask_file_name":"p1.png","iou":0.5,"dice":0.6666666666666666}
{"id":"b","mask_file_name":"t2.png","pred_mask_file_name":"p2.png","iou":1,"dice":1}'
ok 'and the results into a file' grep -q '"average": "macro"' results
score --confusion c.csv masks.jsonl >out
is 'the confusion matrix' "$(cat c.csv)" 'background,foreground,none
8,1,0
1,2,0
0,0,0'
gray soft.png 4 2 200 120 128 0 255 127 0 1
echo '{"mask_file_name":"t1.png","pred_mask_file_name":"soft.png"}' >soft.jsonl
# from .5 on: 1 0 1 0 1 0 0 0
score --threshold .5 soft.jsonl >out
near '--threshold: at 127.5 and above' "$(value iou micro)" 2/4
score soft.jsonl >out
near 'without: all but 0' "$(value iou micro)" 3/6

# ---- true masks in other forms ----
gray i1.png 4 2 255 0 0 0 0 0 0 0
gray i2.png 4 2 0 9 0 0 255 0 0 0
cat >forms.jsonl <<'EOF'
{"mask_file_names":["i1.png","i2.png"],"pred_mask_file_name":"p1.png"}
{"mask_rle":"1 3","width":4,"height":2,"pred_mask_file_name":"p1.png"}
{"truth":"t1.png","pred":"p1.png"}
EOF
for i in 1 2 3; do
	sed -n ${i}p forms.jsonl >form
	set --
	[ $i != 3 ] || set -- --truth truth --pred pred
	score "$@" form >out
	near "form $i" "$(value iou micro)" 2/4
done

# ---- classes ----
gray t3.png 3 3 0 1 2 0 1 2 0 1 7
gray p3.png 3 3 0 1 1 0 2 2 1 1 0
echo '{"mask_file_name":"t3.png","pred_mask_file_name":"p3.png"}' >three.jsonl
score --classes 3 three.jsonl >out
near 'class 0: tp 2 fp 1 fn 1' "$(value iou none 0)" 2/4
near 'class 1: tp 2 fp 2 fn 1' "$(value iou none 1)" 2/5
near 'class 2: tp 1 fp 1 fn 1' "$(value iou none 2)" 1/3
near 'macro' "$(value iou macro)" '(2/4 + 2/5 + 1/3) / 3'
near 'micro' "$(value iou micro)" 5/12
score --classes 3 --ignore 7 three.jsonl >out
near '--ignore leaves pixels out' "$(value iou none 0)" 2/3
near 'their negatives too' "$(value accuracy none 2)" 6/8
score --classes 3 --background skip three.jsonl >out
near '--background skip' "$(value iou macro)" '(2/5 + 1/3) / 2'
printf '"name","r","g","b"\n"rectangle",255,255,255\n"unknown",0,0,0\n' >class_dict.csv
rgb t4.png 2 2 ffffff 000000 000000 0000ff
rgb p4.png 2 2 ffffff ffffff 000000 000000
echo '{"mask_file_name":"t4.png","pred_mask_file_name":"p4.png"}' >colours.jsonl
score --classes class_dict.csv colours.jsonl >out
near 'colours: tp 1 fp 1' "$(value iou none rectangle)" 1/2
near 'a pixel of no class is no hit' "$(value iou none unknown)" 1/3
score --classes class_dict.csv --ignore none colours.jsonl >out
near 'or is left out' "$(value iou none unknown)" 1/2
score --classes class_dict.csv --preset isn colours.jsonl >out
is 'the four of ISN' "$(sed 's/.*metric": "\([^,]*\)", "average": "\([^"]*\)".*/\1 \2/' out | tr '\n' ' ')" \
    'iou_score micro f1_score micro accuracy macro recall micro-imagewise '
near 'IoU' "$(value iou_score micro)" 2/5
near 'F1' "$(value f1_score micro)" 4/7
near 'accuracy' "$(value accuracy macro)" '(3/4 + 2/4) / 2'
near 'recall' "$(value recall micro-imagewise)" 2/3

# ---- labels and scores ----
awk 'BEGIN {
	for (i = 1; i <= 200; i++) {
		t = i * 7 % 3; p = i % 5 ? t : (t + 1) % 3
		printf "{\"id\":%d,\"label\":%d,\"pred_label\":%d,\"p\":[%.3f,%.3f,%.3f]}\n", i, t, p, \
		    (p == 0) + i % 11 / 20, (p == 1) + i % 7 / 20, (p == 2) + i % 13 / 20
	}
}' >labels.jsonl
rc 0 'labels' score --task labels labels.jsonl
cp stdout out
is 'accuracy' "$(sed -n 's/.*"accuracy", "value": \([^,]*\),.*/\1/p' out)" 0.8
near 'recall of a class' "$(value recall none 1)" "$(awk -F '[:,]' '
	$4 == 1 { n++; hit += $6 == 1 } END { print hit "/" n }' labels.jsonl)"
score --task labels --scores p labels.jsonl >out
is 'the class of the highest score' "$(sed -n 's/.*"accuracy", "value": \([^,]*\),.*/\1/p' out)" 0.8
ok 'areas of each class' test "$(grep -c -e '"roc_auc", "average": "none"' \
    -e '"pr_auc", "average": "none"' -e '"average_precision", "average": "none"' out)" = 9
# one against the rest, pair by pair
near 'the area is the share of pairs in order' "$(value roc_auc none 2)" "$(
	sed 's/[^0-9.,]//g' labels.jsonl | awk -F , '{ t[NR] = $2; s[NR] = $6 } END {
		for (i in t) for (k in t) if (t[i] == 2 && t[k] != 2) { n++; w += (s[i] > s[k]) + (s[i] == s[k]) / 2 }
		printf "%.17g", w / n }')"
sed 's/"p":\[\([^,]*\),\([^,]*\),\([^]]*\)\]/"p_0":\1,"p_1":\2,"p_2":\3/' labels.jsonl >wide.jsonl
check_same 'scores in an array or in fields' 'score --task labels --scores p labels.jsonl' \
    'score --task labels --scores p_ wide.jsonl'
printf '{"label":"%s","s":%s}\n' sick 3 well 2 sick 2 well 1 >one.jsonl
score --task labels --scores s --threshold 2 --classes well,sick one.jsonl >out
near 'one score, a tie: ROC' "$(value roc_auc none sick)" 0.875
near 'PR by trapezoid' "$(value pr_auc none sick)" '0.5 + 0.5 * (1 + 2/3) / 2'
near 'average precision' "$(value average_precision none sick)" '0.5 + 0.5 * 2/3'
near 'from the threshold on' "$(value precision none sick)" 2/3
is '--classes in this order' "$(grep -c '"label": "well"' out)" 6
sort -R one.jsonl >mixed
check_same 'the order of equal scores is nothing' 'score --task labels --scores s --threshold 2 one.jsonl' \
    'score --task labels --scores s --threshold 2 mixed'
score --task labels --nsw nsw --scores p --classes 4 labels.jsonl >out 2>err
like 'scores for each class are needed' "$(cat err)" '*3 scores and 4 classes*'
sed 's/\]}/,0]}/' labels.jsonl | score --task labels --nsw nsw --scores p --classes 4 >out
is 'the phase classifier'\''s tables' "$(head -2 nsw/conf_mat.csv; head -1 nsw/class_metrics.csv; head -1 nsw/other_metrics.csv)" \
    "0,1,2,3
$(awk -F '[:,]' '$4 == 0 { n[$6]++ } END { print n[0]+0 "," n[1]+0 "," n[2]+0 ",0" }' labels.jsonl)
Precision,Recall,F1_Score,PR_AUC,ROC_AUC
Balanced_Accuracy"
is 'a class never seen nor predicted is empty there' "$(sed -n 5p nsw/class_metrics.csv)" ',,,,'
is 'rows that sum to 1' "$(awk -F , 'NR > 1 && NR < 5 { print $1 + $2 + $3 + $4 }' nsw/norm_conf_mat.csv | uniq)" 1
rc 1 'a label that is no class' score --task labels --classes 0,1 labels.jsonl
rc 1 'a score that is none' score --task labels --scores s one.jsonl soft.jsonl

# ---- what every filter keeps ----
{
	sed -n 1p masks.jsonl
	echo '{"id":"x","mask_file_name":"t1.png","pred_mask_file_name":"p2.png"}'
	echo '{"id":'
	echo '{"id":"y","mask_file_name":"t1.png"}'
	sed -n 2p masks.jsonl
} >bad.jsonl
rc 1 'bad records' score bad.jsonl
is 'are told' "$(cut -d: -f1-3 stderr)" 'score: bad.jsonl:2
score: bad.jsonl:3
score: bad.jsonl:4'
score masks.jsonl >want
same 'the others are scored' stdout want
rc 1 'with -k' score -k --per-image -o /dev/null bad.jsonl
cp stdout kept.jsonl
rc 0 'what carries an error is passed on with -k' score -k -o /dev/null kept.jsonl
grep '"error"' kept.jsonl >want
same 'as it came' stdout want
rc 1 'and is bad where it cannot be' score -o /dev/null kept.jsonl
rc 2 '--strict' score --strict bad.jsonl
is 'says nothing after' "$(wc -c <stdout)" 0
i=0
while [ $i -lt 60 ]; do
	cat masks.jsonl
	sed 's/"t1/"p1/' masks.jsonl
	i=$((i + 1))
done >many.jsonl
score --per-image many.jsonl >j1
score --per-image -j 8 many.jsonl >j8
same '-j8 writes what -j1 writes' j8 j1
for i in 1 2 3; do
	score --per-image --shard $i/3 -o /dev/null many.jsonl >s$i
done
paste -d '\n' s1 s2 s3 >all
sed '/"kind"/d' j1 >want
same 'shards together are the whole' all want
printf '%s\n' '{"a":1.10,"b":12345678901234567890123,"mask_file_name":"t1.png","pred_mask_file_name":"t1.png"}' >odd
score --per-image --metrics iou -o /dev/null odd >out
is 'bytes pass' "$(cat out)" '{"a":1.10,"b":12345678901234567890123,"mask_file_name":"t1.png","pred_mask_file_name":"t1.png","iou":1}'
rc 2 '/dev/full' sh -c 'score masks.jsonl >/dev/full'
rc 2 'an output that cannot be written' score -o /nosuch/file masks.jsonl
(
	trap '' PIPE
	cat many.jsonl many.jsonl many.jsonl many.jsonl >more.jsonl
	score --per-image more.jsonl 2>err
	echo $? >status
) | head -n 1 >first
is 'a reader that goes away' "$(cat status)" 141
# ---- killed midway ----
mkfifo fifo
score -o killed --confusion killed.csv fifo >/dev/null 2>&1 &
pid=$!
exec 3>fifo
head -1 masks.jsonl >&3
kill -TERM $pid
wait $pid 2>/dev/null
is 'killed by the signal' $? 143
exec 3>&-
is 'nothing half is left' "$(find . -name 'killed*' -o -name '.phantom*')" ''
rc 0 'empty input' score /dev/null
is 'no results' "$(wc -c <stdout)" 0
rc 0 'empty input, labels' score --task labels /dev/null
for o in '--task nosuch' '--threshold 2' '--metrics nosuch' '--average nosuch' '--average weighted' '--class-weights 1,2' \
    '--classes nosuch.csv' '--classes a,a' '--scores p' '--nsw d' '--task labels --per-image' \
    '--task labels --metrics iou' '--task labels --average micro' '--preset isn --metrics iou' \
    '--ignore x' '--zero-division x' '--sheet-rows 3' '--task labels --sheet s.png' '--classes 2 --class-weights 1,2'; do
	# shellcheck disable=SC2086
	rc 2 "wrong: $o" score $o masks.jsonl
	is "one line about it: $o" "$(wc -l <stderr)" 1
done
done_testing
