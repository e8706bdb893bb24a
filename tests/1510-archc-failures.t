#!/bin/sh
# archc: whole or absent, whatever happens.
. "${0%/*}/lib.sh"
. "$top/tests/archc/lib.sh"

shapes 12 shapes
sed 's,_name":",&shapes/,g' shapes/metadata.jsonl >here.jsonl
# what is left of a stage, anywhere here
left() {
	find . -name '.phantom-*'
}

# ---- bad records ----
awk 'NR == 3 { print "nonsense"; print "{\"id\":\"none\",\"file_name\":\"none.png\"}" }
NR == 5 { sub("5_image", "text") } NR == 6 { sub("6_mask", "text") } NR == 7 { sub("7_mask", "../wide") }
NR == 8 { sub("\"file_name\"", "\"file\"") } NR == 9 { sub("\"9_mask.png\"", "9") }
NR == 10 { sub("10_image", "empty") } NR == 11 { sub("}$", ",\"error\":{\"tool\":\"t\",\"message\":\"m\"}}") }
{ print }' shapes/metadata.jsonl >shapes/bad.jsonl
echo 'no image' >shapes/text.png
: >shapes/empty.png
png 6 2 8 0 0a141e28323c 0b151f29333d >wide.png
rc 1 'bad records: exit status 1' archc -o bad shapes/bad.jsonl
is 'each is told, and why' "$(cat stderr)" "archc: shapes/bad.jsonl:3: byte 1: not a value
archc: shapes/bad.jsonl:4: none: shapes/none.png: No such file or directory
archc: shapes/bad.jsonl:7: 0-5: shapes/text.png: is neither PNG nor JPEG
archc: shapes/bad.jsonl:8: 0-6: shapes/text.png: is neither PNG nor JPEG
archc: shapes/bad.jsonl:9: 0-7: shapes/../wide.png: a mask of 6 x 2 pixels, its image has 40 x 40
archc: shapes/bad.jsonl:10: 0-8: no field file_name
archc: shapes/bad.jsonl:11: 0-9: mask_file_name: not a string
archc: shapes/bad.jsonl:12: 0-10: shapes/empty.png: is empty"
is 'the rest is packed' "$(find bad -name '*_image.png' | LC_ALL=C sort | tr '\n' ' ')" \
    'bad/12_image.png bad/1_image.png bad/2_image.png bad/3_image.png bad/4_image.png '
is 'and nothing of the bad ones' "$(find bad -type f | wc -l)" 11
is 'a record with an error passes, without being packed' "$(cut -d, -f1 stdout | tr -d '\n'; wc -l <bad/metadata.jsonl)" \
    '{"id":"0-1"{"id":"0-2"{"id":"0-3"{"id":"0-4"{"id":"0-11"{"id":"0-12"5'
archc -o bad.tar shapes/bad.jsonl >j1 2>e1
archc -j8 -o bad8.tar shapes/bad.jsonl >j8 2>e8
ok 'with 8 threads the same archive' cmp bad.tar bad8.tar
sed -i 's/bad8/bad/' j8
same 'the same records' j8 j1
same 'the same words' e8 e1
rc 1 '--keep-bad' archc -k -o keep shapes/bad.jsonl
is 'passes bad ones on, in their place' "$(wc -l <stdout; sed -n 4p stdout)" \
    '14
{"id":"none","file_name":"none.png","error":{"tool":"archc","message":"shapes/none.png: No such file or directory"}}'
is 'unpacked' "$(wc -l <keep/metadata.jsonl)" 5
for j in 1 4; do
	rc 2 "--strict, -j$j" archc --strict -j$j -o strict shapes/bad.jsonl
	is "stops at the first, leaving nothing, -j$j" "$(cat stdout; ls -d strict 2>&1; left; cat stderr)" \
	    "ls: cannot access 'strict': No such file or directory
