#!/bin/sh
# splitsel on the tree of the embryo data set: what is read, what is refused, the fair split and one
# frame for each phase of each video. EMBRYO=DIR (embryo_dataset_annotations_revise and video_ids.txt
# in it) adds the true annotations, with frames made here.
. "${0%/*}/lib.sh"

field() {
	sed -n "s/.*\"$1\": *\"\\{0,1\\}\\([^\",}]*\\).*/\\1/p"
}
# frames DIR N...: frames of these numbers, no images
frames() {
	dir=$1
	shift
	mkdir -p "$dir"
	for n; do
		: >"$dir/D2013_X_RUN$n.jpeg"
	done
}

sh "$top/tests/man-fixtures/splitsel.sh" # for a.png
rm -rf tree
mkdir -p tree/embryo_dataset_annotations tree/embryo_dataset_time_elapsed
printf 'tPB2,3,6\ntPNa,7,11\nt2,12,12\n' >tree/embryo_dataset_annotations/AA1-1_phases.csv
printf 'tPB2,1,4\nt2,5,10\nt3,11,14\n' >tree/embryo_dataset_annotations/AA1-1-2_phases.csv
for p in '' _F15; do
	frames tree/embryo_dataset$p/AA1-1 1 2 3 4 5 6 7 8 9 10 11 12 13
	# of t2: 5 6 9 10; of t3: 12 14
	frames tree/embryo_dataset$p/AA1-1-2 1 2 3 5 6 9 10 12 14
done
frames tree/embryo_dataset/AA1-1/F0 1 2 3
printf 'frame_index,time\n0,0\n1,10.5\n3,11.25\n' >tree/embryo_dataset_time_elapsed/AA1-1_timeElapsed.csv
printf 'video_name,TE,ICM\nAA1-1,NA,B\n' >tree/embryo_dataset_grades.csv

# ---- the records ----
rc 0 'a tree is read' splitsel --nsw-tree tree
is 'plane by plane, video by video, rising; ids are sorted as ids' \
    "$(field id <stdout | sed -n '1p;10,12p;18,19p;20p' | tr '\n' ' ')" \
    'F+00_AA1-1_3 F+00_AA1-1_12 F+00_AA1-1-2_1 F+00_AA1-1-2_2 F+00_AA1-1-2_12 F+00_AA1-1-2_14 F+15_AA1-1_3 '
is 'a whole record' "$(head -1 stdout)" '{"id": "F+00_AA1-1_3", "file_name": "tree/embryo_dataset/AA1-1/D2013_X_RUN3.jpeg", "group": "AA1-1", "label": "F+00_AA1-1_3", "phase": "tPB2", "phase_index": 0, "focal_plane": "F+00", "frame": 3, "elapsed_h": 11.25, "grade_1": "NA", "grade_2": "B"}'
is 'outside all phases there is nothing' "$(grep -c -e 'AA1-1_1"' -e 'AA1-1_13"' stdout)" 0
splitsel --nsw-tree tree --unannotated --planes F+00 >out
is 'unless it is wanted' "$(grep -c '"F+00_AA1-1_' out) $(grep '"F+00_AA1-1_1"' out | grep -c phase)" '13 0'
is 'its time is known' "$(grep '"F+00_AA1-1_1"' out | field elapsed_h)" 10.5
is '--planes' "$(splitsel --nsw-tree tree --planes F+15 | field focal_plane | sort -u)" F+15
is '--phases' "$(splitsel --nsw-tree tree --phases t2,t3 | field phase | sort -u | tr '\n' ' ')" 't2 t3 '
rc 2 'a plane that is not there' splitsel --nsw-tree tree --planes F-45
like 'is told' "$(cat stderr)" '*embryo_dataset_F-45*F-45*'
rc 2 'no such plane' splitsel --nsw-tree tree --planes F+7
rc 2 '--check wants all planes' splitsel --nsw-tree tree --check
rc 0 '--check of some' splitsel --nsw-tree tree --check --planes F+00
is 'is an inventory' "$(sed -n 's/.*"metric": "\(videos\|frames\|times\|grades\)", \("value": [0-9]*\).*/\1 \2/p' stdout | tr -d '\n')" \
    'videos "value": 2frames "value": 19times "value": 2grades "value": 1'

