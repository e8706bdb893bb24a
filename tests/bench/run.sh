#!/bin/sh
# run.sh BUILD: every kernel as a share of this device's ceilings, then the whole jobs.
set -eu
cd "${0%/*}/../.."
"$1/bench/kernels" --dtype f32
"$1/bench/kernels" --dtype f16 matmul linear conv
for job in tests/bench/job-*.sh; do
	[ ! -e "$job" ] || sh "$job"
done
