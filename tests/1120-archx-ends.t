#!/bin/sh
# archx where archives end too soon, or do not end: headers cut off, directories cut off, bytes behind the
# end, headers that contradict each other; odd names of files and what is odd in folders.
. "${0%/*}/lib.sh"

tools=$top/tests/archives
spec() {
	perl -pe 's/\\t/\t/g' | perl "$tools/make.pl" "$1" >"$2"
}
# x STATUS TREE WORDS ARCHIVE: its exit status, what comes out, what is said
x() {
	rm -rf dest
	want=$1 tree=$2 words=$3
	shift 3
	rc "$want" "$*" archx -o dest "$@"
	is "what comes out: $*" "$(perl "$tools/check.pl" dest stdout 2>&1)" "$tree"
	is "what is said: $*" "$(sed 's/^archx: [^:]*: //' stderr)" "$words"
	rc "$want" "--list says as much: $*" archx --list "$@"
}

# ---- cut off within a header
printf 'file\\t644\\t4\\ta\nfile\\t644\\t4\\tb\n' | spec tar ab.tar
head -c 1024 ab.tar >none.tar
head -c 1324 ab.tar >header.tar
gzip -k header.tar
xz -k header.tar
x 0 'f 4 a' '' none.tar
for f in header.tar header.tar.gz header.tar.xz; do
	x 1 'f 4 a' 'b: cut off in a header' $f
done
head -c 300 /dev/zero | cat none.tar - >padded.tar
x 0 'f 4 a' '' padded.tar
printf '!<arch>\n' >none.a
perl -e 'printf "!<arch>\n"; printf "%-16s%-12d%-6d%-6d%-8o%-10d`\n%s", $_, 0, 0, 0, 0644, 4, "data" for "a", "b"' >ab.a
head -c 90 ab.a >header.a
x 0 '' '' none.a
x 0 'f 4 a
f 4 b' '' ab.a
x 1 'f 4 a' 'cut off in a header' header.a

# ---- a zip whose directory is not all there
printf 'file\\t644\\t4\\ta\nfile\\t644\\t4\\tb\n' | spec zip ab.zip
for n in 3 21 40; do
	head -c -$n ab.zip >cut$n.zip
	x 1 'f 4 a
f 4 b' 'its directory is cut off: members are taken as they stand' cut$n.zip
done
cat ab.zip >behind.zip
echo 'a few words' >>behind.zip
x 0 'f 4 a
f 4 b' '' behind.zip

# ---- bytes behind the end
head -c 1024 /dev/zero | cat ab.tar - >ended.tar
cp ended.tar full.tar
head -c 5000 /dev/zero >>full.tar
cat ended.tar ended.tar >two.tar
cat full.tar none.tar >far.tar
gzip -k ended.tar full.tar two.tar far.tar
both='f 4 a
f 4 b'
for f in ended full; do
	x 0 "$both" '' $f.tar
	x 0 "$both" '' $f.tar.gz
done
for f in two far; do
	x 0 "$both" 'bytes after its end are left out' $f.tar
	x 0 "$both" 'bytes after its end are left out' $f.tar.gz
done
# behind a block of what is read at once
head -c 400000 /dev/zero >zeros
cat ended.tar zeros >long.tar
cat long.tar none.tar >later.tar
gzip -k later.tar long.tar
x 0 "$both" '' --max-ratio 10000 long.tar.gz
for f in later.tar later.tar.gz; do
	x 0 "$both" 'bytes after its end are left out' --max-ratio 10000 $f
done
for c in bzip2 'xz --format=lzma' lz4; do
	$c -c <ended.tar >packed
	cp packed zeroed
	head -c 3000 /dev/zero >>zeroed
	cp packed littered
	echo 'a few words' >>littered
	x 0 "$both" '' packed
	x 0 "$both" '' zeroed
	x 0 "$both" 'bytes after its end are left out' littered
done
# the checksum of what is around the compressed data counts though it says its own end
bzip2 -c ended.tar | gzip -c | perl -e 'local $/; $_ = <>; substr($_, -6, 1) ^= "\x10"; print' >sum.tar.bz2.gz
rm -rf dest
rc 1 'a wrong checksum around another compression' archx -o dest sum.tar.bz2.gz
is 'nothing is kept' "$(ls -A dest; head -n 1 stderr)" 'archx: sum.tar.bz2.gz: gzip: damaged (incorrect data check)'

# ---- cut off before anything could be read
head -c 100 header.tar.xz >cut.tar.xz
bzip2 -c <ended.tar | head -c 50 >cut.tar.bz2
x 1 '' truncated cut.tar.xz
x 1 '' truncated cut.tar.bz2

