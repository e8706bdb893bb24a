#include "data/sheet.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

enum {
	GAP = 3,       /* pixels between pictures and around the sheet */
	LETTER_W = 6,  /* a letter and the space after it */
	LETTER_H = 7,
	LINE = LETTER_H + GAP
};

/* ASCII 32..126: seven rows of five pixels, the top row in the highest bits. */
static const uint64_t font[95] = {
	0x000000000, 0x108421004, 0x294000000, 0x295f57d4a, 0x11f4717c4, 0x672222273, 0x32544564d,
	0x108000000, 0x088842082, 0x208210888, 0x009575480, 0x0084f9080, 0x000001888, 0x000070000,
	0x0000000c6, 0x042222210, 0x3a33ae62e, 0x11842108e, 0x3a213221f, 0x3a213062e, 0x08ca97c42,
	0x7e1e0862e, 0x3a10f462e, 0x7c2211084, 0x3a317462e, 0x3a317842e, 0x00c6018c0, 0x00c601888,
	0x088882082, 0x001f07c00, 0x208208888, 0x3a2131004, 0x3a37ade0f, 0x3a31fc631, 0x7a31f463e,
	0x3a308422e, 0x7a318c63e, 0x7e10f421f, 0x7e10f4210, 0x3a30bc62f, 0x4631fc631, 0x38842108e,
	0x1c4210a4c, 0x4654c5251, 0x42108421f, 0x4775ac631, 0x4739ace71, 0x3a318c62e, 0x7a31f4210,
	0x3a318d64d, 0x7a31f5251, 0x3a307062e, 0x7c8421084, 0x46318c62e, 0x46318a944, 0x4631ad771,
	0x462a22a31, 0x462a21084, 0x7c222221f, 0x39084210e, 0x420820821, 0x38421084e, 0x115100000,
	0x00000001f, 0x208000000, 0x000e0be2f, 0x421e8c63e, 0x000e8c22e, 0x042f8c62f, 0x000e8fe0e,
	0x191e42108, 0x000f8bc2e, 0x421e8c631, 0x100c2108e, 0x080610a4c, 0x4212a6292, 0x30842108e,
	0x001aad6b5, 0x001e8c631, 0x000e8c62e, 0x001e8fa10, 0x000f8bc21, 0x0016cc210, 0x000f8383e,
	0x211e42126, 0x00118c66d, 0x00118c544, 0x0011ad6aa, 0x001151151, 0x00118bc2e, 0x001f1111f,
	0x190882106, 0x108421084, 0x30420884c, 0x0008a8800,
};

static const uint8_t ink[3] = { 0, 0, 0 }, frame[3] = { 160, 160, 160 };

void
sheet_init(struct sheet *s, int columns, int cell, const char *const *head)
{
	if (columns < 1 || columns > SHEET_MAX_COLUMNS || cell < 1 || cell > IMAGE_MAX_SIDE)
		die("sheet: %d columns of %d pixels", columns, cell);
	*s = (struct sheet){ .columns = columns, .cell = cell };
	if (!head)
		return;
	s->head = xcalloc((size_t)columns, sizeof(*s->head));
	for (int i = 0; i < columns; i++)
		s->head[i] = xstrdup(head[i]);
}

/* src as 8-bit RGB, its longer side as long as the cell: small pictures are made of larger pixels,
 * large ones are averaged. */
static void
fit(struct image *dst, const struct image *src, int cell)
{
	int longer = src->w > src->h ? src->w : src->h;
	int w = (int)(((int64_t)src->w * cell + longer / 2) / longer);
	int h = (int)(((int64_t)src->h * cell + longer / 2) / longer);
	struct image rgb = { 0 };

	image_copy(&rgb, src);
	image_convert(&rgb, 3, 8);
	image_resize(dst, &rgb, w ? w : 1, h ? h : 1, longer < cell ? FILTER_NEAREST : FILTER_BOX);
	image_release(&rgb);
}

void
sheet_add(struct sheet *s, const struct image *const *pic, const char *caption)
{
	size_t n = (size_t)s->columns, had = s->cap;

	s->caption = xgrow(s->caption, &s->cap, s->rows + 1, sizeof(*s->caption));
	if (s->cap != had)
		s->pic = xrealloc(s->pic, s->cap * n * sizeof(*s->pic));
	s->caption[s->rows] = caption ? xstrdup(caption) : NULL;
	for (size_t i = 0; i < n; i++) {
		struct image *im = &s->pic[s->rows * n + i];

		*im = (struct image){ 0 };
		if (pic[i])
			fit(im, pic[i], s->cell);
	}
	s->rows++;
}

static void
dot(struct image *im, int x, int y, const uint8_t rgb[3])
{
	if (x >= 0 && x < im->w && y >= 0 && y < im->h)
		memcpy((uint8_t *)im->data + ((size_t)y * (size_t)im->w + (size_t)x) * 3, rgb, 3);
}

void
sheet_text(struct image *im, int x, int y, const char *text, const uint8_t rgb[3])
{
	for (; *text && x < im->w; text++, x += LETTER_W) {
		unsigned char c = (unsigned char)*text;
		uint64_t bits = font[(c >= 32 && c < 127 ? c : '?') - 32];

		for (int i = 0; i < 5 * LETTER_H; i++)
			if (bits >> (5 * LETTER_H - 1 - i) & 1)
				dot(im, x + i % 5, y + i / 5, rgb);
	}
}

