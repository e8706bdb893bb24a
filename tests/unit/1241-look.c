/*
 * Edges, looks, words and templates. The picture is drawn here; its edges (edges-expected.png) and
 * numbers are those that OpenCV 4.6.0 and Pillow 9.4.0 gave for it.
 */
#include "base/err.h"
#include "base/words.h"
#include "data/edges.h"
#include "data/look.h"
#include "data/template.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { W = 75, H = 60 };

static void
draw(struct image *im)
{
	uint8_t *p;

	image_alloc(im, W, H, 3, 8);
	p = im->data;
	for (int y = 0; y < H; y++)
		for (int x = 0; x < W; x++)
			for (int c = 0; c < 3; c++) {
				int v = (x * 3 + y * 2 + c * 50) % 256,
				    r2 = (x - 30) * (x - 30) + (y - 28) * (y - 28);

				if (r2 < 200)
					v = 255 - 40 * c;
				if (r2 < 40)
					v = 20 * c;
				if (x > 50 && y > 35)
					v = x * y * (c + 1) % 256;
				*p++ = (uint8_t)v;
			}
}

static void
edges(void **state)
{
	struct image im = { 0 }, want = { 0 }, got = { 0 };

	(void)state;
	draw(&im);
	assert_int_equal(image_read(&want, "tests/golden/image/edges-expected.png", 3, 8), 0);
	image_edges(&got, &im);
	assert_int_equal(got.w, W);
	assert_int_equal(got.h, H);
	assert_memory_equal(got.data, want.data, (size_t)W * H * 3);
	image_release(&im);
	image_release(&want);
	image_release(&got);
}

static void
looks(void **state)
{
	static const double want[] = { 204.386, 219, 51.907136135388726, 171.81755555555554, 172,
		60.711622927320406, 74.68974740456702, 19864.382007111104, 39 };
	struct image im = { 0 };
	struct look l;

	(void)state;
	draw(&im);
	look_of(&l, &im);
	{
		const double got[] = { l.mean_v, l.median_v, l.std_v, l.mean_s, l.median_s, l.std_s,
		    l.std_h, l.var_l,
			l.n_contour };

		/* seen 1e-15 */
		for (int i = 0; i < 9; i++)
			assert_true(fabs(got[i] - want[i]) <= 1e-12 * want[i]);
	}
	image_release(&im);
	/* gray and one pixel */
	image_alloc(&im, 1, 1, 1, 8);
	look_of(&l, &im);
	assert_true(l.mean_v == 0 && l.std_s == 0 && l.var_l == 0 && l.n_contour == 0);
	image_release(&im);
}

/* A ring has two borders; what touches at a corner is one; zeros that reach the edge are no
 * hole. */
static void
contours(void **state)
{
	static const struct { const char *p; int w, h, n; } c[] = {
		{ "....." "....." ".....", 5, 3, 0 },
		{ "#####" "#...#" "#####", 5, 3, 2 },
		{ "#####" "#.#.#" "#####", 5, 3, 3 },
		{ "#.." ".#." "..#", 3, 3, 1 },
		{ ".#." "#.#" ".#.", 3, 3, 2 },
		{ "#.#" "..." "#.#", 3, 3, 4 },
		{ "#######" "#.....#" "#.###.#" "#.#.#.#" "#.###.#" "#.....#" "#######", 7, 7, 4 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(*c); i++) {
		uint8_t p[64];

		for (int k = 0; k < c[i].w * c[i].h; k++)
			p[k] = c[i].p[k] == '#';
		assert_int_equal(count_contours(p, c[i].w, c[i].h), c[i].n);
	}
}

static void
words(void **state)
{
	static const struct { uint64_t n; const char *s; } c[] =
	    { { 0, "zero" }, { 32, "thirty-two" },
		{ 100, "one hundred" }, { 130, "one hundred and thirty" },
		    { 1001, "one thousand and one" },
		{ 12345, "twelve thousand, three hundred and forty-five" },
		    { 1000000, "one million" } };

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(*c); i++) {
		struct sb sb = { 0 };

		number_words(&sb, c[i].n);
		assert_string_equal(sb.s, c[i].s);
		sb_release(&sb);
	}
}

static void
templates(void **state)
{
	static const char *const bad[] = { "", "{", "}", "{}", "{a", "{:lower}", "{a:b}", "a}" };
	const char *line = "{\"label\":\"bIG\",\"cluster\":21,\"n\":1.5}";
	struct template t;
	struct rec r = { 0 };
	struct sb sb = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(template_parse(&t, bad[i]), -1);
		template_release(&t);
	}
	assert_int_equal(rec_parse(&r, line, strlen(line)), 0);
	assert_int_equal(template_parse(&t,
	    "[LABEL]{{{label:capital}}} [x] {n} [MEP-CLUSTER-INDEX]"), 0);
	assert_int_equal(template_fill(&t, &r, &sb), 0);
	assert_string_equal(sb.s, "big{Big} [x] 1.5 twenty-one");
	template_release(&t);
	assert_int_equal(template_parse(&t, "{n:words}"), 0);
	assert_int_equal(template_fill(&t, &r, &sb), -1);
	template_release(&t);
	assert_int_equal(template_parse(&t, "{gone}"), 0);
	assert_int_equal(template_fill(&t, &r, &sb), -1);
	template_release(&t);
	rec_release(&r);
	sb_release(&sb);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edges),
		cmocka_unit_test(looks),
		cmocka_unit_test(contours),
		cmocka_unit_test(words),
		cmocka_unit_test(templates),
	};

	return cmocka_run_group_tests_name("look", tests, NULL, NULL);
}
