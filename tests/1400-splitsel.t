#!/bin/sh
# splitsel on record streams: parts, groups, strata, selection, mixing, and what every filter keeps.
. "${0%/*}/lib.sh"

# 600 records of 92 patients of 1 to 12 records, labels a (3 of 4) and b
awk 'BEGIN {
	while (n < 600) {
		p++
		for (k = 1 + p * 7 % 12; k > 0 && n < 600; k--) {
			n++
			printf "{\"id\":\"r%d\",\"patient\":\"p%d\",\"label\":\"%s\",\"x\":1.10}\n", n, p, \
			    n * 5 % 4 ? "a" : "b"
		}
	}
}' >in.jsonl

# field NAME: its values, one a line
field() {
	sed -n "s/.*\"$1\": *\"\\{0,1\\}\\([^\",}]*\\).*/\\1/p"
}
# counts: how often each line comes, as "name=n name=n"
counts() {
	sort | uniq -c | awk '{ printf "%s%s=%s", sep, $2, $1; sep = " " } END { print "" }'
}
# sides FILE FIELD: values of FIELD with records in more than one split
sides() {
	paste -d ' ' "$1.f" "$1.s" | sort -u | cut -d ' ' -f 1 | uniq -d
}

# ---- weights and counts ----
rc 0 'three weights' splitsel --weights 8,1,1 in.jsonl
cp stdout whole
is 'make three parts' "$(field split <whole | counts)" 'test=60 train=480 validation=60'
is 'order out is order in' "$(field id <whole)" "$(field id <in.jsonl)"
is 'nothing else changes' "$(sed 's/,"split":"[a-z]*"//' whole)" "$(cat in.jsonl)"
like 'the summary is told' "$(cat stderr)" '*"metric": "records", "split": "train", "value": 480}*'
sort -R in.jsonl >shuffled.jsonl
check_same 'the order of the input changes no record' 'sort whole' \
    'splitsel --weights 8,1,1 -q shuffled.jsonl | sort'
is 'another seed, another split' \
    "$(splitsel --weights 8,1,1 -s 1 -q in.jsonl | cmp -s - whole; echo $?)" 1
check_same 'weights are relative' 'splitsel --weights 80%,10%,10% -q in.jsonl' 'cat whole'
is 'two weights' "$(splitsel --weights 3,1 -q in.jsonl | field split | counts)" 'test=150 train=450'
is 'names' "$(splitsel --weights fit=2,val=1,tune=1 -q in.jsonl | field split | counts)" \
    'fit=300 tune=150 validation=150'
is 'half to even' "$(head -5 in.jsonl | splitsel --weights 1,1 -q | field split | counts)" \
    'test=3 train=2'
is 'counts leave the rest out' "$(splitsel --counts 100,20,7 -q in.jsonl | field split | counts)" \
    'test=7 train=100 validation=20'
is 'or name it' "$(splitsel --counts train=rest,test=50 -q in.jsonl | field split | counts)" \
    'test=50 train=550'
splitsel --weights 8,1,1 -q whole >again
same 'a split made anew starts from nothing' again whole
splitsel --counts 1,1 -q whole >few
is 'and leaves no old split behind' "$(field split <few | counts)" 'test=1 train=1'
head -300 in.jsonl | splitsel --hash --weights 8,1,1 -q >half
splitsel --hash --weights 8,1,1 -q in.jsonl | head -300 >full
same '--hash: nobody moves when others come' half full

# ---- groups ----
for how in '' --by-records --hash '--rng python' '--stratify label' '--counts 60,20,rest'; do
	case $how in
	--counts*) w= ;;
	*) w='--weights 6,2,2' ;;
	esac
	# shellcheck disable=SC2086
	splitsel $w $how --group-by patient --summary sum in.jsonl >out
	field patient <out >out.f
	field split <out >out.s
	is "no patient on two sides, $how" "$(sides out)" ''
	is "all records have a side, $how" "$(wc -l <out.s)" 600
	like "and the summary proves it, $how" "$(cat sum)" '*"groups_straddling", "group_by": "patient", "n": 92, "records_without_group": 0, "value": 0}*'
done
splitsel --weights 6,2,2 --group-by patient -q in.jsonl >out
is 'weights are shares of groups' \
    "$(field split <out >s; field patient <out >p; paste -d ' ' s p | sort -u | cut -d ' ' -f 1 | counts)" \
    'test=18 train=55 validation=19'
