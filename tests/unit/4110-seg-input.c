/* Augmentation, the loader, checkpoints, and how losses and inputs are described: no device. */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "model/seg_data.h"
#include "model/seg_loss.h"
#include "nn/augment.h"
#include "nn/checkpoint.h"
#include "nn/loader.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- augmentation ---------------------------------------------------------------------------- */

enum { W = 7, H = 5 };

static void
fill(float *im, uint8_t *lab, int n)
{
	for (int i = 0; i < n; i++) {
		im[i] = (float)i / (float)n;
		lab[i] = (uint8_t)i;
	}
}

static void
mirrors_and_turns_move_pixels(void **state)
{
	float im[W * H], out[W * H];
	uint8_t lab[W * H], lout[W * H];
	struct augment_draw d = augment_none();

	(void)state;
	fill(im, lab, W * H);
	augment_warp(out, im, 1, H, W, &d, H, W);
	assert_memory_equal(out, im, sizeof(im));

	d.flip_h = true;
	augment_warp_labels(lout, lab, H, W, &d, H, W);
	for (int y = 0; y < H; y++)
		for (int x = 0; x < W; x++)
			assert_int_equal(lout[y * W + x], lab[y * W + W - 1 - x]);
	d.flip_v = true;
	augment_warp_labels(lout, lab, H, W, &d, H, W);
	for (int i = 0; i < W * H; i++)
		assert_int_equal(lout[i], lab[W * H - 1 - i]);

	/* a quarter turn exchanges the sides; image and mask agree */
	for (int turns = 0; turns < 4; turns++)
		for (int flip = 0; flip < 2; flip++) {
			bool odd = turns & 1;
			int oh = odd ? W : H, ow = odd ? H : W;
			bool seen[W * H] = { false };

			d = augment_none();
			d.turns = turns;
			d.flip_h = flip;
			augment_warp(out, im, 1, H, W, &d, oh, ow);
			augment_warp_labels(lout, lab, H, W, &d, oh, ow);
			for (int i = 0; i < W * H; i++) {
				assert_int_equal(lout[i], (int)lroundf(out[i] * W * H));
				seen[lout[i]] = true;
			}
			for (int i = 0; i < W * H; i++)
				assert_true(seen[i]);
		}
	/* four quarter turns are none */
	d = augment_none();
	d.turns = 1;
	for (int i = 0; i < 4; i++) {
		int h = i & 1 ? W : H, w = i & 1 ? H : W;

		augment_warp_labels(lout, lab, h, w, &d, w, h);
		memcpy(lab, lout, sizeof(lab));
	}
	for (int i = 0; i < W * H; i++)
		assert_int_equal(lab[i], i);
}

static void
windows_lie_inside_or_mirror(void **state)
{
	float im[W * H], big[9 * 10];
	uint8_t lab[W * H], out[3 * 4];
	struct augment_draw d = augment_none();

	(void)state;
	fill(im, lab, W * H);
	for (int i = 0; i < 50; i++) {
		d.at_x = i / 50.0;
		d.at_y = 1 - (i + 1) / 50.0;
		augment_warp_labels(out, lab, H, W, &d, 3, 4);
		/* consecutive pixels of the image */
		for (int y = 0; y < 3; y++)
			for (int x = 0; x < 4; x++)
				assert_int_equal(out[y * 4 + x], out[0] + y * W + x);
	}
	d = augment_none();
	augment_warp(big, im, 1, H, W, &d, 9, 10);
	for (int y = 0; y < 9; y++)
		for (int x = 0; x < 10; x++)
			assert_true(big[y * 10 + x] ==
			    im[augment_mirror(y - 2, H) * W + augment_mirror(x - 1, W)]);
	assert_int_equal(augment_mirror(-1, 5), 0);
	assert_int_equal(augment_mirror(5, 5), 4);
	assert_int_equal(augment_mirror(-11, 5), 0);
}

static void
rotation_turns_about_the_centre(void **state)
{
	enum { N = 41 };
	static float im[N * N], out[N * N];
	struct augment_draw d = augment_none();
	double worst = 0;

	(void)state;
	/* a linear ramp turned by an angle is the ramp along the turned direction */
	for (int y = 0; y < N; y++)
		for (int x = 0; x < N; x++)
			im[y * N + x] = (float)x / N;
	d.angle = 0.3;
	augment_warp(out, im, 1, N, N, &d, N, N);
	for (int y = 12; y < 29; y++)
		for (int x = 12; x < 29; x++) {
			double want = (cos(0.3) * (x - 20) - sin(0.3) * (y - 20) + 20) / N;

			worst = fmax(worst, fabs(out[y * N + x] - want));
		}
	assert_true(worst < 1e-6); /* seen 4e-8 */
}

