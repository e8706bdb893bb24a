#!/bin/sh
# archx: options, records, hostile names and links, damage, limits. Single odd archives: 1110-archx-odd.t.
. "${0%/*}/lib.sh"

tools=$top/tests/archives
# spec tar|zip NAME: an archive from a spec on standard input, with \t for tabs
spec() {
	perl -pe 's/\\t/\t/g' | perl "$tools/make.pl" "$1" >"$2"
}
# tree: what came out, checked against the records
tree() {
	perl "$tools/check.pl" "${1-dest}" "${2-stdout}"
}
# x STATUS DESCRIPTION ARGUMENTS: archx into an absent dest
x() {
	rm -rf dest
	want=$1 desc=$2
	shift 2
	rc "$want" "$desc" archx -o dest "$@"
}
why() {
	sed 's/^archx: [^:]*: //' stderr
}

# ---- plain ----
mkdir -p src/scans/deep
for i in 1 2 3; do
	echo "image $i" >src/scans/$i.png
done
echo deep >src/scans/deep/d.png
ln -s ../1.png src/scans/deep/link
chmod 640 src/scans/1.png
touch -d @1600000000 src/scans/1.png
tar -C src -czf scans.tar.gz scans/1.png scans/2.png scans/3.png scans/deep
x 0 'a tar.gz' scans.tar.gz
cp stdout records
rc 0 'standard input' sh -c 'cat scans.tar.gz | TMPDIR=. archx -o here -'
sed 's/"here/"dest/; s/"archive":"stdin"/"archive":"scans.tar.gz"/' stdout >here.jsonl
same 'gives the same records' here.jsonl records
ok 'nothing is left of its copy' test -z "$(find . -maxdepth 1 -name '*archx-stdin*')"
rc 2 'it stands once' archx -o twice - - <scans.tar.gz
rc 1 'standard input that is no archive' sh -c 'echo no | archx -o no -'
is 'is named' "$(cat stderr)" 'archx: stdin: no archive of a known format'
cp records stdout
is 'its records' "$(cat stdout)" \
    '{"id":"scans/1.png","file_name":"dest/scans/1.png","archive":"scans.tar.gz","member":"scans/1.png","size":8}
{"id":"scans/2.png","file_name":"dest/scans/2.png","archive":"scans.tar.gz","member":"scans/2.png","size":8}
{"id":"scans/3.png","file_name":"dest/scans/3.png","archive":"scans.tar.gz","member":"scans/3.png","size":8}
{"id":"scans/deep/d.png","file_name":"dest/scans/deep/d.png","archive":"scans.tar.gz","member":"scans/deep/d.png","size":5}'
is 'its files' "$(tree)" 'f 8 scans/1.png
f 8 scans/2.png
f 8 scans/3.png
f 5 scans/deep/d.png
l scans/deep/link -> ../1.png'
ok 'their bytes' diff -r src/scans dest/scans
is 'mode and time are kept' "$(stat -c '%a %Y' dest/scans/1.png)" '640 1600000000'
is 'nothing else is in the destination' "$(ls -A dest)" scans
x 0 '--dirs' --dirs scans.tar.gz
is 'records of folders and links' "$(grep kind stdout)" \
    '{"id":"scans/deep","file_name":"dest/scans/deep","archive":"scans.tar.gz","member":"scans/deep/","kind":"folder"}
{"id":"scans/deep/link","file_name":"dest/scans/deep/link","archive":"scans.tar.gz","member":"scans/deep/link","kind":"symlink"}'
x 0 '--sync' --sync -q scans.tar.gz
is 'gives the same' "$(tree | wc -l)" 5
rc 0 '--list' archx --list scans.tar.gz
is 'names no files' "$(head -n 1 stdout)" \
    '{"id":"scans/1.png","archive":"scans.tar.gz","member":"scans/1.png","size":8}'
