# The files that the examples of sdtrain(1) read: shapes with captions, a model as small as can be.
mkmodel -o model mini
shapegen -q -n 6 --min 6 --max 12 --width 40 --height 34 -o shapes | sed 's/^{/{"text":"a picture",/' >shapes.jsonl
