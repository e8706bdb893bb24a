#!/bin/sh
# mkmodel: new models, other layouts, and what is said of models that do not fit.
. "${0%/*}/lib.sh"

# tensors FILE: the data of a safetensors file without its header
tensors() {
	perl -e 'open F, "<:raw", shift; read F, my $n, 8; seek F, 8 + unpack("Q<", $n), 0; local $/; print <F>' "$1"
}
# names DIR: of its files
names() {
	find "$1" -mindepth 1 -maxdepth 1 ! -name '.*' | sed 's,.*/,,' | LC_ALL=C sort
}
# same_weights DIR DIR: all three nets hold the same bytes
same_weights() {
	for f in unet/diffusion_pytorch_model vae/diffusion_pytorch_model text_encoder/model; do
		tensors "$1/$f.safetensors" >x
		tensors "$2/$f.safetensors" >y
		[ -s x ] && cmp x y || return
	done
}

printf '{"text":"a %s"}\n' 'red circle' 'blue circle' 'red square' >captions.jsonl
printf 'a red circle\na blue circle\na red square\n' >captions.txt
rc 0 'a new model' mkmodel --captions captions.jsonl -o m mini
is 'nothing is said' "$(cat stdout stderr)" ''
is 'it has all its parts' "$(cd m && find . -type f | LC_ALL=C sort | tr '\n' ' ')" \
	'./model_index.json ./scheduler/scheduler_config.json ./text_encoder/config.json ./text_encoder/model.safetensors ./tokenizer/merges.txt ./tokenizer/tokenizer_config.json ./tokenizer/vocab.json ./unet/config.json ./unet/diffusion_pytorch_model.safetensors ./vae/config.json ./vae/diffusion_pytorch_model.safetensors '
is 'the tokenizer learned whole words' "$(sed -n '$p' m/tokenizer/merges.txt | wc -w)" 2
mkmodel --captions captions.txt -o lines mini
ok 'lines are captions too' diff -r m/tokenizer lines/tokenizer
ok 'a seed makes one model' same_weights m lines
mkmodel -s 1 -o other mini
rc 1 'another seed another' same_weights m other
mkmodel --tokenizer m/tokenizer -o took mini
ok 'a tokenizer is taken' diff -r m/tokenizer took/tokenizer
mkmodel -o byconfig m --tokenizer m/tokenizer
ok 'a folder is a configuration' same_weights m byconfig
{
	printf '{"text_encoder":'
	cat m/text_encoder/config.json
	printf ',"unet":'
	cat m/unet/config.json
	printf ',"vae":'
	cat m/vae/config.json
	printf '}'
} >config.json
mkmodel -o byfile config.json --tokenizer m/tokenizer
ok 'so is a file' same_weights m byfile
rc 0 'a model of classes' mkmodel --classes a,b,c --class-tokens 4 -o classes mini
is 'knows their labels' "$(grep -c '"labels": \["a", "b", "c"\]' classes/class_embedding/config.json)" 1
is 'and no text' "$(names classes | tr '\n' ' ')" 'class_embedding model_index.json scheduler unet vae '

# ---- networks that make features
rc 0 'one of them' mkmodel -s 3 -o dino.safetensors dino-mini
is 'nothing is said' "$(cat stdout stderr)" ''
mkmodel -s 3 -o again.safetensors dino-mini
mkmodel -s 4 -o fourth.safetensors dino-mini
tensors dino.safetensors >x
tensors again.safetensors >y
tensors fourth.safetensors >z
ok 'a seed makes one network' cmp x y
rc 1 'another seed another' cmp -s x z
rc 0 'as f16' mkmodel --dtype f16 -o half.safetensors dino-mini
ok 'is half as large' test "$(($(wc -c <half.safetensors) * 19 / 10))" -lt "$(wc -c <dino.safetensors)"
for name in dinov2-mini clip-mini resnet18 densenet121 efficientnet-b0 mobilenet_v2; do
	rc 0 "$name" mkmodel -o $name.safetensors $name
done
rc 2 'not as a folder' mkmodel -o dino dino-mini
rc 2 'not with captions' mkmodel -o x.safetensors --captions captions.txt dino-mini
rc 2 'not over what is there' mkmodel -o dino.safetensors dino-mini
rc 2 'no such one' mkmodel -o x.safetensors dino-none
rc 2 'no such DenseNet' mkmodel -o x.safetensors densenet122
like 'is told' "$(cat stderr)" 'mkmodel: densenet122: no such DenseNet: densenet121, *'

