#!/bin/sh
# sdtrain: training, checkpoints and pictures of a model as small as can be; what bad input does.
. "${0%/*}/lib.sh"

train() {
	sdtrain -q -m m -b 4 --lr 1e-3 "$@"
}
# field NAME: its values, one a line
field() {
	sed -n 's/.*"'"$1"'":\([^,}]*\).*/\1/p'
}
steps() {
	grep -c '"kind":"step"'
}
unet=unet/diffusion_pytorch_model.safetensors

mkmodel -o m mini || exit
shapegen -q -n 10 --min 6 --max 12 --width 44 --height 36 --seed 3 -o shapes >raw.jsonl
awk '{ sub(/^{/, "{\"text\":" (NR % 2 ? "\"a picture\"" : "[\"two\",\"words\"]") ",\"label\":\"" NR % 2 "\","); print }' \
    raw.jsonl >shapes.jsonl

# ---- a run ----
rc 0 'a run' train -o run --max-steps 6 --checkpoint-steps 3 --validation-prompt 'a picture' \
    --validation-prompt 'another' --num-validation-images 2 --validation-steps 3 --steps 3 shapes.jsonl
cp stdout run.log
is 'nothing is said' "$(cat stderr)" ''
is 'a record a step' "$(steps <run.log)" 6
is 'three steps are an epoch' "$(grep step run.log | grep '"kind":"step"' | field epoch | tr '\n' ' ')" '0 0 0 1 1 1 '
is 'pictures, a sheet and a checkpoint after three' "$(sed -n 4,9p run.log | field kind | tr '\n' ' ')" \
    '"eval" "eval" "eval" "eval" "eval" "checkpoint" '
is 'the last word' "$(tail -n 1 run.log | field kind)" '"result"'
for f in $(grep '"kind":"eval"' run.log | sed -n 's/.*file_name":"\([^"]*\)".*/\1/p'); do
	ok "$f is there" test -s "$f"
done
first=$(field loss <run.log | head -n 1)
last=$(sed -n '/"step":6/p' run.log | field loss | head -n 1)
# observed: 1.038 to 0.857
ok "the loss falls ($first to $last)" awk "BEGIN { exit !($last < 0.95 * $first) }"
rc 0 'the model at the end makes pictures' sdgen -q -m run --steps 2 --prompt 'a picture' -o made
rc 2 'a folder that holds a run' train -o run --max-steps 1 shapes.jsonl
like 'is left alone' "$(cat stderr)" 'sdtrain: run holds a run already*'
rc 0 'the same again' train -o run2 --max-steps 6 --checkpoint-steps 3 -j 1 shapes.jsonl
same 'gives the same weights' run2/checkpoint-6/$unet run/checkpoint-6/$unet
tac shapes.jsonl >tac.jsonl
rc 0 'records in another order' train -o run3 --max-steps 3 --checkpoint-steps 3 tac.jsonl
same 'give the same' run3/checkpoint-3/$unet run/checkpoint-3/$unet

# ---- resuming: 6 steps equal 3 and 3 ----
# resumes NAME FILE OPTION...: FILE of the checkpoint is that of a run that was not stopped
resumes() {
	name=$1 file=$2
	shift 2
	rm -rf a b
	train -o a --max-steps 6 --checkpoint-steps 6 "$@" shapes.jsonl >a.log 2>resume.err &&
	    train -o b --max-steps 3 --checkpoint-steps 3 "$@" shapes.jsonl >b.log 2>>resume.err &&
	    train -o b --max-steps 6 --checkpoint-steps 3 --resume "$@" shapes.jsonl >>b.log 2>>resume.err
	report $? "$name: a run in two parts"
	sed 's/^/# /' resume.err
	for f in $file optimizer.safetensors; do
		same "$name: $f resumes bit for bit" b/checkpoint-6/"$f" a/checkpoint-6/"$f"
	done
	is "$name: so do losses" "$(grep '"kind":"step"' b.log | field loss | tr '\n' ' ')" \
	    "$(grep '"kind":"step"' a.log | field loss | tr '\n' ' ')"
}
resumes plain "$unet"
resumes means "unet_ema/diffusion_pytorch_model.safetensors" --use-ema --use-8bit-adam --snr-gamma 5 \
    --noise-offset 0.1 --input-perturbation 0.1 --random-flip --empty-prompts 0.3 --accumulate 2