splitsel --weights 6,2,2 --group-by patient --by-records -q in.jsonl >out
is 'or of records' "$(field split <out | counts)" 'test=120 train=360 validation=120'
rc 1 '--check finds patients on two sides' splitsel --check --group-by patient whole
like 'and counts them' "$(cat stdout)" '*"groups_straddling"*"n": 92*'
splitsel --weights 6,2,2 --group-by patient -q in.jsonl >out
rc 0 '--check is content with a good split' splitsel --check --group-by patient out
cat in.jsonl in.jsonl >twice
rc 1 '--check finds ids that are there twice' splitsel --check twice
like 'and counts them, too' "$(cat stdout)" '*"repeated_ids", "value": 600}*'
printf '{"id":"%s","v":"%s"}\n' 1 A-1 2 A-2 3 B-1-1 4 B-1-2 5 C 6 D-1 >couples.jsonl
splitsel --weights 1,1 --group-by v --group-cut - couples.jsonl >out 2>err
is '--group-cut keeps couples together' "$(sed -n '1p;2p' out | field split | uniq | wc -l) $(
	sed -n '3p;4p' out | field split | uniq | wc -l)" '1 1'
like 'they count as one group' "$(cat err)" '*"n": 4,*'
rc 1 'a record without the group is bad' splitsel --weights 1,1 --group-by v couples.jsonl in.jsonl

# ---- strata ----
splitsel --weights 8,1,1 --stratify label -q in.jsonl >out
is 'each label has its share' "$(field split <out >s; field label <out >l; paste -d : s l | counts)" \
    'test:a=45 test:b=15 train:a=360 train:b=120 validation:a=45 validation:b=15'
check_same 'whatever the order' 'splitsel --weights 8,1,1 --stratify label -q shuffled.jsonl | sort' \
    'sort out'
splitsel --weights 7,2,1 --stratify label -q in.jsonl | field split | counts >got
is 'the sizes stay exact' "$(cat got)" 'test=60 train=420 validation=120'
awk 'BEGIN { for (i = 0; i < 60; i++) for (k = 0; k < 5; k++)
	printf "{\"id\":\"%d.%d\",\"g\":\"g%d\",\"c\":\"%s\"}\n", i, k, i, i < 6 ? "rare" : "often" }' >rare.jsonl
splitsel --weights 1,1,1 --group-by g --stratify c -q rare.jsonl >out
is 'whole groups, rare label everywhere' \
    "$(field split <out >s; field c <out >l; paste -d : s l | counts)" \
    'test:often=90 test:rare=10 train:often=90 train:rare=10 validation:often=90 validation:rare=10'

# ---- ISN ----
awk 'BEGIN { for (i = 1; i <= 1000; i++)
	printf "{\"id\":\"%d\",\"file_name\":\"raw/%d_image.png\"}\n", i, i }' >isn.jsonl
splitsel --preset isn -q isn.jsonl >out
is 'ISN: 729, 90, 81, and 100 held out' "$(field split <out | counts)" \
    'holdout=100 test=81 train=729 validation=90'
is 'the held out are the last by name' "$(grep holdout out | field id | tr '\n' ' ')" \
    "9 $(seq -s ' ' 91 99) $(seq -s ' ' 910 999) "
is '--holdout alone' "$(splitsel --holdout .75 -q isn.jsonl | field split | counts)" 'holdout=250'

# ---- split.json ----
rc 0 '--split-json' splitsel --weights 6,2,2 --group-by patient --split-json split.json -q in.jsonl
cp stdout out
like 'one line' "$(wc -l <split.json) $(cat split.json)" '1 {"train": \["p*"], "eval": \["p*"], "test": \["p*"]}'
sed 's/"patient"/"group"/' in.jsonl | splitsel --split-file split.json -q | sed 's/"group"/"patient"/' >back
same '--split-file takes it back' back out
sed 's/"eval"/"val"/' split.json >val.json
sed 's/"patient"/"group"/' in.jsonl | splitsel --split-file val.json --set eval -q | field split | counts >got
is 'val and eval are the same' "$(cat got)" "validation=$(grep -c validation out)"
rc 2 'an existing file is an error' splitsel --weights 1,1 --split-json split.json in.jsonl
mkdir dir
rc 0 'a folder gets a split.json' splitsel --weights 1,1 --split-json dir -q in.jsonl
ok 'in it' test -s dir/split.json
rc 2 'an unknown set' splitsel --split-file split.json --set nosuch in.jsonl
like 'lists the keys' "$(cat stderr)" '*nosuch*train eval test*'
rc 2 'an unknown set without a file' splitsel --weights 1,1 --set validation in.jsonl
like 'lists the splits' "$(cat stderr)" '*train test*'
echo '{"train": "p1"}' >broken.json
rc 2 'a broken split.json' splitsel --split-file broken.json in.jsonl
check_same '--set writes one split' 'splitsel --weights 8,1,1 --set test -q in.jsonl' 'grep "\"test\"" whole'

