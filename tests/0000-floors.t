#!/bin/sh
# The floors of the house: a module includes only its own floor or a lower one, and a few libraries
# have one user each.
. "${0%/*}/lib.sh"

# violations TREE: each include that reaches up
violations() {
	(cd "$1" && find lib -name '*.[ch]' | LC_ALL=C sort | xargs awk '
	BEGIN {
		n = split("base data gpu tensor nn model metric", name, " ")
		for (i = 1; i <= n; i++)
			floor[name[i]] = i
	}
	{
		split(FILENAME, path, "/")
		if (!(path[2] in floor)) {
			print FILENAME ": stands on no floor"
			nextfile
		}
	}
	/^[ \t]*#[ \t]*include[ \t]*"/ {
		split($0, part, "\"")
		split(part[2], to, "/")
		if (part[2] ~ /\.\./)
			print FILENAME ": includes " part[2] " by a relative path"
		else if (part[2] ~ /\// && !(to[1] in floor))
			print FILENAME ": includes " part[2] ", which stands on no floor"
		else if (part[2] ~ /\// && floor[to[1]] > floor[path[2]])
			print FILENAME ": includes " part[2] " from a floor above"
	}')
}

# users TREE HEADER: the files that include a library's header
users() {
	(cd "$1" && find lib bin -name '*.[ch]' | LC_ALL=C sort | xargs grep -l "#include <$2>" | tr '\n' ' ')
}

is 'no module reaches up' "$(violations "$top")" ''
is 'jsmn has one user' "$(users "$top" jsmn.h)" 'lib/data/json.c '
is 'libcsv has one user' "$(users "$top" csv.h)" 'lib/data/csv.c '

# the check itself: a tree that breaks the rule
mkdir -p bad/lib/data bad/lib/gpu bad/lib/attic bad/bin
echo '#include "base/err.h"' >bad/lib/gpu/a.c
echo '#include "gpu/a.h"' >bad/lib/data/b.c
echo '  #  include "../nn/a.h"' >bad/lib/data/c.c
echo '#include "base/err.h"' >bad/lib/attic/d.c
is 'a reach upwards is seen' "$(violations bad)" 'lib/attic/d.c: stands on no floor
lib/data/b.c: includes gpu/a.h from a floor above
lib/data/c.c: includes ../nn/a.h by a relative path'

done_testing
