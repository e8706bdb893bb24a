#!/bin/sh
# What phantom-records(5) promises of every program that reads and writes records. csvrec --join
# stands for them all: with a table that has a column x for the ids 1 to 400 it is a plain filter.
. "${0%/*}/lib.sh"

awk 'BEGIN { print "id,x"; for (i = 1; i <= 400; i++) print i "," i % 7 }' >t.csv
printf 'id\n' >none.csv
filter() {
	csvrec --join id --with t.csv "$@"
}
pass() {
	csvrec --join id --with none.csv "$@"
}

# ---- bytes ----
cat >odd.jsonl <<'EOF'
{"id":"1","a":1.10,"b":12345678901234567890123,"c":-0,"d":1E+2}
 { "id" : "z" , "\u0061" : "\u00e9\/" , "n" : [ 1 , {"x": 0.10} ] } 
{"id":"none","k\u0000":1,"k":"\u0000","u":"é𝄞"}
{}
EOF
pass odd.jsonl >out
same 'untouched records keep every byte' out odd.jsonl
printf '{"id":"1","a":1.10}\r\n\n  \n{"id":"2"}' | pass >out
is 'CR LF, empty lines, no newline at the end' "$(cat out)" '{"id":"1","a":1.10}
{"id":"2"}'
printf '\357\273\277{"id":"1"}\n' >first.jsonl
printf '\357\273\277\r\n\357\273\277{"id":"2"}\n{"id":"3"}\n' >second.jsonl
rc 1 'a byte order mark before the first line' pass first.jsonl second.jsonl
is 'is passed over in every file, but nowhere else' "$(cat stdout stderr)" '{"id":"1"}
{"id":"3"}
csvrec: second.jsonl:2: byte 1: not a value'
printf '%s\n' '{"a":1.10,"x":{"old":1},"b":2e1,"id":"8"}' '{"id": "9", "a":  [1,  2]}' | filter >out
is 'a set field keeps its place, a new one goes last, in the writer'\''s manner' "$(cat out)" \
    '{"a":1.10,"x":"1","b":2e1,"id":"8"}
{"id": "9", "a":  [1,  2], "x": "2"}'

# ---- bad lines ----
cat >bad.jsonl <<'EOF'
{"id":"1"}
{"id":"2",}
[1]
{"id":"3","id":"4"}
{"id":"5","s":"\ud800"}
{"id":"6"}{"id":"7"}
nonsense
{"id":"400"}
EOF
rc 1 'bad lines: exit status 1' filter bad.jsonl
is 'the good ones come out' "$(cat stdout)" '{"id":"1","x":"1"}
{"id":"400","x":"1"}'
is 'each bad one is told in a line' "$(cut -d: -f1-3 stderr)" "$(for i in 2 3 4 5 6 7; do
	echo "csvrec: bad.jsonl:$i"
done)"
rc 1 'a record that fails: exit status 1' csvrec --join id --with t.csv --unmatched bad <<'EOF'
{"id":"1"}
{"id":"4\n01","x":1}
EOF
is 'its id stands in the message, which stays one line' "$(cat stderr)" \
    'csvrec: -:2: 4?01: no row of t.csv matches its id'
rc 1 '--keep-bad: exit status 1 too' filter -k bad.jsonl
is 'and all lines come out' "$(wc -l <stdout)" 8
is 'a line that is no record says where it was' "$(sed -n 3p stdout)" \
    '{"error":{"tool":"csvrec","message":"byte 1: not a JSON object","input":"bad.jsonl","line":3}}'
printf '{"id": "401", "x":  1.10}\n' | filter -k --unmatched bad >out 2>err
is 'a failed record is passed on as it came' "$(cat out)" \
    '{"id": "401", "x":  1.10, "error": {"tool":"csvrec","message":"no row of t.csv matches its id"}}'
cp out failed.jsonl
rc 0 'a record with an error is no failure of the next program' filter --unmatched bad failed.jsonl
same 'and passes untouched' stdout failed.jsonl
printf '{"id":"1","error":"0.1 mm"}\n' | filter >out
is 'a field called error that is no object is like any other' "$(cat out)" \
    '{"id":"1","error":"0.1 mm","x":"1"}'
for j in 1 4; do
	rc 2 "--strict stops, -j$j" filter --strict -j $j bad.jsonl
	is "what came before is written, -j$j" "$(cat stdout)" '{"id":"1","x":"1"}'
	is "one message, -j$j" "$(wc -l <stderr)" 1
done

# ---- order, jobs, shards ----
awk 'BEGIN {
	for (i = 1; i <= 5000; i++) {
		s = ""
		for (k = (i * 7919) % 61; k > 0; k--)
			s = s "abcdefghij"
		if (i % 97 == 0)
			print "bad " i
		else
			printf "{\"id\":\"%d\",\"s\":\"%s\"}\n", i % 450, s
	}
}' >many.jsonl
filter -k many.jsonl >j1 2>e1
for j in 2 8 32; do
	filter -k -j $j many.jsonl >j$j 2>e$j
	same "-j$j writes what -j1 writes" j$j j1
	same "-j$j says what -j1 says" e$j e1
done
for i in 1 2 3; do
	filter -k --shard $i/3 many.jsonl >s$i 2>es$i
