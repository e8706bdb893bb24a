#!/bin/sh
# fid on images: decoded ahead of the device, kept by content, bad ones left out.
. "${0%/*}/lib.sh"
XDG_CACHE_HOME=$PWD/cache
export XDG_CACHE_HOME

shapegen -q -n 9 --height 40 --width 40 --min 8 --max 20 -o real >real.jsonl
shapegen -q -n 9 --height 48 --width 36 --min 4 --max 30 -s 1 -o gen >gen.jsonl
mkmodel -o dino.safetensors dino-mini >/dev/null
mkmodel -o other.safetensors -s 1 dino-mini >/dev/null
net='--network dino --weights dino.safetensors'
# image FILE: a masks file would be one, too
find . -name '*mask*' -prune -exec rm -rf {} +
is 'two folders of images' "$(find real -name '*.png' | wc -l) $(find gen -name '*.png' | wc -l)" '9 9'

# shellcheck disable=SC2086 # $net is words
run() {
	fid $net --metrics fid,precision --neighbours 3 "$@" 2>stderr
}

run --no-cache real gen >want
is 'folders of images of two sizes' $? 0
is 'results' "$(wc -l <want)" 2
ok 'name the network, preprocessing and weights' \
    grep -q '"embedding_network": "dino", "embedding_preprocess": "dino", "embedding_weights": "fnv1a64:' want
