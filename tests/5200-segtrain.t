#!/bin/sh
# segtrain: learns, resumes bit for bit, stops cleanly, names what it cannot use.
. "${0%/*}/lib.sh"

XDG_CACHE_HOME=${XDG_CACHE_HOME:-$BUILD/cache}
export XDG_CACHE_HOME
net='-e resnet18:width=0.125 --decoder-channels 16,8,8 -a unet'
shapegen -q -n 16 --height 32 --width 32 --min 8 --max 16 --strict-masks -o shapes --class-dict dict.csv \
    >all.jsonl || exit 2
awk '{ s = NR % 4 ? "train" : "validation"; sub(/}$/, ",\"split\":\"" s "\"}"); print }' all.jsonl >shapes.jsonl

# field NAME: values of a field in the records of standard input, one a line
field() {
	sed -n 's/.*"'"$1"'": *\("[^"]*"\|[^],}]*\).*/\1/p'
}
train() { # -o DIR ARGUMENTS, with a small net, in a fresh folder unless it resumes
	case " $* " in
	*' --resume '*) ;;
	*) rm -rf "$2" ;;
	esac
	# shellcheck disable=SC2086
	segtrain -q $net -b 4 --log-every 1 "$@"
}

# ---- learning ----
rc 0 'a net is trained' train -o run -n 6 --lr 3e-3 shapes.jsonl
cp stdout log
is 'steps are told' "$(grep -c '"kind":"step"' log)" 18
is 'validation too, once an epoch' "$(grep '"kind":"eval"' log | field split | uniq -c | tr -s ' ')" \
    ' 6 "validation"'
is 'the last record is the result' "$(tail -n 1 log | field kind)" '"result"'
first=$(grep '"kind":"step"' log | field loss | head -n 1)
last=$(grep '"kind":"step"' log | field loss | tail -n 1)
ok "the loss falls ($first to $last)" awk "BEGIN { exit !($last < 0.9 * $first) }"
for f in weights.safetensors optimizer.safetensors config.json state.json; do
	ok "last has $f" test -s "run/last/$f"
	ok "best has $f" test -s "run/best/$f"
done
is 'no more checkpoints than asked' "$(find run -maxdepth 1 -type d -name 'checkpoint-*' | wc -l)" 2
ok 'config.json says what made it' grep -q '"seed":42' run/last/config.json

# ---- the same again ----
rc 0 'the same command' train -o again -n 6 --lr 3e-3 shapes.jsonl
same 'gives the same weights' again/last/weights.safetensors run/last/weights.safetensors
tac shapes.jsonl >reversed.jsonl
rc 0 'records in another order, more threads' train -j 8 -o order -n 6 --lr 3e-3 reversed.jsonl
same 'give the same weights' order/last/weights.safetensors run/last/weights.safetensors
rc 0 'another seed' train -s 7 -o seed -n 1 shapes.jsonl
ok 'gives others' sh -c '! cmp -s seed/checkpoint-3/weights.safetensors again/checkpoint-3/weights.safetensors'

# ---- resuming: 6 = 3 + 3, within an epoch and at its end ----
for aug in '' '--augment hflip:turn:rotate=10:brightness=.2'; do
	# shellcheck disable=SC2086
	train -o whole $aug --max-steps 8 -n 9 --keep 9 --clip 1 shapes.jsonl >whole.log
	# shellcheck disable=SC2086
	train -o parts $aug --max-steps 4 -n 9 --keep 9 --clip 1 shapes.jsonl >parts.log
	# shellcheck disable=SC2086
	rc 0 "a run of 4 steps goes on to 8 ${aug:-(no augmentation)}" \
	    train -o parts $aug --max-steps 8 -n 9 --keep 9 --clip 1 --resume shapes.jsonl
	same 'its weights are those of one run' parts/last/weights.safetensors whole/last/weights.safetensors
	same 'its optimiser too' parts/last/optimizer.safetensors whole/last/optimizer.safetensors
	rm -r whole parts
