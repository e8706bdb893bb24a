# The files that the examples of splitsel(1) read. A PNG of one pixel serves for all images.
printf '\211\120\116\107\015\012\032\012\000\000\000\015\111\110\104\122\000\000\000\001\000\000\000\001\010\000\000\000\000\072\176\233\125\000\000\000\012\111\104\101\124\170\234\143\150\000\000\000\202\000\201\167\315\162\266\000\000\000\000\111\105\116\104\256\102\140\202' >a.png
i=0
while [ $i -lt 40 ]; do
	echo "{\"id\":\"r$i\",\"file_name\":\"a.png\",\"patient\":\"p$((i / 3))\",\"label\":$((i % 3 == 0))}"
	i=$((i + 1))
done >metadata.jsonl
sed 's/"r/"g/; s/,"patient":"[^"]*"//' metadata.jsonl >generated.jsonl
# ten videos, three phases, one plane
mkdir -p tree/embryo_dataset_annotations
for v in A1-1 A1-2 B2-1 B3-1 C1-4 D5-2 E6-1 F7-3 G1-1 G2-1; do
	mkdir -p "tree/embryo_dataset/$v"
	printf 'tPB2,2,4\nt2,5,9\nt4,10,12\n' >"tree/embryo_dataset_annotations/${v}_phases.csv"
	for n in 1 2 3 4 5 6 7 8 9 10 11 12 13; do
		cp a.png "tree/embryo_dataset/$v/X_RUN$n.jpeg"
	done
done
