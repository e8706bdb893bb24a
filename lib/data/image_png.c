#include "data/image_codec.h"

#include "base/err.h"
#include "base/mem.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
    "16-bit samples are swapped to host order");

/* All that lives across a longjmp is here, on the frame of the function that set the jump's run
 * up, so that no local variable is clobbered. */
struct job {
	png_structp png;
	png_infop info;
	jmp_buf jump;
	const char *name;
	char warned[128]; /* libpng's last warning */
	/* reading */
	const unsigned char *p;
	size_t n, at;
	enum decode_mode mode;
	struct image *im;
	/* writing */
	const struct image *from;
	const char *const *text;
	struct sb out;
};

static void
on_error(png_structp png, png_const_charp why)
{
	struct job *j = png_get_error_ptr(png);

	/* what is wrong with the header is only in the warning before */
	if (strcmp(why, "Invalid IHDR data") == 0 && j->warned[0])
		why = j->warned;
	if (j->name)
		err("%s: damaged PNG: %s", j->name, why);
	else
		err("PNG: %s", why);
	longjmp(j->jump, 1);
}

/* Most warnings are about chunks that do not matter here. A wrong checksum over the pixels, which
 * zlib words so, does. */
static void
on_warning(png_structp png, png_const_charp why)
{
	struct job *j = png_get_error_ptr(png);

	if (strstr(why, "incorrect data check"))
		on_error(png, why);
	snprintf(j->warned, sizeof(j->warned), "%s", why);
}

/* Runs a step that may longjmp: 0, or -1 with its message. */
static int
attempt(struct job *j, void (*step)(struct job *))
{
	if (setjmp(j->jump))
		return -1;
	step(j);
	return 0;
}

static void
read_bytes(png_structp png, png_bytep to, size_t n)
{
	struct job *j = png_get_io_ptr(png);

	if (n > j->n - j->at)
		png_error(png, "truncated");
	memcpy(to, j->p + j->at, n);
	j->at += n;
}

static void
read_header(struct job *j)
{
	png_set_read_fn(j->png, j, read_bytes);
	png_set_crc_action(j->png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
	/* image_check_size says what is too large, before anything is allocated */
	png_set_user_limits(j->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
	/* profiles, texts and the like are not looked into: what is odd in them does no harm */
	png_set_keep_unknown_chunks(j->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
	png_read_info(j->png, j->info);
}

/* Channels and bits as they will come out; asks libpng for the conversions they need. */
static void
plan(struct job *j)
{
	int type = png_get_color_type(j->png, j->info), depth = png_get_bit_depth(j->png, j->info);

	if (j->mode == DECODE_LABELS)
		png_set_packing(j->png);
	else if (type == PNG_COLOR_TYPE_PALETTE)
		png_set_palette_to_rgb(j->png);
	else if (depth < 8)
		png_set_expand_gray_1_2_4_to_8(j->png);
	png_set_strip_alpha(j->png);
	png_set_swap(j->png);
	j->im->c = type == PNG_COLOR_TYPE_PALETTE ? (j->mode == DECODE_LABELS ? 1 : 3) :
	    type & PNG_COLOR_MASK_COLOR           ? 3 :
	                                            1;
	j->im->bits = depth == 16 ? 16 : 8;
}

static void
read_pixels(struct job *j)
{
	struct image *im = j->im;
	size_t row = (size_t)im->w * (size_t)im->c * (size_t)(im->bits / 8);
	int passes = png_set_interlace_handling(j->png);

	png_read_update_info(j->png, j->info);
	if (png_get_rowbytes(j->png, j->info) != row)
		png_error(j->png, "unexpected row size");
	for (int pass = 0; pass < passes; pass++)
		for (int y = 0; y < im->h; y++)
			png_read_row(j->png, (png_bytep)im->data + (size_t)y * row, NULL);
	png_read_end(j->png, NULL);
}

static int
decode(struct job *j)
{
	struct image *im = j->im;
	uint64_t w, h, stored;

	if (attempt(j, read_header))
		return -1;
	w = png_get_image_width(j->png, j->info);
	h = png_get_image_height(j->png, j->info);
	if (image_check_size(j->name, w, h))
		return -1;
	im->w = (int)w;
	im->h = (int)h;
	if (attempt(j, plan))
		return -1;
	if (j->mode == DECODE_HEADER)
		return 0;
	/* deflate packs at most 1032 bytes into one: a short file that claims more is not whole */
	stored = (png_get_rowbytes(j->png, j->info) + 1) * h;
	if (stored / 1032 > j->n)
		return err("%s: damaged PNG: truncated", j->name);
	image_alloc(im, im->w, im->h, im->c, im->bits);
	return attempt(j, read_pixels);
}

int
png_decode(struct image *im, const void *p, size_t n, enum decode_mode mode, const char *name)
{
	struct job j = { .name = name, .p = p, .n = n, .mode = mode, .im = im };
	int r = -1;

	j.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &j, on_error, on_warning);
	j.info = j.png ? png_create_info_struct(j.png) : NULL;
	if (!j.info)
		die("out of memory (libpng)");
	r = decode(&j);
	png_destroy_read_struct(&j.png, &j.info, NULL);
	if (r)
		image_release(im);
	return r;
}

static void
write_bytes(png_structp png, png_bytep p, size_t n)
{
	struct job *j = png_get_io_ptr(png);

	sb_put(&j->out, p, n);
}

static void
flush_nothing(png_structp png)
{
	(void)png;
}

static bool
is_ascii(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

/* Values of plain ASCII go into tEXt, which everybody reads; others, and XMP by its own rule, into
 * iTXt, which is UTF-8. */
static void
put_text(struct job *j)
{
	for (const char *const *t = j->text; t && t[0]; t += 2) {
		bool utf8 = !is_ascii(t[1]) || strncmp(t[0], "XML:", 4) == 0;
		/* only read */
		char *key = (char *)(uintptr_t)t[0], *value = (char *)(uintptr_t)t[1];
		png_text text = {
			.compression = utf8 ? PNG_ITXT_COMPRESSION_NONE : PNG_TEXT_COMPRESSION_NONE,
			.key = key, .text = value,
			.text_length = utf8 ? 0 : strlen(value),
			.itxt_length = utf8 ? strlen(value) : 0,
		};

		png_set_text(j->png, j->info, &text, 1);
	}
}

static void
write_all(struct job *j)
{
	const struct image *im = j->from;
	size_t row = (size_t)im->w * (size_t)im->c * (size_t)(im->bits / 8);

	png_set_write_fn(j->png, j, write_bytes, flush_nothing);
	png_set_IHDR(j->png, j->info, (png_uint_32)im->w, (png_uint_32)im->h, im->bits,
	    im->c == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
	    PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	put_text(j);
	png_write_info(j->png, j->info);
	if (im->bits == 16)
		png_set_swap(j->png);
	for (int y = 0; y < im->h; y++)
		png_write_row(j->png, (png_const_bytep)im->data + (size_t)y * row);
	png_write_end(j->png, NULL);
}

int
png_encode(const struct image *im, const char *const *text, void **p, size_t *n)
{
	struct job j = { .from = im, .text = text };
	int r;

	j.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &j, on_error, on_warning);
	j.info = j.png ? png_create_info_struct(j.png) : NULL;
	if (!j.info)
		die("out of memory (libpng)");
	r = attempt(&j, write_all);
	png_destroy_write_struct(&j.png, &j.info);
	if (r) {
		sb_release(&j.out);
		return -1;
	}
	*p = j.out.s;
	*n = j.out.len;
	return 0;
}
