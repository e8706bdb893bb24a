#!/bin/sh
# run.sh BUILD: every kernel as a share of this device's ceilings, then the whole jobs.
set -eu
cd "${0%/*}/../.."
"$1/bench/kernels" --dtype f32
"$1/bench/kernels" --dtype f16 matmul linear conv
echo "whole jobs:"
"$1/bench/segstep"
"$1/bench/segstep" --arch unet --encoder efficientnet-b0
