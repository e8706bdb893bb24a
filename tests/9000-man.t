#!/bin/bash
# The man pages are true: every program has one with all its parts, --help lists the same options,
# and each line of EXAMPLES runs as it stands, in a folder that tests/man-fixtures/NAME.sh prepares.
# bash, for its pipefail. Operands: only these pages.
. "${0%/*}/lib.sh"

# page NAME: its file
page() {
	for s in 1 5 7; do
		[ ! -e "$top/man/$1.$s" ] || echo "$top/man/$1.$s"
	done
}

# text PAGE: plain text, no line of an example broken
text() {
	mandoc -T ascii -O width=1000 "$1" | sed 's/.\x08//g'
}

# page_options PAGE: the options of the list in DESCRIPTION, one a line, sorted
page_options() {
	sed -n '/^\.Sh DESCRIPTION/,/^\.Sh [^D]/p' "$1" | awk '
	/^\.It Fl / {
		for (i = 2; i < NF; i++) {
			if ($i != "Fl")
				continue
			o = $(i + 1)
			sub(/[,.;:]$/, "", o)
			print "-" o
		}
	}' | sort
}

# help_options PROGRAM: those of --help; below "Less often wanted" there are several in a line
help_options() {
	"$1" --help | awk '
	/^Less often wanted/ { rest = 1 }
	rest {
		for (i = 1; i <= NF; i++) {
			if ($i ~ /^--/) {
				sub(/,$/, "", $i)
				print $i
			}
		}
	}
	/^  -[^-]/ { sub(/,/, "", $1); print $1; if ($2 ~ /^--/) print $2; next }
	/^      --/ { print $1 }' | sort
}

# hidden_options TABLE...: options of these sources that stay out of --help though they are no other
# spelling of one that is listed; 0 when none is.
hidden_options() {
	awk '
	/^\t\{ .*, OPT_[A-Z0-9]*, &/ {
		row = $0
		while (row !~ /\},$/ && (getline more) > 0)
			row = row more
		split(row, part, ", *")
		alias = row ~ /, NULL,[ \t]*[-0-9.e]+, [-0-9.e]+ \},$/
		if (alias)
			spelling[part[4]] = spelling[part[4]] " " part[2]
		else
			listed[part[4]] = 1
	}
	END {
		for (o in spelling)
			if (!(o in listed))
				print spelling[o]
	}' "$@"
}

# examples PAGE: the commands, one a line; a line that ends in a backslash goes on in the next
examples() {
	text "$1" | sed -n '/^EXAMPLES/,/^[A-Z]/p' | sed -n '
	s/^  *\$ //
	t cmd
	b
	:cmd
	/\\$/{
		N
		s/\\\n *> */ /
		t cmd
	}
	p'
}

check_sections() {
	want="NAME SYNOPSIS DESCRIPTION RECORDS ENVIRONMENT EXIT_STATUS EXAMPLES CAVEATS"
	have=$(sed -n 's/^\.Sh //p' "$1" | tr ' \n' '_ ')
	missing=
	for s in $want; do
		case " $have " in
		*" $s "*) ;;
		*) missing="$missing $s" ;;
		esac
	done
	is "$2: no section is missing" "$missing" ''
	ordered=$(for s in $have; do
		case " $want " in
		*" $s "*) printf '%s ' "$s" ;;
		esac
	done)
	is "$2: sections stand in order" "$ordered" "$(for s in $want; do
		case " $have " in
		*" $s "*) printf '%s ' "$s" ;;
		esac
	done)"
}

run_examples() {
	mkdir "$2.d"
	fixture=$top/tests/man-fixtures/$2.sh
	if [ -e "$fixture" ]; then
		(cd "$2.d" && top=$top sh -eu "$fixture") >fixture.out 2>&1
		report $? "$2: its fixture is made"
		sed 's/^/# /' fixture.out | tail -20
	fi
	n=0
	while IFS= read -r line; do
		n=$((n + 1))
		# 141: a reader such as head had enough
		(cd "$2.d" && bash -o pipefail -c "$line" </dev/null) >example.out 2>example.err
		got=$?
		[ "$got" = 0 ] || [ "$got" = 141 ]
		report $? "$2: $line"
		[ "$got" = 0 ] || sed 's/^/# /' example.err | tail -20
	done <<EOF
$(examples "$1")
EOF
	return 0
}

# shellcheck disable=SC2046
[ $# -gt 0 ] || set -- $(cd "$top" && printf '%s\n' bin/*.c man/*.[157] | sed 's,.*/,,; s,\.[^.]*$,,' | sort -u)
for name; do
	file=$(page "$name")
	ok "$name: has a page" test -n "$file"
	[ -n "$file" ] || continue
	is "$name: mandoc has nothing to say" "$(mandoc -T lint -W warning "$file" 2>&1)" ''
	if [ -e "$top/bin/$name.c" ]; then
		check_sections "$file" "$name"
		help_options "$name" >help
		page_options "$file" >listed
		is "$name: --help and the page list the same options" \
		    "$(comm -3 help listed | grep -v -e '--help' -e '--version')" ''
		table=$top/bin/$name.c
		[ "$name" != sdtrain ] || table=$top/lib/model/sd_options.c
		ok "$name: its table of options is there" grep -q 'struct opt .*\[\] = {$' "$table"
		is "$name: and no option stands in neither" "$(hidden_options "$table")" ''
		ok "$name: what --help explains fits a screen" \
		    test "$("$name" --help | sed '/^Less often wanted/,$d' | grep -c .)" -le 49
		rc 0 "$name: --version" "$name" --version
		is "$name: --version is one line" "$(wc -l <stdout)" 1
		rc 2 "$name: an unknown option" "$name" --no-such-option
		is "$name: which is told in one line" "$(wc -l <stderr)" 1
		ok "$name: three examples or more" test "$(examples "$file" | wc -l)" -ge 3
	fi
	[ -z "$(examples "$file")" ] || run_examples "$file" "$name"
	[ "$name" = phantom ] || continue
	# the overview names every program and every variable that the sources read
	for p in "$top"/bin/*.c; do
		p=${p##*/}
		ok "phantom(7) names ${p%.c}" grep -q "^\.It Xr ${p%.c} 1" "$file"
	done
	for v in $(cd "$top" && grep -ho 'getenv("PHANTOM_[A-Z]*"' lib/*/*.c bin/*.c | sed 's/.*("//; s/"//' | sort -u); do
		ok "phantom(7) names $v" grep -q "^\.It Ev $v" "$file"
	done
	# and no others
	for p in $(sed -n 's/^\.It Xr \([a-z]*\) 1$/\1/p' "$file"); do
		ok "phantom(7): there is a $p" test -e "$top/bin/$p.c"
	done
	for v in $(sed -n 's/^\.It Ev \(PHANTOM_[A-Z]*\).*/\1/p' "$file"); do
		ok "phantom(7): $v is read" grep -qr "getenv(\"$v\"" "$top/lib" "$top/bin" --include='*.c'
	done
done
done_testing
