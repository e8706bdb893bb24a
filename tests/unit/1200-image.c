/* Images: decoding against Pillow's pixels, damage, encoding, and what is done in place. */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "data/image.h"
#include "data/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#define DIR "tests/golden/image/"

static const char *const files[] = { "rgb.png", "gray.png", "bit1.png", "rgba.png", "la.png",
	"palette.png", "gray2.png", "gray16.png", "rgb16.png", "interlaced.png", "profile.png",
	"rgb.jpg", "progressive.jpg", "gray.jpg", "cmyk.jpg", "exif.jpg" };
enum { NFILES = sizeof(files) / sizeof(files[0]) };

static bool
is_png(const char *name)
{
	return strstr(name, ".png");
}

static void
load(const char *name, char **p, size_t *n)
{
	char *path = path_join(DIR, name);

	assert_int_equal(file_read(path, 1 << 20, p, n), 0);
	free(path);
}

/* Largest difference between an image and a tensor of its pixels; the shapes must agree. */
static int
difference(const struct image *im, const struct st_tensor *t)
{
	float *want = xmalloc((size_t)t->n * sizeof(*want));
	int most = 0;

	assert_non_null(t);
	assert_int_equal(t->dim[0], im->h);
	assert_int_equal(t->dim[1], im->w);
	assert_int_equal(t->ndim == 3 ? t->dim[2] : 1, im->c);
	st_get_f32(t, want);
	for (int64_t i = 0; i < t->n; i++) {
		int got = im->bits == 8 ? ((uint8_t *)im->data)[i] : ((uint16_t *)im->data)[i];
		int d = abs(got - (int)want[i]);

		most = d > most ? d : most;
	}
	free(want);
	return most;
}

/* Observed: no difference at all with libjpeg-turbo 2.1.5; another libjpeg may round otherwise. */
enum { JPEG_BOUND = 2 };

static void
pixels_are_those_that_pillow_reads(void **state)
{
	struct safetensors st;

	(void)state;
	assert_int_equal(st_open(&st, DIR "decoded.safetensors"), 0);
	for (int i = 0; i < NFILES; i++) {
		char *path = path_join(DIR, files[i]);
		struct image im, head;
		int d;

		if (image_read(&im, path, 0, 0))
			fail_msg("%s", errmsg());
		d = difference(&im, st_find(&st, files[i]));
		if (d > (is_png(files[i]) ? 0 : JPEG_BOUND))
			fail_msg("%s: pixels differ by %d", files[i], d);
		assert_int_equal(im.bits, strstr(files[i], "16") ? 16 : 8);
		assert_int_equal(image_header(&head, path), 0);
		assert_null(head.data);
		assert_true(
		    head.w == im.w && head.h == im.h && head.c == im.c && head.bits == im.bits);
		image_release(&im);
		free(path);
	}
	st_close(&st);
}

static void
labels_are_the_stored_numbers(void **state)
{
	static const char *const names[] = { "palette.png", "gray2.png" };
	struct safetensors st;

	(void)state;
	assert_int_equal(st_open(&st, DIR "decoded.safetensors"), 0);
	for (size_t i = 0; i < 2; i++) {
		char *path = path_join(DIR, names[i]), *key = xasprintf("%s/labels", names[i]);
		struct image im;

		assert_int_equal(image_read_labels(&im, path), 0);
		assert_int_equal(difference(&im, st_find(&st, key)), 0);
		image_release(&im);
		free(path);
		free(key);
	}
	st_close(&st);
}

static void
gray_is_pillows_luma(void **state)
{
	struct safetensors st;
	struct image im;

	(void)state;
	assert_int_equal(st_open(&st, DIR "decoded.safetensors"), 0);
	assert_int_equal(image_read(&im, DIR "rgb.png", 1, 8), 0);
	assert_int_equal(difference(&im, st_find(&st, "rgb.png/luma")), 0);
	image_release(&im);
	st_close(&st);
}