# ---- headers that complete others
perl -e '
	sub header {
		my ($name, $size, $type) = @_;
		my $h = pack "a100a8a8a8a12a12a8a1a100a8a247", $name, "0000644\0", "0000000\0", "0000000\0",
		    sprintf("%011o\0", $size), "14524770400\0", " " x 8, $type, "", "ustar\00000", "";
		substr $h, 148, 8, sprintf "%06o\0 ", unpack "%32C*", $h;
		return $h;
	}
	sub member { my ($n, $d, $t) = @_; return header($n, length $d, $t // "0") . pack "a512", $d }
	my $end = "\0" x 1024;
	open F, ">", "pax.tar";
	print F member("PaxHeaders/a", "999 path=b\n", "x"), member("short", "data"), member("ok", "data"), $end;
	open F, ">", "special.tar";
	print F member("a", "data"), header("PaxHeaders/b", 1 << 30, "x"), "x" x 1024, member("short", "data"),
	    member("ok", "data"), $end;
	close F;'
x 1 'f 4 ok' 'short: the header that completes its own is damaged' pax.tar
x 1 'f 4 a
f 4 ok' 'PaxHeaders/b: Special header too large
short: the header that completes its own is damaged' special.tar
printf 'file\\t644\\t4\\ta\nfile\\t644\\t4\\tb\n' | spec zip odd.zip
# the directory says of the first that it has 5 bytes, of the second another checksum
perl -pi -e 'BEGIN { undef $/ } my $at = index $_, "PK\1\2"; substr $_, $at + 24, 1, "\5";
    $at = index $_, "PK\1\2", $at + 1; substr($_, $at + 16, 1) ^= "\1"' odd.zip
x 1 '' 'a: Inconsistent uncompressed size: 5 in central directory, 4 in local header
b: Inconsistent CRC32 values' odd.zip

# ---- names as pax has them, in UTF-8: composed and not, and no UTF-8
perl -e '
	sub header {
		my ($name, $size, $type, $link) = @_;
		my $h = pack "a100a8a8a8a12a12a8a1a100a8a247", $name, "0000644\0", "0000000\0", "0000000\0",
		    sprintf("%011o\0", $size), "14524770400\0", " " x 8, $type, $link, "ustar\00000", "";
		substr $h, 148, 8, sprintf "%06o\0 ", unpack "%32C*", $h;
		return $h;
	}
	for (["caf\xc3\xa9"], ["cafe\xcc\x81"], ["bad\xff"], ["li\xcc\x81nk", "cafe\xcc\x81"]) {
		my ($name, $link) = @$_;
		my $text = "";
		for (["path", $name], $link ? ["linkpath", $link] : ()) {
			my $r = " $_->[0]=$_->[1]\n";
			$text .= (2 + length $r) . $r;
		}
		print header("x", length $text, "x", ""), pack("a512", $text), $link ? header("l", 0, 2, "t") :
		    header("f", 4, 0, "") . pack("a512", "data");
	}' >unicode.tar
for f in unicode.tar unicode.tar.gz; do
	[ -e $f ] || gzip -k unicode.tar
	x 0 'f 4 bad%FF
f 4 café
f 4 café
l línk -> café' '' $f
done
# the same in a zip, where the flag says UTF-8; and names that its directory spells otherwise
# zipped NAME-IN-HEADER[=NAME-IN-DIRECTORY][,FLAG]... : a zip of such members of 4 bytes
zipped() {
	perl -e '
		my ($dir, $body, $n) = ("", "", 0);
		for (@ARGV) {
			my ($name, $in, $flag) = /^([^=,]*)(?:=([^,]*))?(?:,(.*))?$/;
			$in //= $name;
			s/\\x(..)/chr hex $1/ge for $name, $in;
			my $c = sub { pack "vvvvVVVvv", $flag ? 0x800 : 0, 0, 0, 0x21, 0xadf3f363, 4, 4, length $_[0], 0 };
			$dir .= pack("Vvv", 0x02014b50, 3 << 8 | 20, 20) . $c->($in) . pack("vvvVV", 0, 0, 0, 0100644 << 16,
			    length $body) . $in;
			$body .= pack("Vv", 0x04034b50, 20) . $c->($name) . $name . "data";
			$n++;
		}
		print $body, $dir, pack "VvvvvVVv", 0x06054b50, 0, 0, $n, $n, length $dir, length $body, 0;' "$@"
}
zipped 'caf\xc3\xa9,1' 'cafe\xcc\x81,1' 'ok,1' >unicode.zip
x 0 'f 4 café
f 4 café
f 4 ok' '' unicode.zip
zipped a b=../x c=d '../y=e' 'f\g=f/g' 'g\x00.png' ok >names.zip
x 1 'f 4 a
f 4 f/g
f 4 ok' "b: the archive's directory calls it '../x'
c: the archive's directory calls it 'd'
../y: the archive's directory calls it 'e'
g: its name holds a NUL" names.zip
# ---- names of files that are only compressed
printf x | gzip -c >..gz
printf x | gzip -c >...gz
printf x | gzip -c >.gz
x 1 '' '.: empty name' ..gz
x 1 '' "..: '..' in the name" ...gz
x 0 'f 1 .gz' '' .gz
# ---- a folder in which one name leads nowhere and one is a pipe
mkdir folder
cp none.tar folder/z.tar
ln -s nowhere folder/a.zip
mkfifo folder/p.tar
x 1 'f 4 a' 'is no file, passed over
cannot be opened: No such file or directory' folder
# ---- a name that cannot be read is told by its place
printf 'file\\t644\\t4\\ta\nfile\\t644\\t4\\t\nfile\\t644\\t4\\tb\nend\n' | spec tar nameless.tar
x 1 "$both" 'member 2: its name cannot be read' nameless.tar
done_testing
