# Shell tests in TAP, run by prove. Source it first; end with `done_testing`.
#
#	. "${0%/*}/lib.sh"
#	ok 'three records come out' test "$(wc -l <out)" = 3
#	rc 2 'an unknown option' csvrec --nonsense
#	is 'text is equal' "$(cat out)" 'hello'
#	same 'files are equal' out "$golden/0100-expected.json"
#	done_testing
#
# The test runs in a scratch folder of its own ($PWD), removed at the end; $top is the source tree,
# $BUILD the build folder; the programs are first in PATH.
set -u
top=$(cd "${0%/*}/.." && pwd)
BUILD=${BUILD:-$top/build/release}
case $BUILD in /*) ;; *) BUILD=$top/$BUILD ;; esac
if [ -d "$BUILD/bin" ] && [ -n "$(find "$BUILD/bin" -maxdepth 1 -type f -perm -u+x 2>/dev/null)" ]; then
	PATH=$BUILD/bin:$PATH
else
	PATH=$top/bin:$PATH
fi
export PATH
golden=$top/tests/golden
unset SLURM_ARRAY_TASK_ID SLURM_ARRAY_TASK_COUNT JOB_COMPLETION_INDEX JOB_COMPLETION_COUNT
scratch=$(mktemp -d "${TMPDIR:-/tmp}/phantom-test.XXXXXX") || exit 2
# archives may hold folders without permissions
trap 'chmod -R u+rwX "$scratch" 2>/dev/null; rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM
cd "$scratch" || exit 2
tests=0
failures=0

# report STATUS DESCRIPTION: one TAP line
report() {
	tests=$((tests + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tests - $2"
	else
		echo "not ok $tests - $2"
		failures=$((failures + 1))
	fi
}

# ok DESCRIPTION COMMAND...: the command succeeds
ok() {
	desc=$1
	shift
	"$@" >.ok.out 2>&1
	set -- $?
	report "$1" "$desc"
	[ "$1" = 0 ] || sed 's/^/# /' .ok.out
}

# rc STATUS DESCRIPTION COMMAND...: it exits so; its words are left in files stdout and stderr
rc() {
	want=$1 desc=$2
	shift 2
	"$@" >stdout 2>stderr
	got=$?
	[ "$got" = "$want" ]
	report $? "$desc"
	[ "$got" = "$want" ] || {
		echo "# exit $got, not $want"
		sed 's/^/# /' stderr | head -20
	}
}

# is DESCRIPTION GOT WANTED
is() {
	[ "$2" = "$3" ]
	report $? "$1"
	[ "$2" = "$3" ] || {
		printf '%s\n' "$2" | sed 's/^/# got:  /' | head -20
		printf '%s\n' "$3" | sed 's/^/# want: /' | head -20
	}
}

# like DESCRIPTION TEXT PATTERN: a case pattern matches
like() {
	# shellcheck disable=SC2254 # a pattern it is
	case $2 in
	$3) report 0 "$1" ;;
	*)
		report 1 "$1"
		printf '%s\n' "$2" | sed 's/^/# got: /' | head -20
		echo "# want: $3"
		;;
	esac
}

# same DESCRIPTION FILE EXPECTED: byte for byte; UPDATE=1 makes the expected file anew
same() {
	[ -z "${UPDATE-}" ] || cp "$2" "$3"
	cmp "$2" "$3" >.cmp 2>&1
	set -- $? "$1" "$2" "$3"
	report "$1" "$2"
	[ "$1" = 0 ] || {
		sed 's/^/# /' .cmp
		diff "$4" "$3" | head -10 | cut -c 1-200 | sed 's/^/# /'
	}
}

# check_same DESCRIPTION 'PIPELINE A' 'PIPELINE B': both print the same
check_same() {
	sh -c "$2" >.a 2>.a.err
	sh -c "$3" >.b 2>.b.err
	same "$1" .a .b
}

# wait_until PID 'CONDITION': or until that process has gone
wait_until() {
	until eval "$2"; do
		kill -0 "$1" || break
		sleep 0.05
	done
}

done_testing() {
	echo "1..$tests"
	[ "$failures" = 0 ]
	exit $?
}
