/* What training a Stable Diffusion model is made of, without a model: weights of times,
 * orientations of photographs, visits of images, kept numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "data/image_exif.h"
#include "model/sd_cache.h"
#include "model/sd_data.h"
#include "model/sd_loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- weights --------------------------------------------------------------------------------- */

static double
weight(enum prediction p, enum snr_form form, double gamma, double abar)
{
	float cum = (float)abar, w;
	const struct noise_schedule s = { 1, NULL, &cum };
	const struct sd_loss l = { p, gamma, form, 1 };

	sd_loss_weights(&l, &s, (const int[]){ 0 }, 1, 0, &w);
	return w;
}

static void
min_snr(void **state)
{
	(void)state;
	/* abar 1/2: snr 1; abar 0.9: snr 9; observed: 1e-7 */
	assert_float_equal(weight(PREDICT_EPSILON, SNR_TEXT_TO_IMAGE, 0, 0.9), 1, 0);
	assert_float_equal(weight(PREDICT_EPSILON, SNR_TEXT_TO_IMAGE, 5, 0.9), 5. / 9, 1e-6);
	assert_float_equal(weight(PREDICT_EPSILON, SNR_DREAMBOOTH, 5, 0.5), 1, 1e-6);
	assert_float_equal(weight(PREDICT_V, SNR_TEXT_TO_IMAGE, 5, 0.9), 5. / 10, 1e-6);
	assert_float_equal(weight(PREDICT_V, SNR_TEXT_TO_IMAGE, 5, 0.5), 1. / 2, 1e-6);
	assert_float_equal(weight(PREDICT_V, SNR_DREAMBOOTH, 5, 0.9), 5. / 9 + 1, 1e-6);
	assert_float_equal(weight(PREDICT_SAMPLE, SNR_TEXT_TO_IMAGE, 5, 0.9), 5, 1e-5);
	/* nothing left of the image: no 0 / 0 */
	assert_float_equal(weight(PREDICT_EPSILON, SNR_TEXT_TO_IMAGE, 5, 0), 1, 0);
	assert_float_equal(weight(PREDICT_V, SNR_TEXT_TO_IMAGE, 5, 0), 0, 0);
}

static void
prior_weights(void **state)
{
	float cum[] = { 0.9f, 0.5f }, w[5];
	const struct noise_schedule s = { 2, NULL, cum };
	const struct sd_loss l = { PREDICT_EPSILON, 5, SNR_DREAMBOOTH, 0.3 };

	(void)state;
	sd_loss_weights(&l, &s, (const int[]){ 0, 1, 0, 1, 0 }, 5, 3, w);
	assert_float_equal(w[0], 5. / 9 / 2, 1e-6);
	assert_float_equal(w[1], 1. / 2, 1e-6);
	for (int i = 2; i < 5; i++)
		assert_float_equal(w[i], 0.3 / 3, 1e-6);
}

/* ---- orientations ---------------------------------------------------------------------------- */

static int
orientation_in(bool little, int value, size_t cut)
{
	uint8_t b[] = { 0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 1, 2, 0xFF, 0xE1, 0, 34, 'E', 'x', 'i', 'f',
		0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0,
		0, 0, 0, 0xFF, 0xDA };

	b[37] = (uint8_t)value;
	if (little) {
		static const uint8_t head[] = { 'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1,
		    0, 0, 0 };

		memcpy(b + 18, head, sizeof(head));
		b[36] = (uint8_t)value;
		b[37] = 0;
	}
	return image_orientation_of(b, cut < sizeof(b) ? cut : sizeof(b));
}