archc: shapes/bad.jsonl:3: byte 1: not a value"
done
long=$(printf 'y%.0s' $(seq 221))
cp wide.png "$long.png"
printf '{"file_name":"%s.png"}\n' "$long" >long.jsonl
rc 1 'a name with no room for a number' archc -o long long.jsonl
like 'is bad' "$(cat stderr)" '*a name of more than 220 bytes'
head -c 100 shapes/1_image.png >short.png
printf '{"file_name":"short.png"}\n' >short.jsonl
rc 1 'a truncated image that must be resized is bad' archc --size 8 -o short short.jsonl
mkfifo pipe.png
: >pipe.png &
printf '{"file_name":"pipe.png"}\n' >pipe.jsonl
rc 1 'a pipe for an image is bad, and is not waited for' archc -o pipe pipe.jsonl
kill $!
is 'which is told' "$(cat stderr)" 'archc: pipe.jsonl:1: pipe.png: pipe.png: is a pipe or device, not a file'
printf '{"file_name":"wide.png","mask_rle":%s,"width":%s,"height":2}\n' '"13 1"' 6 '"1 1"' 5 '[1]' 6 >rle.jsonl
rc 1 'run lengths that do not fit' archc --size 2 -o rle rle.jsonl
is 'are bad' "$(wc -l <stderr; wc -c <rle/metadata.jsonl)" '3
0'

# ---- nothing to pack ----
rc 0 'an empty input' archc -o empty /dev/null
is 'makes an empty set' "$(cd empty && find . -type f; cat metadata.jsonl)" './metadata.jsonl'
for l in imagefolder nsw stylegan; do
	rc 0 "an empty zip of $l" archc --layout $l -o $l.zip -j4 /dev/null
	is "of $l: only metadata" "$(unzip -Z1 $l.zip | wc -l)" 1
done
rc 0 'an empty webdataset' archc --layout webdataset -o web /dev/null
is 'has no shards' "$(ls -A web)" ''
is 'its labels are null' "$(unzip -p stylegan.zip dataset.json)" '{"labels": null}'

# ---- shards of the input ----
archc -o whole shapes/metadata.jsonl >whole.jsonl
for i in 1 2 3; do
	archc --shard $i/3 -o part$i shapes/metadata.jsonl >part$i.jsonl
done
cat part?.jsonl | sed 's/part./whole/g' | sort >parts
sort whole.jsonl >sorted
same 'shards hold together the whole: records' parts sorted
cat part?/metadata.jsonl | sort >parts
sort whole/metadata.jsonl >sorted
same 'metadata' parts sorted
mkdir all
cp -r part1/. part2/. part3/. all
cp whole/metadata.jsonl all
ok 'files' diff -r all whole
SLURM_ARRAY_TASK_ID=2 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=1 archc -o slurm shapes/metadata.jsonl >/dev/null
ok 'an array job takes its part' diff -r slurm part2

# ---- OUT is there, or cannot be ----
echo mine >there
mkdir dir
ln -s nowhere link
for o in there dir link dir/ .; do
	rc 2 "$o exists" archc -o $o shapes/metadata.jsonl
	is "and is told: $o" "$(cat stderr)" "archc: ${o%/}: exists"
done
is 'it stays' "$(cat there; readlink link; ls -A dir)" 'mine
nowhere'
echo mine >s-1.tar
rc 2 'a shard exists' archc --layout webdataset --shard-size 5 -o s-%d.tar shapes/metadata.jsonl
is 'and none is made' "$(ls s-*; cat s-1.tar)" 's-1.tar
mine'
rc 2 'no folder for it' archc -o no/such shapes/metadata.jsonl
is 'is told' "$(cat stderr)" 'archc: no: cannot be opened: No such file or directory'
rc 2 'a file for a folder' archc -o there/x.tar shapes/metadata.jsonl
rc 2 'records that are not there' archc -o none nofile.jsonl
is 'are told, and nothing is made' "$(cat stderr; ls -d none 2>/dev/null)" \
    'archc: nofile.jsonl: No such file or directory'
is 'nothing is left of any' "$(left)" ''
# OUT comes while it is packed
mkfifo in
for o in late late.tar; do
	archc -o $o in >late.out 2>late.err &
	exec 3>in
	cat here.jsonl >&3
	wait_until $! '[ -n "$(left)" ]'
	echo mine >$o
	cat here.jsonl >&3
	exec 3>&-
	wait $!
	is "$o: what came in the meantime stays" "$? $(cat $o late.out late.err) $(left)" "2 mine
