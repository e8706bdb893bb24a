# The files that the examples of archc(1) read.
mkdir shapes
(cd shapes && shapegen -n 20 --width 64 --height 64 --min 8 --max 20 >metadata.jsonl)
