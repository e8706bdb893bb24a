#!/usr/bin/perl
# check.pl DIR RECORDS: prints what is below DIR, one line each, sorted by name:
#
#	f BYTES NAME        l NAME -> TARGET        d NAME (of an empty folder)
#
# and dies if anything there may not be: other kinds, set-user bits, links that lead out, files without
# a record or records without their file.
use strict;
use warnings;
use Cwd 'realpath';
use File::Find;
use JSON::PP;

my ($dir, $records) = @ARGV;
my (%file, %seen, %full, @lines);
my $top = -d $dir ? realpath $dir : '';

sub show {
	my $s = shift;
	$s =~ s/([\x00-\x1f\x7f\\])/sprintf '\\x%02x', ord $1/ge;
	return $s;
}

sub look {
	my $path = $_;
	return if $path eq $dir;
	$full{$File::Find::dir} = 1;
	my $name = substr $path, 1 + length $dir;
	my @st = lstat $path or die "$path: $!\n";
	if (-l _) {
		my $to = readlink $path;
		# as far as it leads
		my $real = realpath $path;
		die show($name), " leads out to ", show($real), "\n"
		    if defined $real && $real ne $top && index $real, "$top/";
		push @lines, [$name, "l " . show($name) . " -> " . show($to)];
		return;
	}
	die show($name), ": has a set-user, set-group or sticky bit\n" if $st[2] & 07000;
	die show($name), ": is neither file nor folder\n" unless -f _ || -d _;
	die show($name), ": cannot be read by its owner\n" unless $st[2] & 0400;
	push @lines, [$name, (-d _ ? 'd ' : "f $st[7] ") . show($name)];
	$file{$path} = $st[7] if -f _;
}

find({ wanted => \&look, no_chdir => 1 }, $dir) if -d $dir;
open my $fh, '<', $records or die "$records: $!\n";
while (my $line = <$fh>) {
	my $r = JSON::PP->new->utf8->decode($line);
	my $path = $r->{file_name};
	utf8::encode $path;
	die "record without its file: $line" unless defined $file{$path};
	die "wrong size: $line" unless $file{$path} == $r->{size};
	die "id is not unique: $line" if $seen{$r->{id}}++;
	delete $file{$path};
}
die "without a record: ", join(' ', map { show $_ } sort keys %file), "\n" if %file;
print "$_->[1]\n" for sort { $a->[0] cmp $b->[0] } grep { !$full{"$dir/$_->[0]"} } @lines;