# ---- choosing ----
is '--random' "$(splitsel --random 25 -q in.jsonl | wc -l)" 25
check_same 'whatever the order, the same' 'splitsel --random 25 -q in.jsonl | sort' \
    'splitsel --random 25 -q shuffled.jsonl | sort'
is 'more than there are: all' "$(splitsel --random 1000 -q in.jsonl | cmp - in.jsonl; echo $?)" 0
is '--balanced' "$(splitsel --balanced 40 -q in.jsonl | field label | counts)" 'a=40 b=40'
rc 2 'too few of a label' splitsel --balanced 200 in.jsonl
like 'is told' "$(cat stderr)" '*b has 150 records, fewer than 200*'
is '--if-missing drop' "$(splitsel --balanced 200 --if-missing drop -q in.jsonl | field label | counts)" \
    'a=200 b=150'
splitsel --balanced 200 --with-replacement -q in.jsonl >out
is '--with-replacement' "$(field label <out | counts)" 'a=200 b=200'
is 'copies have ids of their own' "$(field id <out | sort | uniq -d)" ''
splitsel --shuffle -q in.jsonl >out
is '--shuffle moves' "$(cmp -s out in.jsonl; echo $?)" 1
check_same 'and loses nothing' 'sort out' 'sort in.jsonl'
check_same 'nor does it depend on the order' 'cat out' 'splitsel --shuffle -q shuffled.jsonl'
printf '{"id":"%s"}\n' 0 1 2 3 4 5 6 7 8 9 >ten.jsonl
is '--rng python draws as CPython does' \
    "$(splitsel --rng python -s 1234567890 --random 10 -q ten.jsonl | field id | tr '\n' ' ')" \
    '3 6 0 5 8 4 1 7 2 9 '
is 'in parts, too' "$(splitsel --rng python -s 1234567890 --weights 5,5 --set train -q ten.jsonl |
    field id | tr '\n' ' ')" '0 3 5 6 8 '

# ---- real and generated ----
awk 'BEGIN { for (i = 0; i < 400; i++)
	printf "{\"id\":\"g%d\",\"label\":\"%s\"}\n", i, i % 2 ? "a" : "b" }' >gen.jsonl
splitsel --generated gen.jsonl --replace 0.25 --summary sum in.jsonl >out
is 'replaced: as many as before' "$(field label <out | counts)" 'a=450 b=150'
# .25 * 450 = 112.5 and .25 * 150 = 37.5, half to even
is 'a quarter of each is generated' "$(grep '"g' out | field label | counts)" 'a=112 b=38'
is 'no generated one twice' "$(grep '"g' out | sort | uniq -d)" ''
like 'the summary counts both' "$(cat sum)" \
    '*"mixed", "label": "a", "real": 338, "generated": 112, "value": 450}*'
splitsel --generated gen.jsonl --total b=300 -q in.jsonl >out
is 'added up to a total' "$(field label <out | counts)" 'a=450 b=300'
is 'all real ones stay' "$(grep -c '"r' out)" 600
sed 's/"a"/0/; s/"b"/1/' in.jsonl >in01.jsonl
sed 's/"a"/0/; s/"b"/1/' gen.jsonl >gen01.jsonl
is 'the spelling of two labels' "$(splitsel --generated gen01.jsonl --num_label_1_total 200 \
    --num_label_0_total 500 -q in01.jsonl | field label | counts)" '0=500 1=200'
is 'and of the share' "$(splitsel --generated gen01.jsonl --propotion .1 -q in01.jsonl |
    grep -c '"g')" 60
rc 2 'too few generated' splitsel --generated gen.jsonl --total b=500 in.jsonl
like 'are told' "$(cat stderr)" '*label b wants 350 generated records, there are 200*'
rc 2 'a total below what there is' splitsel --generated gen.jsonl --total a=10 in.jsonl
splitsel --weights 8,1,1 --generated gen.jsonl --replace .5 -q in.jsonl >out
is 'only train is mixed' "$(grep '"g' out | field split | counts)" "train=$(grep -c '"g' out)"
is 'test and validation stay real' "$(grep -v '"g' out | grep -v train | sort)" "$(grep -v train whole | sort)"
mkdir real fake
sed 's/"x"/"file_name":"i.png","x"/' in.jsonl | head -20 >real/metadata.jsonl
sed 's/}/,"file_name":"j.png"}/' gen.jsonl >fake/metadata.jsonl
splitsel --generated fake/metadata.jsonl --total 20 -q real/metadata.jsonl >out
is 'files of two folders stay within reach' "$(field file_name <out | counts)" \
    'fake/j.png=20 real/i.png=20'

# ---- images ----
sh "$top/tests/man-fixtures/splitsel.sh"
head -c 60 a.png >cut.png
for n in a cut none a; do
	echo "{\"id\":\"$n\",\"file_name\":\"$n.png\"}"
