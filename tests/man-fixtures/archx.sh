# Archives for archx(1)'s examples.
mkdir -p scans downloads
for i in 1 2 3 4 5 6 7 8 9 10; do
	echo "image $i" >"scans/$i.png"
done
tar -czf scans.tar.gz scans
zip -qr theirs.zip scans
for a in a b; do
	mkdir $a
	echo "$a" >$a/image.png
	tar -czf downloads/$a.tar.gz $a
done
echo 'file,grade' >downloads/grades.csv
printf '%s\n' '# as published' a.tar.gz b.tar.gz grades.csv >names.txt
rm -r scans a b