resumes f16 "$unet" --mixed-precision fp16 --gradient-checkpointing --cache-latents --lr-scheduler cosine \
    --lr-warmup-steps 2
resumes 'text encoder' text_encoder/model.safetensors --train-text-encoder --text-padding longest
resumes lora lora_text_encoder.safetensors --lora-rank 2 --train-text-encoder --mixed-precision bf16
resumes dreambooth "$unet" --instance-prompt 'a sks cell' --class-prompt 'a cell' --num-class-images 3 \
    --class-data-dir classes --prior-loss-weight 0.3
resumes classes class_embedding/diffusion_pytorch_model.safetensors --class-labels 0,1
rc 2 'resuming with another seed' train -o b --max-steps 7 --class-labels 0,1 --resume -s 1 shapes.jsonl
like 'is refused' "$(cat stderr)" 'sdtrain: b/*state.json: the run has seed 0*'
rc 2 'a checkpoint that is not there' train -o b --resume-from-checkpoint checkpoint-99 shapes.jsonl
rc 0 'resuming what has not begun' train -o fresh --max-steps 1 --resume shapes.jsonl
rc 0 'an earlier checkpoint' train -o run --max-steps 4 --checkpoint-steps 0 \
    --resume_from_checkpoint=checkpoint-3 shapes.jsonl
is 'goes on from there' "$(field step <stdout | head -n 1)" 4

# what has ended stays as it is; more steps go on from the last checkpoint
for form in '' '--lora-rank 2'; do
	rm -rf ended ended0
	# shellcheck disable=SC2086
	train -o ended --max-steps 3 --checkpoint-steps 2 $form shapes.jsonl >ended.log
	cp -r ended ended0
	# shellcheck disable=SC2086
	rc 0 "a run that has ended ${form:-whole}" sdtrain -m m -b 4 --lr 1e-3 -o ended --max-steps 3 --checkpoint-steps 2 \
	    $form --resume shapes.jsonl
	like 'is told' "$(tail -n 1 stderr)" 'sdtrain: ended: its 3 steps are done, nothing is left to train'
	is 'its result again, no step' "$(sed 's/,"memory.*//' stdout)" "$(tail -n 1 ended.log | sed 's/,"memory.*//')"
	ok 'nothing has changed' diff -r --no-dereference ended ended0
	# shellcheck disable=SC2086
	rc 0 'more steps' train -o ended --max-steps 4 --checkpoint-steps 0 $form --resume shapes.jsonl
	is 'are the remaining ones' "$(grep '"kind":"step"' stdout | field step | tr '\n' ' ')" '3 4 '
	# shellcheck disable=SC2086
	train -o ended --max-steps 4 --checkpoint-steps 0 $form --resume shapes.jsonl >ended.log
	is 'until they are done' "$(steps <ended.log)" 0
done

# ---- every option counts ----
# sum DIR: of the weights, without the header, which tells the options
sum() {
	tail -c +$((9 + $(od -An -tu8 -N8 "$1/$unet"))) "$1/$unet" | cksum
}
one() {
	rm -rf one
	sdtrain -q -m m -b 2 --max-steps 1 --checkpoint-steps 0 --center-crop --lr 1e-3 -o one "$@" shapes.jsonl >one.log &&
	    sum one
}
mkmodel -s 5 -o m5 mini
one >one.sum
for o in --random-flip '-s 3' '--empty-prompts 1' '--max-samples 3' '--instance-prompt y' '--accumulate 2' '--clip 0.01' \
    '--snr-gamma 5' '--noise-offset 0.5' '--input-perturbation 0.5' '--scale-lr' '--adam-epsilon 1e-2' '--adam-weight-decay 9' \
    '--text-padding longest' '--use-8bit-adam --adam-beta1 0.5' '--lr-scheduler constant_with_warmup' \
    '--prediction-type sample' '--resolution 16' '--save-dtype bf16' '--mixed-precision bf16' '--unet m5/unet' '--vae m5/vae'; do
	# shellcheck disable=SC2086
	one $o | cat - one.sum >sums
	is "$o" "$(sort -u sums | wc -l)" 2
	cat sums >>all.sums