/* Decoding must fail, with a message that names the file, and leave nothing. */
static void
must_fail(const void *p, size_t n, const char *what, size_t at)
{
	struct image im;
	/* of its own, so that reading past the end is seen by ASan */
	char *copy = xmalloc(n);

	if (n)
		memcpy(copy, p, n);
	if (image_decode(&im, copy, n, 0, 0, what) == 0)
		fail_msg("%s: damage at byte %zu was not noticed", what, at);
	assert_null(im.data);
	assert_ptr_equal(strstr(errmsg(), what), errmsg());
	free(copy);
}

static void
every_truncation_is_an_error(void **state)
{
	(void)state;
	for (int i = 0; i < NFILES; i++) {
		char *p;
		size_t n;

		load(files[i], &p, &n);
		for (size_t len = 0; len < n; len++)
			must_fail(p, len, files[i], len);
		free(p);
	}
}

static void
every_flipped_bit_of_a_png_is_an_error(void **state)
{
	(void)state;
	for (int i = 0; i < NFILES; i++) {
		char *p;
		size_t n;

		if (!is_png(files[i]))
			continue;
		load(files[i], &p, &n);
		for (size_t at = 0; at < n; at++) {
			p[at] ^= (char)(1 << at % 8);
			must_fail(p, n, files[i], at);
			p[at] ^= (char)(1 << at % 8);
		}
		free(p);
	}
}

/* Bytes after the end are another matter: the image is whole. */
static void
what_follows_the_end_is_ignored(void **state)
{
	static const char *const names[] = { "rgb.png", "rgb.jpg" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct image im;
		char *p;
		size_t n;

		load(names[i], &p, &n);
		p = xrealloc(p, n + 100);
		memset(p + n, 'x', 100);
		assert_int_equal(image_decode(&im, p, n + 100, 0, 0, "x"), 0);
		image_release(&im);
		free(p);
	}
}

static void
put32(char *p, uint32_t x)
{
	for (int i = 0; i < 4; i++)
		p[i] = (char)(x >> (24 - 8 * i));
}

static void
a_size_is_checked_before_memory_is_taken(void **state)
{
	static const struct {
		uint32_t w, h;
		const char *why;
	} t[] = {
		{ 65535, 65535, "too many" },
		{ 100000, 100000, "100000 x 100000 pixels are too many" },
		{ 0x7fffffff, 1, "too many" },
		{ 16384, 16384, "truncated" }, /* allowed, but 2.8 kB of data cannot hold it */
		{ 0, 5, "damaged PNG: Image width is zero in IHDR" },
	};
	char *p;
	size_t n;

	(void)state;
	load("rgb.png", &p, &n);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		put32(p + 16, t[i].w);
		put32(p + 20, t[i].h);
		put32(p + 29, (uint32_t)crc32(0, (Bytef *)p + 12, 17));
		must_fail(p, n, "big.png", i);
		assert_non_null(strstr(errmsg(), t[i].why));
	}
	free(p);
}

/* The same of a JPEG, baseline and progressive: each block of 8 x 8 takes a bit at least. */
static void
a_jpegs_size_is_checked_too(void **state)
{
	static const char *const names[] = { "rgb.jpg", "progressive.jpg" };
	static const char sides[][3] = { "\x40\x00", "\xff\xff" };
	static const char *const why[] = { "truncated", "" };

	(void)state;
	for (int i = 0; i < 4; i++) {
		char *p;
		size_t n, at = 2;

		load(names[i / 2], &p, &n);
		/* from marker to marker as far as the frame's header */
		while (p[at + 1] != '\xc0' && p[at + 1] != '\xc2')
			at +=
			    2 + (size_t)((unsigned char)p[at + 2] << 8 | (unsigned char)p[at + 3]);
		memcpy(p + at + 5, sides[i % 2], 2);
		memcpy(p + at + 7, sides[i % 2], 2);
		must_fail(p, n, "big.jpg", at);
		assert_non_null(strstr(errmsg(), why[i % 2]));
		free(p);
	}
}

/* Right chunk checksums around pixels whose own checksum is wrong. */
static void
the_checksum_of_the_pixels_counts(void **state)
{
	char *p, *idat;
	size_t n;
	uint32_t len = 0;

	(void)state;
	load("gray.png", &p, &n);
	idat = p + 33; /* Pillow writes it right after the header */
	assert_memory_equal(idat + 4, "IDAT", 4);
	for (int i = 0; i < 4; i++)
		len = len << 8 | (unsigned char)idat[i];
	idat[8 + len - 1] ^= 1;
	put32(idat + 8 + len, (uint32_t)crc32(0, (Bytef *)idat + 4, len + 4));
	must_fail(p, n, "gray.png", 0);
	free(p);
}

