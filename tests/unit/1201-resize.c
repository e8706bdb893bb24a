/* Resampling against Pillow's results (bit for bit where it has 8 bits) and torch's. */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "data/image.h"
#include "data/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DIR "tests/golden/image/"

static const char *const filters[] = { "nearest", "box", "bilinear", "hamming", "bicubic",
	"lanczos" };

static enum image_filter
filter_of(const char *name, size_t len)
{
	for (int i = 0; i < 6; i++)
		if (strlen(filters[i]) == len && strncmp(filters[i], name, len) == 0)
			return (enum image_filter)i;
	fail_msg("no filter in %s", name);
	return FILTER_NEAREST;
}

static void
eight_bits_are_pillows(void **state)
{
	struct safetensors st;
	int seen[6] = { 0 };

	(void)state;
	assert_int_equal(st_open(&st, DIR "resized.safetensors"), 0);
	assert_int_equal(st.n, 90);
	for (int i = 0; i < st.n; i++) {
		const struct st_tensor *t = &st.t[i]; /* file/filter/WxH */
		size_t slash = strcspn(t->name, "/");
		const char *word = t->name + slash + 1;
		char *file = xasprintf(DIR "%.*s", (int)slash, t->name);
		enum image_filter f = filter_of(word, strcspn(word, "/"));
		struct image from, to;

		assert_int_equal(image_read(&from, file, 0, 0), 0);
		image_resize(&to, &from, (int)t->dim[1], (int)t->dim[0], f);
		assert_int_equal(t->n, (int64_t)to.w * to.h * to.c);
		if (memcmp(to.data, t->data, (size_t)t->n) != 0)
			fail_msg("%s differs", t->name);
		seen[f]++;
		image_release(&from);
		image_release(&to);
		free(file);
	}
	for (int i = 0; i < 6; i++)
		assert_int_equal(seen[i], 15);
	st_close(&st);
}

static void
floats_are_pillows(void **state)
{
	struct safetensors st;
	const struct st_tensor *plane;
	float *in;
	float most = 0;

	(void)state;
	assert_int_equal(st_open(&st, DIR "floats.safetensors"), 0);
	plane = st_find(&st, "plane");
	in = xmalloc((size_t)plane->n * sizeof(*in));
	st_get_f32(plane, in);
	for (int i = 0; i < st.n; i++) {
		const struct st_tensor *t = &st.t[i];
		float *want, *got;

		if (t == plane)
			continue;
		want = xmalloc((size_t)t->n * sizeof(*want));
		got = xmalloc((size_t)t->n * sizeof(*got));
		st_get_f32(t, want);
		assert_int_equal(image_filter_f32(got, in, 1, (int)plane->dim[0],
		                     (int)plane->dim[1], (int)t->dim[0], (int)t->dim[1],
		                     filter_of(t->name, strcspn(t->name, "/"))),
		    0);
		for (int64_t k = 0; k < t->n; k++)
			most = fmaxf(most, fabsf(got[k] - want[k]));
		free(want);
		free(got);
	}
	/* observed 1.2e-7, the last place of values up to 3 */
	assert_true(most <= 1e-6f);
	assert_int_equal(image_filter_f32(in, in, 1, 1, 1, 1, 1, FILTER_NEAREST), -1);
	free(in);
	st_close(&st);
}

/* On an image whose contrast leaves room for overshoot, which 8 bits would clip between the
 * passes. */
static void
sixteen_bits_lie_near_eight(void **state)
{
	(void)state;
	for (int f = 0; f < 6; f++) {
		struct image a8, a16, b8, b16;

		assert_int_equal(image_read(&a8, DIR "rgb.png", 3, 8), 0);
		for (int i = 0; i < a8.w * a8.h * 3; i++)
			((uint8_t *)a8.data)[i] = (uint8_t)(64 + ((uint8_t *)a8.data)[i] / 2);
		image_copy(&a16, &a8);
		image_convert(&a16, 3, 16);
		image_resize(&b8, &a8, 29, 47, (enum image_filter)f);
		image_resize(&b16, &a16, 29, 47, (enum image_filter)f);
		for (int i = 0; i < 29 * 47 * 3; i++) {
			double x = ((uint16_t *)b16.data)[i] / 257.0, y = ((uint8_t *)b8.data)[i];

			/* 8 bits are rounded twice, half a step each: observed 1.08 */
			assert_true(fabs(x - y) <= (f == FILTER_NEAREST ? 0 : 1.25));
		}
		image_release(&a8);
		image_release(&a16);
		image_release(&b8);
		image_release(&b16);
	}
}

static void
the_same_size_is_a_copy(void **state)
{
	struct image a, b;

	(void)state;
	assert_int_equal(image_read(&a, DIR "rgb16.png", 0, 0), 0);
	for (int f = 0; f < 6; f++) {
		image_resize(&b, &a, a.w, a.h, (enum image_filter)f);
		assert_memory_equal(a.data, b.data, (size_t)a.w * (size_t)a.h * 6);
		image_release(&b);
	}
	image_release(&a);
}

static void
a_flat_field_stays_flat(void **state)
{
	static const int sizes[][4] = { { 5, 5, 1, 1 }, { 1, 1, 9, 7 }, { 300, 2, 7, 90 },
	    { 64, 64, 63, 65 } };

	(void)state;
	for (int f = 0; f < 6; f++) {
		for (size_t s = 0; s < 4; s++) {
			for (int bits = 8; bits <= 16; bits += 8) {
				struct image a, b;

				image_alloc(&a, sizes[s][0], sizes[s][1], 1, bits);
				memset(a.data, 0xff, (size_t)a.w * (size_t)a.h * (size_t)bits / 8);
				image_resize(&b, &a, sizes[s][2], sizes[s][3],
				    (enum image_filter)f);
				for (int i = 0; i < b.w * b.h * bits / 8; i++)
					assert_int_equal(((uint8_t *)b.data)[i], 0xff);
				image_release(&a);
				image_release(&b);
			}
		}
	}
}

/* Bilinear of a ramp is the ramp, away from the ends: x is where the output's centre lies. */
static void
floats_follow_a_ramp(void **state)
{
	static const int sizes[] = { 8, 20, 40, 100 }; /* shrinking by whole factors is exact */
	float in[40], out[100];

	(void)state;
	for (int i = 0; i < 40; i++)
		in[i] = (float)i;
	for (int antialias = 0; antialias < 2; antialias++) {
		for (int k = 0; k < 4; k++) {
			int n = sizes[k];

			assert_int_equal(image_resize_f32(out, in, 1, 1, 40, 1, n, antialias), 0);
			for (int i = 0; i < n; i++) {
				float x = 40.0f / (float)n * ((float)i + 0.5f) - 0.5f;

				if (x > 40.0f / (float)n && x < 39 - 40.0f / (float)n)
					/* observed 3.9e-6 */
					assert_true(fabsf(out[i] - x) < 2e-5f);
			}
		}
	}
	assert_int_equal(image_resize_f32(out, in, 1, 1, 40, 0, 5, false), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eight_bits_are_pillows),
		cmocka_unit_test(floats_are_pillows),
		cmocka_unit_test(sixteen_bits_lie_near_eight),
		cmocka_unit_test(the_same_size_is_a_copy),
		cmocka_unit_test(a_flat_field_stays_flat),
		cmocka_unit_test(floats_follow_a_ramp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
