# The files that the examples of mkmodel(1) read.
printf '{"text":"a %s %s"}\n' red circle blue circle green square >captions.jsonl
perl "$top/tests/lora.pl" style.safetensors 0.3 \
	unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_q=128,128
shapegen -q -n 8 --width 64 --height 64 --min 8 --max 24 -o shapes >images.jsonl
