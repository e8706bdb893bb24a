#!/bin/sh
# examples/finetune.sh from patches of two labels to its sheets, at the smallest size.
. "${0%/*}/lib.sh"

mkdir patches
(cd patches && shapegen -q --single -n 12 -s 1 --width 40 --height 40 --min 14 --max 26 -o . | awk '
	{ label = NR % 2 ? "healthy" : "cancer" }
	match($0, /"file_name":"[^"]*"/) {
		printf "{%s,\"label\":\"%s\",\"text\":\"Histology image of %s tissue\"}\n",
		    substr($0, RSTART, RLENGTH), label, label
	}' >metadata.jsonl)
export STEPS=3 VAE_STEPS=2 LORA_STEPS=2 SIZE=32 ROWS=2 BUILD
rc 2 'without patches' sh "$top/examples/finetune.sh"
rc 2 "patches that are not there" sh "$top/examples/finetune.sh" nowhere.jsonl work
ok "and no folder for them" test ! -e work
mkdir mine
echo mine >mine/file
rc 2 "a folder of another's" sh "$top/examples/finetune.sh" patches/metadata.jsonl mine
ok "which is left alone" test -s mine/file
rc 0 'patches to pictures' sh "$top/examples/finetune.sh" patches/metadata.jsonl work
is 'a U-Net from one label' "$(wc -l <work/healthy.jsonl | tr -d ' ')" 6
like 'and a LoRA from the other' "$(tail -n 1 work/lora.jsonl)" '{"kind":"result",*"step":2,*}'
for label in healthy cancer; do
	ok "$label: real beside drawn" test -s work/$label.png
	is "$label: an image for each caption" "$(wc -l <work/$label.made.jsonl | tr -d ' ')" 2
	like "$label: of its caption" "$(head -n 1 work/$label.made.jsonl)" "*Histology image of $label tissue*"
done
like 'the LoRA drew' "$(head -n 1 work/cancer.made.jsonl)" '*pytorch_lora_weights*'
done_testing