done
is 'each in its way' "$(sort -u all.sums | wc -l)" 23
one --lr 2e-3 | cat - all.sums >sums
is '--scale-lr is by the batch' "$(sort -u sums | wc -l)" 23
is '--adam-beta2' "$({ one --max-steps 2; one --max-steps 2 --adam-beta2 0.5; } | sort -u | wc -l)" 2
is '--log-every' "$(one --max-steps 3 --log-every 2 >/dev/null; grep '"kind":"step"' one.log | field step | tr '\n' ' ')" '2 3 '
is '--validation-epochs' "$(one -b 10 --max-steps 0 -n 3 --validation-prompt x --num-validation-images 1 --validation-epochs 2 \
    --steps 2 >/dev/null; grep sheet_file_name one.log | field step | tr '\n' ' ')" '2 3 '
is '--low-memory-optimizations' "$(sdtrain --plan -m m --low-memory-optimizations)" \
    "$(sdtrain --plan -m m --gradient-checkpointing --use-8bit-adam)"
sed 's/"file_name"/"path"/' shapes.jsonl >path.jsonl
sdtrain -q -m m -b 2 --max-steps 1 --checkpoint-steps 0 --center-crop --lr 1e-3 -o one2 --image-field path path.jsonl >/dev/null
is '--image-field' "$(sum one2)" "$(cat one.sum)"
one --instance-prompt x --class-prompt y --num-class-images 2 --class-data-dir-parent parent >/dev/null
is '--class-data-dir-parent' "$(find parent/one -name '*.jpg' | wc -l)" 2
mkmodel --convert -o m.safetensors m
is 'a single file, its tokenizer' "$(one -m m.safetensors --tokenizer m/tokenizer)" "$(cat one.sum)"
one -m m.safetensors --tokenizer m/tokenizer --v-prediction >sums
is '--v-prediction' "$(cat sums one.sum | sort -u | wc -l)" 2
cp -r m5 var
for f in text_encoder/model unet/diffusion_pytorch_model vae/diffusion_pytorch_model; do
	cp m/$f.safetensors var/$f.fp16.safetensors
done
is '--variant' "$(one -m var --variant fp16)" "$(cat one.sum)"
is 'steps of an image' "$(one --max-steps 0 --steps-per-image 1 >/dev/null; tail -n 1 one.log | field step)" 10
sdtrain --plan -m m --preset nsw -n 2 --resolution 32 | field total_bytes >plan.bytes
ok 'a preset lets itself be planned' test -s plan.bytes
is "a preset's steps give way to epochs" "$(one --preset mep --resolution 32 --no-use-8bit-adam -b 5 --max-steps 0 -n 1 >/dev/null
	tail -n 1 one.log | field step)" 2
is 'a preset may be cut short' "$(one --pres mep --resolution 32 -b 5 >/dev/null; grep -o '"loss_scale":' one.log)" '"loss_scale":'

# ---- diffusers' options ----
# of train_text_to_image.py, train_text_to_image_lora.py and train_dreambooth.py of its release 0.27
for o in input_perturbation pretrained_model_name_or_path revision variant dataset_name dataset_config_name train_data_dir \
    image_column caption_column max_train_samples validation_prompts output_dir cache_dir seed resolution center_crop \
    random_flip train_batch_size num_train_epochs max_train_steps gradient_accumulation_steps gradient_checkpointing \
    learning_rate scale_lr lr_scheduler lr_warmup_steps snr_gamma use_8bit_adam allow_tf32 use_ema non_ema_revision \
    dataloader_num_workers adam_beta1 adam_beta2 adam_weight_decay adam_epsilon max_grad_norm push_to_hub hub_token \
    prediction_type hub_model_id logging_dir mixed_precision report_to local_rank checkpointing_steps \
    checkpoints_total_limit resume_from_checkpoint enable_xformers_memory_efficient_attention noise_offset validation_epochs \
    tracker_project_name validation_prompt num_validation_images rank tokenizer_name instance_data_dir class_data_dir \
    instance_prompt class_prompt with_prior_preservation prior_loss_weight num_class_images train_text_encoder \
    sample_batch_size lr_num_cycles lr_power validation_steps prior_generation_precision set_grads_to_none offset_noise \
    pre_compute_text_embeddings tokenizer_max_length text_encoder_use_attention_mask skip_save_text_encoder \
    validation_images class_labels_conditioning validation_scheduler; do
	case $(sdtrain --$o 1 2>&1) in
	*' is required;'* | *": --$(echo $o | tr _ -): "*) ;;
	*) echo $o ;;
	esac
