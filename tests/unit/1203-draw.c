/* Filled shapes against Pillow's, and what shapegen draws with them. */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/image.h"
#include "data/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DIR "tests/golden/image/"

static void
ellipses_are_pillows(void **state)
{
	struct safetensors st;
	const uint8_t *rows, one = 1;

	(void)state;
	assert_int_equal(st_open(&st, DIR "shapes.safetensors"), 0);
	rows = st_find(&st, "ellipses")->data;
	for (int h = 1; h <= 32; h++) {
		for (int w = 1; w <= 32; w++) {
			struct image im;

			image_alloc(&im, w + 2, h + 2, 1, 8);
			image_ellipse(&im, 1, 1, w, h, &one);
			for (int y = 0; y < h + 2; y++) {
				const uint8_t *p = (uint8_t *)im.data + y * (w + 2);
				int want = y && y <= h ? rows[((h - 1) * 32 + w - 1) * 32 + y - 1]
				    : 0, got = 0;

				for (int x = 0; x < w + 2; x++) {
					got += p[x];
					/* the same to both sides */
					assert_int_equal(p[x], p[w + 1 - x]);
				}
				if (got != want)
					fail_msg("%d x %d, row %d: %d pixels, not %d", w, h, y, got,
					    want);
			}
			image_release(&im);
		}
	}
	st_close(&st);
}

static void
a_scene_is_pillows(void **state)
{
	struct safetensors st;
	struct image im, want;
	const struct st_tensor *t;
	float *s;

	(void)state;
	assert_int_equal(st_open(&st, DIR "shapes.safetensors"), 0);
	assert_int_equal(image_read(&want, DIR "scene.png", 3, 8), 0);
	t = st_find(&st, "shapes");
	s = xmalloc((size_t)t->n * sizeof(*s));
	st_get_f32(t, s);
	image_alloc(&im, want.w, want.h, 3, 8);
	memset(im.data, 255, (size_t)im.w * (size_t)im.h * 3);
	for (int64_t i = 0; i < t->n; i += 8) {
		uint8_t colour[3] = { (uint8_t)s[i + 5], (uint8_t)s[i + 6], (uint8_t)s[i + 7] };

		(s[i] != 0 ? image_ellipse : image_rectangle)(&im, (int)s[i + 1], (int)s[i + 2],
		    (int)s[i + 3], (int)s[i + 4], colour);
	}
	assert_memory_equal(im.data, want.data, (size_t)im.w * (size_t)im.h * 3);
	image_release(&im);
	image_release(&want);
	free(s);
	st_close(&st);
}

static void
long_shapes_end(void **state)
{
	static const int sizes[][2] =
	    { { IMAGE_MAX_SHAPE, 1 }, { 1, IMAGE_MAX_SHAPE }, { 2, 30001 },
		{ 30001, 3 }, { IMAGE_MAX_SHAPE, IMAGE_MAX_SHAPE }, { 0, 5 }, { 5, 0 } };
	uint8_t one = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct image im;
		int x = sizes[i][0] / 2 - 5, y = sizes[i][1] / 2 - 5;

		image_alloc(&im, 10, 10, 1, 8);
		/* the image looks at its middle */
		image_ellipse(&im, -x, -y, sizes[i][0] - x, sizes[i][1] - y, &one);
		assert_int_equal(((uint8_t *)im.data)[55], 1);
		image_release(&im);
	}
}

/* ---- shapegen -------------------------------------------------------------------------------- */

static char dir[] = "/tmp/phantom-draw.XXXXXX";