# ---- other layouts
rc 0 'as one file' mkmodel --convert -o m.safetensors m
rc 0 'and back' mkmodel --convert --tokenizer m/tokenizer -o back m.safetensors
ok 'the weights are the same' same_weights m back
ok 'and so is the configuration' cmp m/unet/config.json back/unet/config.json
rc 0 'in shards' mkmodel --convert --shard-size 100K -o shards m
ok 'which are several' test "$(names shards/unet | grep -c safetensors)" -gt 3
rc 0 'and out of shards' mkmodel --convert -o whole shards
ok 'the weights are the same' same_weights m whole
rc 0 'in 16 bits' mkmodel --convert --dtype f16 -o half m
is 'all of them' "$(mkmodel --info half | grep '"tensor"' | grep -vc '"dtype":"f16"')" 0
rc 0 'and back' mkmodel --convert --dtype f32 -o wide half
rc 0 'and to 16 bits again' mkmodel --convert --dtype f16 -o half2 wide
ok 'nothing is lost' same_weights half half2
rc 0 'in bf16' mkmodel --convert --dtype bf16 -o brain m

# SD 2.x: OpenCLIP's names, q, k and v as one
sed -i 's/quick_gelu/gelu/' config.json
sed -i 's/"use_linear_projection": false/"use_linear_projection": true/' config.json
rc 0 'a model of the second kind' mkmodel --tokenizer m/tokenizer -o v2 config.json
rc 0 'as one file' mkmodel --convert -o v2.safetensors v2
ok 'in the names of OpenCLIP' grep -aq 'cond_stage_model.model.transformer.resblocks.1.attn.in_proj_weight' v2.safetensors
rc 0 'and back' mkmodel --convert --tokenizer m/tokenizer -o v2back v2.safetensors
ok 'the weights are the same' same_weights v2 v2back

# a file that says nothing of itself, as others publish them: read off its shapes
cat >guess.json <<-'END'
	{"text_encoder": {"hidden_size": 64, "num_attention_heads": 1, "num_hidden_layers": 24,
	  "intermediate_size": 96, "vocab_size": 540, "hidden_act": "gelu", "projection_dim": 64},
	 "unet": {"block_out_channels": [64, 128], "attention_head_dim": [1, 2], "layers_per_block": 1,
	  "cross_attention_dim": 64, "use_linear_projection": true, "sample_size": 64,
	  "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
	  "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"]},
	 "vae": {"block_out_channels": [32, 64], "layers_per_block": 2, "sample_size": 512}}
END
rc 0 'a model with the last layer of OpenCLIP' mkmodel --tokenizer m/tokenizer -o full24 guess.json
mkmodel --convert -o bare.safetensors full24
perl -pi -e 's/("__metadata__":)(\{(?:"(?:[^"\\]|\\.)*"[:,]?)*\})/$1 . "{}" . " " x (length($2) - 2)/e' bare.safetensors
ok 'nothing is said of it' test "$(grep -ac phantom.unet bare.safetensors)" = 0
rc 0 'is read as SD 2 is' mkmodel --convert --v-prediction --tokenizer m/tokenizer -o bare bare.safetensors
for f in unet vae; do
	tensors full24/$f/diffusion_pytorch_model.safetensors >x
	tensors bare/$f/diffusion_pytorch_model.safetensors >y
	ok "the same $f" cmp x y
	ok "and what it is" cmp full24/$f/config.json bare/$f/config.json
done
is 'the states before the last layer' "$(diff full24/text_encoder/config.json bare/text_encoder/config.json)" \
	"$(printf '%s\n' '7c7' '<   "num_hidden_layers": 24,' --- '>   "num_hidden_layers": 23,')"
is 'without its values' "$(mkmodel --info bare | grep -c 'encoder.layers.23')" 0
is 'v is predicted' "$(grep -c v_prediction bare/scheduler/scheduler_config.json)" 1

# a level without attention has no heads
sed 's/"attention_head_dim": \[2, 2\]/"attention_head_dim": [3, 2]/
	s/"CrossAttnDownBlock2D", "DownBlock2D"/"DownBlock2D", "CrossAttnDownBlock2D"/
	s/"UpBlock2D", "CrossAttnUpBlock2D"/"CrossAttnUpBlock2D", "UpBlock2D"/' config.json >heads.json
rc 0 'heads of a level without attention' mkmodel --tokenizer m/tokenizer -o heads heads.json
is 'are not asked for' "$(grep -c '"attention_head_dim": \[3, 2\]' heads/unet/config.json)" 1

# ---- LoRA
at=mid_block.attentions.0.transformer_blocks.0
perl "$top/tests/lora.pl" l.safetensors 0.5 unet.$at.attn1.to_q=32,32 \
	text_encoder.text_model.encoder.layers.0.self_attn.q_proj=16,16
