#!/bin/sh
# csvrec: rows to records, records to rows, joins. What all filters promise is in 0100-filters.t.
. "${0%/*}/lib.sh"

# ---- CSV to records ----
printf '\357\273\277a,b,\r\n1, 2 ,x\r\n\r\n"say ""hi""","q,\nr",\303\251\r\n' >t.csv
csvrec t.csv >out
is 'quotes, newlines, blanks, a byte order mark, a column without a name' "$(cat out)" \
    '{"a":"1","b":" 2 ","column_3":"x"}
{"a":"say \"hi\"","b":"q,\nr","column_3":"é"}'
printf 'a,b' | csvrec >out
is 'a header alone makes no record' "$(wc -c <out)" 0
printf 'a\n1' | csvrec >out
is 'no newline at the end' "$(cat out)" '{"a":"1"}'
printf 'a,b\n1,\n,""\n' | csvrec -e >out
is '--skip-empty' "$(cat out)" '{"a":"1"}
{}'
printf 'a,b,c\n1,2,3\n' | csvrec -f c,a >out
is '--fields picks and orders' "$(cat out)" '{"c":"3","a":"1"}'
printf 'tPB2,1,5\n' | csvrec --no-header -n -f phase,first,last >out
is '--no-header takes the names from --fields' "$(cat out)" '{"phase":"tPB2","first":1,"last":5}'
printf '%s\n' x 1.10 -0 1e5 1E+2 0.5 007 +1 .5 1. nan inf 0x1 1,5 ' 1' '1 ' '' 9007199254740991 \
    9007199254740992 -9007199254740993 12345678901234567890 12345678901234567890.5 1e400 true |
    sed '2,$s/.*/"&"/' | csvrec -n | sed 's/{"x":\(.*\)}/\1/' | tr '\n' ' ' >out
is '--numbers takes what JSON calls a number, digits as they stand' "$(cat out)" \
    '1.10 -0 1e5 1E+2 0.5 "007" "+1" ".5" "1." "nan" "inf" "0x1" "1,5" " 1" "1 " "" 9007199254740991 "9007199254740992" "-9007199254740993" "12345678901234567890" 12345678901234567890.5 "1e400" "true" '