done
train -o eff -e efficientnet-b0:width=0.25 --max-steps 6 -n 9 shapes.jsonl >eff.log
train -o eff2 -e efficientnet-b0:width=0.25 --max-steps 3 -n 9 shapes.jsonl >>eff.log
train -o eff2 -e efficientnet-b0:width=0.25 --max-steps 6 -n 9 --resume shapes.jsonl >>eff.log
same 'drop-connect resumes bit for bit' eff2/last/weights.safetensors eff/last/weights.safetensors
rc 2 'a run is not trained over' segtrain -o run -n 6 shapes.jsonl
rc 2 'resuming another net' train -o run -n 9 --decoder-channels 16,8,4 --resume shapes.jsonl
like 'is refused' "$(cat stderr)" 'segtrain: run/last: another model: *'

# ---- first weights ----
rc 0 'a run from a model' train -o from --init run/last --max-steps 1 shapes.jsonl
now=$(field loss <stdout | head -n 1)
ok "begins where it ended ($now)" awk "BEGIN { exit !($now < 0.9 * $first) }"
rc 2 'a model of another shape' train -o from --init eff/last --max-steps 1 shapes.jsonl
like 'is refused' "$(cat stderr)" 'segtrain: eff/last/weights.safetensors: does not fit this network: missing *'
rc 0 'the encoder alone, frozen, for gray images' segtrain -q -o from -e resnet18:width=0.125:frozen -a unetplusplus \
    --decoder-channels 16,16,8,8 --channels 1 --init run/last/weights.safetensors --max-steps 1 shapes.jsonl

# ---- signals ----
# the program itself in the background, not a function
: >sig.log
# shellcheck disable=SC2086
segtrain -q $net -b 4 --log-every 1 -o sig -n 500 shapes.jsonl >sig.log 2>sig.err &
pid=$!
wait_until $pid '[ "$(grep -c "\"kind\":\"step\"" sig.log)" -ge 4 ]'
kill -TERM $pid
wait $pid
is 'TERM saves and leaves' "$?" 143
step=$(tail -n 1 sig.log | field step)
is 'the last record is a checkpoint' "$(tail -n 1 sig.log | field kind)" '"checkpoint"'
rc 0 'which goes on' train -o sig -n 500 --max-steps $((step + 2)) --resume shapes.jsonl
train -o sig1 -n 500 --max-steps $((step + 2)) shapes.jsonl >/dev/null
same 'as if nothing had been' sig/last/weights.safetensors sig1/last/weights.safetensors
: >kill.log
# shellcheck disable=SC2086
segtrain -q $net -b 4 -o kill -n 500 --save-every 1 --keep 3 shapes.jsonl >kill.log 2>/dev/null &
pid=$!
wait_until $pid '[ "$(grep -c "\"kind\":\"checkpoint\"" kill.log)" -ge 3 ]'
kill -KILL $pid
wait $pid 2>/dev/null
for d in kill/checkpoint-*; do
	ok "after KILL ${d#kill/} is whole" test -s "$d/weights.safetensors" -a -s "$d/state.json"
done
rc 0 'and the run can go on' train -o kill -n 1 --resume shapes.jsonl

mkfifo in
sleep 600 >in &
feeder=$!
segtrain -q -o waits <in >waits.log 2>&1 &
pid=$!
sleep 0.5
kill -TERM $pid
wait $pid
is 'TERM while records are awaited' "$?" 143
kill $feeder
ok 'leaves nothing' test ! -e waits

# ---- losses, modes, sizes ----
for l in dice 'jaccard:log' tversky:alpha=.7:beta=.3 focal bce lovasz mcc 0.5*bce+dice:smooth=1; do
	rc 0 "loss $l" train -o l --max-steps 1 -l "$l" shapes.jsonl
done
for l in ce ce:smooth=.1 dice focal:normalized lovasz jaccard:classes=0; do
	rc 0 "loss $l, two classes" train -o l --max-steps 1 -l "$l" --class-dict dict.csv shapes.jsonl
