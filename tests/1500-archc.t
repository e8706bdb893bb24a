#!/bin/sh
# archc: what is packed, by layout, and what changes on the way. 1510 has what may go wrong.
. "${0%/*}/lib.sh"
. "$top/tests/archc/lib.sh"

unpack() { # ARCHIVE DIR, by another program
	mkdir "$2"
	case $1 in
	*.zip) unzip -q -d "$2" "$1" ;;
	*) bsdtar -xf "$1" -C "$2" ;;
	esac
}
sums() { # DIR: each file with its sum, sorted
	(cd "$1" && find . -type f -exec cksum {} + | LC_ALL=C sort)
}
mtimes() { # ARCHIVE: the different times and owners of its members
	bsdtar --numeric-owner -tvf "$1" | awk '{ print $1, $3, $4, $6, $7, $8 }' | sort -u
}

shapes 5 shapes
# ---- imagefolder ----
rc 0 'a folder' archc -o folder shapes/metadata.jsonl
same 'its records' stdout "$golden/1500-records.jsonl"
same 'its metadata' folder/metadata.jsonl "$golden/1500-metadata.jsonl"
is 'images, masks and metadata, and nothing else' "$(cd folder && find . -type f | LC_ALL=C sort | tr '\n' ' ')" \
    './1_image.png ./2_image.png ./3_image.png ./4_image.png ./5_image.png ./masks/1_mask.png ./masks/2_mask.png ./masks/3_mask.png ./masks/4_mask.png ./masks/5_mask.png ./metadata.jsonl '
ok 'byte for byte' sh -c 'for i in 1 2 3 4 5; do
	cmp shapes/${i}_image.png folder/${i}_image.png && cmp shapes/${i}_mask.png folder/masks/${i}_mask.png || exit
done'
cp stdout records
rc 0 'what comes out goes in again' archc -o again - <records
is 'and is the same' "$(sums again)" "$(sums folder)"
is 'the folder may be read by all, as others are' "$(stat -c %a folder)" "$(mkdir plain && stat -c %a plain)"

for ending in tar tar.gz tgz tar.xz txz tar.zst zip; do
	rc 0 "$ending" archc -o a.$ending shapes/metadata.jsonl
	is "$ending: the records name it" "$(sed -n 2p stdout)" \
	    "$(sed -n '2s/}$/,"archive":"a.'$ending'","member":"2_image.png"}/p' shapes/metadata.jsonl)"
	unpack a.$ending out.$ending
	is "$ending: holds what the folder holds" "$(sums out.$ending)" "$(sums folder)"
	TZ=Asia/Tokyo LC_ALL=C archc -j8 -o b.$ending shapes/metadata.jsonl >/dev/null
	ok "$ending: the same bytes from 8 threads, in another time zone" cmp a.$ending b.$ending
done
is 'user, group and time are 0' "$(TZ=UTC mtimes a.tar)" '-rw-r--r-- 0 0 Jan 1 1970'
is 'in a zip too' "$(TZ=UTC mtimes a.zip)" '-rw-r--r-- 0 0 Jan 1 1970'
is 'the compressions are what they are called' "$(for e in gz xz zst; do
	head -c 4 a.tar.$e | od -An -tx1 | tr -d ' \n' | cut -c 1-4
done)" "$(printf '1f8b\nfd37\n28b5')"
is 'gzip knows no time either' "$(head -c 8 a.tar.gz | tail -c 4 | od -An -tx1)" ' 00 00 00 00'
for ending in tar.gz zip; do
	ok "archx unpacks $ending" archx -q -o archx.$ending a.$ending
	is "$ending: to the same" "$(sums archx.$ending)" "$(sums folder)"
done
is 'and splitsel goes on from there' "$(splitsel -q --weights 4,1 --resolve archx.zip/metadata.jsonl | sed -n 's/.*file_name":"\([^"]*\)","width.*/\1/p' |
    while read -r f; do cmp "$f" "shapes/${f##*/}" && echo same; done | uniq -c | tr -s ' ')" ' 5 same'

