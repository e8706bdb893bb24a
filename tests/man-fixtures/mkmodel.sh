# The files that the examples of mkmodel(1) read.
printf '{"text":"a %s %s"}\n' red circle blue circle green square >captions.jsonl
