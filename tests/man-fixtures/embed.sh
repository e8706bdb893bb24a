# The network and images that the examples of embed(1) use.
mkmodel -o dino.safetensors dino-mini
mkmodel -o resnet.safetensors resnet18
shapegen -q -n 6 --height 64 --width 64 --min 10 --max 24 -o . >images.jsonl
shapegen -q -n 2 --height 64 --width 64 --min 10 --max 24 -s 1 -o new >new.jsonl
