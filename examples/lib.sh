# For the examples that work in a folder of their own: names that hold wherever they go.

# absolute NAME: the file that it names here
absolute() {
	case $1 in
	/*) printf '%s\n' "$1" ;;
	*) printf '%s/%s\n' "$PWD" "$1" ;;
	esac
}
# absolute_in VARIABLE...: the same of those that are set
absolute_in() {
	for v; do
		eval "[ -z \"\${$v-}\" ] || $v=\$(absolute \"\$$v\")"
	done
}
# there NAME: ends where there is no such file
there() {
	[ -e "$1" ] || {
		echo "${0##*/}: $1: there is no such file" >&2
		exit 2
	}
}
# fresh DIR: makes the folder anew and goes there. Only what an example made is removed.
fresh() {
	case $1 in
	"$top"/build/*) ;;
	*)
		[ ! -e "$1" ] || [ -e "$1/.example" ] || rmdir "$1" 2>/dev/null || {
			echo "${0##*/}: $1: is there, and not from an earlier run" >&2
			exit 2
		}
		;;
	esac
	rm -rf "$1"
	mkdir -p "$1"
	: >"$1/.example"
	cd "$1" || exit 2
}
