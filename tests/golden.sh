#!/bin/sh
# golden.sh BUILD DIR: every conformance test (unit programs named *-golden-*) on the sets in DIR.
# Each prints the quantities it compared with the observed error and the bound; a set that DIR does
# not have is skipped. Last line: N passed, N failed, N skipped.
set -u
cd "${0%/*}/.." || exit 2
[ -d "$2" ] || {
	echo "golden: $2: no such folder (GOLDEN=DIR names the one that holds the sets)" >&2
	exit 2
}
GOLDEN=$(cd "$2" && pwd)
export GOLDEN CMOCKA_MESSAGE_OUTPUT=TAP
passed=0 failed=0 skipped=0
out=$(mktemp) || exit 2
trap 'rm -f "$out"' EXIT
for t in "$1"/unit/*-golden-*; do
	[ -x "$t" ] || continue
	case $t in *.*) continue ;; esac
	echo "== ${t##*/}"
	"$t" >"$out" 2>&1
	status=$?
	cat "$out"
	p=$(grep -c '^ok ' "$out")
	f=$(grep -c '^not ok ' "$out")
	s=$(grep -ciE '^1\.\.0 # *skip|^ok .*# skip' "$out")
	[ "$s" = 0 ] || p=$((p - $(grep -ciE '^ok .*# skip' "$out")))
	# a program that died said too little
	[ "$status" = 0 ] || [ "$f" != 0 ] || f=1
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
