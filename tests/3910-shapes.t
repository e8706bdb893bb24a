#!/bin/sh
# examples/shapes: pixel rules that name what is on a picture, against what was drawn.
. "${0%/*}/lib.sh"

shapes=$BUILD/examples/shapes
# accuracy RECORDS [OPTION...]: the share whose prediction is the truth
accuracy() {
	score --task labels --metrics accuracy "$@" | sed 's/.*"accuracy".*"value": *\([0-9.]*\).*/\1/'
}

for px in 32 64; do
	shapegen --single -n 300 -s 9 --width $px --height $px --min $((px * 9 / 32)) --max $((px / 2)) -o $px >$px.jsonl
	rc 0 "300 pictures of $px pixels" "$shapes" $px.jsonl
	cp stdout seen-$px.jsonl
	# seen: 1
	is 'shape and colour of each are named' "$(accuracy seen-$px.jsonl)" 1
	is 'and its background' "$(accuracy --truth background --pred pred_background seen-$px.jsonl)" 1
done

# every label with the next kind, and every label with the next colour
sed 's/"label":"\([a-z]*\) rectangle"/"label":"\1 R"/; s/"label":"\([a-z]*\) ellipse"/"label":"\1 rectangle"/
	s/"label":"\([a-z]*\) triangle"/"label":"\1 ellipse"/; s/"label":"\([a-z]*\) R"/"label":"\1 triangle"/' \
	32.jsonl | "$shapes" >wrong.jsonl
is 'other shapes than were asked for do not pass' "$(accuracy wrong.jsonl)" 0
is 'though their colours do' "$(accuracy --truth colour --pred pred_colour wrong.jsonl)" 1

head -n 3 32.jsonl >three.jsonl
rc 0 'a sheet' "$shapes" --sheet sheet.png --columns 2 three.jsonl
ok 'is there' test -s sheet.png
echo '{"file_name":"none.png"}' >none.jsonl
rc 1 'a picture that is missing' "$shapes" none.jsonl 32.jsonl
is 'leaves the others' "$(wc -l <stdout | tr -d ' ')" 300
like 'and is named' "$(cat stderr)" '*none.png*'
rc 2 'a full disk' sh -c '"$0" 32.jsonl >/dev/full' "$shapes"
rc 2 'no columns' "$shapes" --columns 0 32.jsonl
done_testing