archc: $o: exists "
done
for o in '' '-o' '-o x --layout zip' '-o x --size 0' '-o x --size 3x' '-o x --size x3' '-o x --size 3x4x5' \
	'-o x --size 70000' '-o x --size 20000x20000' '-o x --size -3' '-o x --crop center' '-o x --filter box' \
	'-o x --crop middle --size 3' '-o x --format gif' '-o x --quality 0' '-o x --format png --quality 9' \
	'-o x --layout nsw --format png' '-o x.zip --layout stylegan --format jpg' \
	'-o x.zip --layout stylegan --quality 9' '-o x.tar --layout stylegan' '-o x.tar --layout webdataset' \
	'-o x%d --layout webdataset' '-o x%d%d.tar --layout webdataset' '-o x%s.tar --layout webdataset' \
	'-o x%99d.tar --layout webdataset' '-o x%%.tar --layout webdataset' '-o x --by-split --layout nsw' \
	'-o x --shard-size 3' '-o x --shard-bytes 3K' '-o x --layout webdataset --shard-size 0' '-o x --nonsense' \
	'-o x --shard 3/2' '-o x -j 0'; do
	# shellcheck disable=SC2086
	rc 2 "wrong usage: $o" archc $o shapes/metadata.jsonl
	is "one line, nothing made: $o" "$(wc -l <stderr; find . -name 'x*'; left)" 1
done
rc 2 'a name that is no UTF-8' archc -o "$(printf 'x\377')" shapes/metadata.jsonl

# ---- the world breaks ----
if [ -w /dev/full ]; then
	archc -o devfull shapes/metadata.jsonl >/dev/full 2>stderr
	is 'records that cannot be written' "$? $(cat stderr)" \
	    '2 archc: write error on standard output: No space left on device'
	ok 'are those of a set that is in place' diff -r devfull whole
fi
awk '{ s = sprintf("%3000s", ""); gsub(" ", "x", s); for (i = 0; i < 20; i++) { r = $0; sub("}$", ",\"s\":\"" s "\"}", r); print r } }' \
	here.jsonl >wide.jsonl
(
	trap '' PIPE
	archc -o closed wide.jsonl 2>err
	echo $? >status
) | head -n 1 >first
is 'a reader that goes away ends it by SIGPIPE' "$(cat status)" 141
is 'when the set is in place' "$(wc -l <closed/metadata.jsonl; left)" 240
# a limit on the size of files stands for a full disk; the pipe is not limited
for kib in 0 4 40; do
	for o in full full.tar full.tar.gz full.zip; do
		for j in 1 4; do
			(
				[ $kib = 4 ] || trap '' XFSZ
				# the unit differs between shells: 512 bytes or a KiB
				ulimit -f $kib
				archc -j$j -o $o wide.jsonl 2>&1
				echo "status $?"
			) 2>&1 | cat >full.out
			like "$o at $kib, -j$j: a full disk ends it" "$(cat full.out)" '*File too large*status 2'
			is "$o at $kib, -j$j: with nothing left" "$(find . -name 'full*' ! -name full.out; left)" ''
		done
	done
done
for s in HUP TERM USR1 XCPU; do
	for o in killed killed.tar.zst killed-%d.tar; do
		l=imagefolder
		[ $o != killed-%d.tar ] || l=webdataset
		archc -j4 -q --layout $l -o $o in >killed.jsonl 2>stderr &
		pid=$!
		exec 3>in
		# the pipe and the queue hold less than half of this: images are packed when it is through
		cat wide.jsonl >&3
		[ -n "$(left)" ]
		report $? "$o: a stage while it works"
		kill -$s $pid
		{ wait $pid; } 2>sh.err
		is "$o: $s ends it, and nothing is left" "$(kill -l $?) $(find . -name 'killed*' ! -name killed.jsonl; left; cat killed.jsonl stderr)" \
		    "$s "
		exec 3>&-
	done
done
archc -o ignored in >killed.jsonl 2>stderr &
pid=$!
exec 3>in
cat here.jsonl >&3
wait_until $pid '[ -n "$(left)" ]'
kill -INT $pid # which a shell has its background jobs ignore
exec 3>&-
wait $pid
is 'a signal that is ignored does nothing' "$?" 0
ok 'and the set is whole' diff -r ignored whole

done_testing
