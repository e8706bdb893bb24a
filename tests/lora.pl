#!/usr/bin/perl
# lora.pl FILE VALUE TARGET=IN,OUT...: a LoRA of rank 1 in PEFT's form, all of whose numbers are VALUE.
use strict;
use warnings;

my ($file, $value, @targets) = @ARGV;
my ($header, $data) = ('', '');
for (@targets) {
	my ($name, $in, $out) = /^(.*)=(\d+),(\d+)$/ or die "$_: want TARGET=IN,OUT";
	for (["lora_A", 1, $in], ["lora_B", $out, 1]) {
		my ($part, $rows, $cols) = @$_;
		my $at = length $data;
		$data .= pack('f<*', ($value) x ($rows * $cols));
		$header .= sprintf '%s"%s.%s.weight":{"dtype":"F32","shape":[%d,%d],"data_offsets":[%d,%d]}',
		    $header ? ',' : '', $name, $part, $rows, $cols, $at, length $data;
	}
}
$header = "{$header}";
open my $f, '>:raw', $file or die "$file: $!";
print $f pack('Q<', length $header), $header, $data;
close $f or die "$file: $!";
