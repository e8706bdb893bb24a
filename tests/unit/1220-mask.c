/* Masks: run lengths, unions, what records name, classes and colours. */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "data/mask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/phantom-mask.XXXXXX";

static int
setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int
teardown(void **state)
{
	char *cmd = xasprintf("rm -rf '%s'", dir);
	int r = system(cmd);

	(void)state;
	free(cmd);
	return r;
}

static char *
in_dir(const char *name)
{
	return path_join(dir, name);
}

static void
put_mask(const char *name, int w, int h, int bits, int at, int value)
{
	struct image im;
	char *path = in_dir(name);

	image_alloc(&im, w, h, 1, bits);
	if (bits == 8)
		((uint8_t *)im.data)[at] = (uint8_t)value;
	else
		((uint16_t *)im.data)[at] = (uint16_t)value;
	if (image_write(&im, path, 90, NULL))
		fail_msg("%s", errmsg());
	image_release(&im);
	free(path);
}

static void
runs_go_down_the_columns(void **state)
{
	/* 3 wide, 4 high, numbered down: 1 5 9 / 2 6 10 / 3 7 11 / 4 8 12 */
	static const uint8_t want[12] = { 255, 0, 255, 0, 0, 0, 0, 255, 0, 255, 255, 0 };
	uint8_t got[12];
	struct sb sb = { 0 };

	(void)state;
	assert_int_equal(mask_rle_decode("1 1 4 1 7 3", 3, 4, got), 0);
	assert_memory_equal(got, want, 12);
	mask_rle_encode(got, 3, 4, &sb);
	assert_string_equal(sb.s, "1 1 4 1 7 3");
	sb_clear(&sb);
	assert_int_equal(mask_rle_decode(" 1  2\n3 10 \n", 3, 4, got), 0);
	mask_rle_encode(got, 3, 4, &sb);
	assert_string_equal(sb.s, "1 12");
	sb_release(&sb);
	assert_int_equal(mask_rle_decode("", 3, 4, got), 0);
	mask_rle_encode(got, 3, 4, &sb);
	assert_int_equal(sb.len, 0);
}

static void
bad_runs_are_refused(void **state)
{
	static const char *const bad[] = { "1", "1 2 3", "0 1", "1 0", "13 1", "12 2", "1 13",
	    "-1 2",
		"1 2 2 1", "5 1 1 1", "1 2x", "1,2", "1.5 2", "99999999999999999999 1",
		"1 99999999999999999999", "9223372036854775807 1", "1 4294967297", "4294967297 1" };
	uint8_t out[12];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (mask_rle_decode(bad[i], 3, 4, out) == 0)
			fail_msg("'%s' was accepted", bad[i]);
	/* instances may come in any order and overlap */
	memset(out, 0, sizeof(out));
	assert_int_equal(mask_rle_paint("5 2 1 2", 3, 4, out, 1), 0);
	assert_int_equal(mask_rle_paint("2 1", 3, 4, out, 2), 0);
	assert_true(out[0] == 1 && out[3] == 2 && out[1] == 1 && out[4] == 1 && out[6] == 0);
	assert_int_equal(mask_rle_paint("13 1", 3, 4, out, 2), -1);
}

static void
masks_unite(void **state)
{
	char *a = in_dir("u/a.png"), *b = in_dir("u/b.PNG"), *odd = in_dir("odd.png"),
	     *u = in_dir("u");
	const char *const two[] = { a, b }, *const three[] = { a, b, odd };
	struct image im;

	(void)state;
	assert_int_equal(make_dirs(u), 0);
	put_mask("u/a.png", 3, 2, 8, 1, 1);
	put_mask("u/b.PNG", 3, 2, 16, 5, 256); /* its low byte is 0 */
	put_mask("odd.png", 2, 3, 8, 0, 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(i ? mask_union_dir(&im, u) : mask_union(&im, two, 2), 0);
		assert_true(im.w == 3 && im.h == 2 && im.c == 1 && im.bits == 8);
		assert_memory_equal(im.data, "\0\xff\0\0\0\xff", 6);
		image_release(&im);
	}
	assert_int_equal(mask_union(&im, three, 3), -1);
	assert_null(im.data);
	assert_int_equal(mask_union(&im, three, 0), -1);
	assert_int_equal(mask_union_dir(&im, "/no/such"), -1);
	assert_int_equal(mask_union_dir(&im, "tests"), -1);
	assert_non_null(strstr(errmsg(), "holds no masks"));
	/* one damaged mask spoils the union */
	{
		char *bad = in_dir("u/c.png");

		assert_int_equal(file_write(bad, "x", 1), 0);
		assert_int_equal(mask_union_dir(&im, u), -1);
		assert_null(im.data);
		unlink(bad);
		free(bad);
	}
	/* a palette's index counts, not its colour: index 0 is background whatever it looks like */
	{
		const char *const palette[] = { "tests/golden/image/palette.png" };
		struct image labels;

		assert_int_equal(image_read_labels(&labels, palette[0]), 0);
		assert_int_equal(mask_union(&im, palette, 1), 0);
		for (int i = 0; i < im.w * im.h; i++)
			assert_int_equal(((uint8_t *)im.data)[i], ((uint8_t *)labels.data)[i] ? 255
			    : 0);
		image_release(&im);
		image_release(&labels);
	}
	free(a);
	free(b);
	free(u);
	free(odd);
}

