#!/bin/sh
# The pipelines of examples/ from their input to their scores, at the smallest size.
. "${0%/*}/lib.sh"

export SAMPLING=2 STEPS=3 IMAGES=3 NEIGHBOURS=2
rc 0 'histology by clusters' env CLUSTERS=2 sh "$top/examples/mep.sh" "$top/tests/golden/pcam/metadata.jsonl" mep
is 'its scores are a table' "$(sed 's/,[0-9.]*$//' mep/metrics.csv | tr '\n' ' ')" \
    'metric,reference_ds,target_ds,split,value fid_based_on_latents,real,made,train precision,real,made,train recall,real,made,train '
is 'each prompt has its images' "$(wc -l <mep/made.jsonl)" $((3 * $(wc -l <mep/distinct.jsonl)))
like 'prompts name their clusters' "$(head -n 1 mep/prompts.jsonl)" '*"Histology image of healthy tissue, morphology type '*
ok 'a sheet of them' test -s mep/synthetic/image/train/preview.png

mkdir phases
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
	printf 'tPB2,1,4\nt2,%d,12\nt3,13,20\nt4,21,30\n' $((i / 3 + 5)) >phases/AB$i-1_phases.csv
done
rc 0 'embryos by phase' env NEIGHBOURS=1 VIDEOS=12 sh "$top/examples/nsw.sh" phases nsw
is 'scores of all and of each phase' "$(sed -n 's/.*"metric": "fid",\( "by": "label", "label": \("[^"]*"\)\)\{0,1\}.*/\2/p' stdout |
    tr '\n' ' ')" ' "t2" "t4" '
is 'no video is on two sides' "$(sed 's/.*"group": "\([^"]*\)".*/\1/' nsw/test.jsonl | sort -u |
    grep -cFf - nsw/train.jsonl)" 0

head -n 4 nsw/train.jsonl >prompts.jsonl
rc 0 'shards side by side' sh "$top/examples/fanout.sh" nsw/tuned prompts.jsonl nsw/train.jsonl fan
is 'the same number as in one piece' "$(tail -n 1 stdout | sed 's/.*"value": \([^,]*\),.*/\1/')" \
    "$(cd fan && fid -q --network inception --weights inception.safetensors --metrics fid ../nsw/train.jsonl images.jsonl |
        sed 's/.*"value": \([^,]*\),.*/\1/')"
rc 2 'no archives' sh "$top/examples/mep.sh" nothing mep2
done_testing