# ---- what is wrong with it ----
cp -r tree bad
: >bad/embryo_dataset/AA1-1/Thumbs.db
rc 1 'a file that is no frame' splitsel --nsw-tree bad --planes F+00
is 'costs nothing else' "$(wc -l <stdout)" 19
like 'and is told' "$(cat stderr)" '*Thumbs.db*_RUN*'
rc 2 '--strict stops there' splitsel --nsw-tree bad --planes F+00 --strict
rm bad/embryo_dataset/AA1-1/Thumbs.db
: >bad/embryo_dataset/AA1-1/X_RUN1234.jpeg
rc 1 'a number of four digits' splitsel --nsw-tree bad --planes F+00
rm bad/embryo_dataset/AA1-1/X_RUN1234.jpeg
: >bad/embryo_dataset/AA1-1/Y_RUN5.jpeg
rc 1 'a frame that is there twice' splitsel --nsw-tree bad --planes F+00
rm bad/embryo_dataset/AA1-1/Y_RUN5.jpeg
printf 'tPB2,3,6\ntPNa,8,11\n' >bad/embryo_dataset_annotations/AA1-1_phases.csv
rc 1 'a frame between two phases' splitsel --nsw-tree bad --planes F+00
like 'is told' "$(cat stderr)" '*AA1-1: 1 frames lie between two phases, the first is 7'
for row in 'tXX,1,2' 'tPB2,1' 'tPB2,1,x' 'tPB2,-1,3'; do
	echo "$row" >bad/embryo_dataset_annotations/AA1-1_phases.csv
	rc 2 "annotation $row" splitsel --nsw-tree bad --planes F+00
	like "its file is named, $row" "$(cat stderr)" '*AA1-1_phases.csv*'
done
rm bad/embryo_dataset_annotations/AA1-1_phases.csv
rc 2 'grades of a video without annotations' splitsel --nsw-tree bad --planes F+00
rm bad/embryo_dataset_grades.csv
rc 1 'a video without annotations' splitsel --nsw-tree bad --planes F+00
like 'is unknown' "$(cat stderr)" '*embryo_dataset/AA1-1: unknown video'
printf 'AA1-1\nAA1-1-2\n' >ids
rc 2 'but missing if the list has it' splitsel --nsw-tree bad --videos ids --planes F+00
: >tree/embryo_dataset/file
rc 1 'a file among the videos' splitsel --nsw-tree tree --planes F+00
rm tree/embryo_dataset/file
echo AA1-1 >one
rc 1 'a video that the closed list lacks' splitsel --nsw-tree tree --videos one --planes F+00
rc 2 'no tree' splitsel --nsw-tree nosuch
rc 2 'a tree and files' splitsel --nsw-tree tree in.jsonl

# ---- one frame for each phase of each video ----
splitsel --nsw-tree tree --one-per-phase --no-shuffle -q >out
is 'branch: the median position, the lower of two' "$(field frame <out | tr '\n' ' ')" '4 9 12 2 6 12 '
splitsel --nsw-tree tree --one-per-phase --no-shuffle --frame-rule main -q >out
# of 3 4 5 6: mean 4.5 -> 4; of 7..11: 9; 12; of 1 2 3: 2; of 5 6 9 10: 7.5 -> 7 is not there: 6; of 12 14: 13 no: 12
is 'main: the mean of two numbers if it is there' "$(field frame <out | tr '\n' ' ')" '4 9 12 2 6 12 '
frames tree/embryo_dataset/AA1-1-2 7
splitsel --nsw-tree tree --one-per-phase --no-shuffle --phases t2 --frame-rule main -q >out
is 'an odd number: the middle one' "$(field frame <out | tr '\n' ' ')" '12 7 '
rm tree/embryo_dataset/AA1-1-2/D2013_X_RUN[69].jpeg
frames tree/embryo_dataset/AA1-1-2 8
splitsel --nsw-tree tree --one-per-phase --no-shuffle --phases t2 --frame-rule main -q >out
is 'of 5 7 8 10 main takes 7' "$(field frame <out | tr '\n' ' ')" '12 7 '
rm tree/embryo_dataset/AA1-1-2/D2013_X_RUN7.jpeg
frames tree/embryo_dataset/AA1-1-2 6 9
# 5 6 8 9 10 and t3's 12 14 follow: the middle position is that of 8
splitsel --nsw-tree tree --one-per-phase --no-shuffle --phases t2 -q >out
is 'of 5 6 8 9 10 branch takes 8' "$(field frame <out | tr '\n' ' ')" '12 8 '
is 'the text' "$(field text <out | head -1)" 'a microscopic image of a human embryo at phase t2'
rc 1 'a drawn plane that lacks the frame' splitsel --nsw-tree tree --one-per-phase \
    --planes F+00,F+15 --no-shuffle -q
is 'is told' "$(cat stderr)" 'splitsel: F+00_AA1-1-2_8: no such frame on focal plane F+15'
frames tree/embryo_dataset_F15/AA1-1-2 8
rc 0 'when all planes have it' splitsel --nsw-tree tree --one-per-phase --planes F+00,F+15 --no-shuffle -q
cp stdout out
like 'the text with planes' "$(cat out)" \
    '*"text": "a microscopic image of a human embryo at phase t2 recorded at focal plane F+*'
# random.Random(0): .844 .757 .420 .258 .511 .404 with two planes
is 'planes are drawn as CPython draws' "$(field focal_plane <out | tr '\n' ' ')" \
    'F+15 F+15 F+00 F+00 F+15 F+00 '

# twelve videos of one phase: CPython's order of an image folder with seed 0
rm -rf tree
for v in A B C D E F G H I J K L; do
	frames tree/embryo_dataset/$v 1 2 3
	mkdir -p tree/embryo_dataset_annotations
	echo t2,1,3 >tree/embryo_dataset_annotations/${v}_phases.csv