static void
records_name_masks(void **state)
{
	static const struct {
		const char *line;
		int result;
		const char *want; /* of 3 x 2 */
	} t[] = {
		{ "{\"mask_file_name\":\"u/a.png\"}", 1, "\0\xff\0\0\0\0" },
		{ "{\"mask_file_name\":\"u\"}", 1, "\0\xff\0\0\0\xff" },
		{ "{\"mask_file_names\":[\"u/a.png\",\"u/b.PNG\"]}", 1, "\0\xff\0\0\0\xff" },
		{ "{\"mask_rle\":\"1 2\",\"width\":3,\"height\":2}", 1, "\xff\0\0\xff\0\0" },
		{ "{\"mask_rle\":[\"6 1\",\"1 1\"],\"width\":3,\"height\":2}", 1,
		    "\xff\0\0\0\0\xff" },
		{ "{\"mask_rle\":[],\"width\":3,\"height\":2}", -1, NULL },
		{ "{\"file_name\":\"x\"}", 0, NULL },
		{ "{\"mask_file_name\":null}", 0, NULL },
		{ "{\"mask_file_name\":\"none.png\"}", -1, NULL },
		{ "{\"mask_file_name\":3}", -1, NULL },
		{ "{\"mask_file_names\":[]}", -1, NULL },
		{ "{\"mask_file_names\":[1]}", -1, NULL },
		{ "{\"mask_rle\":\"1 2\"}", -1, NULL },
		{ "{\"mask_rle\":\"1 2\",\"width\":0,\"height\":2}", -1, NULL },
		{ "{\"mask_rle\":\"1 2\",\"width\":60000,\"height\":60000}", -1, NULL },
		{ "{\"mask_rle\":\"7 1\",\"width\":3,\"height\":2}", -1, NULL },
	};
	char *input = in_dir("metadata.jsonl");

	(void)state;
	assert_int_equal(file_write(input, "", 0), 0);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct rec r = { .input = input, .lineno = 1 };
		struct image im;
		int got;

		assert_int_equal(rec_parse(&r, t[i].line, strlen(t[i].line)), 0);
		r.input = input;
		got = mask_of_record(&im, &r);
		if (got != t[i].result)
			fail_msg("%s: %d, not %d (%s)", t[i].line, got, t[i].result, errmsg());
		if (got == 1) {
			assert_true(im.w == 3 && im.h == 2 && im.c == 1);
			assert_memory_equal(im.data, t[i].want, 6);
			image_release(&im);
		}
		assert_null(im.data);
		rec_release(&r);
	}
	free(input);
}

static int
load_text(struct class_dict *d, const char *text)
{
	char *path = in_dir("classes.csv");
	int r;

	assert_int_equal(file_write(path, text, strlen(text)), 0);
	r = class_dict_load(d, path);
	if (r)
		assert_ptr_equal(strstr(errmsg(), path), errmsg());
	free(path);
	return r;
}

static void
classes_have_colours(void **state)
{
	static const char isn[] =
	    "\"name\",\"r\",\"g\",\"b\"\n\"rectangle\",255,255,255\n\"unknown\",0,0,0\n";
	static const char *const bad[] = { "", "name,r,g,b\n", "name,r,g\nx,1,2\n",
		"name,r,g,b\nx,1,2\n", "name,r,g,b\nx,1,2,256\n", "name,r,g,b\nx,1,2,-1\n",
		"name,r,g,b\nx,1,2,z\n", "name,r,g,b\nx,1,2,3\nx,3,2,1\n",
		"name,r,g,b\nx,1,2,3\ny,1,2,3\n", "name,r,g,b\n,1,2,3\n" };
	struct class_dict d;
	struct image im, back;
	int16_t labels[4];
	char *p, *path = in_dir("out.csv");
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (load_text(&d, bad[i]) == 0)
			fail_msg("'%s' was accepted", bad[i]);
	assert_int_equal(load_text(&d, "b,extra,name,g,r\r\n3,x,\"a, \"\"b\"\"\",2,1\r\n"), 0);
	assert_true(d.n == 1 && d.rgb[0][0] == 1 && d.rgb[0][1] == 2 && d.rgb[0][2] == 3);
	assert_string_equal(d.name[0], "a, \"b\"");
	assert_int_equal(class_dict_write(&d, path), 0);
	class_dict_release(&d);
	assert_int_equal(class_dict_load(&d, path), 0);
	assert_string_equal(d.name[0], "a, \"b\"");
	class_dict_release(&d);

	assert_int_equal(load_text(&d, isn), 0);
	assert_int_equal(class_dict_write(&d, path), 0);
	assert_int_equal(file_read(path, 1000, &p, &n), 0);
	assert_string_equal(p, isn);
	free(p);
	assert_int_equal(class_dict_find(&d, "unknown"), 1);
	assert_int_equal(class_dict_find(&d, "circle"), -1);

	/* a gray mask is looked up as RGB with equal channels */
	image_alloc(&im, 2, 2, 1, 8);
	memcpy(im.data, "\xff\0\x80\0", 4);
	assert_int_equal(mask_from_colours(&im, &d, labels), 1);
	assert_true(labels[0] == 0 && labels[1] == 1 && labels[2] == -1 && labels[3] == 1);
	mask_to_colours(&back, labels, 2, 2, &d);
	assert_memory_equal(back.data, "\xff\xff\xff\0\0\0\0\0\0\0\0\0", 12);
	image_release(&im);
	image_convert(&back, 3, 16);
	assert_int_equal(mask_from_colours(&back, &d, labels), 0);
	assert_true(labels[0] == 0 && labels[1] == 1 && labels[2] == 1 && labels[3] == 1);
	image_release(&back);
	class_dict_release(&d);
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_go_down_the_columns),
		cmocka_unit_test(bad_runs_are_refused),
		cmocka_unit_test(masks_unite),
		cmocka_unit_test(records_name_masks),
		cmocka_unit_test(classes_have_colours),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