static void
draws_depend_on_seed_id_epoch(void **state)
{
	struct augment a = { .flip_h = true, .flip_v = true, .rotate90 = true, .rotate = 20,
		.scale = 0.2, .brightness = 0.2, .hue = 0.1 };
	struct augment_draw d, e;
	int flips = 0;

	(void)state;
	augment_draw(&d, &a, 1, "x", 3);
	augment_draw(&e, &a, 1, "x", 3);
	assert_true(d.flip_h == e.flip_h && d.flip_v == e.flip_v && d.turns == e.turns);
	assert_true(d.angle == e.angle && d.zoom == e.zoom && d.at_x == e.at_x &&
	    d.at_y == e.at_y && d.brightness == e.brightness && d.hue == e.hue);
	augment_draw(&e, &a, 1, "x", 4);
	assert_true(d.angle != e.angle);
	augment_draw(&e, &a, 2, "x", 3);
	assert_true(d.angle != e.angle);
	augment_draw(&e, &a, 1, "y", 3);
	assert_true(d.angle != e.angle);
	for (int i = 0; i < 2000; i++) {
		augment_draw(&d, &a, 5, "id", (uint64_t)i);
		flips += d.flip_h;
		assert_true(
		    fabs(d.angle) <= 20 * 3.1416 / 180 && d.zoom >= 1 / 1.2001 && d.zoom <= 1.2001);
		assert_true(d.brightness >= 0.8 && d.brightness <= 1.2 && fabs(d.hue) <= 0.1);
		assert_true(d.contrast == 1 && d.saturation == 1);
	}
	assert_in_range(flips, 900, 1100); /* 1000 +- 2.2 sigma x 2 */
}

static void
colours(void **state)
{
	/* red, gray, a mixture */
	float im[9] = { 1, 0.5f, 0.2f, 0, 0.5f, 0.6f, 0, 0.5f, 0.4f }, was[9];
	struct augment_draw d = augment_none();

	(void)state;
	memcpy(was, im, sizeof(im));
	augment_colour(im, 3, 1, 3, &d);
	assert_memory_equal(im, was, sizeof(im));
	d.brightness = 0.5;
	augment_colour(im, 3, 1, 3, &d);
	assert_true(fabsf(im[0] - 0.5f) < 1e-6f && fabsf(im[8] - 0.2f) < 1e-6f);
	memcpy(im, was, sizeof(im));
	d = augment_none();
	d.hue = 1.0 / 3; /* red becomes green */
	augment_colour(im, 3, 1, 3, &d);
	assert_true(fabsf(im[0]) < 1e-5f && fabsf(im[3] - 1) < 1e-5f && fabsf(im[6]) < 1e-5f);
	assert_true(fabsf(im[1] - 0.5f) < 1e-5f && fabsf(im[4] - 0.5f) < 1e-5f);
	memcpy(im, was, sizeof(im));
	d = augment_none();
	d.saturation = 0; /* gray */
	augment_colour(im, 3, 1, 3, &d);
	for (int i = 0; i < 3; i++)
		assert_true(fabsf(im[i] - im[3 + i]) < 1e-6f && fabsf(im[i] - im[6 + i]) < 1e-6f);
}

/* ---- the loader ------------------------------------------------------------------------------ */

static int
make(void *ctx, uint32_t item, uint64_t epoch, void *dst)
{
	(void)ctx;
	if (item == 777)
		return err("item 777 is bad");
	if (item % 5 == 0)
		nanosleep(&(struct timespec){ .tv_nsec = 300000 }, NULL);
	*(uint64_t *)dst = item * 1000 + epoch;
	return 0;
}

static void
batches_come_in_order(void **state)
{
	enum { N = 53 };
	uint32_t order[N];

	(void)state;
	for (uint32_t i = 0; i < N; i++)
		order[i] = (i * 17 + 3) % N;
	for (int threads = 1; threads <= 8; threads += 7) {
		struct loader *l = loader_new(make, NULL, sizeof(uint64_t), 8, threads);

		for (uint64_t epoch = 0; epoch < 3; epoch++) {
			struct loader_batch *b;
			size_t at = 0;

			loader_start(l, order, N, epoch);
			while ((b = loader_next(l))) {
				assert_null(b->error);
				assert_int_equal(b->n, at + 8 <= N ? 8 : N - at);
				for (size_t i = 0; i < b->n; i++, at++) {
					assert_int_equal(b->item[i], order[at]);
					assert_int_equal(((uint64_t *)b->data)[i],
					    order[at] * 1000 + epoch);
				}
				if (epoch == 1 && at == 16)
					break; /* the rest is dropped */
			}
			assert_int_equal(at, epoch == 1 ? 16 : N);
		}
		loader_free(l);
	}
}

