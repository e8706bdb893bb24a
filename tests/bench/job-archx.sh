#!/bin/sh
# Unpacking a tar.gz of 4000 small images: archx beside bsdtar -x, and two archives at once beside one
# after the other. Runs are interleaved; the shortest of each is compared, and the ratio within a round.
# BENCH_DIR: where to unpack (default: a new folder in TMPDIR); ROUNDS: default 7.
set -eu
top=$(cd "${0%/*}/../.." && pwd)
PATH=$top/bin:$PATH
rounds=${ROUNDS-7}
dir=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/archx-bench.XXXXXX")
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
cd "$dir"
for s in 0 1; do
	shapegen -q -s $s -n 4000 --height 96 --width 96 --max 30 --image-dir set$s --mask-dir masks >/dev/null
	tar -czf $s.tar.gz set$s
	rm -r set$s masks
done
perl - "$rounds" <<'PERL'
use strict;
use warnings;
use Time::HiRes 'time';
my ($rounds) = @ARGV;
my @jobs = (
	[bsdtar => 'bsdtar -xf 0.tar.gz -C OUT'],
	[archx => 'archx -q -o OUT 0.tar.gz >records'],
	['bsdtar twice' => 'bsdtar -xf 0.tar.gz -C OUT && bsdtar -xf 1.tar.gz -C OUT'],
	['archx two' => 'archx -q -o OUT 0.tar.gz 1.tar.gz >records'],
	['archx two -j2' => 'archx -q -j 2 -o OUT 0.tar.gz 1.tar.gz >records'],
);
my (%t, $n);
for my $round (1 .. $rounds) {
	for my $job (@jobs) {
		my ($name, $command) = @$job;
		# folders are removed at the end: file systems are slow to make files where some were just removed
		mkdir my $out = 'out' . ++$n or die;
		$command =~ s/OUT/$out/g;
		my $start = time;
		system($command) == 0 or die "$command\n";
		push @{$t{$name}}, time - $start;
	}
}
my ($least, $median) = (sub { (sort { $a <=> $b } @_)[0] }, sub { (sort { $a <=> $b } @_)[@_ / 2] });
printf "%-14s %.3f s\n", $_->[0], $least->(@{$t{$_->[0]}}) for @jobs;
for (['archx', 'bsdtar', 1.1], ['archx two -j2', 'archx two', 0.6]) {
	my ($a, $b, $bound) = @$_;
	my @ratio = map { $t{$a}[$_] / $t{$b}[$_] } 0 .. $rounds - 1;
	printf "%s / %s: %.2f of the shortest, %.2f median (at most %.1f)\n", $a, $b,
	    $least->(@{$t{$a}}) / $least->(@{$t{$b}}), $median->(@ratio), $bound;
}
PERL
