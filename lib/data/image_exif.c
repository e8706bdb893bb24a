/* CIPA DC-008 (EXIF 2.3): an APP1 segment "Exif\0\0", then a TIFF header whose first directory may
 * have tag 0x0112. */
#include "data/image_exif.h"

#include <stdio.h>
#include <string.h>

enum { HEAD = 1 << 17, ORIENTATION = 0x0112, SHORT = 3 };

struct bytes {
	const uint8_t *p;
	size_t n;
	bool little;
};

/* A number of `size` bytes at `at`; 0 where there are none. */
static uint32_t
number(const struct bytes *b, size_t at, size_t size)
{
	uint32_t v = 0;

	if (at > b->n || b->n - at < size)
		return 0;
	for (size_t i = 0; i < size; i++)
		v = v << 8 | b->p[at + (b->little ? size - 1 - i : i)];
	return v;
}

static int
orientation_of_tiff(struct bytes b)
{
	uint32_t at, count;

	if (b.n < 8)
		return 1;
	b.little = b.p[0] == 'I';
	at = number(&b, 4, 4);
	count = number(&b, at, 2);
	for (uint32_t i = 0; i < count; i++) {
		size_t entry = (size_t)at + 2 + 12 * (size_t)i;
		uint32_t v = number(&b, entry + 8, 2);

		if (number(&b, entry, 2) == ORIENTATION && number(&b, entry + 2, 2) == SHORT)
			return v >= 1 && v <= 8 ? (int)v : 1;
	}
	return 1;
}

int
image_orientation_of(const void *p, size_t n)
{
	const struct bytes b = { p, n, false };
	size_t at = 2;

	if (n < 4 || b.p[0] != 0xFF || b.p[1] != 0xD8)
		return 1;
	/* segments up to the scan */
	while (at + 4 <= n && b.p[at] == 0xFF && b.p[at + 1] != 0xDA) {
		size_t len = number(&b, at + 2, 2);

		if (len < 2 || at + 2 + len > n)
			return 1;
		if (b.p[at + 1] == 0xE1 && len > 8 && memcmp(b.p + at + 4, "Exif\0", 6) == 0)
			return orientation_of_tiff((struct bytes){ b.p + at + 10, len - 8, false });
		at += 2 + len;
	}
	return 1;
}

int
image_orientation(const char *path)
{
	static _Thread_local uint8_t head[HEAD];
	FILE *fp = fopen(path, "rb");
	size_t n;

	if (!fp)
		return 1;
	n = fread(head, 1, sizeof(head), fp);
	fclose(fp);
	return image_orientation_of(head, n);
}

void
image_upright(struct image *im, int orientation)
{
	/* quarter turns anticlockwise, then mirrors */
	static const struct {
		int turns;
		bool horizontal, vertical;
	} how[9] = { [2] = { 0, true, false }, [3] = { 2, false, false }, [4] = { 0, false, true },
		[5] = { 3, true, false }, [6] = { 3, false, false }, [7] = { 1, true, false },
		[8] = { 1, false, false } };

	if (orientation < 2 || orientation > 8)
		return;
	if (how[orientation].turns)
		image_rotate90(im, how[orientation].turns);
	image_flip(im, how[orientation].horizontal, how[orientation].vertical);
}