is 'four of them' "$(wc -l <stdout)" 4
mkdir -p "$PWD/sub dir/a"
rc 0 'a destination that is there, empty, with a blank' archx -o "$PWD/sub dir/a" scans.tar.gz
like 'file_name as given' "$(head -n 1 stdout)" '*"file_name":"'"$PWD"'/sub dir/a/scans/1.png"*'
rc 0 'folders above the destination are made' archx -o new/er/est scans.tar.gz
ok 'they are' test -f new/er/est/scans/1.png

# ---- every kind of archive, whatever its name ----
cd src || exit 2
zip -qry ../f.zip scans
bsdtar --format 7zip -cf ../f.7z scans
bsdtar --format iso9660 -cf ../f.iso scans
bsdtar --format xar -cf ../f.xar scans
for f in newc odc ustar pax gnutar; do
	bsdtar --format $f -cf ../f.$f scans
done
bsdtar --format ar -cf ../f.a -C scans 1.png
bsdtar --format warc -cf ../f.warc scans/1.png scans/2.png
cd .. || exit 2
for f in zip 7z iso xar newc odc ustar pax gnutar; do
	x 0 "$f" f.$f
	ok "$f: the same files" diff -r src/scans dest/scans
	is "$f: four records" "$(wc -l <stdout)" 4
done
x 0 'ar' f.a
ok 'ar: the same file' cmp src/scans/1.png dest/1.png
x 0 'warc' f.warc
ok 'warc: the same file' cmp src/scans/2.png dest/scans/2.png
for c in gzip bzip2 xz 'xz --format=lzma' zstd lz4; do
	$c -c <f.gnutar >packed
	x 0 "tar in $c" packed
	ok "tar in $c: the same files" diff -r src/scans dest/scans
done
gzip -c f.gnutar | xz -c | gzip -c >layers
x 0 'layers of compression' layers
ok 'all taken off' diff -r src/scans dest/scans
cp f.gnutar tar.gz
x 0 'a tar that is called gz' tar.gz
cp scans.tar.gz scan.jpg
x 0 'a tar.gz that is called jpg' scan.jpg
x 0 'an empty tar' "$(tar -cf none.tar -T /dev/null && echo none.tar)"
is 'makes nothing' "$(cat stdout; ls -A dest)" ''
printf 'a,b\n1,2\n' | gzip -c >table.csv.gz
x 0 'a compressed table' table.csv.gz
is 'is one file' "$(cat dest/table.csv)" 'a,b
1,2'
is 'named without the suffix' "$(tree)" 'f 8 table.csv'
head -c 10240 /dev/zero | gzip -c >zeros.gz
x 0 'nothing but zeros, which might be an empty tar' zeros.gz
is 'is a file when it does not say so' "$(tree)" 'f 10240 zeros'
cp table.csv.gz table.tar.gz
x 1 'one that says it is a tar' table.tar.gz
like 'is not unpacked' "$(cat stderr; ls -A dest)" '*compressed, but no archive'
echo text >plain.txt
x 1 'a text' plain.txt
like 'is no archive' "$(cat stderr)" '*no archive of a known format'
: >empty
x 1 'an empty file' empty
printf '#mtree\nx type=file size=3\nd type=dir\n' >m.mtree
x 1 'an mtree' m.mtree
is 'holds no files' "$(tree; why)" 'd d
x: listed without contents'
cat scans.tar.gz scans.tar.gz >twice.tar.gz
printf 'rubbish' >>twice.tar.gz
x 0 'gzip members after each other, and rubbish' twice.tar.gz
like 'which is told' "$(cat stderr)" '*bytes after its end are left out'

