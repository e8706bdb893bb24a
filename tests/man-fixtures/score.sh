# The files that the examples of score(1) read.
# two pixels each: white and black, white and white
perl -MCompress::Zlib -e '
	sub chunk { pack("N", length $_[1]) . $_[0] . $_[1] . pack("N", crc32($_[0] . $_[1])) }
	for (["true.png", "\0\xff\0"], ["pred.png", "\0\xff\xff"]) {
		open F, ">", $_->[0];
		print F "\x89PNG\r\n\x1a\n", chunk("IHDR", pack("NNCCCCC", 2, 1, 8, 0, 0, 0, 0)),
		    chunk("IDAT", compress($_->[1])), chunk("IEND", "");
	}'
for i in 1 2 3 4 5 6; do
	echo "{\"id\":\"$i\",\"mask_file_name\":\"true.png\",\"pred_mask_file_name\":\"pred.png\"}"
done >metadata.jsonl
printf '"name","r","g","b"\n"rectangle",255,255,255\n"unknown",0,0,0\n' >class_dict.csv
printf '{"id":"%s","label":"%s","p":[%s]}\n' a x 0.9,0.1 b y 0.2,0.8 c x 0.4,0.6 >labels.jsonl
printf 'id,class_prob_0,class_prob_1\nF+00_A_1,0.9,0.1\nF+00_A_2,0.3,0.7\n' >pred-prob.csv
printf 'id,class_pred\nF+00_A_1,0\nF+00_A_2,1\n' >pred-class.csv
printf 'identifier,phase-label,phase-index\nF+00_A_1,tPB2,0\nF+00_A_2,tPNa,1\n' >ground-truth.csv
