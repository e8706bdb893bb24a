/* Contact sheets: where pictures stand, what is cut, what the font draws. */
#include "base/err.h"
#include "data/sheet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const uint8_t *
pixel(const struct image *im, int x, int y)
{
	return (const uint8_t *)im->data + ((size_t)y * (size_t)im->w + (size_t)x) * (size_t)im->c;
}

static void
fill(struct image *im, int w, int h, uint8_t gray)
{
	image_alloc(im, w, h, 1, 8);
	memset(im->data, gray, (size_t)w * (size_t)h);
}

/* Two columns of 8 pixels, two rows; gaps of 3. */
static void
layout(void **state)
{
	struct image black = { 0 }, wide = { 0 }, out = { 0 };
	struct sheet s;
	const char *path = "sheet-test.png";

	(void)state;
	fill(&black, 2, 2, 0);
	fill(&wide, 16, 8, 100);
	sheet_init(&s, 2, 8, NULL);
	assert_int_equal(sheet_write(&s, path, 1, NULL), -1); /* empty */
	sheet_add(&s, (const struct image *const[]){ &black, &wide }, NULL);
	sheet_add(&s, (const struct image *const[]){ NULL, &black }, NULL);
	assert_int_equal(sheet_write(&s, path, 1, NULL), 0);
	assert_int_equal(image_read(&out, path, 0, 0), 0);
	assert_int_equal(out.c, 3);
	assert_int_equal(out.w, 3 + 2 * 11);
	assert_int_equal(out.h, 3 + 2 * 11);
	assert_int_equal(*pixel(&out, 3, 3), 0); /* enlarged to the whole cell */
	assert_int_equal(*pixel(&out, 10, 10), 0);
	assert_int_equal(*pixel(&out, 11, 11), 160); /* the line around it */
	assert_int_equal(*pixel(&out, 14, 3), 255);  /* a wide picture stands in the middle */
	assert_int_equal(*pixel(&out, 14, 5), 100);
	assert_int_equal(*pixel(&out, 21, 8), 100);
	assert_int_equal(*pixel(&out, 14, 9), 160);
	assert_int_equal(*pixel(&out, 5, 17), 255); /* no picture */
	assert_int_equal(*pixel(&out, 16, 17), 0);
	image_release(&out);

	assert_int_equal(sheet_write(&s, path, 2, NULL), 0); /* both rows beside each other */
	assert_int_equal(image_read(&out, path, 0, 0), 0);
	assert_int_equal(out.w, 3 + 2 * 11 + 9 + 3 + 2 * 11);
	assert_int_equal(out.h, 3 + 11);
	image_release(&out);
	assert_int_equal(sheet_write(&s, "no/such/folder.png", 1, NULL), -1);
	sheet_release(&s);
	image_release(&black);
	image_release(&wide);
	unlink(path);
}

/* Captions are black pixels that stay within their room. */
static void
captions(void **state)
{
	static const char *const head[] = { "AAAAAAAA" };
	struct image black = { 0 }, out = { 0 };
	const char *path = "sheet-test.png";
	int ink[2] = { 0 };
	struct sheet s;

	(void)state;
	fill(&black, 20, 20, 200);
	sheet_init(&s, 1, 20, head);
	sheet_add(&s, (const struct image *const[]){ &black }, "\xc3\xa9 a long caption");
	assert_int_equal(sheet_write(&s, path, 1, NULL), 0);
	assert_int_equal(image_read(&out, path, 0, 0), 0);
	assert_int_equal(out.h, 3 + 10 + 23 + 10);
	for (int y = 0; y < out.h; y++) {
		for (int x = 0; x < out.w; x++) {
			bool black_here = *pixel(&out, x, y) == 0;

			assert_false(black_here && (x < 3 || x > 26 || (y > 9 && y < 36)));
			ink[y > 20] += black_here;
		}
	}
	/* two letters A of 18 pixels, a dot of 4 for the rest */
	assert_int_equal(ink[0], 2 * 18 + 4);
	assert_true(ink[1] > 20);
	sheet_release(&s);
	image_release(&black);
	image_release(&out);
	unlink(path);
}

static void
letters(void **state)
{
	static const uint8_t red[3] = { 255, 0, 0 };
	static const char *const want[7] = { "#####", "..#..", "..#..", "..#..", "..#..", "..#..",
		"..#.." };
	struct image im = { 0 };

	(void)state;
	image_alloc(&im, 9, 9, 3, 8);
	sheet_text(&im, 1, 1, "T", red);
	for (int y = 0; y < 9; y++)
		for (int x = 0; x < 9; x++)
			assert_int_equal(*pixel(&im, x, y),
			    x > 0 && x < 6 && y > 0 && y < 8 && want[y - 1][x - 1] == '#' ? 255
			                                                                  : 0);
	sheet_text(&im, -3, 5, "all of it is cut at the edges", red);
	image_release(&im);
}

static void
masks(void **state)
{
	struct image labels = { 0 }, out = { 0 };

	(void)state;
	image_alloc(&labels, 4, 1, 1, 8);
	memcpy(labels.data, (const uint8_t[]){ 0, 1, 2, 255 }, 4);
	sheet_mask(&out, &labels, true);
	assert_int_equal(*pixel(&out, 0, 0), 0);
	assert_int_equal(*pixel(&out, 2, 0), 255);
	image_release(&out);
	sheet_mask(&out, &labels, false);
	assert_memory_equal(pixel(&out, 0, 0), "\0\0\0", 3);
	assert_memory_not_equal(pixel(&out, 1, 0), pixel(&out, 2, 0), 3);
	assert_memory_not_equal(pixel(&out, 3, 0), "\0\0\0", 3);
	image_release(&out);
	image_release(&labels);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout),
		cmocka_unit_test(captions),
		cmocka_unit_test(letters),
		cmocka_unit_test(masks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
