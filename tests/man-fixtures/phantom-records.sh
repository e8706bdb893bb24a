# The files that the examples of phantom-records(5) read.
printf 'file_name,label\na.png,t2\nb.png,t3\nc.png,t4\n' >metadata.csv
csvrec metadata.csv >metadata.jsonl
printf 'label,colour\nt2,red\nt3,green\n' >colours.csv
