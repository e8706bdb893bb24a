#include "data/image_codec.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FILE_LIMIT = 1 << 30 }; /* bytes of a compressed image */

static size_t
pixel_size(const struct image *im)
{
	return (size_t)im->c * (size_t)(im->bits / 8);
}

static size_t
row_size(const struct image *im)
{
	return (size_t)im->w * pixel_size(im);
}

int
image_check_size(const char *name, uint64_t w, uint64_t h)
{
	if (!w || !h)
		return err("%s: has no pixels", name);
	if (w > IMAGE_MAX_SIDE || h > IMAGE_MAX_SIDE || w * h > IMAGE_MAX_PIXELS)
		return err("%s: %llu x %llu pixels are too many (at most %d a side, %d in all)",
		    name, (unsigned long long)w, (unsigned long long)h, IMAGE_MAX_SIDE,
		    IMAGE_MAX_PIXELS);
	return 0;
}

void
image_alloc(struct image *im, int w, int h, int c, int bits)
{
	if (image_check_size("image", w < 0 ? 0 : (uint64_t)w, h < 0 ? 0 : (uint64_t)h))
		die("%s", errmsg());
	if ((c != 1 && c != 3) || (bits != 8 && bits != 16))
		die("image of %d channels, %d bits", c, bits);
	*im = (struct image){ .w = w, .h = h, .c = c, .bits = bits };
	im->data = xcalloc((size_t)h, row_size(im));
}

void
image_release(struct image *im)
{
	free(im->data);
	*im = (struct image){ 0 };
}

void
image_copy(struct image *dst, const struct image *src)
{
	image_alloc(dst, src->w, src->h, src->c, src->bits);
	memcpy(dst->data, src->data, (size_t)src->h * row_size(src));
}