# names
cat >names.jsonl <<'END'
{"id":"a","file_name":"x/1.png","n":1.10,"u":"\u00e9"}
{"id": "b", "file_name": "y/1.png", "mask_file_name": "y/1.png"}
{"id":"c","file_name":"x/1-2.png","mask_file_names":["x/1.png","y/1.png","x/1.png"]}
{"id":"d","file_name":"x/1.png","mask_file_name":null,"mask_file_names":[]}
{"id":"e","file_name":"x/noext","width":3}
{"id":"f","file_name":"x/jpeg.png"}
{"id":"g","file_name":"x/a.b.PNG"}
{"id":"h","file_name":"x/ä ö.JPG"}
{"id":"i","file_name":"x/metadata.jsonl"}
END
mkdir x y
png 2 2 8 0 0001 0203 >x/1.png
png 2 2 8 0 0405 0607 >y/1.png
for f in x/1-2.png x/noext x/a.b.PNG x/metadata.jsonl; do
	cp y/1.png "$f"
done
printf '{"file_name":"x/1.png"}\n' | archc --format jpg -o jpegs >/dev/null
for f in x/jpeg.png 'x/ä ö.JPG'; do
	cp jpegs/1.jpg "$f"
done
rc 0 'names that clash' archc -o names names.jsonl
is 'get numbers, all else stays' "$(cat names/metadata.jsonl)" \
    '{"id":"a","file_name":"1.png","n":1.10,"u":"\u00e9"}
{"id": "b", "file_name": "1-2.png", "mask_file_name": "masks/1.png"}
{"id":"c","file_name":"1-2-2.png","mask_file_names":["masks/1-2.png","masks/1-3.png","masks/1-4.png"]}
{"id":"d","file_name":"1-3.png","mask_file_name":null,"mask_file_names":[]}
{"id":"e","file_name":"noext.png","width":3}
{"id":"f","file_name":"jpeg.jpg"}
{"id":"g","file_name":"a.b.PNG"}
{"id":"h","file_name":"ä ö.JPG"}
{"id":"i","file_name":"metadata.jsonl.png"}'
is 'the records name the folder' "$(sed -n 3p stdout)" \
    '{"id":"c","file_name":"names/1-2-2.png","mask_file_names":["names/masks/1-2.png","names/masks/1-3.png","names/masks/1-4.png"]}'
ok 'each has its own bytes' sh -c 'cmp names/1.png x/1.png && cmp names/1-2.png y/1.png &&
	cmp names/1-3.png x/1.png && cmp names/masks/1-2.png x/1.png && cmp names/masks/1-3.png y/1.png'
archc -j8 -o names.tar names.jsonl >tarred
unpack names.tar names.out
is 'in a tar, with 8 threads, the names are the same' "$(sums names.out)" "$(sums names)"
is 'records of archives keep their names' "$(sed -n 3p tarred)" \
    '{"id":"c","file_name":"x/1-2.png","mask_file_names":["x/1.png","y/1.png","x/1.png"],"archive":"names.tar","member":"1-2-2.png"}'
awk 'BEGIN { for (i = 0; i < 3000; i++) print "{\"file_name\":\"x/1.png\"}" }' | archc -o same.tar | tail -n 1 >same.jsonl
is 'so do three thousand of one name' "$(cat same.jsonl)" \
    '{"file_name":"x/1.png","archive":"same.tar","member":"1-3000.png"}'
