#!/bin/sh
# mkmodel --vae-from-images: an autoencoder learns its images, its scale is measured, and a run that is
# stopped leaves a whole model or none.
. "${0%/*}/lib.sh"

train() {
	mkmodel --vae-from-images images.jsonl --vae-crop 16 "$@"
}
# numbers DIR NET: the data of its weights, without what tells how they came about
numbers() {
	perl -e 'open F, "<:raw", shift; read F, my $n, 8; seek F, 8 + unpack("Q<", $n), 0; local $/; print <F>' \
		"$1/$2/diffusion_pytorch_model.safetensors" >"$1.$2"
}
# field FILE KEY PATTERN: that field of the last record that matches
field() {
	grep "$3" "$1" | tail -1 | sed "s/.*\"$2\":\([-0-9.e]*\).*/\1/"
}

shapegen -q -n 24 --width 40 --height 32 --min 8 --max 16 -o shapes >shapes.jsonl
awk 'NR > 20 { sub(/}$/, ",\"split\":\"validation\"}") } { print }' shapes.jsonl >images.jsonl
rc 0 'an autoencoder is trained' train --vae-steps 100 --vae-lr 3e-3 -o m mini
cp stdout log
is 'nothing is said' "$(cat stderr)" ''
is 'records of steps' "$(grep -c '"kind":"step","step":[0-9]*,"loss":' log)" 3
# seen: 0.80
ok 'the loss goes down' awk "BEGIN { exit !($(field log loss '"step":100') < 0.9 * $(field log loss '"step":1,')) }"
is 'and of results' "$(grep -c '"kind":"result"' log)" 3
like 'images held out are counted' "$(cat log)" '*"metric":"psnr_db","value":*"n":4,"split":"validation"*'
ok 'they come back better than before' awk "BEGIN { exit !($(field log value validation) > 7) }"
scale=$(field log value scaling_factor)
ok 'the scale is what was measured' awk "BEGIN { s = $(sed -n 's/.*"scaling_factor": \([0-9.e-]*\).*/\1/p' m/vae/config.json) / $scale; exit !(s > 0.9999 && s < 1.0001) }"
rc 0 'the model makes images' sdgen -m m --steps 2 --prompt x -o out
mkmodel -o plain mini
numbers plain unet
numbers m unet
same 'the other nets are as they were' m.unet plain.unet
train --vae-steps 5 -o a mini >a.log
train --vae-steps 5 -o b mini >b.log
same 'the same again' a.log b.log
numbers a vae
numbers b vae
same 'to the bit' a.vae b.vae
rc 0 'from a pipe, a model that is there' sh -c "sed 's,file_name\":\",&$PWD/,' images.jsonl | mkmodel --convert --vae-from-images - --vae-steps 2 -o again m"
ok 'which is not changed much' awk "BEGIN { exit !($(field stdout value '"psnr_db".*validation') > 6) }"

# ---- what is wrong
{
	head -3 images.jsonl
	echo '{"id":"bad"'
	echo '{"id":"none","file_name":"none.png"}'
	echo '{"id":"nothing"}'
} >bad.jsonl
rc 1 'bad records' mkmodel --vae-from-images bad.jsonl --vae-steps 1 -o c mini
is 'are told' "$(sed 's/.*jsonl:\([0-9]*\):.*/\1/' stderr | sort | tr '\n' ' ')" '4 5 6 '
ok 'the rest is used' test -e c/vae/config.json
rc 2 'no images' mkmodel --vae-from-images /dev/null -o nope mini
rc 2 'windows that do not fit' train --vae-crop 18 -o nope mini
rc 2 'larger than the images' train --vae-crop 64 -o nope mini
rc 2 'steps without images' mkmodel --vae-steps 5 -o nope mini
rc 2 'records that cannot be written' sh -c 'mkmodel --vae-from-images images.jsonl --vae-steps 1 -o nope mini >/dev/full'
is 'nothing was written' "$(find . -name '*nope*')" ''
mkmodel --vae-from-images images.jsonl --vae-steps 1000000 -o stopped mini >stop.log 2>stderr &
pid=$!
wait_until $pid '[ -s stop.log ]'
kill -INT $pid
wait $pid
is 'INT ends it' $? 130
ok 'with what it had' test -e stopped/vae/config.json -a -e stopped/model_index.json
done_testing
