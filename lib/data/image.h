/*
 * Images in memory and on disk: PNG by libpng, JPEG by libjpeg-turbo. 8 or 16 bits, 1 (gray) or 3
 * (RGB) channels, rows from the top, pixels interleaved, 16-bit samples in host order.
 *
 *	struct image im = { 0 };
 *	if (image_read(&im, path, 0, 0)) return -1;
 *	...
 *	image_release(&im);
 */
#ifndef DATA_IMAGE_H
#define DATA_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image {
	int w, h;      /* pixels */
	int c;         /* 1 gray, 3 RGB */
	int bits;      /* 8 or 16 */
	void *data;    /* [h][w][c] uint8_t or uint16_t; owned */
};

enum { IMAGE_MAX_SIDE = 65535, IMAGE_MAX_PIXELS = 1 << 28 };

/* Reads a PNG or JPEG, told apart by content. Wanted channels c (0: as stored; alpha is dropped,
 * palettes and CMYK become RGB) and bits (0: as stored, sub-byte grays widened). An orientation in
 * EXIF is not applied: pixels come as they are stored. A truncated or damaged file is an error:
 * nothing half-read is returned. 0, or -1 with "path: why". */
int image_read(struct image *, const char *path, int c, int bits);
/* The same from memory; name is for messages. */
int image_decode(struct image *, const void *p, size_t n, int c, int bits, const char *name);
/* A mask's own numbers: palette PNGs give their indices, gray ones their gray (1, 2, 4 bits not
 * widened), RGB as it is. */
int image_read_labels(struct image *, const char *path);
/* Only size, channels and bits; data stays NULL. */
int image_header(struct image *, const char *path);
/* Both from memory. */
int image_decode_labels(struct image *, const void *p, size_t n, const char *name);
int image_decode_header(struct image *, const void *p, size_t n, const char *name);

/* Writes by the extension of path (.png, .jpg, .jpeg), atomically. quality 1..100 is for JPEG.
 * text: pairs key, value for PNG text chunks, NULL-terminated, or NULL. */
int image_write(const struct image *, const char *path, int quality, const char *const *text);
/* Encodes into memory (caller frees *p). kind "png" or "jpg". */
int image_encode(const struct image *, const char *kind, int quality, const char *const *text,
    void **p, size_t *n);

/* Is a file of this name an image's? It ends in .png, .jpg or .jpeg, upper case too, and is not
 * hidden. */
bool image_is_name(const char *name);

void image_alloc(struct image *, int w, int h, int c, int bits); /* zeroed */
void image_release(struct image *);
void image_copy(struct image *dst, const struct image *src);
/* Gray to RGB (replicated), RGB to gray (ITU-R 601-2 luma as PIL: (19595 R + 38470 G + 7471 B +
 * 0x8000) >> 16), 8 to 16 bits (x 257) and back (rounded). In place. */
void image_convert(struct image *, int c, int bits);
/* Part of an image; what lies outside is 0. */
void image_crop(struct image *dst, const struct image *src, int x, int y, int w, int h);

/* Resampling as Pillow's (antialiased: the filter is widened when shrinking; 8-bit results rounded
 * between the passes), so that results are equal to PIL.Image.resize of the same image. */
enum image_filter { FILTER_NEAREST, FILTER_BOX, FILTER_BILINEAR, FILTER_HAMMING, FILTER_BICUBIC,
	FILTER_LANCZOS };
#define IMAGE_FILTERS "nearest|box|bilinear|hamming|bicubic|lanczos"
void image_resize(struct image *dst, const struct image *src, int w, int h, enum image_filter);
/* Planar f32, [c][h][w] to [c][oh][ow]: torch's F.interpolate(mode="bilinear", align_corners=False)
 * with antialias off (2 x 2 taps whatever the scale) or on (the triangle is widened when
 * shrinking), computed in f32 as there: a field of ones may come back as 1 - 2^-24, so round before
 * comparing with 1. dst is not src. Sizes are from 1 to IMAGE_MAX_SIDE; other sizes: -1. */
int image_resize_f32(float *dst, const float *src, int c, int h, int w, int oh, int ow,
    bool antialias);
/* The same planes by Pillow's filters, as PIL.Image.resize of mode F: f32 between the passes, no
 * clipping. Not for FILTER_NEAREST (-1). */
int image_filter_f32(float *dst, const float *src, int c, int h, int w, int oh, int ow,
    enum image_filter);
/* Filled shapes whose corners are included, clipped, on an 8-bit image; colour has c samples. The
 * pixels are those of Pillow's ImageDraw (so an ellipse in a box of one pixel draws nothing). An
 * ellipse is at most IMAGE_MAX_SHAPE + 1 wide and high. */
enum { IMAGE_MAX_SHAPE = 32767 };
void image_rectangle(struct image *, int x0, int y0, int x1, int y1, const uint8_t *colour);
void image_ellipse(struct image *, int x0, int y0, int x1, int y1, const uint8_t *colour);
/* Quarter turns anticlockwise (1..3) and mirror, in place. */
void image_rotate90(struct image *, int turns);
void image_flip(struct image *, bool horizontal, bool vertical);

#endif