(cd x && printf '{"file_name":"1.png"}\n' >m.jsonl)
archc -o deep/ x/m.jsonl >deep.out
is 'names are taken from the folder of the file of records' "$(cat deep.out)" '{"file_name":"deep/1.png"}'
mkdir instances
png 2 2 8 0 0100 0000 >instances/a.png
png 2 2 8 0 0000 0007 >instances/b.png
printf '{"file_name":"x/1.png","mask_file_name":"instances"}\n' | archc -o united >/dev/null
is 'a folder of masks becomes their union' "$(cat united/metadata.jsonl; pixels united/masks/1.png)" \
    '{"file_name":"1.png","mask_file_name":"masks/1.png"}
2 2 8 0
ff 00
00 ff'

# splits
awk '{ split("train val test eval validation", s); sub(/}$/, ",\"split\":\"" s[NR] "\"}"); print }' shapes/metadata.jsonl \
	>shapes/split.jsonl
rc 0 'a folder for each split' archc --by-split -o split shapes/split.jsonl
is 'their files' "$(cd split && find . -name '*_image.png' -o -name metadata.jsonl | LC_ALL=C sort | tr '\n' ' ')" \
    './test/3_image.png ./test/metadata.jsonl ./train/1_image.png ./train/metadata.jsonl ./validation/2_image.png ./validation/4_image.png ./validation/5_image.png ./validation/metadata.jsonl '
is 'names are relative to each' "$(sed -n 's/"width.*//p' split/validation/metadata.jsonl | head -n 1)" \
    '{"id":"0-2","file_name":"2_image.png","mask_file_name":"masks/2_mask.png",'
like 'a name of one split is free in another' "$(sed -n 3p stdout)" '*"file_name":"split/test/3_image.png","mask_file_name":"split/test/masks/3_mask.png"*'
printf '{"file_name":"x/1.png","split":"%s"}\n' train other test >splits.jsonl
printf '{"file_name":"x/1.png"}\n' >>splits.jsonl
rc 1 'another split is bad' archc --by-split -o split2 splits.jsonl
is 'and said so' "$(cat stderr)" "archc: splits.jsonl:2: x/1.png: split 'other' is none of train, validation and test
archc: splits.jsonl:4: x/1.png: no split"
is 'a split without records has no folder' "$(ls split2)" 'test
train'

# ---- size, crop, format ----
# columns 1 to 6; labels 0 to 3 in two bits a pixel
png 6 2 8 0 0a141e28323c 0b151f29333d >wide.png
png 6 2 2 3 06c0 ffa0 >labels.png
printf '{"file_name":"wide.png","mask_file_name":"labels.png","width":6,"height":2}\n' >wide.jsonl
archc --size 2 --crop center -o crop wide.jsonl >crop.jsonl
is 'the middle is cut out' "$(pixels crop/wide.png)" '2 2 8 0
1e 28
1f 29'
is 'of the mask too, by its labels' "$(pixels crop/masks/labels.png)" '2 2 8 0
01 02
03 03'
is 'width and height follow' "$(cat crop.jsonl crop/metadata.jsonl)" \
    '{"file_name":"crop/wide.png","mask_file_name":"crop/masks/labels.png","width":2,"height":2}
{"file_name":"wide.png","mask_file_name":"masks/labels.png","width":2,"height":2}'
archc --size 3x2 --filter box -o stretch wide.jsonl >/dev/null
is 'without crop it is stretched' "$(pixels stretch/wide.png)" '3 2 8 0
0f 23 37
10 24 38'
is 'masks take the nearest label' "$(pixels stretch/masks/labels.png)" '3 2 8 0
00 02 00
03 03 02'
archc --size 6x2 -o fits wide.jsonl >/dev/null
ok 'what fits is copied' cmp fits/wide.png wide.png
ok 'with its mask' cmp fits/masks/labels.png labels.png
png 4 4 16 0 1234123412341234 1234123412341234 1234123412341234 1234123412341234 >deep.png
png 4 4 16 2 "$(printf '00010203fffe%.0s' 1 2 3 4)" "$(printf '00010203fffe%.0s' 1 2 3 4)" \
    "$(printf '00010203fffe%.0s' 1 2 3 4)" "$(printf '00010203fffe%.0s' 1 2 3 4)" >deeprgb.png
