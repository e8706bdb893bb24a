#!/bin/sh
# Wrong use of tensors ends the program, naming op and shapes; PHANTOM_CHECK finds the first NaN.
. "${0%/*}/lib.sh"
tape=$BUILD/unit/3000-tape

rc 0 'a NaN goes unseen' "$tape" nan
is 'into the result' "$(tr -d - <stdout)" nan
rc 2 'unless PHANTOM_CHECK is set' env PHANTOM_CHECK=1 "$tape" nan
like 'which names the op that made it' "$(cat stderr)" '*PHANTOM_CHECK: op_log made a NaN in \[4,3\] f32'
rc 2 'shapes that do not broadcast' "$tape" shapes
like 'are named' "$(cat stderr)" '*op_add: \[4,3\] f32 and \[4\] f32 do not broadcast'
rc 2 'types that differ' "$tape" types
like 'too' "$(cat stderr)" '*op_mul: \[4,3\] f32 and \[4,3\] f16 differ in type'
rc 2 'a loss of nothing' "$tape" leafless
like 'is told' "$(cat stderr)" '*backward: of \[\] f32, which depends on nothing that requires a gradient'
rc 2 'a second backward' "$tape" twice
like 'finds no graph' "$(cat stderr)" '*the graph of op_sum_all was used and freed before'
done_testing
