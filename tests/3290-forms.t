#!/bin/sh
# Kernels have a form for software devices (texel buffers, subgroups) and one for GPUs (storage buffers,
# shared memory): the tests of normalisation, pooling, resizing, attention and optimisers with either
# kept from being chosen.
. "${0%/*}/lib.sh"

for off in texel subgroup; do
	for unit in 3200-batch-norm 3210-norm 3220-pool 3230-resize 3240-attention 3300-optim; do
		ok "$unit without $off" env PHANTOM_DISABLE=$off "$BUILD/unit/$unit"
	done
done
done_testing
