#!/bin/sh
# run.sh FOLDER SECONDS: each fuzzer in FOLDER for so long on its seeds (tests/fuzz/seeds/NAME and the
# bugs of the past in tests/golden/bugs). Where clang has libFuzzer, that goes on from there for as long,
# guided by coverage. Inputs that crash are left in FOLDER.
set -eu
cd "${0%/*}/../.."
dir=$1
seconds=$2
status=0

seeds() {
	for s in "tests/fuzz/seeds/$1" "tests/golden/bugs/$1"; do
		[ ! -e "$s" ] || echo "$s"
	done
}

guided() {
	probe=$dir/probe
	mkdir -p "$probe"
	echo 'int LLVMFuzzerTestOneInput(const char *p, long n) { return n < 0 && *p; }' >"$probe/p.c"
	clang -fsanitize=fuzzer,address -o "$probe/p" "$probe/p.c" 2>/dev/null
}

for f in "$dir"/*; do
	name=${f##*/}
	[ -e "tests/fuzz/$name.c" ] || continue
	# shellcheck disable=SC2046
	"$f" -t "$seconds" $(seeds "$name") || {
		echo "$name: FAILED, see $name.input" >&2
		[ ! -e "$name.input" ] || mv "$name.input" "$dir"
		status=1
	}
done
if command -v clang >/dev/null && guided; then
	make -s -j2 config=asan B=build/libfuzzer CC=clang CPPFLAGS=-DLIBFUZZER \
	    CFLAGS='-O1 -g -fsanitize=fuzzer-no-link' LDFLAGS=-fsanitize=fuzzer fuzzers
	for f in build/libfuzzer/fuzz/*; do
		name=${f##*/}
		corpus=$dir/corpus/$name
		mkdir -p "$corpus"
		# shellcheck disable=SC2046
		if "$f" -max_total_time="$seconds" -artifact_prefix="$dir/$name-" "$corpus" \
		    $(seeds "$name") >"$dir/$name.log" 2>&1; then
			echo "$name, guided: $(sed -n 's/^Done //p' "$dir/$name.log")"
		else
			tail -n 40 "$dir/$name.log" >&2
			echo "$name: FAILED under libFuzzer" >&2
			status=1
		fi
	done
fi
exit $status
