# The files that the examples of sdgen(1) read: a model as small as can be, and a LoRA for it.
mkmodel -o model mini
perl "$top/tests/lora.pl" style.safetensors 0.3 \
	unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_q=32,32
printf '{"id":"%s","text":"a %s"}\n' a 'red circle' b 'blue square' >prompts.jsonl
