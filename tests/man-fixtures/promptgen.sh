# Records and vectors that the examples of promptgen(1) use.
mkmodel -o dino.safetensors dino-mini
shapegen -q -n 12 --height 64 --width 64 --min 10 --max 24 -o . |
	sed 's/}$/,"label":"shape","camera":"nobody"}/' >images.jsonl
printf 'a {label}\nthis is a {label}\na picture of a {label}\n' >wordings.txt
embed -q --network dino --weights dino.safetensors -o dino.npy images.jsonl >embedded.jsonl
head -n 4 embedded.jsonl >new.jsonl