static void
orientations(void **state)
{
	/* as they stand in the file for an upright 1 2 3 / 4 5 6 */
	static const struct {
		int w, h;
		uint8_t px[6];
	} stored[] = { { 3, 2, { 1, 2, 3, 4, 5, 6 } }, { 3, 2, { 3, 2, 1, 6, 5, 4 } },
		{ 3, 2, { 6, 5, 4, 3, 2, 1 } }, { 3, 2, { 4, 5, 6, 1, 2, 3 } },
		    { 2, 3, { 1, 4, 2, 5, 3, 6 } },
		{ 2, 3, { 3, 6, 2, 5, 1, 4 } }, { 2, 3, { 6, 3, 5, 2, 4, 1 } },
		    { 2, 3, { 4, 1, 5, 2, 6, 3 } } };

	(void)state;
	for (int o = 1; o <= 8; o++) {
		struct image im = { 0 };

		image_alloc(&im, stored[o - 1].w, stored[o - 1].h, 1, 8);
		memcpy(im.data, stored[o - 1].px, 6);
		image_upright(&im, o);
		assert_int_equal(im.w, 3);
		assert_memory_equal(im.data, stored[0].px, 6);
		image_release(&im);
		assert_int_equal(orientation_in(false, o, SIZE_MAX), o);
		assert_int_equal(orientation_in(true, o, SIZE_MAX), o);
	}
	assert_int_equal(orientation_in(false, 9, SIZE_MAX), 1);
	/* cut anywhere it is what it is or nothing */
	for (size_t n = 0; n < 46; n++)
		assert_in_set(orientation_in(true, 6, n), ((const uintmax_t[]){ 1, 6 }), 2);
}

/* ---- visits ---------------------------------------------------------------------------------- */

static void
visits(void **state)
{
	struct sd_data own, prior;
	struct sd_data_conf c = { .resolution = 4, .channels = 1, .flip = true, .empty = 0.25,
		.prompt = "x" };
	struct sd_view v;
	uint32_t *order;
	int flipped = 0, empty = 0, seen[14] = { 0 };
	size_t n;

	(void)state;
	sd_data_init(&own, &c, 0);
	c.seed = 1;
	sd_data_init(&prior, &c, 0);
	for (int i = 0; i < 7; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%d.png", i);
		if (i < 3)
			sd_data_add_file(&own, name);
		sd_data_add_file(&prior, name);
	}
	for (uint64_t k = 0; k < 4000; k++) {
		flipped += sd_data_flipped(&own, &own.item[0], k);
		empty += !*sd_data_caption(&own, &own.item[0], k);
	}
	/* observed: 1,984 and 991 */
	assert_in_range(flipped, 1850, 2150);
	assert_in_range(empty, 900, 1100);
	/* own items come again, in other visits; every batch holds as many prior ones */
	sd_view_init(&v, &own, &prior);
	assert_int_equal(v.n, 7);
	order = sd_view_order(&v, 2, 5, &n);
	assert_int_equal(n, 14);
	for (size_t i = 0; i < n; i++) {
		struct sd_pick p = sd_view_pick(&v, order[i], 5);

		assert_ptr_equal(p.data, i % 4 < 2 && i < 12 ? &own : i == 12 ? &own : &prior);
		assert_in_range(p.visit, p.data == &own ? 15 : 5, p.data == &own ? 17 : 5);
		assert_int_equal(seen[order[i]]++, 0);
	}
	free(order);
	sd_data_release(&own);
	sd_data_release(&prior);
}

/* ---- kept numbers ---------------------------------------------------------------------------- */

static void
kept(void **state)
{
	char dir[] = "/tmp/phantom-cache-XXXXXX";
	float v[2] = { 1, 2 }, got[2];
	struct sd_cache c;

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (int file = 0; file < 2; file++) {
		/* room for two of five */
		assert_int_equal(sd_cache_open(&c, 5, sizeof(v), 2 * sizeof(v), file ? dir : NULL),
		    0);
		for (size_t i = 0; i < 5; i++) {
			v[0] = (float)i;
			assert_false(sd_cache_get(&c, i, got));
			sd_cache_put(&c, i, v);
		}
		for (size_t i = 0; i < 5; i++) {
			bool there = file || i < 2;

			assert_int_equal(sd_cache_has(&c, i), there);
			assert_int_equal(sd_cache_get(&c, i, got), there);
			if (there)
				assert_true(got[0] == (float)i && got[1] == 2);
		}
		sd_cache_grow(&c, 1000);
		assert_false(sd_cache_has(&c, 999));
		assert_true(sd_cache_has(&c, 1));
		sd_cache_close(&c);
	}
	assert_int_equal(rmdir(dir), 0); /* the file had no name */
}

int
main(void)
{
	const struct CMUnitTest tests[] =
	    { cmocka_unit_test(min_snr), cmocka_unit_test(prior_weights),
		cmocka_unit_test(orientations), cmocka_unit_test(visits), cmocka_unit_test(kept) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