printf '{"file_name":"%s"}\n' deep.png deeprgb.png >deep.jsonl
archc --size 2 -o deep2 deep.jsonl >/dev/null
is '16-bit gray stays 16-bit gray' "$(pixels deep2/deep.png)" '2 2 16 0
1234 1234
1234 1234'
is '16-bit RGB stays 16-bit RGB' "$(pixels deep2/deeprgb.png)" '2 2 16 2
00010203fffe 00010203fffe
00010203fffe 00010203fffe'
archc -o deep3 deep.jsonl >/dev/null
ok 'and is copied where nothing changes' cmp deep3/deep.png deep.png
rc 1 '16 bits become no JPEG' archc --format jpg -o deep4 deep.jsonl
like 'which is said' "$(head -n 1 stderr)" 'archc: deep.jsonl:1: deep.png: deep.png: of 16 bits, of which JPEG holds 8'
printf '{"file_name":"x/jpeg.png","mask_file_name":"x/ä ö.JPG"}\n' >jpeg.jsonl
archc --format png -o topng jpeg.jsonl >/dev/null
is 'JPEG becomes PNG, its mask stays as it is' "$(cd topng && head -qc 4 jpeg.png masks/*.JPG | od -An -tx1 | tr -d '\n')" \
    ' 89 50 4e 47 ff d8 ff e0'
archc --size 1 -o small jpeg.jsonl >/dev/null
is 'a resized mask is PNG' "$(cd small && ls; ls masks)" 'jpeg.jpg
masks
metadata.jsonl
ä ö.png'
for q in 10 90; do
	printf '{"file_name":"shapes/1_image.png"}\n' | archc --format jpg --quality $q -o q$q >/dev/null
done
ok 'a lower quality makes a smaller file' \
	test "$(wc -c <q10/1_image.jpg)" -lt "$(wc -c <q90/1_image.jpg)"
for f in nearest box bilinear hamming bicubic lanczos; do
	printf '{"file_name":"shapes/1_image.png"}\n' | archc --size 17 --filter $f -o f-$f >/dev/null
	cksum <f-$f/1_image.png
done | sort -u >filters
is 'six filters, six images' "$(wc -l <filters)" 6
printf '{"file_name":"shapes/1_image.png"}\n' | archc --size 17 -o f-default >/dev/null
ok 'lanczos is the default' cmp f-default/1_image.png f-lanczos/1_image.png
# run lengths go down the columns: here columns 3 and 4
printf '{"file_name":"wide.png","mask_rle":%s,"width":6,"height":2}\n' '"5 4"' '["5 2","7 2","1 1"]' >rle.jsonl
archc --size 2 --crop center -o rle rle.jsonl >/dev/null
is 'run lengths are cut and resized like masks' "$(cut -d: -f3- rle/metadata.jsonl)" \
    '"1 4","width":2,"height":2}
["1 2","3 2",""],"width":2,"height":2}'

# ---- nsw ----
awk '{ sub(/^{/, "{\"text\":\"shape " NR "\\n\\\"x\\\"\",\"label\":\"F+00_A," NR "\",\"phase\":\"t2\","); print }' \
	shapes/metadata.jsonl >shapes/nsw.jsonl
rc 0 'nsw' archc --layout nsw -o nsw shapes/nsw.jsonl
is 'its table' "$(cat nsw/metadata.csv)" 'filename,label,phase
0.jpeg,"F+00_A,1",t2
1.jpeg,"F+00_A,2",t2
2.jpeg,"F+00_A,3",t2
3.jpeg,"F+00_A,4",t2
4.jpeg,"F+00_A,5",t2'
is 'its descriptions' "$(cat nsw/descriptions/1.txt)" 'shape 2
"x"'
is 'its images are JPEG' "$(head -c 3 nsw/images/4.jpeg | od -An -tx1)" ' ff d8 ff'
is 'and nothing else' "$(find nsw -type f | wc -l)" 11
like 'records name the images, and no masks' "$(sed -n 5p stdout)" \
    '*"id":"0-5","file_name":"nsw/images/4.jpeg","width":40*'
