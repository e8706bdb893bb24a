#!/bin/sh
# examples/fit learns its half circles, in the same steps each time.
. "${0%/*}/lib.sh"

rc 0 'a small net is fitted' "$BUILD/examples/fit"
cp stdout first
is 'six records' "$(wc -l <first | tr -d ' ')" 6
# seen: 0.8017 at the start, 0.0026 at the end, all 512 points right
like 'it starts knowing nothing' "$(sed -n 1p first)" '{"kind":"step","step":0,"loss":0.8*}'
like 'and ends with a small loss' "$(sed -n 5p first)" '{"kind":"step","step":400,"loss":0.00*}'
like 'and all points on their sides' "$(sed -n 6p first)" '*"value":1.0000}'
rc 0 'again' "$BUILD/examples/fit"
same 'with the same numbers' stdout first
rc 0 'without subgroups and texel buffers' env PHANTOM_DISABLE=subgroup,texel "$BUILD/examples/fit"
like 'it fits as well' "$(sed -n 6p stdout)" '*"value":1.0000}'
rc 2 'a full disk' sh -c '"$0" >/dev/full' "$BUILD/examples/fit"
done_testing