done >unknown
is 'are all known, or refused with a reason' "$(cat unknown)" ''
rc 2 'what means nothing here' train --allow_tf32 -o x shapes.jsonl
is 'is told why' "$(cat stderr)" 'sdtrain: --allow-tf32: f32 is f32 here, tf32 is not had; see sdtrain --help'
one --report_to tensorboard >/dev/null
ok 'event files stand where they do there' test -s "$(find one/logs -name 'events.out.tfevents.*')"
one --logging_dir log --dataloader_num_workers 0 >/dev/null
ok 'or in another folder of the run' test -s "$(find one/log -name 'events.out.tfevents.*')"

# ---- ways to the same ----
train -o cached --max-steps 3 --checkpoint-steps 3 --cache-latents --center-crop shapes.jsonl >/dev/null
train -o disk --max-steps 3 --checkpoint-steps 3 --cache-latents --cache-memory 1 --cache-dir tmp --center-crop \
    shapes.jsonl >/dev/null
train -o plain --max-steps 3 --checkpoint-steps 3 --center-crop shapes.jsonl >/dev/null
same 'latents kept in memory are the same' cached/checkpoint-3/$unet plain/checkpoint-3/$unet
same 'and in a file' disk/checkpoint-3/$unet plain/checkpoint-3/$unet
is 'which is gone' "$(find tmp -type f | wc -l)" 0
mkdir folder
cp -r shapes shapes.jsonl folder
mv folder/shapes.jsonl folder/metadata.jsonl
train -o folded --max-steps 3 --checkpoint-steps 3 --center-crop --train_data_dir folder >/dev/null
same 'records of an ImageFolder are the same' folded/checkpoint-3/$unet plain/checkpoint-3/$unet
rc 2 'a folder without them' train -o none --train_data_dir shapes
rc 0 "diffusers' spellings" sdtrain -q --pretrained_model_name_or_path m --output_dir spelt --train_batch_size=4 \
    --learning_rate 1e-3 --max_train_steps 3 --checkpointing_steps 3 --center_crop shapes.jsonl
same 'are the same options' spelt/checkpoint-3/$unet plain/checkpoint-3/$unet
train -o more --max-steps 3 --checkpoint-steps 1 --keep 2 shapes.jsonl >/dev/null
is 'checkpoints that are kept' "$(find more -name 'checkpoint-*' | sort | tr '\n' ' ')" 'more/checkpoint-2 more/checkpoint-3 '

# ---- the other modes ----
ok 'class images were made' test "$(find classes -name '?.jpg' | wc -l)" = 3
train -o db --max-steps 1 --instance-prompt x --class-prompt 'a cell' --num-class-images 3 --class-data-dir classes \
    --prior-loss-weight 0.3 --image-folder shapes >db.log 2>&1
is 'the loss is that of both' "$(awk -F'[:,]' '/instance_loss/ { for (i = 1; i < NF; i++) v[$i] = $(i + 1);
	d = v["\"loss\""] - v["\"instance_loss\""] - 0.3 * v["\"prior_loss\""]; print (d < 1e-6 && d > -1e-6) }' db.log)" 1
mkdir named captions
cp shapes/1_image.png 'named/12_a cell-(3).png'
echo 'of two' >'captions/12_a cell-(3).txt'
printf '{"id":"12_a cell-(3).png","file_name":"named/12_a cell-(3).png","text":" a cell of two"}\n' >named.jsonl
train -o names --max-steps 2 --checkpoint-steps 2 --image-folder named --image-captions-filename --captions-dir captions \
    >/dev/null
