#!/usr/bin/perl
# make.pl tar|zip <SPEC >ARCHIVE: archives that no packer would write.
#
# A line of SPEC is one member: KIND MODE SIZE NAME [LINK], fields parted by tabs, with perl's escapes.
# KIND is file, dir, link (symbolic), hard, char, fifo. SIZE is the number of bytes, of a letter that is
# the member's own, or CLAIM:BYTES to claim another number than there are; tar also takes "negative".
# A tar line `raw TEXT` writes a block with that text; `end` writes the two empty blocks.
use strict;
use warnings;

my $format = shift // die "make.pl tar|zip\n";
my ($letter, $at, $central, $n) = ('a', 0, '', 0);
my @table = map { my $c = $_; $c = $c & 1 ? $c >> 1 ^ 0xedb88320 : $c >> 1 for 1 .. 8; $c } 0 .. 255;

sub crc32 {
	my $c = 0xffffffff;
	$c = $c >> 8 ^ $table[($c ^ $_) & 255] for unpack 'C*', shift;
	return $c ^ 0xffffffff;
}

sub tar_member {
	my ($kind, $mode, $size, $name, $link, $data) = @_;
	my %type = (file => 0, hard => 1, link => 2, char => 3, dir => 5, fifo => 6);

	if (length $name > 99) { # GNU's long names
		my $long = "$name\0";
		tar_member('L', '644', length $long, '././@LongLink', '', $long);
		$name = substr $name, 0, 99;
	}
	my $field = $size eq 'negative' ? "\xff" x 12 :
	    $size > 8589934591 ? pack('CxxxQ>', 128, $size) : sprintf("%011o\0", $size);
	my $h = pack 'a100a8a8a8a12a12a8a1a100a8a32a32a8a8a155x12', $name, "0000$mode\0", "0000000\0",
	    "0000000\0", $field, "14524770400\0", ' ' x 8, $type{$kind} // $kind, $link, "ustar  \0", '', '',
	    $kind eq 'char' ? ("0000001\0", "0000003\0") : ('', ''), '';
	substr $h, 148, 8, sprintf "%06o\0 ", unpack '%32C*', $h;
	print $h, $data, "\0" x (-length($data) % 512);
}

sub zip_member {
	my ($kind, $mode, $size, $name, $link, $data) = @_;
	$data = $link if $kind eq 'link';
	my $type = { file => 0100000, link => 0120000, dir => 0040000 }->{$kind};
	my $common = pack 'vvvvVVVv', 0, 0, 0, 0x21, crc32($data), length $data, length $data, length $name;

	my $local = pack('Vv', 0x04034b50, 20) . $common . pack('v', 0) . $name . $data;
	$central .= pack('Vvv', 0x02014b50, 3 << 8 | 20, 20) . $common .
	    pack('vvvvVV', 0, 0, 0, 0, ($type | oct $mode) << 16, $at) . $name;
	$at += length $local;
	$n++;
	print $local;
}

binmode STDOUT;
while (my $line = <STDIN>) {
	chomp $line;
	$line =~ s/\\(x[0-9a-f]{2}|n|t|\\)/$1 eq 'n' ? "\n" : $1 eq 't' ? "\t" : $1 eq '\\' ? '\\' :
	    chr hex substr $1, 1/ge;
	if ($line =~ /^raw (.*)/) {
		print pack 'a512', $1;
	} elsif ($line eq 'end') {
		print "\0" x 1024;
	} else {
		my ($kind, $mode, $size, $name, $link) = split /\t+/, $line;
		my ($claim, $bytes) = $size =~ /^(.*):(.*)$/ ? ($1, $2) : ($size, $size);
		my $data = $letter++ x ($bytes eq 'negative' ? 0 : $bytes);
		my $member = $format eq 'tar' ? \&tar_member : \&zip_member;
		$member->($kind, $mode, $claim, $name, $link // '', $data);
	}
}
print $central, pack('VvvvvVVv', 0x06054b50, 0, 0, $n, $n, length $central, $at, 0) if $format eq 'zip';
