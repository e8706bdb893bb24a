# The files that the examples of csvrec(1) read.
cat >metadata.csv <<EOF
file_name,label,width
a.png,2,64
b.png,10,128
EOF
printf 'name;age;note\nAda;36,5;"a ""note"""\nEve;40;\n' >patients.csv
printf 'tPB2,1,5\ntPNa,6,20\n' >AA83-7_phases.csv
printf 'tPNf,1,9\nt2,10,11\n' >AB028-6_phases.csv
printf '{"file_name":"%s","video":"%s","frame":%s}\n' x.png AA83-7 6 y.png AB028-6 12 >frames.jsonl
