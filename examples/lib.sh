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
