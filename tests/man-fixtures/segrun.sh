# The model and images that the examples of segrun(1) use.
shapegen -n 8 --height 64 --width 64 --min 10 --max 24 -o . >shapes.jsonl
shapegen -n 1 --height 150 --width 170 --min 10 --max 24 -o large >large.jsonl
segtrain -q -o run -e resnet18:width=0.125 --decoder-channels 32,16,8 -n 1 shapes.jsonl >/dev/null
