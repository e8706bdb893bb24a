#!/bin/sh
# The demo from its archive to its scores, at the smallest size, and how it stops.
. "${0%/*}/lib.sh"

demo=$top/examples/demo.sh
export BUILD IMAGES=20 SINGLES=20 EPOCHS=1 MODEL=mini VAE_STEPS=2 STEPS=2 SAMPLES=4 SAMPLING=2
mkdir home work
HOME=$PWD/home
export HOME
unset XDG_CACHE_HOME TMPDIR

rc 0 'both jobs' sh "$demo" 'work/a folder'
cp stderr said
like 'at the end it says what came out' "$(tail -n 7 said | tr '\n' ' ')" \
    '*IoU\ [01].[0-9]*\ on\ 4\ held-out*FID\ [0-9]*.[0-9]*\ before\ *,\ [0-9]*.[0-9]*\ after\ *random*not\ comparable*Time:*'
ok 'a sheet of masks' test -s 'work/a folder/masks.png'
ok 'a sheet of real images, before and after' test -s 'work/a folder/images.png'
is 'the same prompts and seeds before and after' \
    "$(cd 'work/a folder' && sed 's/.*"text":"\([^"]*\)".*"seed":\([0-9]*\).*/\1 \2/' before.jsonl)" \
    "$(cd 'work/a folder' && sed 's/.*"text":"\([^"]*\)".*"seed":\([0-9]*\).*/\1 \2/' after.jsonl)"
is 'no image is on two sides' "$(cd 'work/a folder' && sed 's/.*"id":"\([^"]*\)".*/"id":"\1"/' prompts.jsonl |
    grep -cFf - train.jsonl)" 0
is 'nothing is left beside its folder' "$(ls work home)" 'home:

work:
a folder'

mv 'work/a folder/inception.safetensors' .
# stops at the first step that fails, here at the U-Net's training
rc 2 'a step that fails ends it' env EPOCHS=none sh "$demo" --inception inception.safetensors 'work/a folder'
like 'and it says which' "$(tail -n 1 stderr)" 'demo: stopped with exit status 2 at: 6. Masks: *'

rc 2 'an unknown option' sh "$demo" --fast
like 'usage' "$(tail -n 1 stderr)" 'usage: demo.sh *'
rc 2 'weights that are not there' sh "$demo" --inception nothing work/b
rc 2 '--inception without a name' sh "$demo" --inception
rc 2 'two folders' sh "$demo" work/b work/c
mkdir work/mine
: >work/mine/thesis
rc 2 "somebody's folder" sh "$demo" work/mine
ok 'is left as it is' test -e work/mine/thesis
is 'and none is made' "$(cd work && echo ./*)" './a folder ./mine'
done_testing
