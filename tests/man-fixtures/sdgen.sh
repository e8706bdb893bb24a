# The files that the examples of sdgen(1) read: a model as small as can be.
mkmodel -o model mini
printf '{"id":"%s","text":"a %s"}\n' a 'red circle' b 'blue square' >prompts.jsonl
