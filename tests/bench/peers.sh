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
