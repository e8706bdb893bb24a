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

echo "features of 8 images, in turn:"
weights=$(mktemp -d)
trap 'rm -rf "$weights"' EXIT
for net in inception dino-vitb8; do
	bin/mkmodel -o "$weights/$net.safetensors" "$net"
	for _ in 1 2; do
		"$B/bench/features" "$net" "$weights/$net.safetensors"
		"$PY" tests/bench/features_torch.py "$net"
	done
done

if "$PY" -c 'import sklearn' 2>/dev/null; then
	echo "k-means of 220000 x 768, k = 33, in turn:"
	"$PY" tests/bench/kmeans_sklearn.py "$B/bench/kmeans"
fi
