#!/bin/sh
# lint.sh BUILD: what can be found wrong without running anything: man pages, shell scripts, compiled
# shaders, stray blanks. Exit status 1 if something was.
set -eu
cd "${0%/*}/.."
build=$1
status=0

# check NAME COMMAND...: prints only what is wrong
check() {
	name=$1
	shift
	if out=$("$@" 2>&1) && [ -z "$out" ]; then
		echo "$name: good"
	else
		echo "$name:"
		printf '%s\n' "$out"
		status=1
	fi
}

pages() {
	mandoc -T lint -W warning man/*.[157]
}

# bash where a script says so, the plain shell else
scripts() {
	for f in $(git ls-files '*.sh' '*.t' .ci); do
		case $(head -n 1 "$f") in
		*bash) dialect='bash' ;;
		*) dialect='sh' ;;
		esac
		# words meant for awk, sed and sub-shells stand in single quotes (SC2016); lib.sh, found at
		# run time (SC1091), sets variables that tests read (SC2034,
		# SC2154); functions that others call by name (SC2317);
		# lists of words are read as words (SC2013)
		shellcheck -s "$dialect" -e SC1091,SC2016,SC2034,SC2154,SC2317,SC2013 "$f" || bad=1
	done
	[ -z "${bad-}" ]
}

# The compiled shaders are C arrays of words: made binary again for the validator.
shaders() {
	for f in "$build"/spv/*.h; do
		[ -e "$f" ] || continue
		perl -ne 'next if m,^\s*//,; print pack("V*", map(hex, /0x([0-9a-f]{8})/g))' "$f" |
			spirv-val --target-env vulkan1.2 - || {
			echo "${f##*/}"
			bad=1
		}
	done
	[ -z "${bad-}" ]
}

blanks() {
	# shellcheck disable=SC2046
	! grep -nE '[ 	]+$' $(git ls-files '*.[ch]' '*.sh' '*.comp' '*.glsl' 'man/*' Makefile)
}

# a tab is eight columns, a line at most a hundred
columns() {
	# shellcheck disable=SC2046
	perl -CSD -ne '
		chomp;
		1 while s/\t/" " x (8 - $-[0] % 8)/e;
		print "$ARGV: $.: ", length, " columns\n" if length > 100;
		close ARGV if eof;
	' $(git ls-files '*.[ch]' '*.comp' '*.glsl')
}

check 'man pages' pages
check 'shell scripts' scripts
check 'shaders' shaders
check 'blanks at the end of lines' blanks
check 'width of lines' columns
exit $status