printf '{"file_name":"nsw/images/0.jpeg","text":""}\n{"file_name":"x/1.png"}\n' >again.jsonl
rc 1 'without text a record is bad' archc --layout nsw -o nsw.zip again.jsonl
is 'and said so' "$(cat stderr)" 'archc: again.jsonl:2: x/1.png: no text'
unpack nsw.zip nsw.zip.d
is 'an absent label or phase is an empty cell' "$(tail -n 1 nsw.zip.d/metadata.csv)" '0.jpeg,,'

# ---- stylegan ----
label() { # VALUE...: a record each
	for v; do
		printf '{"file_name":"square.png","label":%s}\n' "$v"
	done
}
png 2 2 8 2 010203040506 0708090a0b0c >square.png
label 6 0 3 | archc --layout stylegan -o gan.zip >gan.jsonl
unpack gan.zip gan
is 'numbers are labels' "$(cat gan/dataset.json)" \
    '{"labels": [["00000/img00000000.png", 6], ["00000/img00000001.png", 0], ["00000/img00000002.png", 3]]}'
is 'nothing is compressed' "$(unzip -v gan.zip | awk '/png|json/ { print $2 }' | sort -u)" Stored
ok 'images are copied' cmp gan/00000/img00000002.png square.png
is 'the records' "$(sed -n 2p gan.jsonl)" \
    '{"file_name":"square.png","label":0,"archive":"gan.zip","member":"00000/img00000001.png"}'
label '"pear"' '"apple"' '"fig"' '"apple"' | archc --layout stylegan -o gan2 >gan2.jsonl
is 'strings are ranked' "$(cat gan2/dataset.json)" \
    '{"labels": [["00000/img00000000.png", 2], ["00000/img00000001.png", 0], ["00000/img00000002.png", 1], ["00000/img00000003.png", 0]]}'
is 'a folder is possible too' "$(sed -n 4p gan2.jsonl)" '{"file_name":"gan2/00000/img00000003.png","label":"apple"}'
label 6 null 3 >null.jsonl
rc 0 'a label that is missing' archc --layout stylegan -o gan3 null.jsonl
is 'makes all null' "$(cat gan3/dataset.json)" '{"labels": null}'
is 'with a word' "$(cat stderr)" 'archc: gan3: has no labels, since 1 of 3 records have none'
png 2 2 8 3 0001 0200 >palette.png
png 2 2 4 0 10 f0 >four.png
png 3 3 8 0 000000 000000 000000 >three.png
png 2 2 8 4 00ff01ff 02ff03ff >alpha.png
png 2 2 16 0 00000001 00000001 >sixteen.png
printf '{"file_name":"%s"}\n' square.png palette.png four.png three.png wide.png sixteen.png >mixed.jsonl
rc 1 'images that do not fit are bad' archc --layout stylegan -o gan4 mixed.jsonl
is 'and told' "$(cat stderr)" 'archc: mixed.jsonl:3: four.png: 2 x 2 pixels of gray, where the first image has 2 x 2 of RGB
archc: mixed.jsonl:4: three.png: three.png: 3 pixels a side, no power of two
archc: mixed.jsonl:5: wide.png: wide.png: 6 x 2 pixels, not square
archc: mixed.jsonl:6: sixteen.png: sixteen.png: of 16 bits, not 8'
is 'a palette becomes RGB' "$(pixels gan4/00000/img00000001.png)" '2 2 8 2
000000 0a0b0c
141516 000000'
printf '{"file_name":"%s"}\n' four.png alpha.png wide.png | archc --layout stylegan --size 2 --crop center -o gan5 >/dev/null
is 'four bits become eight' "$(pixels gan5/00000/img00000000.png)" '2 2 8 0
11 00
ff 00'
is 'an alpha channel goes' "$(pixels gan5/00000/img00000001.png)" '2 2 8 0
00 01
02 03'
label '"a"' 1 -1 1.5 '[1]' true >labels.jsonl
rc 1 'labels that are no labels are bad' archc --layout stylegan -o gan6 labels.jsonl
is 'five of them' "$(wc -l <stderr)" 5
i=0
while [ $i -lt 1001 ]; do
	label $i
	i=$((i + 1))