static void
what_is_no_image_is_told(void **state)
{
	static const struct {
		size_t at, n;
		const char *bytes, *what;
	} others[] = {
		{ 0, 8, "II*\0\x08\0\0\0", ", but TIFF" },
		{ 0, 4, "MM\0*", ", but TIFF" },
		{ 0, 6, "GIF89a", ", but GIF" },
		{ 0, 12, "RIFF\1\0\0\0WEBP", ", but WebP" },
		{ 0, 12, "RIFF\1\0\0\0WAVE", "" },
		{ 0, 10, "BM\1\0\0\0\0\0\0\0", ", but BMP" },
		{ 0, 10, "BMx, no bmp", "" },
		{ 128, 4, "DICM", ", but DICOM" },
		{ 344, 4, "n+1\0", ", but NIfTI" },
		{ 0, 42, "version https://git-lfs.github.com/spec/v1", ", but a Git LFS pointer" },
		{ 0, 15, "<!DOCTYPE html>", ", but HTML" },
	};
	struct image im;

	(void)state;
	assert_int_equal(image_decode(&im, "hello\n", 6, 0, 0, "a.png"), -1);
	assert_string_equal(errmsg(), "a.png: is neither PNG nor JPEG");
	assert_int_equal(image_decode(&im, "", 0, 0, 0, "a.png"), -1);
	assert_string_equal(errmsg(), "a.png: is empty");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		char p[348] = "", want[128];

		memcpy(p + others[i].at, others[i].bytes, others[i].n);
		snprintf(want, sizeof(want), "a.png: is neither PNG nor JPEG%s", others[i].what);
		assert_int_equal(image_decode(&im, p, sizeof(p), 0, 0, "a.png"), -1);
		assert_string_equal(errmsg(), want);
		/* no reading past the end */
		must_fail(p, others[i].at + others[i].n - 1, "a.png", i);
	}
	assert_int_equal(image_read(&im, "no/such.png", 0, 0), -1);
	assert_non_null(strstr(errmsg(), "no/such.png"));
	assert_int_equal(image_read(&im, "tests", 0, 0), -1);
}

