#!/bin/sh
# mkkernels.sh BUILD FILE.comp ...: the list of kernels, from the lines `//! NAME: FLAGS` that head
# each shader. Writes BUILD/kernel_enum.h and BUILD/kernel_table.h; prints the make rules that
# compile each kernel to a C header of SPIR-V words. A flag @EXTENSION: the kernel needs it, and has
# no code in the table where $GLSLANG does not know it.
set -eu
B=$1
shift
list=$(awk '/^\/\/! / { n = $2; sub(/:$/, "", n); $1 = $2 = ""; print n, FILENAME, $0 }' "$@" | sort)

left_out=
for extension in $(printf '%s\n' "$list" | sed -n 's/.*@//p' | sort -u); do
	printf '#version 450\n#extension %s : require\nvoid main() {}\n' "$extension" >"$B/spv/probe.comp"
	if ! "${GLSLANG:-glslangValidator}" -V --target-env vulkan1.2 -o "$B/spv/probe.spv" \
	    "$B/spv/probe.comp" >/dev/null 2>&1; then
		echo "kernels that need $extension are left out: ${GLSLANG:-glslangValidator} does not know it" >&2
		left_out="$left_out $extension"
	fi
done
rm -f "$B/spv/probe.comp" "$B/spv/probe.spv"
# of the list, the kernels that there is code for
coded=$(printf '%s\n' "$list" | awk -v out="$left_out" '
	BEGIN { n = split(out, o, " "); for (i = 1; i <= n; i++) missing["@" o[i]] = 1 }
	!($NF in missing)')

{
	echo "/* made by mkkernels.sh: do not edit */"
	echo "enum kernel {"
	printf '%s\n' "$list" | awk '{ print "\tK_" toupper($1) "," }'
	printf '\tKERNEL_COUNT\n};\n'
} >"$B/kernel_enum.h.new"
# the enum is included everywhere: touch it only when the list has changed
cmp -s "$B/kernel_enum.h.new" "$B/kernel_enum.h" || cp "$B/kernel_enum.h.new" "$B/kernel_enum.h"
rm -f "$B/kernel_enum.h.new"

{
	echo "/* made by mkkernels.sh: do not edit */"
	printf '%s\n' "$coded" | awk '{ print "#include \"spv/" $1 ".h\"" }'
	echo "static const struct { const char *name; const uint32_t *spv; size_t bytes; } kernel_table[] = {"
	{
		printf '%s\n' "$coded" | awk '{ print "+", $1 }'
		printf '%s\n' "$list" | awk '{ print "-", $1 }'
	} | awk '$1 == "+" { coded[$2] = 1; next }
		$2 in coded { print "\t{ \"" $2 "\", spv_" $2 ", sizeof(spv_" $2 ") },"; next }
		{ print "\t{ \"" $2 "\", NULL, 0 }," }'
	echo "};"
} >"$B/kernel_table.h"

headers=
printf '%s\n' "$coded" | while read -r name file flags; do
	flags=${flags%@*}
	echo "$B/spv/$name.h: $file"
	printf '\t@mkdir -p %s/spv\n' "$B"
	printf '\t$(GLSLANG) -V --quiet --target-env vulkan1.2 -Ishaders %s --vn spv_%s --depfile %s/spv/%s.d -o $@ $<\n' \
		"$flags" "$name" "$B" "$name"
	# an include that is gone must not stop make: each one is a target of its own, as -MP does for C
	printf '\t@tr " " "\\n" <%s/spv/%s.d | sed -n "s,^\\(shaders/.*\\.[a-z]*\\)$$,\\1:,p" >%s/spv/%s.p\n' "$B" "$name" "$B" "$name"
	printf '\t@cat %s/spv/%s.p >>%s/spv/%s.d; rm -f %s/spv/%s.p\n' "$B" "$name" "$B" "$name" "$B" "$name"
done
headers=$(printf '%s\n' "$coded" | awk -v b="$B" '{ printf " %s/spv/%s.h", b, $1 }')
echo "$B/kernel_enum.h $B/kernel_table.h: ;"
echo "$B/lib/gpu/kernel.o:$headers"
