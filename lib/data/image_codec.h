/* The codecs behind image.h; used by lib/data/image*.c only. */
#ifndef DATA_IMAGE_CODEC_H
#define DATA_IMAGE_CODEC_H

#include "data/image.h"

/* What a decoder is asked for. */
enum decode_mode {
	DECODE_PIXELS, /* palettes to RGB, sub-byte grays widened */
	DECODE_LABELS, /* palette indices and grays as they are stored */
	DECODE_HEADER  /* width, height, channels and bits only */
};

/* Whether a size that a file claims is one we take; -1 with "name: why" if not. */
int image_check_size(const char *name, uint64_t w, uint64_t h);

/* Both fill *im (zeroed by the caller), or return -1 with "name: why" and *im still empty. */
int png_decode(struct image *im, const void *p, size_t n, enum decode_mode, const char *name);
int jpeg_decode(struct image *im, const void *p, size_t n, enum decode_mode, const char *name);
/* Both give a buffer that the caller frees. text as in image_write(). */
int png_encode(const struct image *, const char *const *text, void **p, size_t *n);
int jpeg_encode(const struct image *, int quality, const char *const *text, void **p, size_t *n);

#endif
