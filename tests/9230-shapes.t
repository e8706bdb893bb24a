#!/bin/sh
# examples/shapes.sh from nothing to its numbers, at the smallest size.
. "${0%/*}/lib.sh"

export STEPS=3 VAE_STEPS=2 IMAGES=60 EACH=1 SAMPLING=2 BUILD
rc 0 'captions to pictures' sh "$top/examples/shapes.sh" work
like 'the rules know what was drawn' "$(cat stderr)" '*right about 1 of those held out*'
like 'how good the pictures are is said' "$(tail -n 1 stdout)" 'shape and colour 0*, shape *, colour *, background *, of 54 pictures'
is 'one of each caption' "$(sed 's/.*"text":"\([^"]*\)".*/\1/' work/made.jsonl | sort -u | wc -l | tr -d ' ')" 54
is 'from noise of its own' "$(sed 's/.*"seed": *\([0-9]*\).*/\1/' work/made.jsonl | sort -u | wc -l | tr -d ' ')" 54
ok 'on a sheet' test -s work/sheet.png
is 'two of sixty are not trained on' "$(sed -n 's/.*"kind":"eval".*"n":\([0-9]*\).*/\1/p' work/train.jsonl | tail -n 1)" 2
done_testing
