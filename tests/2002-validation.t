#!/bin/sh
# The engine's unit tests under the Khronos validation layers: any message of theirs is fatal.
. "${0%/*}/lib.sh"
PHANTOM_VALIDATE=1
export PHANTOM_VALIDATE
for t in "$BUILD"/unit/2[0-9][0-9][0-9]-*; do
	case $t in *.*) continue ;; esac
	ok "${t##*/}" "$t"
done
# without push descriptors and texel buffers, as on some GPUs
PHANTOM_DISABLE=push,texel
export PHANTOM_DISABLE
for t in "$BUILD"/unit/2[0-9][0-9][0-9]-*; do
	case $t in *.*) continue ;; esac
	ok "${t##*/} with fewer features" "$t"
done
done_testing