/* A pipe that nobody writes into would be waited for without end. */
static void
a_pipe_is_no_image(void **state)
{
	char dir[] = "/tmp/phantom-image.XXXXXX", path[64], want[128];
	struct image im;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a.png", dir);
	snprintf(want, sizeof(want), "%s: is a pipe or device, not a file", path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(image_read(&im, path, 0, 0), -1);
	assert_string_equal(errmsg(), want);
	assert_int_equal(image_read_labels(&im, path), -1);
	assert_int_equal(image_header(&im, path), -1);
	unlink(path);
	rmdir(dir);
	assert_int_equal(image_read(&im, "/dev/null", 0, 0), -1);
}

/* Kinds of JPEG that libjpeg does not read are not called damaged; bytes between the segments
 * before the pixels do no harm. */
static void
odd_jpegs(void **state)
{
	struct image a, b;
	char *p, *q;
	size_t n, at = 2;

	(void)state;
	load("rgb.jpg", &p, &n);
	assert_int_equal(image_decode(&a, p, n, 0, 0, "a.jpg"), 0);
	q = malloc(n + 3);
	memcpy(q, p, 20);
	memset(q + 20, 0, 3);
	memcpy(q + 23, p + 20, n - 20);
	/* JFIF's segment is 2 + 16 bytes from byte 2 */
	assert_int_equal((unsigned char)q[23], 0xff);
	assert_int_equal(image_decode(&b, q, n + 3, 0, 0, "b.jpg"), 0);
	assert_memory_equal(a.data, b.data, (size_t)a.w * (size_t)a.h * (size_t)a.c);
	image_release(&a);
	image_release(&b);
	while (p[at + 1] != '\xc0')
		at += 2 + (size_t)((unsigned char)p[at + 2] << 8 | (unsigned char)p[at + 3]);
	p[at + 4] = 12;
	must_fail(p, n, "a.jpg", 12);
	assert_string_equal(errmsg(), "a.jpg: a JPEG of a kind that is not read: "
	    "Unsupported JPEG data precision 12");
	p[at + 4] = 8;
	p[at + 1] = '\xc3';
	must_fail(p, n, "a.jpg", 3);
	assert_non_null(strstr(errmsg(), "of a kind that is not read"));
	free(p);
	free(q);
}

/* A picture in which every sample differs from its neighbours. */
static void
pattern(struct image *im, int w, int h, int c, int bits)
{
	size_t n = (size_t)w * (size_t)h * (size_t)c;

	image_alloc(im, w, h, c, bits);
	for (size_t i = 0; i < n; i++)
		if (bits == 8)
			((uint8_t *)im->data)[i] = (uint8_t)(i * 37 + i / 7);
		else
			((uint16_t *)im->data)[i] = (uint16_t)(i * 2579 + i / 7);
}

static size_t
bytes_of(const struct image *im)
{
	return (size_t)im->w * (size_t)im->h * (size_t)im->c * (size_t)(im->bits / 8);
}

static void
assert_same_image(const struct image *a, const struct image *b)
{
	assert_true(a->w == b->w && a->h == b->h && a->c == b->c && a->bits == b->bits);
	assert_memory_equal(a->data, b->data, bytes_of(a));
}

static bool
holds(const char *p, size_t n, const char *part, size_t len)
{
	for (size_t i = 0; i + len <= n; i++)
		if (memcmp(p + i, part, len) == 0)
			return true;
	return false;
}

static void
png_gives_back_what_it_took(void **state)
{
	static const char *const text[] = { "parameters", "a cell, steps: 20", "Comment",
		"zwei \xc3\xa4pfel", "XML:com.adobe.xmp", "<x/>", NULL };

	(void)state;
	for (int c = 1; c <= 3; c += 2) {
		for (int bits = 8; bits <= 16; bits += 8) {
			struct image a, b;
			void *p;
			size_t n;

			pattern(&a, 13, 7, c, bits);
			assert_int_equal(image_encode(&a, "png", 0, text, &p, &n), 0);
			assert_int_equal(image_decode(&b, p, n, 0, 0, "x"), 0);
			assert_same_image(&a, &b);
			/* tEXt: key NUL value; iTXt: key NUL flag method language NUL key NUL
			 * value */
			assert_true(holds(p, n, "tEXtparameters\0a cell, steps: 20", 32));
			assert_true(holds(p, n, "iTXtComment\0\0\0\0\0zwei \xc3\xa4pfel", 27));
			assert_true(holds(p, n, "iTXtXML:com.adobe.xmp\0\0\0\0\0<x/>", 30));
			free(p);
			image_release(&a);
			image_release(&b);
		}
	}
}

static void
jpeg_comes_close_to_what_it_took(void **state)
{
	static const char *const text[] = { "parameters", "steps: 20", "XML:com.adobe.xmp", "<x/>",
	    NULL };
	struct image a, b;
	void *p;
	size_t n, small;
	char *long_text = xcalloc(1, 70001);
	const char *const too_long[] = { "k", memset(long_text, 'a', 70000), NULL };

	(void)state;
	assert_int_equal(image_read(&a, DIR "rgb.png", 3, 8), 0);
	assert_int_equal(image_encode(&a, "jpg", 20, NULL, &p, &small), 0);
	free(p);
	assert_int_equal(image_encode(&a, "jpg", 100, text, &p, &n), 0);
	assert_true(n > small);
	assert_true(holds(p, n, "parameters: steps: 20", 21));
	assert_true(holds(p, n, "http://ns.adobe.com/xap/1.0/\0<x/>", 33));
	assert_int_equal(image_decode(&b, p, n, 0, 0, "x"), 0);
	assert_true(b.w == a.w && b.h == a.h && b.c == 3);
	for (size_t i = 0; i < bytes_of(&a); i++) /* observed 35: colours are halved in size */
		assert_true(abs(((uint8_t *)a.data)[i] - ((uint8_t *)b.data)[i]) <= 48);
	free(p);
	image_release(&b);

	assert_int_equal(image_encode(&a, "jpg", 90, too_long, &p, &n), -1);
	image_convert(&a, 3, 16);
	assert_int_equal(image_encode(&a, "jpg", 90, NULL, &p, &n), -1);
	assert_string_equal(errmsg(), "JPEG: cannot hold 16 bits");
	assert_int_equal(image_encode(&a, "gif", 90, NULL, &p, &n), -1);
	image_release(&a);
	free(long_text);
}

static void
files_are_written_by_their_extension(void **state)
{
	static const struct {
		const char *name, *magic;
	} t[] = { { "a.png", "\x89PNG" }, { "a.jpg", "\xff\xd8\xff" },
	    { "a.JPEG", "\xff\xd8\xff" } };
	char dir[] = "/tmp/phantom-image.XXXXXX";
	struct image a, b;
	char *path;

	(void)state;
	assert_non_null(mkdtemp(dir));
	pattern(&a, 5, 4, 3, 8);
	for (size_t i = 0; i < 3; i++) {
		char *p;
		size_t n;

		path = path_join(dir, t[i].name);
		assert_int_equal(image_write(&a, path, 90, NULL), 0);
		assert_int_equal(file_read(path, 1 << 20, &p, &n), 0);
		assert_memory_equal(p, t[i].magic, strlen(t[i].magic));
		assert_int_equal(image_read(&b, path, 1, 16), 0);
		assert_true(b.c == 1 && b.bits == 16);
		image_release(&b);
		unlink(path);
		free(p);
		free(path);
	}
	path = path_join(dir, "a.bmp");
	assert_int_equal(image_write(&a, path, 90, NULL), -1);
	free(path);
	path = path_join(dir, "none/a.png");
	assert_int_equal(image_write(&a, path, 90, NULL), -1);
	free(path);
	image_release(&a);
	assert_int_equal(rmdir(dir), 0); /* so nothing was left there */
}

static void
bits_and_channels_convert(void **state)
{
	struct image a, b;

	(void)state;
	image_alloc(&a, 256, 1, 1, 8);
	for (int i = 0; i < 256; i++)
		((uint8_t *)a.data)[i] = (uint8_t)i;
	image_copy(&b, &a);
	image_convert(&b, 3, 16);
	for (int i = 0; i < 3 * 256; i++)
		assert_int_equal(((uint16_t *)b.data)[i], i / 3 * 257);
	image_convert(&b, 1, 8);
	assert_same_image(&a, &b);
	image_release(&b);
	image_release(&a);

	/* 16 to 8 bits: the nearest of the 257 steps */
	image_alloc(&a, 256, 256, 1, 16);
	for (int i = 0; i < 65536; i++)
		((uint16_t *)a.data)[i] = (uint16_t)i;
	image_convert(&a, 1, 8);
	for (int i = 0; i < 65536; i++)
		assert_true(abs(((uint8_t *)a.data)[i] * 257 - i) <= 128);
	image_release(&a);

	/* pure colours in 16 bits: 0.299, 0.587, 0.114 */
	image_alloc(&a, 3, 1, 3, 16);
	for (int i = 0; i < 3; i++)
		((uint16_t *)a.data)[4 * i] = 65535;
	image_convert(&a, 1, 16);
	assert_int_equal(((uint16_t *)a.data)[0], 19595);
	assert_int_equal(((uint16_t *)a.data)[1], 38469);
	assert_int_equal(((uint16_t *)a.data)[2], 7471);
	image_release(&a);
}

static void
crops_may_reach_outside(void **state)
{
	static const int at[][4] = { { 0, 0, 7, 5 }, { 2, 1, 3, 3 }, { -2, -3, 20, 20 },
	    { 5, 3, 9, 9 },
		{ 100, 0, 2, 2 }, { -9, -9, 3, 3 }, { 2147483647, 2147483647, 2, 2 },
		{ -2147483647, 0, 1, 1 } };

	(void)state;
	for (int bits = 8; bits <= 16; bits += 8) {
		struct image a;

		pattern(&a, 7, 5, 3, bits);
		for (size_t k = 0; k < sizeof(at) / sizeof(at[0]); k++) {
			struct image b;
			size_t size = 3 * (size_t)bits / 8;

			image_crop(&b, &a, at[k][0], at[k][1], at[k][2], at[k][3]);
			for (int y = 0; y < b.h; y++) {
				for (int x = 0; x < b.w; x++) {
					int64_t sx = (int64_t)x + at[k][0],
					        sy = (int64_t)y + at[k][1];
					static const char zero[6];
					const char *want = zero;

					if (sx >= 0 && sy >= 0 && sx < 7 && sy < 5)
						want =
						    (char *)a.data + (size_t)(sy * 7 + sx) * size;
					assert_memory_equal((char *)b.data +
					        (size_t)(y * b.w + x) * size,
					    want, size);
				}
			}
			image_release(&b);
		}
		image_release(&a);
	}
}

static void
turns_and_mirrors(void **state)
{
	/* 1 2 3    3 6
	 * 4 5 6    2 5
	 *          1 4   one turn anticlockwise */
	static const uint8_t in[] = { 1, 2, 3, 4, 5, 6 };
	static const uint8_t turned[4][6] = { { 1, 2, 3, 4, 5, 6 }, { 3, 6, 2, 5, 1, 4 },
		{ 6, 5, 4, 3, 2, 1 }, { 4, 1, 5, 2, 6, 3 } };
	static const uint8_t flipped[4][6] = { { 1, 2, 3, 4, 5, 6 }, { 3, 2, 1, 6, 5, 4 },
		{ 4, 5, 6, 1, 2, 3 }, { 6, 5, 4, 3, 2, 1 } };

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct image a;

		image_alloc(&a, 3, 2, 1, 8);
		memcpy(a.data, in, 6);
		image_rotate90(&a, i);
		assert_int_equal(a.w, i % 2 ? 2 : 3);
		assert_memory_equal(a.data, turned[i], 6);
		image_release(&a);
		image_alloc(&a, 3, 2, 1, 8);
		memcpy(a.data, in, 6);
		image_flip(&a, i & 1, i & 2);
		assert_memory_equal(a.data, flipped[i], 6);
		image_release(&a);
	}
	for (int bits = 8; bits <= 16; bits += 8) {
		struct image a, b;

		pattern(&a, 7, 5, 3, bits);
		image_copy(&b, &a);
		image_rotate90(&b, 1);
		image_flip(&b, true, false);
		image_rotate90(&b, 3);
		image_flip(&b, false, true); /* the four cancel */
		assert_same_image(&a, &b);
		image_release(&a);
		image_release(&b);
	}
}

