# The archive and the table that the examples of phantom(7) read.
mkdir photos
shapegen -q -n 10 --width 32 --height 32 --min 6 --max 12 -o photos >/dev/null
rm photos/*_mask.png
tar czf photos.tar.gz photos
{
	echo name,label
	for i in 1 2 3 4 5 6 7 8 9 10; do
		echo "photos/${i}_image.png,$((i % 2))"
	done
} >labels.csv
rm -r photos
