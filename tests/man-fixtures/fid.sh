# The images, features and network that the examples of fid(1) use.
shapegen -q -n 12 --height 40 --width 40 --min 8 --max 20 -o real >real.jsonl
shapegen -q -n 12 --height 40 --width 40 --min 4 --max 30 -s 1 -o generated >generated.jsonl
mkmodel -o dino.safetensors dino-mini >/dev/null
mkmodel -o resnet.safetensors resnet18 >/dev/null
for s in real generated; do
	# rows around 0 and .3, labels a and b
	perl -e '
		my ($name, $shift) = @ARGV;
		my $s = 4711 + 100 * $shift;
		sub u { $s = ($s * 1103515245 + 12345) % 2147483648; $s / 2147483648 }
		u() for 1 .. 9;
		for my $i (1 .. 30) {
			printf "{\"id\":\"%s%d\",\"label\":\"%s\",\"embedding\":[%s]}\n", $name, $i, $i % 2 ? "a" : "b",
			    join ",", map { sprintf "%.6f", u() + u() + $shift } 1 .. 6;
		}' "$s" "$([ $s = real ] && echo 0 || echo .3)" >"$s-features.jsonl"
done