train -o named1 --max-steps 2 --checkpoint-steps 2 named.jsonl >/dev/null
same "captions from files' names" names/checkpoint-2/$unet named1/checkpoint-2/$unet
rc 0 'a model of classes trains on' sdtrain -q -m a -o classes2 -b 4 --max-steps 1 --validation-prompt 1 \
    --num-validation-images 1 --validation-steps 1 --steps 2 shapes.jsonl
like 'and draws a class' "$(grep eval stdout)" '*"label":"1"*'
rc 0 'and makes pictures' sdgen -q -m classes2 -g 1 --steps 2 -o made2 shapes.jsonl
rc 0 'LoRA' train -o lora --max-steps 2 --lora-rank 2 --lora-alpha 4 --lora-targets to_q,to_v,conv1 shapes.jsonl
rc 0 'is a file that sdgen takes' sdgen -q -m m --lora lora/pytorch_lora_weights.safetensors --steps 2 --prompt x -o made3
rc 1 'and changes the picture' sh -c 'sdgen -q -m m --steps 2 --prompt x -o made4 >/dev/null && cmp -s made3/*.png made4/*.png'
rc 0 'v prediction' train -o v --max-steps 1 --prediction-type v_prediction --snr-gamma 5 shapes.jsonl
ok "the final model's scheduler says so" grep -q '"prediction_type": *"v_prediction"' v/scheduler/scheduler_config.json
rc 0 'held-out images' sh -c 'sed "s/^{/{\"split\":\"validation\",/; s/\"id\":\"/&v/" shapes.jsonl | head -n 2 |
	cat - shapes.jsonl | sdtrain -q -m m -b 5 -o held -n 2 --tensorboard tb'
is 'are judged after each epoch' "$(grep '"split":"validation"' stdout | field n | tr '\n' ' ')" '2 2 '
ok 'event files are there' test -s "$(find tb -name 'events.out.tfevents.*')"
rc 0 'a single file every step' train -o single --max-steps 1 --session-dir files --session-steps 1 shapes.jsonl
ok 'is there' test -s files/single_step_1.safetensors
rc 0 "MEP's settings" sdtrain -q -m m -o mep --preset mep --resolution 32 --max-steps 1 shapes.jsonl
rc 0 "NSW's" sdtrain -q -m m -o nsw --preset nsw --resolution 32 --max-steps 1 --num-class-images 2 shapes.jsonl
sed 's/"label":"[^"]*",//; s/"text":[^,]*,\("words"\],\)\{0,1\}/"text":"a microscopic image of a human embryo at phase tPB2\\n",/' \
    shapes.jsonl >phases.jsonl
rc 0 "and of classes" sdtrain -q -m m -o nswc --preset nsw-class --resolution 32 --max-steps 1 phases.jsonl

# ---- memory ----
rc 0 'a plan without weights' sdtrain --plan -m sd15 -b 1 --resolution 512 --use-8bit-adam --mixed-precision bf16 \
    --gradient-checkpointing