/* What a file is that is no image of ours, by its first bytes; NULL if that is not known. */
static const char *
other_format(const char *p, size_t n)
{
	static const struct {
		size_t at, len;
		const char *bytes, *name;
	} t[] = {
		{ 0, 4, "II*\0", "TIFF" },
		{ 0, 4, "MM\0*", "TIFF" },
		{ 0, 4, "II+\0", "TIFF" },
		{ 0, 4, "MM\0+", "TIFF" },
		{ 0, 4, "GIF8", "GIF" },
		{ 8, 4, "WEBP", "WebP" },
		{ 6, 4, "\0\0\0\0", "BMP" }, /* reserved, behind "BM" and a size */
		{ 128, 4, "DICM", "DICOM" },
		{ 4, 8, "jP  \r\n\x87\n", "JPEG 2000" },
		{ 0, 4, "\xff\x4f\xff\x51", "JPEG 2000" },
		{ 4, 8, "JXL \r\n\x87\n", "JPEG XL" },
		{ 4, 8, "ftypavif", "AVIF" },
		{ 4, 7, "ftyphei", "HEIF" },
		{ 4, 8, "ftypmif1", "HEIF" },
		{ 344, 3, "n+1", "NIfTI" },
		{ 0, 8, "\x89HDF\r\n\x1a\n", "HDF5" },
		{ 0, 6, "\x93NUMPY", "NPY" },
		{ 0, 5, "%PDF-", "PDF" },
		{ 0, 4, "PK\3\4", "zip" },
		{ 0, 3, "\x1f\x8b\x08", "gzip" },
		{ 0, 23, "version https://git-lfs", "a Git LFS pointer" },
		{ 0, 9, "<!DOCTYPE", "HTML" },
		{ 0, 5, "<html", "HTML" },
		{ 0, 4, "<svg", "SVG" },
		{ 0, 5, "\x89PNG\n", "PNG with its line ends changed, as by a transfer of text" },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		if (n >= t[i].at + t[i].len && memcmp(p + t[i].at, t[i].bytes, t[i].len) == 0 &&
		    (strcmp(t[i].name, "BMP") != 0 || memcmp(p, "BM", 2) == 0) &&
		    (strcmp(t[i].name, "WebP") != 0 || memcmp(p, "RIFF", 4) == 0))
			return t[i].name;
	return NULL;
}

static int
decode(struct image *im, const void *p, size_t n, enum decode_mode mode, const char *name)
{
	static const unsigned char png[8] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
	static const unsigned char jpeg[3] = { 0xff, 0xd8, 0xff };
	const char *other;

	*im = (struct image){ 0 };
	if (n >= sizeof(png) && memcmp(p, png, sizeof(png)) == 0)
		return png_decode(im, p, n, mode, name);
	if (n >= sizeof(jpeg) && memcmp(p, jpeg, sizeof(jpeg)) == 0)
		return jpeg_decode(im, p, n, mode, name);
	if (!n)
		return err("%s: is empty", name);
	other = other_format(p, n);
	return err("%s: is neither PNG nor JPEG%s%s", name, other ? ", but " : "",
	    other ? other : "");
}

static int
read_file(struct image *im, const char *path, enum decode_mode mode)
{
	char *p;
	size_t n;
	int r;

	*im = (struct image){ 0 };
	if (file_read_regular(path, FILE_LIMIT, &p, &n))
		return -1;
	r = decode(im, p, n, mode, path);
	free(p);
	return r;
}

int
image_decode(struct image *im, const void *p, size_t n, int c, int bits, const char *name)
{
	if (decode(im, p, n, DECODE_PIXELS, name))
		return -1;
	image_convert(im, c ? c : im->c, bits ? bits : im->bits);
	return 0;
}

int
image_read(struct image *im, const char *path, int c, int bits)
{
	if (read_file(im, path, DECODE_PIXELS))
		return -1;
	image_convert(im, c ? c : im->c, bits ? bits : im->bits);
	return 0;
}

int
image_read_labels(struct image *im, const char *path)
{
	return read_file(im, path, DECODE_LABELS);
}

int
image_header(struct image *im, const char *path)
{
	return read_file(im, path, DECODE_HEADER);
}

int
image_decode_labels(struct image *im, const void *p, size_t n, const char *name)
{
	return decode(im, p, n, DECODE_LABELS, name);
}

int
image_decode_header(struct image *im, const void *p, size_t n, const char *name)
{
	return decode(im, p, n, DECODE_HEADER, name);
}

int
image_encode(const struct image *im, const char *kind, int quality, const char *const *text,
    void **p, size_t *n)
{
	if (strcmp(kind, "png") == 0)
		return png_encode(im, text, p, n);
	if (strcmp(kind, "jpg") == 0)
		return jpeg_encode(im, quality, text, p, n);
	return err("images are written as png or jpg, not '%s'", kind);
}

bool
image_is_name(const char *name)
{
	const char *ext = path_ext(name);

	return name[0] != '.' && (strcasecmp(ext, ".png") == 0 || strcasecmp(ext, ".jpg") == 0 ||
	                             strcasecmp(ext, ".jpeg") == 0);
}

int
image_write(const struct image *im, const char *path, int quality, const char *const *text)
{
	const char *ext = path_ext(path), *kind;
	void *p;
	size_t n;
	int r;

	if (strcasecmp(ext, ".png") == 0)
		kind = "png";
	else if (strcasecmp(ext, ".jpg") == 0 || strcasecmp(ext, ".jpeg") == 0)
		kind = "jpg";
	else
		return err("%s: images are written as .png, .jpg or .jpeg", path);
	if (image_encode(im, kind, quality, text, &p, &n))
		return err_prefix("%s", path);
	r = file_write(path, p, n);
	free(p);
	return r;
}

/* 8 to 16 bits and back; n samples. */
static void *
convert_bits(const void *from, size_t n, int bits)
{
	void *to = xmalloc(n * (size_t)(bits / 8));

	if (bits == 16)
		for (size_t i = 0; i < n; i++)
			((uint16_t *)to)[i] = (uint16_t)(((const uint8_t *)from)[i] * 257);
	else
		for (size_t i = 0; i < n; i++)
			((uint8_t *)to)[i] = (uint8_t)((((const uint16_t *)from)[i] + 128) / 257);
	return to;
}

/* ITU-R 601-2 luma; 64 bits because 16-bit samples times 2^16 overflow 32. */
static uint64_t
luma(uint64_t r, uint64_t g, uint64_t b)
{
	return (19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16;
}

static void
rgb_to_gray(struct image *im, size_t n)
{
	uint8_t *p8 = im->data;
	uint16_t *p16 = im->data;

	/* in place: the reader is never behind the writer */
	if (im->bits == 8)
		for (size_t i = 0; i < n; i++)
			p8[i] = (uint8_t)luma(p8[3 * i], p8[3 * i + 1], p8[3 * i + 2]);
	else
		for (size_t i = 0; i < n; i++)
			p16[i] = (uint16_t)luma(p16[3 * i], p16[3 * i + 1], p16[3 * i + 2]);
	im->data = xrealloc(im->data, n * (size_t)(im->bits / 8));
}

static void
gray_to_rgb(struct image *im, size_t n)
{
	size_t size = (size_t)(im->bits / 8);
	char *to = xmalloc(3 * n * size);
	const char *from = im->data;

	for (size_t i = 0; i < 3 * n; i++)
		memcpy(to + i * size, from + i / 3 * size, size);
	free(im->data);
	im->data = to;
}

void
image_convert(struct image *im, int c, int bits)
{
	size_t n = (size_t)im->w * (size_t)im->h;

	if ((c != 1 && c != 3) || (bits != 8 && bits != 16))
		die("image of %d channels, %d bits", c, bits);
	if (c < im->c)
		rgb_to_gray(im, n);
	else if (c > im->c)
		gray_to_rgb(im, n);
	im->c = c;
	if (bits != im->bits) {
		void *data = convert_bits(im->data, n * (size_t)c, bits);

		free(im->data);
		im->data = data;
		im->bits = bits;
	}
}

void
image_crop(struct image *dst, const struct image *src, int x, int y, int w, int h)
{
	/* the part of [x, x+w) that lies in the source; in 64 bits, since x + w may overflow an
	 * int */
	int64_t x0 = x > 0 ? x : 0, x1 = (int64_t)x + w < src->w ? (int64_t)x + w : src->w;
	int64_t y0 = y > 0 ? y : 0, y1 = (int64_t)y + h < src->h ? (int64_t)y + h : src->h;

	image_alloc(dst, w, h, src->c, src->bits);
	for (int64_t at = y0; at < y1 && x0 < x1; at++)
		memcpy((char *)dst->data + (size_t)(at - y) * row_size(dst) +
		        (size_t)(x0 - x) * pixel_size(dst),
		    (const char *)src->data + (size_t)at * row_size(src) +
		        (size_t)x0 * pixel_size(src),
		    (size_t)(x1 - x0) * pixel_size(src));
}

void
image_flip(struct image *im, bool horizontal, bool vertical)
{
	struct image out;
	size_t size = pixel_size(im);

	if (!horizontal && !vertical)
		return;
	image_alloc(&out, im->w, im->h, im->c, im->bits);
	for (int y = 0; y < im->h; y++) {
		const char *from = (const char *)im->data +
		    (size_t)(vertical ? im->h - 1 - y : y) * row_size(im);
		char *to = (char *)out.data + (size_t)y * row_size(im);

		if (!horizontal)
			memcpy(to, from, row_size(im));
		else
			for (int x = 0; x < im->w; x++)
				memcpy(to + (size_t)x * size, from + (size_t)(im->w - 1 - x) * size,
				    size);
	}
	image_release(im);
	*im = out;
}

void
image_rotate90(struct image *im, int turns)
{
	struct image out;
	size_t size = pixel_size(im);

	turns = ((turns % 4) + 4) % 4;
	if (turns == 2)
		image_flip(im, true, true);
	if (turns % 2 == 0)
		return;
	image_alloc(&out, im->h, im->w, im->c, im->bits);
	for (int y = 0; y < out.h; y++) {
		/* one turn anticlockwise: the right column becomes the top row, read downwards */
		int x = turns == 1 ? im->w - 1 - y : y;

		for (int i = 0; i < out.w; i++) {
			int from = turns == 1 ? i : im->h - 1 - i;

			memcpy((char *)out.data + ((size_t)y * (size_t)out.w + (size_t)i) * size,
			    (const char *)im->data + (size_t)from * row_size(im) + (size_t)x * size,
			    size);
		}
	}
	image_release(im);
	*im = out;
}