done
splitsel --nsw-tree tree --one-per-phase -q >out
is 'the order is what CPython shuffles' "$(field group <out | tr '\n' ' ')" 'D I J G F A H K L B C E '
is 'from a stream, too' \
    "$(splitsel --nsw-tree tree -q | splitsel --one-per-phase -q | field group | tr '\n' ' ')" \
    'D I J G F A H K L B C E '
splitsel --nsw-tree tree --rng python --balanced 2 --label phase -q >out
is '--balanced draws with replacement' "$(wc -l <out)" 2
splitsel --nsw-tree tree --rng python --random 5 -q >out
is '--random takes the first of a shuffle' "$(wc -l <out)" 5

# ---- the fair split ----
perl -MJSON::PP -e '
	local $/;
	open F, "<", "'"$golden"'/random/python_random_split.json";
	my $text = <F>;
	my $d = decode_json($text);
	# the order of the videos is that of the text
	my ($in) = $text =~ /"video_phases_input": (\{.*?\})/s;
	my @v = $in =~ /"([^"]+)": \[/g;
	open O, ">", "fair.jsonl";
	for my $v (@v) {
		print O "{\"id\":\"$v.$_\",\"group\":\"$v\",\"phase\":\"$_\"}\n" for @{$d->{video_phases_input}{$v}};
	}
	for my $k (grep /^split_/, keys %$d) {
		open O, ">", "$k.want";
		my @key = grep { $d->{$k}{$_} } qw(train eval test);
		print O "{", join(", ", map { my $p = $_; "\"$p\": [" .
			join(", ", map { "\"$_\"" } @{$d->{$k}{$p}}) . "]" } @key), "}\n";
	}'
rc 0 'the preset' splitsel --preset nsw --group-by group --split-json a.json fair.jsonl
same 'draws the original split' a.json split_0.6_0.2_0.2_seed_1234567890.want
like 'no video on two sides' "$(cat stderr)" '*"groups_straddling"*"n": 100*"value": 0}*'
splitsel --fair --weights .8,.2 --seed 7 --split-json b.json -q fair.jsonl >out
same 'two weights, another seed' b.json split_0.8_0.2_seed_7.want
is 'records follow' "$(field split <out | sort | uniq -c | awk '{ print $1, $2 }' | tr '\n' ' ')" \
    "280 test 1120 train "
rc 2 'an existing file is an error' splitsel --preset nsw --split-json a.json fair.jsonl
splitsel --preset nsw --set eval -q fair.jsonl >out
is '--set eval' "$(field group <out | sort -u | wc -l)" 20
printf '{"id":"%s","group":"%s","phase":"t2"}\n' 1 a 2 b 3 c >three.jsonl
rc 2 'a phase that three videos show' splitsel --preset nsw three.jsonl
like 'cannot be divided' "$(cat stderr)" '*phase t2: all partitions should be non-empty*'
rc 0 'unless parts may be empty' splitsel --preset nsw --allow-empty three.jsonl
for o in '--weights 1' '--weights 1,1,1,1' '--counts 1,1'; do
	# shellcheck disable=SC2086
	rc 2 "wrong: $o" splitsel --fair $o fair.jsonl
done

# ---- the true annotations ----
if [ -n "${EMBRYO-}" ]; then
	mkdir -p real
	ln -s "$EMBRYO/embryo_dataset_annotations_revise" real/embryo_dataset_annotations
	rc 2 'the revised annotations have a phase of one video' splitsel --nsw-tree real --preset nsw \
	    --planes none
	rc 0 'with empty parts they are divided' splitsel --nsw-tree real --preset nsw --planes none \
	    --allow-empty --split-json real.json
	like 'into' "$(cat stderr)" '*"train", "value": 314}*"validation", "value": 105}*"test", "value": 105}*'
	rc 2 'the closed list has more videos than are annotated' splitsel --nsw-tree real --planes none \
	    --videos "$EMBRYO/video_ids.txt"
	mkdir -p some/embryo_dataset_annotations
	for v in AA83-7 AB028-6 AB91-1; do
		cp "$EMBRYO/embryo_dataset_annotations_revise/${v}_phases.csv" some/embryo_dataset_annotations
		mkdir -p "some/embryo_dataset/$v"
		for n in 50 100 150 200 250 280; do
			cp a.png "some/embryo_dataset/$v/X_RUN$n.jpeg"
		done
	done
	head -c 40 a.png >some/embryo_dataset/AA83-7/X_RUN100.jpeg
	rc 1 'a truncated frame among them' splitsel --nsw-tree some --check-decode -j 4 -q
	is 'is the only one told' "$(wc -l <stderr) $(grep -c AA83-7_100 stderr)" '1 1'
	is 'phases are those of the annotations' "$(grep AA83-7 stdout | field phase | tr '\n' ' ')" \
	    'tPNa t2 t5 t6 t8 '
fi
done_testing
