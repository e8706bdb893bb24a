# What the tests of archc share: images made and looked at without a library.

# shapes N DIR: N records in DIR/metadata.jsonl, images of 40 x 40
shapes() {
	mkdir "$2"
	(cd "$2" && shapegen -n "$1" --width 40 --height 40 --min 6 --max 15 >metadata.jsonl)
}

# png WIDTH HEIGHT DEPTH COLOUR ROW...: a PNG on standard output, rows in hexadecimal; a palette of 10 i
# + 0, 1, 2 with entry 0 black
png() {
	perl -MCompress::Zlib -e '
	sub chunk { pack("N", length $_[1]) . $_[0] . $_[1] . pack("N", crc32($_[0] . $_[1])) }
	my ($w, $h, $depth, $colour, @rows) = @ARGV;
	print "\x89PNG\r\n\x1a\n", chunk("IHDR", pack("NNCCCCC", $w, $h, $depth, $colour, 0, 0, 0));
	print chunk("PLTE", join "", map { pack "C3", $_ ? (10 * $_, 10 * $_ + 1, 10 * $_ + 2) : (0, 0, 0) } 0..3)
	    if $colour == 3;
	print chunk("IDAT", compress(join "", map { "\0" . pack "H*", $_ } @rows)), chunk("IEND", "");
	' "$@"
}

# pixels FILE: width, height, depth and colour type of a PNG, then its rows, a pixel a word
pixels() {
	perl -MCompress::Zlib -e '
	undef $/;
	open my $f, "<", $ARGV[0] or die;
	binmode $f;
	my ($s, $at, $data) = (<$f>, 8, "");
	my ($w, $h, $depth, $colour);
	while ($at < length $s) {
		my ($n, $type) = unpack "Na4", substr $s, $at, 8;
		my $body = substr $s, $at + 8, $n;
		($w, $h, $depth, $colour) = unpack "NNCC", $body if $type eq "IHDR";
		$data .= $body if $type eq "IDAT";
		$at += 12 + $n;
	}
	$data = uncompress $data;
	my $bpp = $depth / 8 * {0, 1, 2, 3, 3, 1, 4, 2, 6, 4}->{$colour};
	my @above = (0) x ($w * $bpp);
	print "$w $h $depth $colour\n";
	for my $y (0 .. $h - 1) {
		my ($filter, @row) = unpack "C*", substr $data, $y * ($w * $bpp + 1), $w * $bpp + 1;
		for my $i (0 .. $#row) {
			my ($a, $b, $c) = ($i < $bpp ? 0 : $row[$i - $bpp], $above[$i], $i < $bpp ? 0 : $above[$i - $bpp]);
			my ($pa, $pb, $pc) = (abs($b - $c), abs($a - $c), abs($a + $b - 2 * $c));
			my $p = $pa <= $pb && $pa <= $pc ? $a : $pb <= $pc ? $b : $c;
			$row[$i] = $row[$i] + (0, $a, $b, ($a + $b) >> 1, $p)[$filter] & 255;
		}
		@above = @row;
		print join(" ", unpack "(A" . 2 * $bpp . ")*", join "", map { sprintf "%02x", $_ } @row), "\n";
	}' "$1"
}