static int
make_scratch(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int
remove_scratch(void **state)
{
	char *cmd = xasprintf("rm -rf '%s'", dir);
	int r = system(cmd);

	(void)state;
	free(cmd);
	return r;
}

static void
run(const char *options, const char *sub)
{
	const char *build = getenv("BUILD");
	char *program = path_join(build, "bin/shapegen"), *cmd;

	/* release programs stand beside their sources */
	if (!build || !file_exists(program)) {
		free(program);
		program = xstrdup("bin/shapegen");
	}
	cmd = xasprintf("'%s' %s -o '%s/%s' >/dev/null", program, options, dir, sub);
	if (system(cmd))
		fail_msg("%s failed", cmd);
	free(cmd);
	free(program);
}

static void
load(struct image *im, const char *sub, int i, const char *what)
{
	char *path = xasprintf("%s/%s/%d_%s.png", dir, sub, i, what);

	if (image_read(im, path, 0, 0))
		fail_msg("%s", errmsg());
	free(path);
}

/* The picture of seed 3, number 1 must stay what it is: this is a hash of its pixels. */
static void
a_seed_keeps_its_picture(void **state)
{
	struct image im, mask;

	(void)state;
	run("-n 1 -s 3", "seed");
	load(&im, "seed", 1, "image");
	load(&mask, "seed", 1, "mask");
	assert_true(im.w == 224 && im.h == 224 && im.c == 3 && im.bits == 8);
	assert_true(mask.w == 224 && mask.h == 224 && mask.c == 1 && mask.bits == 8);
	assert_true(fnv1a(im.data, 224 * 224 * 3) == 0xd0b4c3932dab4b4f);
	assert_true(fnv1a(mask.data, 224 * 224) == 0x2261f95d41d4240c);
	image_release(&im);
	image_release(&mask);
}

static void
colours_and_masks_fit(void **state)
{
	int hidden = 0;

	(void)state;
	run("-n 40 --width 90 --height 50 --min 10 --max 30", "loose");
	run("-n 40 --width 90 --height 50 --min 10 --max 30 --strict-masks", "strict");
	for (int i = 1; i <= 40; i++) {
		struct image im, loose, strict;

		load(&im, "loose", i, "image");
		load(&loose, "loose", i, "mask");
		load(&strict, "strict", i, "mask");
		assert_true(im.w == 90 && im.h == 50 && strict.w == 90 && strict.h == 50);
		for (int k = 0; k < 90 * 50; k++) {
			static const char allowed[4][3] =
			    { { -1, -1, -1 }, { -1, 0, 0 }, { 0, -1, 0 }, { 0, 0, -1 } };
			const char *p = (char *)im.data + 3 * k;
			int l = ((uint8_t *)loose.data)[k], s = ((uint8_t *)strict.data)[k],
			    colour = 0;

			while (colour < 4 && memcmp(p, allowed[colour], 3) != 0)
				colour++;
			assert_true(colour < 4);
			assert_true((l == 0 || l == 255) && (s == 0 || s == 255));
			assert_true(s <= l);              /* seen implies drawn */
			assert_true(!l || colour);        /* what was drawn is coloured */
			hidden += s < l;
		}
		image_release(&im);
		image_release(&loose);
		image_release(&strict);
	}
	assert_true(hidden > 1000); /* observed 7444 */
}

/* Shapes as wide as the canvas: every mask row is all black or all white, so nothing is cut off. */
static void
shapes_lie_within_the_canvas(void **state)
{
	int columns[30] = { 0 };

	(void)state;
	run("-n 20 --width 21 --height 60 --min 20 --max 20", "narrow");
	for (int i = 1; i <= 20; i++) {
		struct image mask;

		load(&mask, "narrow", i, "mask");
		for (int y = 0; y < 60; y++)
			for (int x = 1; x < 21; x++)
				assert_int_equal(((uint8_t *)mask.data)[21 * y],
				    ((uint8_t *)mask.data)[21 * y + x]);
		image_release(&mask);
	}
	/* and they reach every part of a wide one, its last column too */
	run("-n 60 --width 30 --height 12 --min 5 --max 9", "wide");
	for (int i = 1; i <= 60; i++) {
		struct image mask;

		load(&mask, "wide", i, "mask");
		for (int k = 0; k < 360; k++)
			columns[k % 30] += ((uint8_t *)mask.data)[k] != 0;
		image_release(&mask);
	}
	for (int x = 0; x < 30; x++)
		assert_true(columns[x] > 0); /* observed at least 63 */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ellipses_are_pillows),
		cmocka_unit_test(a_scene_is_pillows),
		cmocka_unit_test(long_shapes_end),
		cmocka_unit_test(a_seed_keeps_its_picture),
		cmocka_unit_test(colours_and_masks_fit),
		cmocka_unit_test(shapes_lie_within_the_canvas),
	};

	return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
