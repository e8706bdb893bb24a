#!/bin/sh
# Each fuzzer for a few thousand inputs, always the same ones; `make fuzz` runs them for longer.
. "${0%/*}/lib.sh"

if [ ! -d "$BUILD/fuzz" ]; then
	echo '1..0 # SKIP the fuzzers are not built: make fuzzers'
	exit 0
fi
for f in "$top"/tests/fuzz/*.c; do
	name=${f##*/}
	name=${name%.c}
	set --
	for s in "$top/tests/fuzz/seeds/$name" "$top/tests/golden/bugs/$name"; do
		[ ! -e "$s" ] || set -- "$@" "$s"
	done
	ok "$name" "$BUILD/fuzz/$name" -n 3000 "$@"
done
done_testing
