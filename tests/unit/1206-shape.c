/* Single shapes: what is drawn is seen again, and what is not drawn is not. */
#include "base/rng.h"
#include "data/shape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 32 };

static void
alloc(struct image *im)
{
	image_alloc(im, SIDE, SIDE, 3, 8);
}

/* A box of sides 9 to 18, as shapegen chooses one. */
static void
random_shape(struct shape *s, struct rng *r)
{
	*s = (struct shape){ (int)rng_below(r, SHAPE_KINDS), (int)rng_below(r, SHAPE_COLOURS),
		(int)rng_below(r, SHAPE_GROUNDS), { 0 }, 0 };
	for (int i = 0; i < 2; i++) {
		int extent = 8 + (int)rng_below(r, 10);

		s->box[i] = (int)rng_below(r, (uint64_t)(SIDE - extent));
		s->box[i + 2] = s->box[i] + extent;
	}
}

/* A box blur of 3 x 3 and noise: what an autoencoder may make of it. */
static void
spoil(struct image *im, struct rng *r, int noise)
{
	struct image was;
	uint8_t *p = im->data;

	image_copy(&was, im);
	for (int y = 0; y < SIDE; y++)
		for (int x = 0; x < SIDE; x++)
			for (int c = 0; c < 3; c++) {
				int sum = 0, n = 0, v;

				for (int j = -1; j <= 1; j++)
					for (int i = -1; i <= 1; i++)
						if (y + j >= 0 && y + j < SIDE && x + i >= 0 &&
						    x + i < SIDE) {
							sum += ((uint8_t *)was.data)
							    [((y + j) * SIDE + x + i) * 3 + c];
							n++;
						}
				v = sum / n + (int)rng_below(r, 2 * (uint64_t)noise + 1) - noise;
				*p++ = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
			}
	image_release(&was);
}

/* Of n random shapes, drawn and spoilt, how many are named rightly in all three. */
static int
rightly_seen(int n, bool spoilt)
{
	struct rng r;
	int right = 0;

	rng_init(&r, 1, 0);
	for (int i = 0; i < n; i++) {
		struct shape s, seen;
		struct image im;

		alloc(&im);
		random_shape(&s, &r);
		shape_draw(&im, &s);
		if (spoilt)
			spoil(&im, &r, 20);
		shape_see(&seen, &im);
		right += seen.kind == s.kind && seen.colour == s.colour && seen.ground == s.ground;
		image_release(&im);
	}
	return right;
}

static void
what_is_drawn_is_seen(void **state)
{
	(void)state;
	assert_int_equal(rightly_seen(2000, false), 2000);
}

static void
through_blur_and_noise_too(void **state)
{
	int right = rightly_seen(2000, true);

	(void)state;
	print_message("# %d of 2000 spoilt ones\n", right);
	assert_true(right >= 1980); /* seen: 2000 */
}

static void
the_box_is_that_of_the_drawing(void **state)
{
	struct shape s = { SHAPE_TRIANGLE, 2, 1, { 3, 4, 20, 17 }, 0 }, seen;
	struct image im, mask;
	size_t on = 0;

	(void)state;
	alloc(&im);
	shape_draw(&im, &s);
	shape_see(&seen, &im);
	assert_memory_equal(seen.box, s.box, sizeof(s.box));
	assert_true(seen.fit == 1);
	image_alloc(&mask, SIDE, SIDE, 1, 8);
	shape_mask(&mask, &s);
	for (int i = 0; i < SIDE * SIDE; i++) {
		const uint8_t *p = (uint8_t *)im.data + 3 * i;

		assert_int_equal(((uint8_t *)mask.data)[i], p[2] == 255 ? 255 : 0);
		on += p[2] == 255;
	}
	assert_int_equal(on, 140); /* 18 x 14 / 2, and what the edges touch */
	image_release(&mask);
	image_release(&im);
}

static void
what_is_no_shape_has_no_name(void **state)
{
	struct shape s = { SHAPE_RECTANGLE, 0, 0, { 4, 4, 15, 15 }, 0 }, seen;
	const uint8_t red[3] = { 255, 0, 0 }, blue[3] = { 0, 0, 255 }, white[3] = { 255, 255, 255 };
	struct image im;

	(void)state;
	alloc(&im);
	memset(im.data, 255, SIDE * SIDE * 3); /* nothing at all */
	shape_see(&seen, &im);
	assert_int_equal(seen.kind, -1);
	assert_int_equal(seen.colour, -1);
	assert_int_equal(seen.ground, 0);
	shape_draw(&im, &s); /* a second one beside it */
	image_rectangle(&im, 20, 18, 29, 27, red);
	shape_see(&seen, &im);
	assert_int_equal(seen.kind, -1);
	assert_int_equal(seen.colour, 0);
	shape_draw(&im, &s); /* two colours, half each */
	image_rectangle(&im, 4, 4, 15, 9, blue);
	shape_see(&seen, &im);
	assert_int_equal(seen.kind, SHAPE_RECTANGLE);
	assert_int_equal(seen.colour, -1);
	shape_draw(&im, &s); /* a frame */
	image_rectangle(&im, 7, 7, 12, 12, white);
	shape_see(&seen, &im);
	assert_int_equal(seen.kind, -1);
	for (size_t i = 0; i < SIDE * SIDE * 3; i++) /* noise */
		((uint8_t *)im.data)[i] = (uint8_t)(i * 2654435761u >> 13);
	shape_see(&seen, &im);
	assert_int_equal(seen.kind, -1);
	image_release(&im);
}

static void
names_end(void **state)
{
	(void)state;
	assert_string_equal(shape_kind_name(SHAPE_TRIANGLE), "triangle");
	assert_string_equal(shape_colour_name(5), "magenta");
	assert_string_equal(shape_ground_name(1), "gray");
	assert_null(shape_kind_name(SHAPE_KINDS));
	assert_null(shape_colour_name(SHAPE_COLOURS));
	assert_null(shape_ground_name(SHAPE_GROUNDS));
	assert_null(shape_colour_name(-1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_drawn_is_seen),
		cmocka_unit_test(through_blur_and_noise_too),
		cmocka_unit_test(the_box_is_that_of_the_drawing),
		cmocka_unit_test(what_is_no_shape_has_no_name),
		cmocka_unit_test(names_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