done | archc --layout stylegan -j 4 -o gan7.zip >gan7.jsonl
is 'a thousand a folder' "$(unzip -Z1 gan7.zip | sed -n '1000,1002p')" '00000/img00000999.png
00001/img00001000.png
dataset.json'

# ---- webdataset ----
rc 0 'webdataset' archc --layout webdataset --shard-size 2 -o web shapes/metadata.jsonl
is 'its shards' "$(ls web)" 'shard-000000.tar
shard-000001.tar
shard-000002.tar'
is 'samples stand together' "$(bsdtar -tf web/shard-000001.tar)" '3_image.png
3_image.mask.png
3_image.json
4_image.png
4_image.mask.png
4_image.json'
like 'each with its record' "$(bsdtar -xOf web/shard-000001.tar 4_image.json)" \
    '{"id":"0-4","file_name":"4_image.png","mask_file_name":"4_image.mask.png","width":40*'
bsdtar -xOf web/shard-000002.tar 5_image.mask.png >mask5.png
ok 'masks are copied' cmp mask5.png shapes/5_mask.png
like 'the records say where' "$(sed -n 3p stdout)" '*"file_name":"3_image.png",*,"archive":"web/shard-000001.tar","member":"3_image.png"}'
size=$(wc -c <web/shard-000000.tar)
archc --layout webdataset --shard-bytes "$size" -o 'web-%02d%%.tar' shapes/metadata.jsonl >pattern.jsonl
is 'a size in bytes, and names by a pattern' "$(ls web-*)" 'web-00%.tar
web-01%.tar
web-02%.tar'
ok 'the limit is the size of the whole tar' cmp web-00%.tar web/shard-000000.tar
like 'the records say so' "$(tail -n 1 pattern.jsonl)" '*"archive":"web-02%.tar","member":"5_image.png"}'
archc --layout webdataset --shard-bytes $((size - 1)) -o web5 shapes/metadata.jsonl >/dev/null
is 'a byte less, and only one fits' "$(find web5 -type f | wc -l)" 5
archc --layout webdataset --shard-bytes 1 -o web-%d.tar.gz shapes/metadata.jsonl >/dev/null
is 'a sample that is too large has a shard of its own' "$(bsdtar -tf web-4.tar.gz | wc -l)" 3
archc --layout webdataset -o web1000 shapes/metadata.jsonl >/dev/null
is 'by default a thousand share a shard' "$(ls web1000)" shard-000000.tar
archc --layout webdataset -o webnames names.jsonl >/dev/null
is 'keys have no dots and do not clash; masks are PNG' "$(LC_ALL=C.UTF-8 bsdtar -tf webnames/shard-000000.tar | grep -v 'json$' | tr '\n' ' ')" \
    "1.png 1-2.png 1-2.mask.png 1-2-2.png 1-2-2.mask0.png 1-2-2.mask1.png 1-2-2.mask2.png 1-3.png noext.png jpeg.jpg a_b.png ä ö.jpg metadata_jsonl.png "
archc --layout webdataset -o webjpeg jpeg.jsonl >/dev/null
is 'a JPEG mask too' "$(bsdtar -xOf webjpeg/shard-000000.tar jpeg.mask.png | head -c 4 | od -An -tx1)" ' 89 50 4e 47'

done_testing
