#!/bin/sh
# archx on odd and hostile archives, each with its right end in tests/archives/odd.table:
#
#	== NAME STATUS [PROGRAM]
#	what is below the destination afterwards, as tests/archives/check.pl prints it
#
# Where PROGRAM is installed the archive can be read, and only what holds for all is asked. Operands,
# or ARCHIVES in the environment: folders of archives, default tests/golden/archives-odd. Archives that
# the table does not name must keep what holds for all: exit status 0 or 1, with words for 1, nothing
# outside the destination touched, nothing in it but files, folders and links that stay, each file whole
# and with its record. UPDATE=1 writes the table anew.
. "${0%/*}/lib.sh"

tables=$top/tests/archives
# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- ${ARCHIVES:-$golden/archives-odd}

# entry NAME: its part of the table
entry() {
	awk -v name="$1" '/^== / { on = $2 == name } on' "$tables/odd.table"
}

# outside: all that stands around the destination
outside() {
	find . -path ./a/b/c/dest -prune -o -path ./work -prune -o -printf '%p %y %s %T@ %m %l\n' | sort
}

mkdir -p a/b/c work
echo canary >moo
for place in a a/b a/b/c; do
	for name in moo etc tmp x win.jpg passwd; do
		echo canary >$place/$name
	done
done
for dir; do
	case $dir in /*) ;; *) dir=$OLDPWD/$dir ;; esac
	for f in "$dir"/*; do
		name=${f##*/}
		case $name in
		README* | COPYING* | *.tsv | *.md) continue ;;
		esac
		[ -f "$f" ] || continue
		entry "$name" >work/want
		read -r _ _ want needs <work/want
		[ -z "$needs" ] || ! command -v "$needs" >/dev/null || : >work/want
		mkdir a/b/c/dest
		find a -exec touch -d @1700000000 {} +
		outside >work/before
		archx -q -o a/b/c/dest "$f" >work/records 2>work/err
		got=$?
		outside >work/after
		perl "$tables/check.pl" a/b/c/dest work/records >work/tree 2>work/wrong
		good=$?
		{
			echo "== $name $got${needs:+ $needs}"
			cat work/tree
		} >work/got
		[ $got -le 1 ] && [ $good = 0 ] && cmp -s work/before work/after &&
		    { [ $got = 0 ] || [ -s work/err ]; } && [ ! -e /tmp/moo ] &&
		    { [ ! -s work/want ] || [ -n "${UPDATE-}" ] || cmp -s work/got work/want; }
		right=$?
		report $right "$name ($got)"
		if [ $right != 0 ]; then
			cat work/wrong work/err | sed 's/^/# /'
			diff work/before work/after | sed 's/^/# outside: /'
			[ ! -s work/want ] || diff work/want work/got | sed 's/^/# /'
		fi
		cat work/got >>table
		chmod -R u+rwX a/b/c/dest 2>/dev/null
		rm -rf a/b/c/dest
	done
done
[ -z "${UPDATE-}" ] || cp table "$tables/odd.table"
done_testing