# observed: 11.1e9, of 25.8e9 asked
ok "SD 1.5 fits 24 GB ($(field total_bytes <stdout))" test "$(field total_bytes <stdout)" -lt 25769803776
rc 0 'of LoRA' sdtrain --plan -m sd15 -b 1 --resolution 512 --lora-rank 4 --mixed-precision bf16 --gradient-checkpointing
# observed: 7.5e9, of 8.6e9 asked
ok "fits 8 GB ($(field total_bytes <stdout))" test "$(field total_bytes <stdout)" -lt 8589934592
# what the plan says against what the run then took, at sizes that run here; observed: 0.4 to 1.5 % off
mkmodel -o tiny tiny
shapegen -q -n 4 --width 64 --height 64 -o large | sed 's/^{/{"text":"a",/' >large.jsonl
for o in '' '--gradient-checkpointing --use-8bit-adam --mixed-precision bf16' '--lora-rank 4 --mixed-precision bf16'; do
	# shellcheck disable=SC2086
	sdtrain -m tiny -b 4 -o plan --max-steps 2 $o large.jsonl >plan.log 2>plan.err
	rm -rf plan
	off=$(cat plan.err plan.log | awk -F'[:,}]' '{ for (i = 1; i < NF; i++) v[$i] = $(i + 1) }
		END { d = v["\"memory_bytes\""] / v["\"total_bytes\""] - 1; print d < 0 ? -d : d }')
	ok "the plan tells what a run takes ($off off): $o" awk "BEGIN { exit !($off < 0.05) }"
done
rc 2 'what does not fit' env PHANTOM_MEMORY=6M sdtrain -q -m m -o none -b 16 shapes.jsonl
like 'is refused with a suggestion' "$(cat stderr)" 'sdtrain: it takes *it would fit with *'
ok 'before anything is written' test ! -e none

# ---- signals ----
# sig SIGNAL NUMBER: saves and leaves, and what it saved goes on
sig() {
	rm -rf sig sig1
	: >sig.log
	sdtrain -q -m m -b 4 --lr 1e-3 -o sig -n 5000 shapes.jsonl >sig.log 2>sig.err &
	pid=$!
	wait_until $pid '[ "$(steps <sig.log)" -ge 4 ]'
	kill -"$1" $pid
	wait $pid
	is "$1 saves and leaves" "$?" $((128 + $2))
	step=$(tail -n 1 sig.log | field step)
	is 'the last record is a checkpoint' "$(tail -n 1 sig.log | field kind)" '"checkpoint"'
}
sig TERM 15
rc 0 'which goes on' train -o sig --max-steps $((step + 2)) --checkpoint-steps $((step + 2)) --resume shapes.jsonl
train -o sig1 --max-steps $((step + 2)) --checkpoint-steps $((step + 2)) shapes.jsonl >/dev/null
same 'as if nothing had been' sig/checkpoint-$((step + 2))/$unet sig1/checkpoint-$((step + 2))/$unet
sig INT 2
sig USR1 10
rm -rf draws
: >draws.log
sdtrain -q -m m -b 4 -o draws --max-steps 2 --validation-prompt x --num-validation-images 500 --validation-steps 1 \
    --steps 20 shapes.jsonl >draws.log 2>/dev/null &
pid=$!
wait_until $pid 'grep -q "\"kind\":\"eval\"" draws.log'
kill -TERM $pid
wait $pid
is 'TERM while it draws' "$?" 143
ok 'saves' test -s draws/checkpoint-1/state.json
mkfifo in
sleep 600 >in &
feeder=$!
sdtrain -q -m m -o waits <in >waits.log 2>&1 &
pid=$!
sleep 0.5
kill -TERM $pid
wait $pid
is 'TERM while records are awaited' "$?" 143
kill $feeder
wait $feeder 2>/dev/null
ok 'leaves nothing' test ! -e waits

# ---- what cannot be used ----
head -c 100 shapes/1_image.png >cut.png
sdgen -q -m m --format jpg --steps 2 --prompt x -o jpg >/dev/null
head -c 400 jpg/*.jpg >cut.jpg
echo 'no image' >text.png
printf '%s\n' '{"id":"text","file_name":"text.png","text":"x"}' '{"id":"cut","file_name":"cut.png","text":"x"}' \
    '{"id":"jpeg","file_name":"cut.jpg","text":"x"}' '{"id":"gone","file_name":"gone.png","text":"x"}' \
    '{"id":"caption","file_name":"shapes/1_image.png"}' '{"id":"number","file_name":"shapes/1_image.png","text":1}' \
    '{"id":"empty","file_name":"shapes/1_image.png","text":[]}' nonsense '{"id":"name","text":"x"}' \
    '{"id":"split","file_name":"shapes/1_image.png","text":"x","split":"x"}' \
    '{"id":"failed","error":{"tool":"archx","message":"damaged"}}' >bad.jsonl
cat shapes.jsonl bad.jsonl >mixed.jsonl
rc 1 'bad records are left out' train -o mixed --max-steps 3 --checkpoint-steps 3 mixed.jsonl
is 'each is named in a line' "$(wc -l <stderr)" 11
for id in text cut jpeg gone caption number empty name split failed; do
	is "$id is" "$(grep -c "mixed.jsonl:[0-9]*: $id: " stderr)" 1
done
same 'the rest trains as without them' mixed/checkpoint-3/$unet run/checkpoint-3/$unet
rc 2 '--strict stops' train -o strict --strict --max-steps 2 mixed.jsonl
rc 2 'only bad records' train -o none --max-steps 2 bad.jsonl
rc 2 'no records' train -o none /dev/null
like 'are told' "$(cat stderr)" 'sdtrain: no records came in*'
rc 2 'a file that is not there' train -o none nofile.jsonl
rc 2 'no such device' train -d nonesuch -o none shapes.jsonl
rc 2 'no such model' sdtrain -q -m nonesuch -o none shapes.jsonl
for o in '' '-o x --resolution 30' '-o x --lr -1' '-o x -n 0' '-o x --lr-scheduler up' '-o x --preset foo' \
    '-o x --mixed-precision fp8' '-o x --image-folder shapes' '-o x --lora-rank 2 --use-ema' \
    '-o x --class-labels 0,1 --class-prompt y' '-o x --with_prior_preservation' '-o x --scheduler foo' \
    '-o x --class-labels 0,1 --validation-prompt 7' '-o x --nonsense' '-o x --ema-decay 0.9' '-o x --lora-alpha 2' \
    '-o x --lora-form peft' '-o x --lora-rank 2 --save-dtype f16' '-o x --class-tokens 2' '-o x --num-class-images 3' \
    '-o x --class-data-dir c' '-o x --prior-loss-weight 0' '-o x --sample-batch-size 2' '-o x --steps 3' \
    '-o x --guidance-scale 3' '-o x --scheduler ddim' '-o x --num-validation-images 1' '-o x --cache-memory 1G' \
    '-o x --session-steps 2' '-o x --lr-num-cycles 2' '-o x --lr-power 2' '-o x --lr-warmup-steps 5' \
    '-o x --lr-scheduler step' '-o x --max-steps 2 --steps-per-image 2' '-o x --label-field y' '-o x --keep 0' \
    '-o x --class-labels 0,1 --caption-field text' '-o x --class-labels 0,1 --instance-prompt y' \
    '-o x --image-folder shapes --instance-prompt y' '-o x --train-data-dir folder' \
    '-o x --instance-prompt y --caption-field z' '-o x --captions-dir shapes' \
    '-o x --image-captions-filename --captions-dir none' '-o x --class-labels 0,1,0' \
    '-o cut.png' '-o x --session-dir cut.png' '-o x --tensorboard cut.png'; do
	# shellcheck disable=SC2086
	rc 2 "wrong: $o" sdtrain -q -m m $o shapes.jsonl
	is 'one line about it' "$(wc -l <stderr)" 1
done
rc 2 'LoRA on what is not there' train -o x --lora-rank 2 --lora-targets to_x shapes.jsonl
like 'is told' "$(cat stderr)" "sdtrain: lora: no weight of this network ends in 'to_x'"
rc 2 '/dev/full' sh -c 'sdtrain -q -m m -b 4 -o full --max-steps 1 shapes.jsonl >/dev/full'
sh -c 'trap "" PIPE; sdtrain -q -m m -b 4 -o closed --max-steps 500 shapes.jsonl; echo $? >closed.rc' | head -n 1 >/dev/null
is 'a reader that leaves ends it' "$(cat closed.rc)" 141
rc 2 'no Vulkan device at all' env VK_ICD_FILENAMES=/nonexistent VK_DRIVER_FILES=/nonexistent \
    sdtrain -q -m m -o none shapes.jsonl
like 'is told' "$(cat stderr)" 'sdtrain: no Vulkan device: *'

# ---- a NaN ----
rc 2 'a loss that is not finite' train -o nan -n 500 --lr 1e3 --clip 0 --adam-weight-decay 10 shapes.jsonl
like 'is told' "$(cat stderr)" 'sdtrain: the loss is *'

# every option stands in the page by one of its names
awk -F'"' '/struct opt table/ { on = 1 } /^};/ { on = 0 } on && /^\t{ .*"/ {
	split($3, part, ","); sub(/ */, "", part[3]); names[part[3]] = names[part[3]] " " $2 }
	END { for (to in names) print names[to] }' "$top/bin/sdtrain.c" >option.names
while read -r line; do
	for o in $line; do
		! grep -q -e "-$o\b" "$top/man/sdtrain.1" || continue 2
	done
	echo "$line"
done <option.names >missing
is 'every option stands in the page' "$(cat missing)" ''
done_testing