/* Text that ends where the room does; a cut one ends in a dot. */
static void
text_in(struct image *im, int x, int y, int room, const char *text)
{
	size_t fits = (size_t)(room / LETTER_W), n = strlen(text);
	char *s = xstrndup(text, n < fits ? n : fits);

	if (n > fits && fits)
		s[fits - 1] = '.';
	sheet_text(im, x, y, s, ink);
	free(s);
}

/* The picture in the middle of its cell with a thin line around it. */
static void
place(struct image *sheet, const struct image *pic, int x, int y, int cell)
{
	x += (cell - pic->w) / 2;
	y += (cell - pic->h) / 2;
	for (int i = -1; i <= pic->w; i++) {
		dot(sheet, x + i, y - 1, frame);
		dot(sheet, x + i, y + pic->h, frame);
	}
	for (int i = -1; i <= pic->h; i++) {
		dot(sheet, x - 1, y + i, frame);
		dot(sheet, x + pic->w, y + i, frame);
	}
	for (int i = 0; i < pic->h; i++)
		memcpy(
		    (uint8_t *)sheet->data + ((size_t)(y + i) * (size_t)sheet->w + (size_t)x) * 3,
		    (uint8_t *)pic->data + (size_t)i * (size_t)pic->w * 3, (size_t)pic->w * 3);
}

static bool
has_captions(const struct sheet *s)
{
	for (size_t i = 0; i < s->rows; i++)
		if (s->caption[i])
			return true;
	return false;
}

int
sheet_write(const struct sheet *s, const char *path, int across, const char *const *text)
{
	size_t side = across > 1 ? (size_t)across : 1, down;
	int pitch = s->cell + GAP, top = GAP + (s->head ? LINE : 0);
	int row_h = pitch + (has_captions(s) ? LINE : 0), block_w = s->columns * pitch + 4 * GAP;
	struct image im = { 0 };
	int rc;

	if (!s->rows)
		return err("%s: no picture to put on the sheet", path);
	if (side > s->rows)
		side = s->rows;
	down = (s->rows + side - 1) / side;
	if (side * (size_t)block_w > IMAGE_MAX_SIDE ||
	    down * (size_t)row_h + (size_t)top > IMAGE_MAX_SIDE ||
	    side * (size_t)block_w * (down * (size_t)row_h + (size_t)top) >
	        IMAGE_MAX_PIXELS)
		return err("%s: %zu rows make too large a sheet", path, s->rows);
	image_alloc(&im, (int)side * block_w - 3 * GAP, (int)down * row_h + top, 3, 8);
	memset(im.data, 255, (size_t)im.w * (size_t)im.h * 3);
	for (size_t b = 0; s->head && b < side; b++)
		for (int c = 0; c < s->columns; c++)
			text_in(&im, (int)b * block_w + GAP + c * pitch, GAP, s->cell, s->head[c]);
	for (size_t r = 0; r < s->rows; r++) {
		int x = (int)(r % side) * block_w + GAP, y = (int)(r / side) * row_h + top;

		for (int c = 0; c < s->columns; c++) {
			const struct image *p = &s->pic[r * (size_t)s->columns + (size_t)c];

			if (p->data)
				place(&im, p, x + c * pitch, y, s->cell);
		}
		if (s->caption[r])
			text_in(&im, x, y + pitch, s->columns * pitch, s->caption[r]);
	}
	rc = image_write(&im, path, 90, text);
	image_release(&im);
	return rc;
}

void
sheet_release(struct sheet *s)
{
	for (size_t i = 0; i < s->rows * (size_t)s->columns; i++)
		image_release(&s->pic[i]);
	for (size_t i = 0; i < s->rows; i++)
		free(s->caption[i]);
	for (int i = 0; s->head && i < s->columns; i++)
		free(s->head[i]);
	free(s->pic);
	free(s->caption);
	free(s->head);
	*s = (struct sheet){ 0 };
}

void
sheet_mask(struct image *dst, const struct image *labels, bool binary)
{
	/* black, then hues far from their neighbours and from black */
	static const uint8_t colour[12][3] = { { 0, 0, 0 }, { 230, 70, 60 }, { 70, 170, 240 },
		{ 250, 200, 50 }, { 90, 190, 90 }, { 180, 100, 220 }, { 240, 140, 40 },
		{ 60, 210, 200 }, { 240, 120, 180 }, { 150, 110, 70 }, { 170, 200, 60 },
		{ 150, 150, 160 } };
	size_t n = (size_t)labels->w * (size_t)labels->h;
	const uint8_t *p = labels->data;

	if (labels->c != 1 || labels->bits != 8)
		die("sheet_mask: %d channels of %d bits", labels->c, labels->bits);
	image_alloc(dst, labels->w, labels->h, 3, 8);
	for (size_t i = 0; i < n; i++) {
		uint8_t *q = (uint8_t *)dst->data + i * 3;

		if (binary)
			memset(q, p[i] ? 255 : 0, 3);
		else /* 0 is black; the other colours come again and again */
			memcpy(q, colour[p[i] ? 1 + (p[i] - 1) % 11 : 0], 3);
	}
}