done >images.jsonl
rc 1 '--check-decode' splitsel --check-decode -q images.jsonl
is 'drops the truncated and the missing' "$(field id <stdout | tr '\n' ' ')" 'a a '
is 'and tells them' "$(cut -d: -f1-4 stderr)" 'splitsel: images.jsonl:2: cut
splitsel: images.jsonl:3: none'
cp stdout one
for j in 1 8; do
	splitsel --check-decode -k -j $j -q images.jsonl >j$j 2>e$j
done
same '-j8 writes what -j1 writes' j8 j1
same '-j8 says what -j1 says' e8 e1
is '--keep-bad keeps them in place' "$(grep -n '"error"' j1 | cut -d: -f1 | tr '\n' ' ')" '2 3 '

# ---- what every filter keeps ----
printf '%s\n' '{"id":"1","a":1.10,"b":12345678901234567890123}' ' { "id" : "2" , "u" : "\u00e9" } ' >odd
splitsel odd >out
same 'untouched records keep every byte' out odd
{
	head -3 in.jsonl
	echo '{"id":'
	tail -n +4 in.jsonl
} >bad.jsonl
rc 1 'a bad line' splitsel --weights 8,1,1 bad.jsonl
same 'leaves the rest as it was' stdout whole
like 'and is told' "$(cat stderr)" '*splitsel: bad.jsonl:4: *'
rc 1 '--keep-bad' splitsel --weights 8,1,1 -k bad.jsonl
is 'keeps its place' "$(grep -n '"error"' stdout | cut -d: -f1)" 4
cp stdout kept
rc 0 'a record with an error passes' splitsel --weights 8,1,1 -q kept
same 'untouched' stdout kept
rc 2 '--strict stops' splitsel --weights 8,1,1 --strict bad.jsonl
is 'before anything is written' "$(wc -c <stdout)" 0
for i in 1 2 3; do
	splitsel --weights 8,1,1 -q --shard $i/3 in.jsonl >s$i
done
paste -d '\n' s1 s2 s3 >all
same 'shards together are the whole' all whole
rc 2 '/dev/full' sh -c 'splitsel --weights 8,1,1 -q in.jsonl >/dev/full'
for i in 1 2 3 4 5 6 7 8 9; do
	cat in.jsonl
done >many
(
	trap '' PIPE
	splitsel -q many 2>err
	echo $? >status
) | head -n 1 >first
is 'a reader that goes away' "$(cat status)" 141
# ---- killed midway ----
mkfifo fifo
splitsel --weights 1,1 --split-json killed.json --summary killed fifo >/dev/null 2>&1 &
pid=$!
exec 3>fifo
head -1 in.jsonl >&3
kill -TERM $pid
wait $pid 2>/dev/null
is 'killed by the signal' $? 143
exec 3>&-
is 'nothing half is left' "$(find . -name 'killed*' -o -name '.phantom*')" ''
rc 0 'empty input' splitsel --weights 8,1,1 /dev/null
is 'empty output' "$(wc -c <stdout)" 0
rc 2 'parts that would be empty' splitsel --weights 1,1,1 odd
like 'are told' "$(cat stderr)" '*all partitions should be non-empty*'
rc 0 'unless they may' splitsel --weights 1,1,1 --allow-empty odd
is '--describe sets text by phase' "$(echo '{"id":"a","phase":"t2"}' | splitsel -q --describe)" \
    '{"id":"a","phase":"t2","text":"a microscopic image of a human embryo at phase t2"}'
mkdir -p below
echo '{"id":"a","file_name":"a.png"}' >below/a.jsonl
is '--resolve: as seen from here' "$(splitsel -q --resolve below/a.jsonl; splitsel -q below/a.jsonl)" \
    '{"id":"a","file_name":"below/a.png"}
{"id":"a","file_name":"a.png"}'
for o in '--weights 1' '--weights 1,1,1,1' '--weights 1,x' '--weights 0,0' '--weights 1,-1' \
    '--weights a=1,1' '--weights a=1,a=1' '--counts 400,400' '--counts rest,rest' \
    '--weights 1,1 --counts 1,1' '--preset nosuch' '--fair --hash' '--stratify label' \
    '--generated gen.jsonl' '--replace .5' '--random 1 --balanced 1' '--group-by p --group-cut ab' \
    '--split-file nofile' '--videos x' '--phases all,t2' '--phases nosuch' '--hash' \
    '--allow-empty' '--split-json sj' '--frame-rule main' '--no-shuffle' '--with-replacement --random 3' '--if-missing drop' \
    '--into train' '--rng python' '--fair'; do
	# shellcheck disable=SC2086
	rc 2 "wrong: $o" splitsel $o in.jsonl
	is "one line about it: $o" "$(wc -l <stderr)" 1
done
done_testing