static void
names_of_images(void **state)
{
	(void)state;
	assert_true(image_is_name("a.png") && image_is_name("b.JPG") && image_is_name("c.d.jpeg"));
	assert_false(image_is_name(".a.png") || image_is_name("png") || image_is_name("a.gif") ||
	    image_is_name("a.png.gz"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_images),
		cmocka_unit_test(pixels_are_those_that_pillow_reads),
		cmocka_unit_test(labels_are_the_stored_numbers),
		cmocka_unit_test(gray_is_pillows_luma),
		cmocka_unit_test(every_truncation_is_an_error),
		cmocka_unit_test(every_flipped_bit_of_a_png_is_an_error),
		cmocka_unit_test(what_follows_the_end_is_ignored),
		cmocka_unit_test(a_size_is_checked_before_memory_is_taken),
		cmocka_unit_test(a_jpegs_size_is_checked_too),
		cmocka_unit_test(the_checksum_of_the_pixels_counts),
		cmocka_unit_test(what_is_no_image_is_told),
		cmocka_unit_test(a_pipe_is_no_image),
		cmocka_unit_test(odd_jpegs),
		cmocka_unit_test(png_gives_back_what_it_took),
		cmocka_unit_test(jpeg_comes_close_to_what_it_took),
		cmocka_unit_test(files_are_written_by_their_extension),
		cmocka_unit_test(bits_and_channels_convert),
		cmocka_unit_test(crops_may_reach_outside),
		cmocka_unit_test(turns_and_mirrors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