printf 'a,b\n1,2\n' | csvrec -n --text a >out
is '--text' "$(cat out)" '{"a":"1","b":2}'
printf 'a;b\n1,5;2\n' | csvrec -t ';' >out
is '--delimiter' "$(cat out)" '{"a":"1,5","b":"2"}'
printf 'a\tb\n1\t2\n' | csvrec -t tab >out
is '--delimiter tab' "$(cat out)" '{"a":"1","b":"2"}'
mkdir -p d
echo 't2,5,9' >d/AB-1_phases.csv
echo 't3,1,2' >d/CD-2_phases.csv
csvrec --no-header -f phase,first,last --source video=%_phases.csv d/*.csv >out
is '--source with a pattern' "$(cat out)" '{"phase":"t2","first":"5","last":"9","video":"AB-1"}
{"phase":"t3","first":"1","last":"2","video":"CD-2"}'
csvrec --no-header -f phase,first,last --source from d/AB*.csv >out
is '--source without' "$(cat out)" '{"phase":"t2","first":"5","last":"9","from":"AB-1_phases.csv"}'
rc 2 'a name that does not fit' csvrec --no-header -f a,b,c --source v=x_%.csv d/AB-1_phases.csv

# ---- bad rows ----
printf 'a,b\n1,2\n3\n4,5,6\n5" x,7\n"a"b,7\n8,\351\n9,10\n' >bad.csv
rc 1 'bad rows: exit status 1' csvrec bad.csv
is 'the others come out' "$(cat stdout)" '{"a":"1","b":"2"}
{"a":"9","b":"10"}'
is 'each is told' "$(cat stderr)" 'csvrec: bad.csv:3: 1 cells for 2 columns
csvrec: bad.csv:4: 3 cells for 2 columns
csvrec: bad.csv:5: a quote where none may stand
csvrec: bad.csv:6: a quote where none may stand
csvrec: bad.csv:7: b is not UTF-8'
rc 1 'bad rows, --keep-bad' csvrec -k bad.csv
is 'become records that say where' "$(sed -n 2p stdout)" \
    '{"error":{"tool":"csvrec","message":"1 cells for 2 columns","input":"bad.csv","line":3}}'
is 'one for each row' "$(wc -l <stdout)" 7
rc 2 '--strict' csvrec --strict bad.csv
is 'stops there' "$(cat stdout stderr)" '{"a":"1","b":"2"}
csvrec: bad.csv:3: 1 cells for 2 columns'
for i in 1 2; do
	csvrec -k --shard $i/2 bad.csv bad.csv >s$i 2>/dev/null
done
csvrec -k bad.csv bad.csv 2>/dev/null >all
paste -d '\n' s1 s2 >got
same 'shards together are the whole, bad rows too' got all
printf 'a,b\n1,2\n"3,4\n5,6\n' >open.csv
rc 2 'a quote without end' csvrec open.csv
is 'is told, after what came before it' "$(cat stdout stderr)" '{"a":"1","b":"2"}
csvrec: open.csv:3: a quote without end'
printf 'a,a\n1,2\n' >twice.csv
rc 2 'two columns of one name' csvrec twice.csv
printf '"a"b,c\n1,2\n' >head.csv
rc 2 'a malformed header' csvrec head.csv
rc 2 'no such column' csvrec -f a,z t.csv
rc 2 '--text of no such column' csvrec -n --text z t.csv

# ---- records to CSV ----
cat >r.jsonl <<'EOF'
{"a":"plain","b":1.10,"c":null}
{"a":"q\"u,o\nte","b":true,"c":[1, {"x": 2}]}
{"b":"","a":" "}
EOF
csvrec --to-csv r.jsonl >out
is '--to-csv' "$(cat out)" 'a,b,c
plain,1.10,
"q""u,o
te",true,"[1, {""x"": 2}]"
 ,,'
csvrec --to-csv -t tab -f c,a --no-header r.jsonl >out
is '--to-csv --fields --no-header' "$(head -n 1 out)" "$(printf '\tplain')"
printf '{"a":""}\n{"a":"x"}\n' | csvrec --to-csv | csvrec >out
is 'an empty cell alone is still a row' "$(cat out)" '{"a":""}
{"a":"x"}'
rc 0 'no records, but known fields' csvrec --to-csv -f a,b /dev/null
is 'make a header' "$(cat stdout)" a,b
rc 0 'no records' csvrec --to-csv /dev/null
is 'make nothing' "$(cat stdout)" ''
printf '{"a":1}\n{"a":2,"b":3}\n{"b":4}\n' >more.jsonl
rc 1 'a field without a column' csvrec --to-csv more.jsonl
is 'is told once, its record is written' "$(cat stdout stderr)" "$(printf 'a\n1\n2\n\042\042')
csvrec: more.jsonl:2: field b has no column: left out, here and below"
rc 0 'but not if the fields were chosen' csvrec --to-csv -f a more.jsonl
printf '{"a":1,"error":{"tool":"t","message":"m"}}\n{"a":2}\n' >err.jsonl
rc 1 'a record with an error has no row' csvrec --to-csv err.jsonl
is 'and is told' "$(cat stdout stderr)" 'a
2
csvrec: err.jsonl:1: carries an error already: {"tool":"t","message":"m"}'
rc 1 'a string that no cell can hold' csvrec --to-csv -f a <<'EOF'
{"a":"x\u0000"}
EOF

# a table of all that quoting can do survives the way there and back
awk 'BEGIN {
	print "w,x,y,z"
	srand(1)
	split("a|b|,|\"\"|\n| |;|é|\t|\r|1", p, "|")
	for (i = 0; i < 500; i++) {
		for (k = 0; k < 4; k++) {
			s = ""
			for (n = int(rand() * 6); n > 0; n--)
				s = s p[1 + int(rand() * 11)]
			printf "%s\"%s\"", k ? "," : "", s
		}
		print ""
	}
}' >table.csv
csvrec table.csv >table.jsonl
csvrec --to-csv table.jsonl | csvrec >again.jsonl
is '500 records' "$(wc -l <table.jsonl)" 500
same 'records to CSV and back' again.jsonl table.jsonl

# ---- join ----
printf 'video,first,last,phase,note\nA,1,5,t2,x\nA,6,9,t3,\nA,5,7,t4,y\nB,1,1e3,t5,z\n' >p.csv
cat >f.jsonl <<'EOF'
{"video":"A","frame":5}
{"video":"A","frame":"6"}
{"video":"A","frame":10}
{"video":"B","frame":999.5,"phase":"old","q":1.0}
{"video":"C","frame":1}
{"frame":1}
EOF
rc 0 '--range' csvrec --join video --with p.csv --range frame=first,last -e f.jsonl
is 'the first row that encloses the field' "$(cat stdout)" '{"video":"A","frame":5,"phase":"t2","note":"x"}
{"video":"A","frame":"6","phase":"t3"}
{"video":"A","frame":10}
{"video":"B","frame":999.5,"phase":"t5","q":1.0,"note":"z"}
{"video":"C","frame":1}
{"frame":1}'
rc 0 '--unmatched drop' csvrec --join video --with p.csv --range frame=first,last --unmatched drop f.jsonl
is 'leaves them out' "$(wc -l <stdout)" 3
rc 1 '--unmatched bad' csvrec --join video --with p.csv --range frame=first,last --unmatched bad f.jsonl
is 'reports them' "$(wc -l <stderr)" 3
csvrec -n --join video=v --with - --no-header -f v,x f.jsonl >out <<'EOF'
A,1.50
C,x
EOF
is 'a key of another name, a table without header, from standard input' "$(sed -n '1p;5p' out)" \
    '{"video":"A","frame":5,"x":1.50}
{"video":"C","frame":1,"x":"x"}'
csvrec --join video --with p.csv --range frame=first,last -f note,video f.jsonl | head -n 1 >out
is '--fields chooses what is added' "$(cat out)" '{"video":"A","frame":5,"note":"x"}'
printf '{"id":7}\n{"id":"7"}\n{"id":7.0}\n{"id":true}\n{"id":null}\n{"id":[7]}\n' >ids.jsonl
printf 'id,y\n7,a\ntrue,b\n' >ids.csv
csvrec --join id --with ids.csv ids.jsonl >out
is 'keys are compared as text' "$(cat out)" '{"id":7,"y":"a"}
{"id":"7","y":"a"}
{"id":7.0}
{"id":true,"y":"b"}
{"id":null}
{"id":[7]}'
rc 2 'two rows with one key' csvrec --join video --with p.csv f.jsonl
is 'are told' "$(cat stderr)" "csvrec: p.csv: two rows with video 'A'"
rc 2 'a table without the key' csvrec --join frame --with p.csv f.jsonl
rc 2 'a bad row in the table' csvrec --join a --with bad.csv f.jsonl
rc 2 'a range that is no number' csvrec --join video --with p.csv --range frame=phase,last f.jsonl
rc 1 'a field that is no number' csvrec --join video --with p.csv --range video=first,last f.jsonl
rc 2 'an empty table' csvrec --join video --with /dev/null f.jsonl

# ---- wrong usage ----
for o in '--join a' '--with t.csv' '--no-header' '--text a' '--range a=b,c' '-j 2' '--to-csv -n' '--to-csv -k' \
    '-t ab' '-f a,,b' '-f a,a' '--join a --with t.csv --range a=b' '--join a --with t.csv --to-csv' \
    '--source =x' '--join a --with -' '--unmatched maybe' '--source f=x' '--join = --with t.csv'; do
	# shellcheck disable=SC2086
	rc 2 "wrong usage: $o" csvrec $o
	is 'in one line' "$(wc -l <stderr)" 1
done
rc 2 'an empty delimiter' csvrec -t '' t.csv
rc 2 'no such file' csvrec nofile.csv
rc 2 '/dev/full' sh -c 'csvrec t.csv >/dev/full'
rc 2 '/dev/full, to CSV' sh -c 'csvrec --to-csv r.jsonl >/dev/full'

# ---- rows come when they come ----
mkfifo in out.fifo
csvrec - <in >out.fifo &
exec 3>in 4<out.fifo
echo 'a,b' >&3
for i in 1 2; do
	echo "$i,x" >&3
	read -r line <&4
	is "row $i comes before the next is sent" "$line" "{\"a\":\"$i\",\"b\":\"x\"}"
done
exec 3>&-
wait $!
exec 4<&-
csvrec --to-csv - <in >out.fifo &
exec 3>in 4<out.fifo
echo '{"a":1}' >&3
read -r line <&4
read -r line <&4
is 'so do records on their way to CSV' "$line" 1
exec 3>&- 4<&-
wait $!

done_testing