done
is 'shards are of equal size' "$(wc -l <s1) $(wc -l <s2) $(wc -l <s3)" '1667 1667 1666'
paste -d '\n' s1 s2 s3 | sed '/^$/d' >all
same 'shards together are the whole' all j1
cat es1 es2 es3 | sort >all
sort e1 >e1.sorted
same 'and say together what the whole says' all e1.sorted
SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_MIN=5 SLURM_ARRAY_TASK_COUNT=3 csvrec --join id --with t.csv -k many.jsonl \
    >all 2>err
same 'a Slurm array is a set of shards' all s3
JOB_COMPLETION_INDEX=1 JOB_COMPLETION_COUNT=3 csvrec --join id --with t.csv -k many.jsonl >all 2>err
same 'so is an indexed job' all s2
head -n 7 many.jsonl >m1
tail -n +8 many.jsonl | head -n 12 >m2
tail -n +20 many.jsonl >m3
filter --shard 2/3 m1 - m3 <m2 2>err >all
grep -v '"error"' s2 >want
same 'shards count on over files' all want

# ---- broken worlds ----
rc 2 '/dev/full' sh -c 'csvrec --join id --with t.csv odd.jsonl >/dev/full'
like 'is told' "$(cat stderr)" 'csvrec: write error on standard output: *'
rc 2 '/dev/full, -j4, much output' sh -c 'csvrec --join id --with t.csv -j4 many.jsonl >/dev/full 2>err'
rc 2 'standard output is closed' sh -c 'csvrec --join id --with t.csv odd.jsonl >&-'
for j in 1 4; do
	(
		trap '' PIPE
		csvrec --join id --with t.csv -j $j many.jsonl 2>err
		echo $? >status
	) | head -n 1 >first
	is "a reader that goes away ends the program by SIGPIPE, -j$j" "$(cat status)" 141
done
rc 0 'an empty input' filter /dev/null
is 'makes an empty output' "$(wc -c <stdout)" 0
rc 0 'an empty input, -j4' filter -j4 /dev/null
rc 2 'a file that is not there' filter odd.jsonl nofile.jsonl
is 'is told before any work' "$(cat stdout stderr)" 'csvrec: nofile.jsonl: No such file or directory'
rc 2 'a folder' filter odd.jsonl .
is 'what came before it is written' "$(wc -l <stdout)" 4
rc 2 'a folder, -j4' filter -j4 odd.jsonl .
is 'what came before it is written, -j4' "$(wc -l <stdout)" 4
for o in --nonsense '--shard 0/3' '--shard 4/3' '--jobs 0' '--jobs x' -k=1; do
	# shellcheck disable=SC2086
	rc 2 "wrong option $o" filter $o odd.jsonl
	is "one line about $o" "$(wc -l <stderr)" 1
done
script -qec 'csvrec --join id --with t.csv; echo $? >status' /dev/null >out 2>&1 </dev/null
is 'a terminal on standard input is wrong usage' "$(cat status)" 2

# ---- nothing is held back ----
mkfifo in out.fifo
for j in 1 4; do
	# each step waits for the one before: a record held back would hang here
	filter -j $j - <in >out.fifo &
	exec 3>in 4<out.fifo
	for i in 1 2 3; do
		echo "{\"id\":\"$i\"}" >&3
		read -r line <&4
		is "record $i comes before the next is sent, -j$j" "$line" "{\"id\":\"$i\",\"x\":\"$i\"}"
	done
	echo '{"id":' >&3
	exec 3>&-
	cat <&4 >rest
	exec 4<&-
	wait $!
	is "then the end, -j$j" "$? $(wc -c <rest)" '1 0'
done 2>err
# strict ends the program though its input stays open
filter --strict -j 4 - <in >out.fifo 2>err &
exec 3>in 4<out.fifo
echo nonsense >&3
wait $!
is '--strict does not wait for more input' $? 2
exec 3>&- 4<&-

# ---- several writers to one pipe ----
awk 'BEGIN {
	for (i = 1; i <= 600; i++) {
		s = ""
		n = i % 50 == 0 ? 20000 : i % 10 == 0 ? 500 : (i * 37) % 40
		for (k = 0; k < n; k++)
			s = s "0123456789"
		printf "{\"id\":\"w%d\",\"s\":\"%s\"}\n", i, s
	}
}' >wide.jsonl
seq 12 | xargs -P 6 -I@ csvrec --join id --with none.csv --shard @/12 wide.jsonl | cat | sort >got
sort wide.jsonl >want
same 'xargs -P writers never splice lines, of 200 kB neither' got want
seq 12 | xargs -P 6 -I@ csvrec --join id --with none.csv --shard @/12 wide.jsonl >unsorted
sort unsorted >got
same 'nor do they when they write to one file' got want

# ---- long lines ----
long() { # N: a record of N bytes, and a newline
	printf '{"id":"l","s":"'
	head -c $(($1 - 17)) /dev/zero | tr '\0' x
	echo '"}'
}
long $((64 << 20)) >l64
long $(((64 << 20) + 1)) >l65
{ echo '{"id":"1"}'; cat l64; echo '{"id":"2"}'; } | pass >out
is 'a line of 64 MiB passes' "$(wc -lc <out | tr -s ' ')" " 3 $(((64 << 20) + 23))"
{ echo '{"id":"1"}'; cat l65; echo '{"id":"2"}'; } >in65
rc 1 'a longer one is bad' pass in65
is 'and is skipped' "$(cat stdout stderr)" '{"id":"1"}
{"id":"2"}
csvrec: in65:2: line of more than 64 MiB'

done_testing
