/*
 * Image decoding: whatever the bytes, an error leaves a message and nothing else, and an image that
 * is taken is whole: it comes back equal from a PNG. PNGs are tried a second time with their
 * chunks' checksums set right, since few changes would get past them.
 */
#include "base/err.h"
#include "base/mem.h"
#include "data/image_codec.h"
#include "run.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define CHECK(x) ((x) ? (void)0 : abort())

enum { PIXELS = 1 << 20 }; /* larger ones only take time */

static size_t
bytes_of(const struct image *im)
{
	return (size_t)im->w * (size_t)im->h * (size_t)im->c * (size_t)im->bits / 8;
}

/* Encoded as PNG and decoded again, it is the same. */
static void
check_whole(const struct image *im)
{
	struct image back;
	void *p;
	size_t n;

	CHECK(im->w > 0 && im->h > 0 && (im->c == 1 || im->c == 3) &&
	    (im->bits == 8 || im->bits == 16));
	CHECK(image_encode(im, "png", 0, NULL, &p, &n) == 0);
	CHECK(image_decode(&back, p, n, 0, 0, "back") == 0);
	CHECK(back.w == im->w && back.h == im->h && back.c == im->c && back.bits == im->bits);
	CHECK(memcmp(back.data, im->data, bytes_of(im)) == 0);
	free(p);
	image_release(&back);
}

static void
try(const uint8_t *data, size_t size)
{
	bool png = size > 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0;
	bool jpeg = size > 3 && memcmp(data, "\xff\xd8\xff", 3) == 0;
	int (*decode)(struct image *, const void *, size_t, enum decode_mode, const char *) =
	    png ? png_decode : jpeg_decode;
	struct image head = { 0 }, im = { 0 }, labels = { 0 };

	if (!png && !jpeg) {
		CHECK(image_decode(&im, data, size, 0, 0, "x") == -1 && !im.data);
		return;
	}
	if (decode(&head, data, size, DECODE_HEADER, "x")) {
		CHECK(!head.data && strncmp(errmsg(), "x: ", 3) == 0);
		CHECK(image_decode(&im, data, size, 0, 0, "x") == -1 && !im.data);
		return;
	}
	CHECK(!head.data);
	if ((int64_t)head.w * head.h > PIXELS)
		return;
	if (image_decode(&im, data, size, 0, 0, "x")) {
		CHECK(!im.data && strncmp(errmsg(), "x: ", 3) == 0);
		return;
	}
	CHECK(im.w == head.w && im.h == head.h && im.c == head.c && im.bits == head.bits);
	check_whole(&im);
	CHECK(decode(&labels, data, size, DECODE_LABELS, "x") == 0);
	CHECK(labels.w == im.w && labels.h == im.h && labels.bits == im.bits && labels.c <= im.c);
	check_whole(&labels);
	image_release(&im);
	image_release(&labels);
}

/* Sets the checksum of every chunk that is all there. */
static void
mend(uint8_t *p, size_t n)
{
	for (size_t at = 8; at + 12 <= n;) {
		size_t len = (size_t)p[at] << 24 | (size_t)p[at + 1] << 16 |
		    (size_t)p[at + 2] << 8 | p[at + 3];
		uint32_t crc;

		if (len > n - at - 12)
			return;
		crc = (uint32_t)crc32(0, p + at + 4, len + 4);
		for (int i = 0; i < 4; i++)
			p[at + 8 + len + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
		at += 12 + len;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try(data, size);
	if (size > 8 && data[0] == 0x89) {
		uint8_t *copy = xmalloc(size);

		memcpy(copy, data, size);
		mend(copy, size);
		try(copy, size);
		free(copy);
	}
	return 0;
}
