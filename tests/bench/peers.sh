#!/bin/sh
# peers.sh BUILD [WORD ...]: products beside OpenBLAS and PyTorch, where those are installed.
set -eu
cd "${0%/*}/../.."
B=$1
shift
PY=${PYTHON:-/usr/bin/python3}
if ! "$PY" -c 'import torch' 2>/dev/null; then
	echo "peers.sh: no PyTorch for $PY (Debian: apt install python3-torch libopenblas0-pthread)" >&2
	exit 1
fi
"$PY" tests/bench/peers.py "$B/bench/products" "$@"
[ $# = 0 ] || exit 0

echo "a training step of U-Net++/ResNet-34, 4 images of 256 x 256, in turn:"
for _ in 1 2 3; do
	"$B/bench/segstep" --runs 3
	echo "PyTorch, channels last, two threads: $("$PY" tests/bench/smp_torch.py step 4 256) s"
done

echo "eigenvalues and Fréchet distances, in turn:"
"$PY" tests/bench/linalg_numpy.py "$B/bench/linalg"