done
rc 0 'weights of the classes' train -o l --max-steps 1 --class-weights auto --class-dict dict.csv shapes.jsonl
is 'scores of each class' "$(grep '"kind":"eval"' stdout | field class | head -n 1)" '["rectangle"'
rc 0 'multilabel' train -o l --max-steps 1 --mode multilabel --class-dict dict.csv shapes.jsonl
rc 0 'U-Net++, attention, gray, 64 pixels, crops' train -o l -a unetplusplus -e resnet18:width=0.25 \
    --attention scse --decoder-channels 32,16,16 --channels 1 --image-size 64 --crop 48x32 --max-steps 2 shapes.jsonl
rc 0 'ISN, narrow' segtrain -q -o isn --preset isn -e efficientnet-b2:width=0.25 --decoder-channels 16,16,8,8,8 \
    --image-size 64x64:soft --class-dict dict.csv -b 4 -n 1 --log-every 1 all.jsonl
is 'its splits' "$(grep '"kind":"eval"' stdout | field n | tr '\n' ' ')" '2 1 '
floor=$(grep '"kind":"step"' stdout | field loss | sort -g | head -n 1)
ok "its loss stays above ln(1+1/e) ($floor)" awk "BEGIN { exit !($floor > 0.3132) }"

# ---- every option counts ----
# sum: of the last weights, without the header
sum() {
	tail -c +$((9 + $(od -An -tu8 -N8 one/last/weights.safetensors))) one/last/weights.safetensors | cksum
}
train -o one --max-steps 2 shapes.jsonl >one.log && sum >one.sums
for o in '--ignore-index 0' '--crop 16' '--normalize none' '--augment scale=1' '--augment contrast=.9' '--optimizer sgd' \
    '--optimizer sgd:momentum=0' '--optimizer adam:decay=9' '--lr-scheduler linear' '--lr-scheduler constant_with_warmup:warmup=2' \
    '--clip 0.001' '--accumulate 2' '-l dice' '-s 9' '--image-size 16' '--image-size 16:alias'; do
	# shellcheck disable=SC2086
	train -o one --max-steps 2 $o shapes.jsonl >one.log && sum >>one.sums
done
is 'each in its way' "$(sort -u one.sums | wc -l)" 17
train -o one --max-steps 2 --threshold 1 shapes.jsonl >one.log
like '--threshold counts in scores' "$(grep '"kind":"eval"' one.log)" '*"recall":0,*'
is '--fractions part what no split parts' "$(train -o one --max-steps 1 --fractions 0.5,0.25 all.jsonl | grep '"kind":"eval"' |
	field n | tr '\n' ' ')" '8 2 '
is '--early-stop stops' "$(train -o one -n 9 --early-stop 2,100 shapes.jsonl | grep -c '"split":"validation"')" 3
is 'unless it is 0' "$(train -o one -n 4 --early-stop 0 shapes.jsonl | grep -c '"split":"validation"')" 4

# ---- images of 16 bits ----
segrun -q --probabilities -m run/best -o p16 shapes.jsonl >p16.out
sed 's,.*"id":\("[^"]*"\).*"mask_file_name":\("[^"]*"\).*"pred_file_name_prob":\("[^"]*"\).*,{"id":\1\,"file_name":\3\,"mask_file_name":\2},' \
    p16.out >p16.jsonl
rc 0 '16-bit gray images' train -o l --channels 1 --max-steps 2 p16.jsonl

# ---- masks of other kinds ----
sed 's/"mask_file_name":\("[^"]*"\)/"mask_file_names":[\1]/' shapes.jsonl >lists.jsonl
rc 0 'lists of masks' train -o lists --max-steps 2 lists.jsonl
train -o files --max-steps 2 shapes.jsonl >/dev/null
same 'give what one mask gives' lists/last/weights.safetensors files/last/weights.safetensors

