/*
 * Tensors resized as torchvision resizes them (F.interpolate, bilinear, antialias off and on).
 * Reads segmentation/isn_resize.safetensors below the folder of reference sets given as argument or
 * in $GOLDEN; without one, the smaller copy in tests/golden/image.
 */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "data/image.h"
#include "data/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Observed: the picture 2.4e-7 (its values reach 2.4); the one-hot mask, whose reference was
 * computed in double, 1.1e-5: the scale in f32 is off by 3e-8, coordinates go up to 256, and more
 * in proportion to the side of larger ones (6.2e-5 at 1000). */
static const double image_bound = 2e-6, mask_bound = 2e-5;
static int tests, failures;

static void
report(bool good, const char *what, double error, double bound)
{
	printf("%sok %d - %s: largest error %.2g, bound %.2g\n", good ? "" : "not ", ++tests, what,
	    error, bound);
	failures += !good;
}

/* Resizes src [c][h][w] to out x out and compares every stride-th pixel with t [c][n][n]. */
static void
compare(const struct st_tensor *t, const float *src, int h, int w, int out, int stride,
    bool antialias, double bound)
{
	const int c = (int)t->dim[0], n = (out + stride - 1) / stride;
	double most = 0, *want = xmalloc((size_t)t->n * sizeof(*want));
	float *got = xmalloc((size_t)(c * out * out) * sizeof(*got));

	if (t->dim[1] != n || t->dim[2] != n)
		die("%s: is not %d x %d", t->name, n, n);
	st_get_f64(t, want);
	if (image_resize_f32(got, src, c, h, w, out, out, antialias))
		die("%s", errmsg());
	for (int i = 0; i < c * n * n; i++) {
		int ch = i / (n * n), y = i / n % n * stride, x = i % n * stride;
		double e = fabs((double)got[(ch * out + y) * out + x] - want[i]);

		if (!(e <= most))
			most = e;
	}
	report(most <= bound, t->name, most, bound);
	free(got);
	free(want);
}

/* Every imageSIDE_antialiasA_strideS and onehotSIDE_f64_antialiasA_strideS of the set. image:
 * [h][w][3], mask: [h][w]. */
static void
run(const struct safetensors *st, const uint8_t *image, const uint8_t *mask, int h, int w)
{
	static const double mean[] = { 0.485, 0.456, 0.406 }, std[] = { 0.229, 0.224, 0.225 };
	const int pixels = h * w;

	for (int i = 0; i < st->n; i++) {
		const struct st_tensor *t = &st->t[i];
		int side, antialias, stride, c = t->ndim == 3 ? (int)t->dim[0] : 0;
		bool picture;
		float *src;

		if (!strcmp(t->name, "image_u8") || !strcmp(t->name, "mask_u8"))
			continue;
		picture = sscanf(t->name, "image%d_antialias%d_stride%d", &side, &antialias,
		    &stride) == 3;
		if (c < 1 || (picture && c != 3) ||
		    (!picture && sscanf(t->name, "onehot%d_f64_antialias%d_stride%d", &side,
		    &antialias, &stride) != 3) || side < 1 || side > 4096 || stride < 1) {
			report(false, t->name, INFINITY, 0); /* of no kind that is known here */
			continue;
		}
		src = xmalloc((size_t)c * (size_t)pixels * sizeof(*src));
		for (int k = 0; k < c * pixels; k++) {
			const int p = k % pixels, ch = k / pixels;

			src[k] = !picture ? mask[p] == ch
			    : (float)((image[p * 3 + ch] / 255.0 - mean[ch]) / std[ch]);
		}
		compare(t, src, h, w, side, stride, antialias, picture ? image_bound
		    : mask_bound * fmax(1, fmax(h, w) / 256.0));
		free(src);
	}
	if (!tests)
		report(false, "nothing to compare", INFINITY, 0);
	printf("1..%d\n", tests);
}

int
main(int argc, char **argv)
{
	const char *golden = argc > 1 ? argv[1] : getenv("GOLDEN");
	struct safetensors st;

	prog_init(argv[0]);
	if (golden && *golden) {
		char *path = path_join(golden, "segmentation/isn_resize.safetensors");
		const struct st_tensor *image, *mask;

		if (!file_exists(path)) {
			printf("1..0 # SKIP no %s\n", path);
			free(path);
			return 0;
		}
		if (st_open(&st, path))
			die("%s", errmsg());
		image = st_find(&st, "image_u8");
		mask = st_find(&st, "mask_u8");
		if (!image || !mask || image->dtype != ST_U8 || mask->dtype != ST_U8 ||
		    image->ndim != 3 || image->dim[2] != 3 || image->n != 3 * mask->n)
			die("%s: holds no picture and mask of one size", path);
		run(&st, image->data, mask->data, (int)image->dim[0], (int)image->dim[1]);
		free(path);
	} else {
		struct image image, mask;

		if (st_open(&st, "tests/golden/image/isn.safetensors") ||
		    image_read(&image, "tests/golden/image/isn-image.png", 3, 8) ||
		    image_read(&mask, "tests/golden/image/isn-mask.png", 1, 8))
			die("%s", errmsg());
		run(&st, image.data, mask.data, image.h, image.w);
		image_release(&image);
		image_release(&mask);
	}
	st_close(&st);
	return failures != 0;
}