static void
a_bad_sample_fails_its_batch(void **state)
{
	uint32_t order[5] = { 1, 2, 3, 777, 5 };
	struct loader *l = loader_new(make, NULL, sizeof(uint64_t), 2, 3);
	struct loader_batch *b;

	(void)state;
	loader_start(l, order, 5, 0);
	b = loader_next(l);
	assert_null(b->error);
	b = loader_next(l);
	assert_string_equal(b->error, "item 777 is bad");
	b = loader_next(l);
	assert_null(b->error);
	assert_null(loader_next(l));
	loader_free(l);
}

static void
the_order_is_that_of_the_ids(void **state)
{
	const char *a[6] = { "a", "b", "c", "d", "e", "f" }, *b[6] =
	    { "f", "d", "b", "a", "c", "e" };
	uint32_t x[6], y[6], z[6];

	(void)state;
	loader_shuffle(x, a, 6, 9, 1);
	loader_shuffle(y, b, 6, 9, 1);
	for (int i = 0; i < 6; i++)
		assert_string_equal(a[x[i]], b[y[i]]);
	loader_shuffle(z, a, 6, 9, 2);
	assert_memory_not_equal(x, z, sizeof(x));
}

/* ---- descriptions ---------------------------------------------------------------------------- */

static void
losses_are_read(void **state)
{
	struct seg_loss l;

	(void)state;
	assert_int_equal(
	    seg_loss_parse(&l, SEG_BINARY, "0.5*dice:smooth=1:log+focal:alpha=.25:gamma=3"), 0);
	assert_int_equal(l.n, 2);
	assert_true(l.term[0].kind == SEG_DICE && l.term[0].scale == 0.5 && l.term[0].smooth == 1 &&
	    l.term[0].log && l.term[0].eps == 1e-7);
	assert_true(l.term[1].kind == SEG_FOCAL && l.term[1].has_alpha && l.term[1].alpha == 0.25 &&
	    l.term[1].gamma == 3 && l.term[1].scale == 1);
	assert_int_equal(seg_loss_parse(&l, SEG_MULTICLASS, "jaccard:classes=0,2"), 0);
	assert_int_equal(l.term[0].classes, 5);
	static const struct { enum seg_mode mode; const char *text; } bad[] = {
		{ SEG_BINARY, "" }, { SEG_BINARY, "dise" }, { SEG_BINARY, "ce" },
		    { SEG_MULTICLASS, "bce" },
		{ SEG_MULTICLASS, "mcc" }, { SEG_BINARY, "dice:gamma=1" }, { SEG_BINARY, "x*dice" },
		{ SEG_BINARY, "dice:smooth" }, { SEG_BINARY, "dice:log=1" },
		    { SEG_BINARY, "dice:classes=a" },
		{ SEG_BINARY, "dice+dice+dice+dice+dice+dice+dice+dice+dice" },
		    { SEG_BINARY, "dice:eps=nan" },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(seg_loss_parse(&l, bad[i].mode, bad[i].text), -1);
}

static void
inputs_survive_json(void **state)
{
	struct seg_spec s = { .mode = SEG_MULTICLASS, .channels = 3, .classes = 2, .resize_w = 96,
		.resize_h = 64, .crop_w = 32, .crop_h = 32, .antialias = true, .soft = true,
		.ignore = 7, .mean = { 0.1, 0.2, 1.0 / 3 }, .std = { 0.3, 0.4, 0.5 } }, t;
	struct sb sb = { 0 }, again = { 0 };
	struct json j;

	(void)state;
	class_dict_add(&s.dict, "rect\"angle", 255, 255, 255);
	class_dict_add(&s.dict, "unknown", 0, 1, 2);
	sb_putc(&sb, '{');
	seg_spec_put(&s, &sb);
	sb_putc(&sb, '}');
	assert_int_equal(json_parse(&j, sb.s, sb.len), 0);
	assert_int_equal(seg_spec_get(&t, &j, 0), 0);
	sb_putc(&again, '{');
	seg_spec_put(&t, &again);
	sb_putc(&again, '}');
	assert_string_equal(sb.s, again.s);
	assert_true(t.mean[2] == 1.0 / 3 && t.dict.n == 2);
	json_release(&j);
	assert_int_equal(json_parse(&j, "{\"mode\":\"binary\"}", 17), 0);
	assert_int_equal(seg_spec_get(&t, &j, 0), -1);
	json_release(&j);
}

/* ---- samples --------------------------------------------------------------------------------- */

static void
write_picture(const char *dir, const char *name, int w, int h, int c, int bits, unsigned step)
{
	struct image im = { 0 };
	char *path = path_join(dir, name);

	image_alloc(&im, w, h, c, bits);
	for (int i = 0; i < w * h * c; i++)
		if (bits == 8)
			((uint8_t *)im.data)[i] = (uint8_t)(i * step % 251);
		else
			((uint16_t *)im.data)[i] = (uint16_t)(i * step * 257 % 65521);
	assert_int_equal(image_write(&im, path, 90, NULL), 0);
	image_release(&im);
	free(path);
}

/* A data set of three images of two sizes, one of 16 bits. */
static void
make_data(struct seg_data *d, const struct seg_spec *s, const char *dir, size_t cache)
{
	static const char *const lines[3] =
	    { "{\"file_name\":\"a.png\",\"mask_file_name\":\"am.png\"}",
		"{\"file_name\":\"b.png\",\"mask_file_name\":\"bm.png\"}",
		"{\"file_name\":\"a.png\",\"mask_file_name\":\"bm.png\",\"id\":\"wrong\"}" };
	char *input = path_join(dir, "metadata.jsonl");

	assert_int_equal(file_write(input, "", 0), 0);
	seg_data_init(d, s, cache);
	for (int i = 0; i < 3; i++) {
		struct rec r = { 0 };

		assert_int_equal(rec_parse(&r, lines[i], strlen(lines[i])), 0);
		r.input = input;
		assert_int_equal(seg_data_add(d, &r), 0);
		rec_release(&r);
	}
	seg_data_split(d, 0, 0, 1);
	assert_int_equal(seg_data_read(d, 2, NULL), 1);
	assert_string_equal(d->item[2].bad, "the mask is 20 x 24, the image 40 x 30");
	seg_data_drop_bad(d);
	assert_int_equal(d->n, 2);
	free(input);
}

static void
samples_are_the_same_from_memory_and_disk(void **state)
{
	const struct seg_spec specs[] = {
		{ .mode = SEG_BINARY, .channels = 1, .classes = 1, .ignore = -1,
		    .std = { 1, 1, 1 } },
		{ .mode = SEG_MULTICLASS, .channels = 3, .classes = 3, .ignore = -1, .resize_w = 32,
		    .resize_h = 16, .antialias = true, .std = { 1, 1, 1 } },
		{ .mode = SEG_MULTICLASS, .channels = 3, .classes = 3, .ignore = 1, .resize_w = 32,
		    .resize_h = 32, .soft = true, .crop_w = 16, .crop_h = 16,
		    .std = { 1, 1, 1 } } };
	struct augment a = { .flip_h = true, .rotate = 20, .brightness = 0.2 };
	char dir[] = "/tmp/phantom-samples-XXXXXX", cmd[128];

	(void)state;
	assert_non_null(mkdtemp(dir));
	write_picture(dir, "a.png", 40, 30, 3, 8, 7);
	write_picture(dir, "b.png", 20, 24, 1, 16, 11);
	for (int i = 0; i < 2; i++) {
		struct image m = { 0 };
		char *path = path_join(dir, i ? "bm.png" : "am.png");

		image_alloc(&m, i ? 20 : 40, i ? 24 : 30, 1, 8);
		for (int k = 0; k < m.w * m.h; k++)
			((uint8_t *)m.data)[k] = (uint8_t)(k / 5 % 3);
		assert_int_equal(image_write(&m, path, 90, NULL), 0);
		image_release(&m);
		free(path);
	}
	for (size_t k = 0; k < 3; k++)
		for (int augmented = 0; augmented < 2; augmented++) {
			struct seg_data kept, read;
			struct seg_view v, w;
			char *x, *y;

			make_data(&kept, &specs[k], dir, 1 << 20);
			make_data(&read, &specs[k], dir, 0);
			assert_non_null(kept.item[0].labels);
			assert_null(read.item[0].labels);
			seg_view_init(&v, &kept, SET_TRAIN, augmented ? &a : NULL, 5, 8);
			seg_view_init(&w, &read, SET_TRAIN, augmented ? &a : NULL, 5, 8);
			assert_int_equal(v.n, 2);
			assert_int_equal(v.w, augmented && specs[k].crop_w ? 16
			    : specs[k].resize_w ? 32 : 40);
			assert_int_equal(seg_sample_bytes(&v), seg_sample_bytes(&w));
			x = xcalloc(1, seg_sample_bytes(&v));
			y = xcalloc(1, seg_sample_bytes(&v));
			for (uint32_t i = 0; i < 2; i++) {
				assert_int_equal(seg_sample(&v, i, 3, x), 0);
				assert_int_equal(seg_sample(&w, i, 3, y), 0);
				assert_memory_equal(x, y, seg_sample_bytes(&v));
			}
			if (k == 0 && !augmented) { /* 20 x 24 in the middle of 40 x 32 */
				uint8_t *lab = (uint8_t *)y + 40 * 32 * sizeof(float);
				int outside = 0;

				for (int i = 0; i < 40 * 32; i++)
					outside += lab[i] == SEG_NO_CLASS;
				assert_int_equal(outside, 40 * 32 - 20 * 24);
				assert_int_equal(lab[4 * 40 + 10 + 7], 1);
				assert_true(((float *)y)[4 * 40 + 10 + 7] ==
				    (float)(7 * 11 * 257 % 65521) / 65535.0f);
			}
			free(x);
			free(y);
			seg_view_release(&v);
			seg_view_release(&w);
			seg_data_release(&kept);
			seg_data_release(&read);
		}
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
}

/* ---- checkpoints ----------------------------------------------------------------------------- */

static void
put_file(const struct ckpt *c, const char *text)
{
	char *path = ckpt_file(c, "x");

	assert_int_equal(file_write(path, text, strlen(text)), 0);
	free(path);
}

static void
checkpoints_are_whole_or_absent(void **state)
{
	char run[] = "/tmp/phantom-ckpt-XXXXXX", cmd[128];
	char *text, *path;
	size_t len;
	struct ckpt c;

	(void)state;
	assert_non_null(mkdtemp(run));
	for (int i = 1; i <= 4; i++) {
		char name[32];

		snprintf(name, sizeof(name), "checkpoint-%d", i);
		assert_int_equal(ckpt_begin(&c, run, name), 0);
		put_file(&c, name);
		path = path_join(run, name);
		assert_false(file_exists(path));
		assert_int_equal(ckpt_commit(&c), 0);
		assert_true(file_exists(path));
		free(path);
		assert_int_equal(ckpt_link(run, "last", name), 0);
		if (i == 2)
			assert_int_equal(ckpt_link(run, "best", name), 0);
		/* what a crash left of one on its way out goes with the next */
		path = path_join(run, ".checkpoint-9.old");
		assert_int_equal(mkdir(path, 0777), 0);
		assert_int_equal(ckpt_prune(run, 2), 0);
		assert_false(file_exists(path));
		free(path);
	}
	/* the best and the last are left, and names lead to them */
	path = path_join(run, "best/x");
	assert_int_equal(file_read(path, 100, &text, &len), 0);
	assert_string_equal(text, "checkpoint-2");
	free(text);
	free(path);
	path = path_join(run, "last/x");
	assert_int_equal(file_read(path, 100, &text, &len), 0);
	assert_string_equal(text, "checkpoint-4");
	free(text);
	free(path);
	path = path_join(run, "checkpoint-1");
	assert_false(file_exists(path));
	free(path);
	path = path_join(run, "checkpoint-3");
	assert_false(file_exists(path));
	free(path);

	/* again under the same name; given up */
	assert_int_equal(ckpt_begin(&c, run, "checkpoint-4"), 0);
	put_file(&c, "new");
	assert_int_equal(ckpt_commit(&c), 0);
	assert_int_equal(ckpt_begin(&c, run, "checkpoint-4"), 0);
	put_file(&c, "newer");
	err("why");
	assert_int_equal(ckpt_abort(&c), -1);
	assert_string_equal(errmsg(), "why");
	path = path_join(run, "last/x");
	assert_int_equal(file_read(path, 100, &text, &len), 0);
	assert_string_equal(text, "new");
	free(text);
	free(path);
	snprintf(cmd, sizeof(cmd), "test \"$(ls -A %s | wc -l)\" = 4 && rm -r %s", run, run);
	assert_int_equal(system(cmd), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mirrors_and_turns_move_pixels),
		cmocka_unit_test(windows_lie_inside_or_mirror),
		cmocka_unit_test(rotation_turns_about_the_centre),
		cmocka_unit_test(draws_depend_on_seed_id_epoch),
		cmocka_unit_test(colours),
		cmocka_unit_test(batches_come_in_order),
		cmocka_unit_test(a_bad_sample_fails_its_batch),
		cmocka_unit_test(the_order_is_that_of_the_ids),
		cmocka_unit_test(losses_are_read),
		cmocka_unit_test(inputs_survive_json),
		cmocka_unit_test(samples_are_the_same_from_memory_and_disk),
		cmocka_unit_test(checkpoints_are_whole_or_absent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