# ---- what cannot be used ----
echo 'no image' >text.png
head -c 100 shapes/1_image.png >cut.png
printf '%s\n' '{"id":"text","file_name":"text.png","mask_file_name":"shapes/1_mask.png"}' \
    '{"id":"cut","file_name":"cut.png","mask_file_name":"shapes/1_mask.png"}' \
    '{"id":"gone","file_name":"gone.png","mask_file_name":"shapes/1_mask.png"}' \
    '{"id":"nomask","file_name":"shapes/1_image.png"}' nonsense \
    '{"id":"size","file_name":"shapes/1_image.png","mask_file_name":"big/1_mask.png"}' \
    '{"id":"split","file_name":"shapes/1_image.png","mask_file_name":"shapes/1_mask.png","split":"x"}' \
    '{"id":"failed","error":{"tool":"archx","message":"damaged"}}' >bad.jsonl
shapegen -q -n 1 --height 40 --width 40 --min 8 --max 16 -o big >/dev/null
cat shapes.jsonl bad.jsonl >mixed.jsonl
rc 1 'bad records are left out' train -o mixed --max-steps 2 mixed.jsonl
is 'each is named in a line' "$(wc -l <stderr)" 8
for id in text cut gone nomask size split failed; do
	is "$id is" "$(grep -c "mixed.jsonl:[0-9]*: $id: " stderr)" 1
done
same 'the rest trains as without them' mixed/last/weights.safetensors files/last/weights.safetensors
rc 2 '--strict stops' train -o strict --strict --max-steps 2 mixed.jsonl
rc 2 'only bad records' train -o none --max-steps 2 bad.jsonl
rc 2 'no records' train -o none /dev/null
like 'are told' "$(cat stderr)" 'segtrain: no records came in*'
rc 2 'a file that is not there' train -o none nofile.jsonl
rc 2 'no such device' train -d nonesuch -o none shapes.jsonl
rc 2 'weights that are not there' train -o none --init no.safetensors shapes.jsonl
for o in '' '-o x --loss foo' '-o x -e resnet9' '-o x -a net' '-o x --image-size 33' '-o x --crop 0x32' \
    '-o x --channels 2' '-o x --lr -1' '-o x -n 0' '-o x --mode binary --num-classes 3' \
    '-o x --monitor speed' '-o x --augment spin' '-o x --optimizer sgd:speed=1' '-o x --preset foo' \
    '-o x --decoder-channels 8,8' '-o x --fractions 2' '-o x --lr-scheduler up' '-o x --normalize 1,2/3' \
    '-o x --activation sigmoid -l bce' '-o x --class-weights 1,2' '-o x --nonsense' '-o x --optimizer adam:momentum=.5' \
    '-o dict.csv' '-o x --optimizer sgd:beta1=.5' '-o x -e resnet18:drop-connect=.1' '-o x --lr-scheduler constant:warmup=5' \
    '-o x --lr-scheduler linear:warmup=1.5' '-o x --lr-scheduler step' '-o x --early-stop 1.5' '-o x --early-stop x' \
    '-o x --decoder-channels 16.5,8,8' '-o x --num-classes 2 --threshold 0.4' '-o x --activation softmax' \
    '-o x --channels 1 --augment hue=.1' '-o x --num-classes 2 -l lovasz --class-weights 1,2' '-o x --monitor iou:every=1.5'; do
	# shellcheck disable=SC2086
	rc 2 "wrong: $o" segtrain -q $o shapes.jsonl
	is "one line about it" "$(wc -l <stderr)" 1
done
rc 2 '/dev/full' sh -c "segtrain -q $net -b 4 -o full --max-steps 1 shapes.jsonl >/dev/full"

# shellcheck disable=SC2086
rc 75 'a device that is full' env PHANTOM_MEMORY=1M segtrain -q -o oom $net --max-steps 1 shapes.jsonl
like 'is told' "$(cat stderr)" 'segtrain: out of device memory: *'
rc 2 'no Vulkan device at all' env VK_ICD_FILENAMES=/nonexistent VK_DRIVER_FILES=/nonexistent \
    segtrain -q -o none shapes.jsonl
like 'is told' "$(cat stderr)" 'segtrain: no Vulkan device: *'

# ---- a NaN ----
rc 2 'a loss that is not finite' train -o nan -n 30 --lr 1000 --optimizer sgd -l '1e6*bce' \
    shapes.jsonl
like 'is told' "$(cat stderr)" 'segtrain: the loss is *'

done_testing
