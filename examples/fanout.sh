#!/bin/sh
# One job on many processes or machines: fanout.sh MODEL PROMPTS REAL [DIR]
#
# sdgen draws PROMPTS (records with text) in N (2) shards side by side, each statistics of its own; these
# are merged and compared with the folder or records REAL. The same seeds make the same images however
# many shards there are, and a shard that was stopped goes on where it was. With -S, GNU parallel runs
# shards on other machines that see the same files: PARALLEL='-S a,b' fanout.sh ...
set -eu
[ $# -ge 3 ] || {
	echo "usage: fanout.sh MODEL PROMPTS REAL [DIR]" >&2
	exit 2
}
command -v parallel >/dev/null || {
	echo "fanout.sh: GNU parallel is not installed" >&2
	exit 2
}
top=$(cd "${0%/*}/.." && pwd)
. "$top/examples/lib.sh"
model=$(absolute "$1") prompts=$(absolute "$2") real=$(absolute "$3")
dir=${4:-$top/build/fanout}
n=${N:-2}
PATH=$top/bin:$PATH
export PATH

mkdir -p "$dir"
cd "$dir"
[ -z "${INCEPTION-}" ] || cp "$INCEPTION" inception.safetensors
[ -e inception.safetensors ] || mkmodel -o inception.safetensors inception >/dev/null
net='--network inception --weights inception.safetensors'

seq "$n" | parallel --halt now,fail=1 "sdgen -q -m $model --steps ${SAMPLING:-25} --shard {}/$n --skip-done -o images \
	$prompts >images-{}.jsonl && fid -q --partial $net -o part-{}.npz images-{}.jsonl"
fid --merge -o images.npz $(seq -f 'part-%g.npz' "$n")
cat $(seq -f 'images-%g.jsonl' "$n") >images.jsonl
# shellcheck disable=SC2086
fid $net --metrics fid "$real" images.npz