# ---- names ----
spec tar names.tar <<'EOF'
file\t644\t1\t/abs
file\t644\t1\t../up
file\t644\t1\ta/../../up
file\t644\t1\t..\\up
file\t644\t1\tC:\\win
file\t644\t1\t\\\\server\\share
file\t644\t1\t-rf
file\t644\t1\tnew\nline
file\t644\t1\tesc\x1b[31mred
file\t644\t1\tbad\xff\xfe.jpg
file\t644\t1\tback\\slash
file\t644\t1\tA.jpg
file\t644\t1\ta.jpg
file\t644\t1\tcaf\xc3\xa9
file\t644\t1\tcafe\xcc\x81
file\t644\t1\t././/dot/./x
end
EOF
x 1 'names' names.tar
is 'those that stay are made' "$(tree)" 'f 1 -rf
f 1 A.jpg
f 1 a.jpg
f 1 back\x5cslash
f 1 bad%FF%FE.jpg
f 1 café
f 1 café
f 1 dot/x
f 1 esc\x1b[31mred
f 1 new\x0aline'
is 'those that do not are named' "$(why)" "/abs: absolute name
../up: '..' in the name
a/../../up: '..' in the name
..\\up: '..' in the name
C:\\win: name with a drive
\\\\server\\share: absolute name"
is 'control characters stand in records as JSON has them' \
    "$(grep -c -e '"member":"new\\nline"' -e '"member":"esc\\u001b\[31mred"' stdout)" 2
is 'bytes that are no UTF-8 are the same in name and record' "$(grep bad stdout)" \
    '{"id":"bad%FF%FE.jpg","file_name":"dest/bad%FF%FE.jpg","archive":"names.tar","member":"bad%FF%FE.jpg","size":1}'
spec tar esc.tar <<'EOF'
file\t644\t1\t../\x1b[2J\n
end
EOF
x 1 'control characters in a bad name' esc.tar
is 'are shown as numbers' "$(why)" "../\\x1b[2J\\x0a: '..' in the name"
perl -e 'print "file\t644\t1\t", join("/", ("d" x 100) x 30), "/x\nfile\t644\t1\t", "n" x 256,
    "\nfile\t644\t1\t", join("/", ("e" x 100) x 50), "\nfile\t644\t1\tok\nend\n"' >long.spec
spec tar long.tar <long.spec
x 1 'long names' long.tar
is 'what can be opened is made' "$(tree | sed 's/d*\///g')" 'f 1 x
f 1 ok'
is 'what cannot is named in lines of bounded length' \
    "$(cut -c1-9 stderr | sort -u; awk 'length > 600' stderr; wc -l <stderr)" 'archx: lo
2'
spec tar cp866.tar <<'EOF'
file\t644\t1\t\x8f\x90\x88
end
EOF
x 0 '--charset' --charset CP866 cp866.tar
is 'names are converted' "$(ls dest)" 'ПРИ'

# ---- kinds, modes and links ----
for format in tar zip; do
	spec $format links.$format <<-'EOF'
	file\t644\t4\ta
	link\t777\t0\tin\ta
	link\t777\t0\td/up\t../a
	link\t777\t0\tout\t../a
	link\t777\t0\td/out\t../../a
	link\t777\t0\tabs\t/etc
	link\t777\t0\there\t.
	link\t777\t0\tthrough\there/..
	file\t644\t4\tabs/passwd
	file\t644\t4\there/x
	link\t777\t0\there/y\t..
	file\t644\t4\tin
	file\t644\t4\ta/b
	link\t777\t0\tdangling\tnone
	file\t644\t4\tdangling
	EOF
	x 1 "symbolic links in $format" links.$format
	is "those that stay inside, $format" "$(tree)" 'f 4 a
f 4 abs/passwd
l d/up -> ../a
l dangling -> none
l here -> .
l in -> a'
	is "what is wrong with the others, $format" "$(why)" \
	    "out: link that leaves the destination
d/out: link that leaves the destination
abs: link to '/etc': absolute name
through: link that leaves the destination
here/x: the name goes through what is no folder (links are not followed)
here/y: the name goes through what is no folder (links are not followed)
in: a member of that name is there already
a/b: the name goes through what is no folder (links are not followed)
dangling: a member of that name is there already"
done
spec tar hard.tar <<'EOF'
file\t644\t4\ta
hard\t644\t0\tb\ta
hard\t644\t0\tetc\t/etc/passwd
hard\t644\t0\tup\t../canary
hard\t644\t0\tnone\tmissing
link\t777\t0\td/l\t../a
hard\t644\t0\tl2\td/l
hard\t644\t0\tl3\td/l/x
hard\t644\t0\tdir\td
hard\t644\t0\td/c\t./a
end
EOF
echo canary >canary
x 1 'hard links' hard.tar
is 'only to files of the archive' "$(tree)" 'f 4 a
f 4 b
f 4 d/c
l d/l -> ../a'
is 'they are links' "$(stat -c %h dest/a)" 3
is 'the others are named' "$(cut -d: -f3 stderr | tr -d '\n')" ' etc up none l2 l3 dir'
spec tar kinds.tar <<'EOF'
char\t666\t0\tnull
fifo\t666\t0\tpipe
file\t6755\t4\tsuid
dir\t0\t0\tclosed
file\t0\t4\tclosed/x
dir\t1777\t0\tsticky
file\t644\t4\tsame
file\t644\t5\tsame
dir\t755\t0\tsame
dir\t755\t0\tsticky
end
EOF
(umask 027 && archx -o dest2 kinds.tar >stdout 2>stderr)
is 'a status of 1' $? 1
is 'devices, modes, doubles' "$(tree dest2)" 'f 4 closed/x
f 4 same
d sticky
f 4 suid'
is 'what is bad' "$(why)" 'null: character device: not made
pipe: named pipe: not made
same: a member of that name is there already
same: the name goes through what is no folder (links are not followed)'
is 'modes: no set-user bit, the umask, readable by the owner' \
    "$(cd dest2 && stat -c '%a %n' suid closed closed/x sticky)" '750 suid
750 closed
640 closed/x
750 sticky'
is 'the first of a double is kept' "$(cat dest2/same)" gggg
mkdir hl
echo linked >hl/a
ln hl/a hl/b
ln hl/a hl/c
for f in newc odc pax; do
	(cd hl && printf 'a\nb\nc\n' | bsdcpio -o -H $f 2>/dev/null) >hl.$f
	x 0 "a file of three names, $f" hl.$f
	is "all have its bytes, $f" "$(cat dest/a dest/b dest/c)" 'linked
linked
linked'
	is "and its size, $f" "$(tree | cut -c1-3 | uniq -c | tr -s ' ')" ' 3 f 7'
done
perl -e 'local $/; $_ = <>; print substr $_, 0, 3 + index $_, "linked"' hl.newc >cut.newc
x 1 'cut off within its bytes' cut.newc
is 'none of its names is left' "$(tree; wc -l <stderr)" 3
truncate -s 1000000 sparse
echo end >>sparse
tar -Scf sparse.tar sparse
x 0 'a sparse file' sparse.tar
ok 'its bytes' cmp sparse dest/sparse

# ---- damage ----
# flip FILE OFFSET: one byte differs
flip() {
	perl -e 'open F, "+<", $ARGV[0] or die; seek F, $ARGV[1], 0; read F, $c, 1; seek F, $ARGV[1], 0;
	    print F chr(255 ^ ord $c)' "$1" "$2"
}
mkdir noise
perl -e 'srand 7; for (0 .. 9) { open F, ">", "noise/$_.raw"; print F map { chr rand 256 } 1 .. 30000 }'
tar -cf noise.tar noise/[0-9].raw
gzip -kn noise.tar
xz -k noise.tar
zip -q0r stored.zip noise/[0-9].raw
zip -qr noise.zip noise/[0-9].raw
# whole: of what came out, how many are the files that went in; all must be
whole() {
	n=0
	for f in dest/noise/*; do
		[ -e "$f" ] || continue
		cmp -s "$f" "noise/${f##*/}" || {
			echo "damaged: $f"
			return
		}
		n=$((n + 1))
	done
	tree >tree.out 2>&1 || cat tree.out
	echo $n
}
cp noise.tar bad.tar
flip bad.tar 150
x 1 'a tar whose first header is damaged' bad.tar
is 'the others come out' "$(whole; why)" '9
noise/0.raw: its header is damaged'
cp noise.tar bad.tar
flip bad.tar $((30720 * 3 + 150))
flip bad.tar $((30720 * 7 + 150))
x 1 'a tar whose fourth and eighth headers are damaged' bad.tar
is 'the others come out too' "$(whole; why)" '8
noise/3.raw: Damaged tar archive
noise/7.raw: Damaged tar archive'
spec tar longlink.tar <<EOF
file\t644\t5\ta
file\t644\t5\t$(printf %0200d 7)
file\t644\t5\tb
end
EOF
flip longlink.tar 1174
x 1 'a header that completes another is damaged' longlink.tar
is 'that one is not made under half its name' "$(tree; wc -l <stderr)" 'f 5 a
f 5 b
2'
head -c 100000 noise.tar >cut.tar
x 1 'a tar cut off' cut.tar
is 'the member there is named, those before are kept' "$(whole; cut -d: -f3 stderr)" '3
 noise/3.raw'
for c in gz xz; do
	head -c 150000 noise.tar.$c >cut.tar.$c
	x 1 "a tar.$c cut off" cut.tar.$c
	like "the same, $c" "$(whole; cut -d: -f3 stderr)" '4
 noise/4.raw'
	head -c -3 noise.tar.$c >cut.tar.$c
	x 1 "a tar.$c cut off at its very end" cut.tar.$c
	# libarchive gives up what xz has put into its last block of 64 KiB
	ok "what is kept is whole, $c" test "$(whole)" -ge 7
done
cp noise.tar.gz crc.tar.gz
flip crc.tar.gz $(($(wc -c <crc.tar.gz) - 6))
x 1 'a gzip checksum that is wrong' crc.tar.gz
is 'nothing is kept' "$(whole; ls -A dest)" 0
is 'which is said' "$(why)" 'gzip: damaged (incorrect data check)
none of its members is kept, as nobody can tell which are damaged'
for c in gz xz; do
	cp noise.tar.$c mid.tar.$c
	flip mid.tar.$c 150000
	x 1 "a byte in the middle of a tar.$c" mid.tar.$c
	like "nothing damaged is kept, $c" "$(whole)" '[0-9]'
done
printf 'short\n' | gzip -c | head -c 15 >short.csv.gz
x 1 'a compressed file cut off' short.csv.gz
is 'is not kept' "$(ls -A dest; cut -d: -f2 stderr)" ' short.csv.gz'
for z in stored noise; do
	cp $z.zip bad.zip
	flip bad.zip 100000
	x 1 "a byte in the middle of $z.zip" bad.zip
	is "one member is bad, $z" "$(whole; cut -d: -f3 stderr)" '9
 noise/3.raw'
	head -c 100000 $z.zip >cut.zip
	x 1 "$z.zip cut off" cut.zip
	is "those before are kept, $z" "$(whole; cut -d: -f3 stderr)" '3
 noise/3.raw'
done
bsdtar --format 7zip --options 7zip:compression=store -cf bad.7z noise/1.raw noise/2.raw
flip bad.7z 100
x 1 'a byte in a 7z' bad.7z
is 'one member is bad, 7z' "$(whole; cut -d: -f3 stderr)" '1
 noise/1.raw'
(cd noise && zip -qP secret ../secret.zip 1.raw && zip -q ../secret.zip 2.raw)
x 1 'an encrypted member' secret.zip
is 'is named, the other comes out' "$(tree; why)" 'f 30000 2.raw
1.raw: encrypted'
spec tar claims.tar <<'EOF'
file\t644\t4\ta
file\t644\t1099511627776:512\thuge
EOF
x 1 'a member that claims a tebibyte' claims.tar
is 'is not begun' "$(tree)" 'f 4 a'
spec tar claims.tar <<'EOF'
file\t644\t4\ta
file\t644\t100000:512\tlarge
EOF
x 1 'a member that is not all there' claims.tar
is 'is not kept' "$(tree; cut -d: -f3 stderr)" 'f 4 a
 large'
spec tar negative.tar <<'EOF'
file\t644\t4\ta
file\t644\tnegative\tless
file\t644\t4\tb
end
EOF
x 1 'a negative size' negative.tar
is 'is named, the others come out' "$(tree; cut -d: -f3 stderr)" 'f 4 a
f 4 b
 less'

# the checksum is looked at though the last header leads nowhere
spec tar negative.tar <<'EOF'
file\t644\t4\ta
file\t644\tnegative\tless
EOF
gzip -f negative.tar
flip negative.tar.gz $(($(wc -c <negative.tar.gz) - 6))
x 1 'a negative size and a wrong checksum' negative.tar.gz
is 'nothing is kept' "$(ls -A dest; wc -l <stderr)" 2

# ---- limits ----
head -c 67108864 /dev/zero | tr '\0' x >xs
gzip -c xs >bomb.gz
tar -czf bomb.tar.gz xs
zip -q bomb.zip xs
rm xs
for f in bomb.gz bomb.tar.gz bomb.zip; do
	x 1 "$f" $f
	is "is stopped, $f" "$(ls -A dest; sed 's/.*: //' stderr)" \
	    "unpacks to more than 200 times its size (--max-ratio)"
	x 0 "$f with leave" --max-ratio 2000 $f
	is "comes out, $f" "$(tree | cut -c1-10)" 'f 67108864'
done
x 1 '--max-bytes' --max-bytes 100000 noise.tar.gz
is 'the members before are kept' "$(whole; why)" \
    '3
noise/3.raw: unpacks to more than 100000 bytes (--max-bytes)'
x 0 '--max-bytes, just enough' --max-bytes 300000 noise.tar.gz
x 1 '--max-members' --max-members 4 noise.zip
is 'stops there' "$(whole; why)" '4
has more than 4 members (--max-members)'
x 0 '--max-members, just enough' --max-members 10 noise.zip

# ---- folders, manifests, several archives ----
mkdir many
cp noise.tar.gz many/b.tar.gz
cp scans.tar.gz many/c.tgz
cp f.zip many/a.zip
cp plain.txt many/notes.txt
mkdir many/folder
x 1 'a folder of archives' many
is 'in the order of their names' "$(sed 's/.*"archive":"\([^"]*\).*/\1/' stdout | uniq -c | tr -s ' ')" \
    ' 4 many/a.zip
 10 many/b.tar.gz'
is 'what is there already is not written over' "$(grep -c 'there already, from another archive' stderr)" 5
is 'a file that is none is passed over' "$(grep notes stderr)" 'archx: many/notes.txt: no archive, passed over'
cp stdout j1
cp stderr e1
tree >t1
for j in 2 8; do
	x 1 "-j$j" -j $j many
	same "-j$j writes what -j1 writes" stdout j1
	same "-j$j says what -j1 says" stderr e1
	tree >t
	same "-j$j makes the same files" t t1
done
rm -r many/folder
printf '# comment\r\n\r\nc.tgz\r\nnotes.txt\nb.tar.gz\na.zip' >names
x 1 'a manifest' --manifest names many
is 'its order' "$(sed 's/.*"archive":"\([^"]*\).*/\1/' stdout | uniq -c | tr -s ' ')" \
    ' 4 many/c.tgz
 1 many/notes.txt
 10 many/b.tar.gz'
is 'what is no archive is copied' "$(grep notes stdout; cat dest/notes.txt)" \
    '{"id":"notes.txt","file_name":"dest/notes.txt","archive":"many/notes.txt","member":"notes.txt","size":5}
text'
printf 'b.tar.gz\nd.zip\n' >names
x 2 'a manifest that is not kept' --manifest names many
is 'names what is missing and what is extra' "$(cat stdout stderr)" 'archx: many: missing: d.zip
archx: many: extra: a.zip
archx: many: extra: c.tgz
archx: many: extra: notes.txt
archx: many: does not hold what the manifest names'
ok 'before anything is written' test ! -e dest
mkdir nsw
for s in _F-45 _F-30 _F-15 '' _F15 _F30 _F45 _annotations _time_elapsed; do
	mkdir "embryo_dataset$s"
	echo x >"embryo_dataset$s/x"
	tar -czf "nsw/embryo_dataset$s.tar.gz" "embryo_dataset$s"
done
cp bomb.gz nsw/embryo_dataset_grades.csv
x 0 '--manifest nsw' --manifest nsw -j 2 nsw
is 'ten files' "$(sed 's/.*"id":"\([^"]*\).*/\1/' stdout)" 'embryo_dataset_F-45/x
embryo_dataset_F-30/x
embryo_dataset_F-15/x
embryo_dataset/x
embryo_dataset_F15/x
embryo_dataset_F30/x
embryo_dataset_F45/x
embryo_dataset_annotations/x
embryo_dataset_time_elapsed/x
embryo_dataset_grades.csv'
ok 'the table as it is' cmp bomb.gz dest/embryo_dataset_grades.csv
rm nsw/embryo_dataset_F15.tar.gz
x 2 'one less' --manifest nsw nsw
like 'is named' "$(head -n 1 stderr)" '*missing: embryo_dataset_F15.tar.gz'

# ---- usage and broken worlds ----
rc 2 'no destination' archx scans.tar.gz
rc 2 'no archive' archx -o dest3
rc 2 'both destination and list' archx --list -o dest3 scans.tar.gz
rc 2 'an archive that is not there' archx -o dest3 scans.tar.gz none
rc 2 'a destination that is not empty' archx -o src scans.tar.gz
is 'is told by its name' "$(cat stderr)" 'archx: src: is not empty'
rc 2 'a destination that is a file' archx -o plain.txt scans.tar.gz
rc 2 'a manifest with a file' archx -o dest3 --manifest names scans.tar.gz
rc 2 'a manifest that is not there' archx -o dest3 --manifest none many
for o in --nonsense '--charset none' '--max-bytes x' '--max-ratio 0' '--max-members 0' '-j 0'; do
	# shellcheck disable=SC2086
	rc 2 "wrong option $o" archx $o -o dest3 scans.tar.gz
	is "one line about $o" "$(wc -l <stderr)" 1
done
rc 2 'a list that is synced' archx --sync --list scans.tar.gz
ok 'nothing was written' test ! -e dest3
rc 2 '/dev/full' sh -c 'archx -o full noise.tar.gz scans.tar.gz >/dev/full'
is 'what was complete is left, and nothing of ours' "$(ls -A full)" noise
(
	trap '' PIPE
	archx -o gone noise.tar.gz scans.tar.gz 2>err
	echo $? >status
) | :
is 'a reader that goes away' "$(cat status)" 141
is 'leaves what was complete' "$(ls -A gone)" noise
# records that are more than a pipe takes: the program stands still until it is ended
perl -e 'print "file\t644\t0\t", "x" x 90, "/$_\n" for 1 .. 3000; print "end\n"' >lots.spec
spec tar lots.tar <lots.spec
for s in TERM INT; do
	mkfifo pipe.$s
	env --default-signal=INT archx -o stopped.$s lots.tar noise.tar.gz >pipe.$s 2>/dev/null &
	pid=$!
	exec 3<pipe.$s
	read -r line <&3
	kill -$s $pid
	wait $pid
	got=$?
	exec 3<&-
	is "ended by $s" $got "$(case $s in TERM) echo 143 ;; *) echo 130 ;; esac)"
	is "what was complete is left, and nothing of ours, $s" "$(ls -A stopped.$s)" "$(printf %090d 0 | tr 0 x)"
done
done_testing