rc 0 'a LoRA is merged' mkmodel --merge-lora l.safetensors -o styled m
# value FILE NAME: the first number of a tensor
value() {
	perl -e 'open F, "<:raw", shift; read F, my $n, 8; $n = unpack "Q<", $n; read F, my $h, $n;
		$h =~ /"\Q$ARGV[0]\E":\{[^}]*"data_offsets":\[(\d+)/ or die; seek F, 8 + $n + $1, 0; read F, my $v, 4;
		printf "%.4f\n", unpack "f<", $v' "$1" "$2"
}
# moved DIR NET/FILE NAME: how far its first number is from m's
moved() {
	echo "$(value "$1/$2" "$3") $(value "m/$2" "$3")" | awk '{ printf "%.3f", $1 - $2 }'
}
u=unet/diffusion_pytorch_model.safetensors
is 'into the weights that it names' "$(moved styled $u $at.attn1.to_q.weight)" 0.250
is 'of the text encoder too' "$(moved styled text_encoder/model.safetensors text_model.encoder.layers.0.self_attn.q_proj.weight)" 0.250
is 'and into no other' "$(moved styled $u $at.attn1.to_k.weight)" 0.000
rc 0 'several at their strengths' mkmodel --merge-lora l.safetensors:2 --merge-lora l.safetensors:-0.5 -o styled2 m
is 'add up' "$(moved styled2 $u $at.attn1.to_q.weight)" 0.375
rc 0 'in 16 bits' mkmodel --merge-lora l.safetensors --dtype f16 -o styled16 m
perl "$top/tests/lora.pl" odd.safetensors 0.5 unet.$at.attn1.to_q=31,32 unet.$at.attn9.to_q=32,32
rc 2 'one that does not fit' mkmodel --merge-lora odd.safetensors -o nope m
is 'is told key by key' "$(grep -c -e 'misshapen .*to_q.lora_A' -e 'unknown .*attn9.to_q.lora_[AB]' stderr)" 3
rc 2 'one that is not there' mkmodel --merge-lora none.safetensors -o nope m
rc 2 'one for a new model' mkmodel --merge-lora l.safetensors -o nope mini

# ---- records
mkmodel --info m >info
is 'a record each part' "$(grep -c '"kind":"component"' info)" 3
is 'the U-Net' "$(grep '"kind":"component","component":"unet"' info | cut -d, -f 3-5)" \
	'"tensors":208,"parameters":200644,"size_bytes":802576'
is 'and each tensor' "$(grep '"conv_in.weight"' info)" \
	'{"kind":"tensor","component":"unet","name":"conv_in.weight","dtype":"f32","shape":[16,4,3,3],"parameters":576}'
rc 2 'records that cannot be written' sh -c 'mkmodel --info m >/dev/full'

# ---- what does not fit
cp -r m bad
perl -pi -e 's/conv_in\.weight/conv_ix.weight/; s/conv_out\.weight/conv_oux.weight/' bad/unet/diffusion_pytorch_model.safetensors
rc 2 'tensors that do not fit' mkmodel --convert -o nope bad
is 'are all listed' "$(grep -c -e 'missing conv_in.weight' -e 'missing conv_out.weight' -e 'unknown conv_ix.weight' -e 'unknown conv_oux.weight' stderr)" 4
cp -r m shape
sed -i 's/"cross_attention_dim": 16/"cross_attention_dim": 16, "attention_head_dim": 2/; s/"norm_num_groups": 8/"norm_num_groups": 4/; s/"in_channels": 4/"in_channels": 4/' shape/unet/config.json
sed -i 's/"intermediate_size": 32/"intermediate_size": 64/' shape/text_encoder/config.json
rc 2 'a duplicate key in a configuration' mkmodel --convert -o nope shape
cp m/unet/config.json shape/unet/config.json
rc 2 'misshapen tensors' mkmodel --convert -o nope shape
is 'are all listed' "$(grep -c misshapen stderr)" 6
like 'with both shapes' "$(cat stderr)" '*misshapen text_model.encoder.layers.0.mlp.fc1.weight \[32,16\], not \[64,16\]*'
sed -i 's/"act_fn": "silu"/"act_fn": "silu", "resnet_time_scale_shift": "scale_shift"/' shape/unet/config.json
rc 2 'a U-Net of another kind' mkmodel --convert -o nope shape
like 'says which setting' "$(cat stderr)" '*unet: resnet_time_scale_shift*scale_shift*default*'
cp m/unet/config.json shape/unet/config.json
sed -i 's/"act_fn": "silu"/"act_fn": "silu", "mid_block_add_attention": false/' shape/vae/config.json
rc 2 'an autoencoder of another kind' mkmodel --convert -o nope shape
cp -r m keys
sed -i 's/"act_fn": "silu"/"act_fn": "silu", "dual_cross_attention": false, "only_cross_attention": [false, false], "encoder_hid_dim": null, "mid_block_type": "UNetMidBlock2DCrossAttn", "resnet_out_scale_factor": 1.0, "projection_class_embeddings_input_dim": null, "attention_type": "default"/' keys/unet/config.json
sed -i 's/"scaling_factor": 0.18215/"scaling_factor": 0.2031258471, "latents_mean": null, "force_upcast": true/' keys/vae/config.json
rc 0 'settings that say what is so anyway' mkmodel --convert -o said keys
is 'the scale of latents in all its digits' "$(grep -c '"scaling_factor": 0.2031258471,' said/vae/config.json)" 1
cp -r m named
mv named/unet/diffusion_pytorch_model.safetensors named/unet/diffusion_pytorch_model.non_ema.safetensors
mv named/text_encoder/model.safetensors named/text_encoder/pytorch_model.safetensors
rc 0 'weights of other names' mkmodel --convert -o plain named
ok 'are the same' same_weights m plain
cp named/unet/diffusion_pytorch_model.non_ema.safetensors named/unet/diffusion_pytorch_model.ema.safetensors
rc 2 'two of them' mkmodel --convert -o nope named
like 'are one too many' "$(cat stderr)" '*no diffusion_pytorch_model.safetensors there*'
printf 'x' >m.ckpt
rc 2 'a pickle' mkmodel --info m.ckpt
like 'is refused with a way' "$(cat stderr)" '*pickled*phantom-models(7)*'
cp -r m pickled
mv pickled/unet/diffusion_pytorch_model.safetensors pickled/unet/diffusion_pytorch_model.bin
rc 2 'a pickled U-Net' mkmodel --info pickled
like 'is refused too' "$(cat stderr)" '*diffusion_pytorch_model.bin: a pickled*'
head -c 3000 m/unet/diffusion_pytorch_model.safetensors >cut.st
cp -r m short
cp cut.st short/unet/diffusion_pytorch_model.safetensors
rc 2 'a file that is cut' mkmodel --info short
rc 2 'a model that is not there' mkmodel --info none
is 'nothing was written' "$(ls -d nope 2>/dev/null)" ''

# ---- usage and disks
rc 2 'no name' mkmodel -o nope
rc 2 'no output' mkmodel mini
rc 2 'an unknown name' mkmodel -o nope big
like 'says which there are' "$(cat stderr)" '*sd15*tiny*'
rc 2 'a model that is there' mkmodel -o m mini
rc 0 'is replaced when told' mkmodel -f --tokenizer took/tokenizer -o m mini
mkmodel -s 5 -o m5 mini
mkmodel --convert --unet m5/unet --vae m5/vae -o parts m
# data FILE: without the header
data() {
	tail -c +$((9 + $(od -An -tu8 -N8 "$1"))) "$1" | cksum
}
for f in unet/diffusion_pytorch_model vae/diffusion_pytorch_model; do
	is "--${f%%/*} takes another" "$(data parts/$f.safetensors)" "$(data m5/$f.safetensors)"
	mv parts/$f.safetensors parts/$f.fp16.safetensors
	cp m/$f.safetensors parts/$f.safetensors
done
cp parts/text_encoder/model.safetensors parts/text_encoder/model.fp16.safetensors
for v in '' fp16; do
	mkmodel --convert ${v:+--variant $v} -o variant$v parts
done
f=unet/diffusion_pytorch_model.safetensors
is 'plain files come first' "$(data variant/$f)" "$(data m/$f)"
is '--variant names others' "$(data variantfp16/$f)" "$(data m5/$f)"
mkmodel --convert -o predicts.safetensors m
mkmodel --convert --v-prediction --tokenizer m/tokenizer -o predicts predicts.safetensors
ok '--v-prediction stands in the scheduler' grep -q '"prediction_type": *"v_prediction"' predicts/scheduler/scheduler_config.json
for o in '--merges 3 -o x mini' '--class-tokens 3 -o x mini' '--info --dtype f16 m' '--info --shard-size 1M m' '--info -f m' \
    '--info -s 1 m' '--convert -s 1 -o x m'; do
	# shellcheck disable=SC2086
	rc 2 "wrong: $o" mkmodel $o
	is 'one line about it' "$(wc -l <stderr)" 1
done
rc 2 'captions and a tokenizer' mkmodel --captions captions.txt --tokenizer m/tokenizer -o nope mini
rc 2 'a single file without a tokenizer' mkmodel --convert -o nope m.safetensors
like 'says what is missing' "$(cat stderr)" '*--tokenizer*'
is 'and nothing is there' "$(ls -d nope 2>/dev/null)" ''
(
	trap '' XFSZ
	ulimit -f 100
	mkmodel -o full mini 2>stderr
	echo $? >status
)
is 'a full disk ends it' "$(cat status)" 2
is 'and leaves nothing' "$(ls -d full .full* 2>/dev/null)" ''
done_testing