ok 'without a cache nothing is kept' test ! -e cache/phantom/features
run real.jsonl gen.jsonl >out
# the records' order is that of the names, too
ok 'records give the same' cmp out want
is 'and are kept' "$(find cache/phantom/features -name '*.features' | wc -l)" 1
size=$(wc -c <"$(find cache/phantom/features -name '*.features')")
run real gen >out
ok 'from the cache the same' cmp out want
is 'which does not grow' "$(wc -c <"$(find cache/phantom/features -name '*.features')")" "$size"
mkdir moved
cp real/*.png moved/
run moved gen >out
sed 's/moved/real/' out >b
ok 'by content, not by name' cmp b want
is 'nor for copies' "$(wc -c <"$(find cache/phantom/features -name '*.features')")" "$size"
# an entry torn by a kill, and one damaged
file=$(find cache/phantom/features -name '*.features')
head -c $((size - 50)) "$file" >torn
cp torn "$file"
run real gen >out
ok 'a torn cache' cmp out want
is 'is mended' "$(wc -c <"$file")" "$size"
perl -e 'open F, "+<", $ARGV[0]; seek F, -20, 2; print F "XXXX"' "$file"
run real gen >out
ok 'a damaged entry is made anew' cmp out want
echo 'not a cache' >"$file"
run real gen >out
ok 'a file that is something else' cmp out want
fid --network dino --weights other.safetensors --metrics fid,precision --neighbours 3 real gen >out
ok 'other weights have other features' test "$(cat out)" != "$(cat want)"
is 'in a cache of their own' "$(find cache/phantom/features -name '*.features' | wc -l)" 2
: >cache/none
run --cache cache/none/x real gen >out
is 'a cache that cannot be: no error' $? 0
like 'is told' "$(cat stderr)" '*no features are kept: *'
ok 'and changes nothing' cmp out want

run --no-cache -j 1 --batch-size 1 real gen >out
ok 'one at a time' cmp out want
run --no-cache -j 8 --batch-size 4 real gen >out
ok 'eight threads, batches of four' cmp out want

# ---- bad images ----
# what `want` has without the third and the last of the generated
mkdir bad
cp gen/*.png bad/
set -- bad/*.png
third=$3
shift 8
last=$1
mkdir good
cp gen/*.png good/
rm "good/${third##*/}" "good/${last##*/}"
run --no-cache real good >want7
head -c 200 "$third" >short
mv short "$third"
echo text >"$last"
run real bad >out
is 'unreadable files midway' $? 1
is 'a line each, and one that they are few' "$(wc -l <stderr)" 3
like 'with its name and why' "$(head -n 1 stderr)" "fid: bad:3: ${third##*/}: $third: *"
like 'in order' "$(sed -n 2p stderr)" "fid: bad:9: ${last##*/}: $last: *"
ok 'the rest as if they were not there' cmp out want7
run -k real bad >out
is '--keep-bad writes them' "$(grep -c '"error"' out)" 2
run --strict real bad >out
is '--strict ends' $? 2
sed 's/"file_name":"[^"]*"/"file_name":"nowhere.png"/' gen.jsonl >lost.jsonl
run real lost.jsonl >out
is 'no image is left' $? 2
like 'is told last' "$(tail -n 1 stderr)" 'fid: lost.jsonl: no image'
rc 2 'weights that are not there' fid --network dino --weights none.safetensors real gen
rc 2 'a network that is not there' fid --network nono --weights dino.safetensors real gen

# ---- statistics, pairs ----
for i in 1 2 3; do
	# shellcheck disable=SC2086
	fid $net --partial --shard $i/3 -o $i.npz real >/dev/null
done
fid --merge -o merged.npz 1.npz 2.npz 3.npz >/dev/null
run --metrics fid merged.npz gen >out 2>/dev/null
a=$(sed -n 's/.*"metric": "fid", "value": \([^,]*\),.*/\1/p' out)
b=$(sed -n 's/.*"metric": "fid", "value": \([^,]*\),.*/\1/p' want)
ok "shards of a folder merge: $a, bound 1e-9" awk "BEGIN { d = $a / $b - 1; exit !(d < 1e-9 && d > -1e-9) }"
run --per-image --sheet pairs.png --sheet-rows 5 -o results real gen.jsonl >out
is '--per-image' "$(grep -c '"nearest_file_name":"real/' out)" 9
ok 'a sheet' test "$(head -c 4 pairs.png | tail -c 3)" = PNG
mkdir copies
cp "$(find real -name '*.png' | sort | head -n 1)" copies/x.png
cp "$(find real -name '*.png' | sort | tail -n 1)" copies/y.png
# shellcheck disable=SC2086
fid $net --metrics authpct --per-image -o results real copies >out
is 'copies are found out' "$(grep -c '"nearest_distance":0,"authentic":false' out)" 2
like 'and counted' "$(cat results)" '*"metric": "authpct", "value": 0,*'
mkdir -p classes/a classes/b
cp gen/*.png classes/a/
cp real/*.png classes/b/
run --by label --metrics fid classes classes >out
is 'folders are labels' "$(sed -n 's/.*"label": "\([ab]\)".*/\1/p' out | tr '\n' ' ')" 'a b '

# two programs at once, on one cache
rm -rf cache/phantom/features
run real gen >a &
pid=$!
run gen real >b
wait $pid
run real gen >out
ok 'two programs share a cache' cmp a want
ok 'and leave it whole' cmp out want
mkmodel -o clip.safetensors clip-mini >/dev/null
fid --network clip --weights clip.safetensors --metrics cmmd real gen >out 2>stderr
is "CMMD of CLIP's features" $? 0
ok 'is above 0' awk -F '"value": ' '{ exit !($2 + 0 > 0) }' out

# ---- features that embed made ----
# shellcheck disable=SC2086
embed -q $net -o real.npy real.jsonl >real-e.jsonl
# shellcheck disable=SC2086
embed -q $net --inline gen.jsonl >gen-e.jsonl
fid --metrics fid,precision --neighbours 3 real-e.jsonl gen-e.jsonl >out 2>stderr
ok "embed's vectors give the same" cmp out want
run --no-cache real gen-e.jsonl >out
ok 'images beside vectors of the same network' cmp out want
# shellcheck disable=SC2086
embed -q $net -o pipe.npy gen.jsonl | fid --metrics fid,precision --neighbours 3 real-e.jsonl >out 2>stderr
ok 'through a pipe' cmp out want
fid --network dino --weights other.safetensors --metrics fid real gen-e.jsonl >out 2>stderr
is 'vectors by other weights' $? 2
like 'are refused' "$(cat stderr)" '*are not of the same weights: *'
sed 's/"embedding_network":"dino"/"embedding_network":"clip"/' gen-e.jsonl >clip.jsonl
run --no-cache real clip.jsonl >out
ok 'vectors of another network than asked for: the images are looked at' cmp out want
fid --metrics fid real-e.jsonl clip.jsonl >out 2>stderr
is 'and without images they are refused' $? 2

# ---- killed ----
# shellcheck disable=SC2086
fid $net --partial --no-cache -o killed.npz real >/dev/null 2>&1 &
pid=$!
sleep 0.2
kill -9 $pid 2>/dev/null
wait $pid 2>/dev/null
if [ -e killed.npz ]; then
	rc 0 'killed late: the statistics are whole' fid --merge -o again.npz killed.npz
else
	report 0 'killed: no half statistics'
fi

done_testing
