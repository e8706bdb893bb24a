#include "data/image_codec.h"

#include "base/err.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

/* A progressive file may hold any number of scans, each of which costs the whole image's time. */
enum { MAX_SCANS = 500 };

/* As in image_png.c: what must outlive a longjmp stands here. */
struct job {
	struct jpeg_error_mgr errors;
	struct jpeg_progress_mgr progress;
	jmp_buf jump;
	const char *name;
	/* reading */
	struct jpeg_decompress_struct in;
	const unsigned char *p;
	size_t n;
	struct image *im;
	bool scanning;      /* the header is behind us */
	unsigned char *row; /* of a CMYK image */
	/* writing */
	struct jpeg_compress_struct out;
	const struct image *from;
	int quality;
	const char *const *text;
	struct jpeg_destination_mgr dest;
	unsigned char chunk[4096];
	struct sb bytes;
};

static _Noreturn void
fail(struct job *j, const char *why)
{
	if (j->name && strncmp(why, "Unsupported", 11) == 0)
		err("%s: a JPEG of a kind that is not read: %s", j->name, why);
	else if (j->name)
		err("%s: damaged JPEG: %s", j->name, why);
	else
		err("JPEG: %s", why);
	longjmp(j->jump, 1);
}

static void
on_error(j_common_ptr c)
{
	char why[JMSG_LENGTH_MAX];

	c->err->format_message(c, why);
	fail(c->client_data, why);
}

/* libjpeg invents pixels where the file is damaged and calls it a warning. Two warnings are only
 * about versions, and what stands between the segments before the first scan is passed over; the
 * rest mean that the pixels are not those that were written. */
static void
on_message(j_common_ptr c, int level)
{
	struct job *j = c->client_data;

	if (c->err->msg_code == JWRN_EXTRANEOUS_DATA && !j->scanning)
		return;
	if (level < 0 && c->err->msg_code != JWRN_JFIF_MAJOR &&
	    c->err->msg_code != JWRN_ADOBE_XFORM)
		on_error(c);
}

static void
on_progress(j_common_ptr c)
{
	if (((j_decompress_ptr)c)->input_scan_number > MAX_SCANS)
		fail(c->client_data, "too many scans");
}

static int
attempt(struct job *j, void (*step)(struct job *))
{
	if (setjmp(j->jump))
		return -1;
	step(j);
	return 0;
}

static void
read_header(struct job *j)
{
	jpeg_create_decompress(&j->in);
	j->progress.progress_monitor = on_progress;
	j->in.progress = &j->progress;
	jpeg_mem_src(&j->in, j->p, (unsigned long)j->n);
	jpeg_read_header(&j->in, TRUE);
	if (j->in.jpeg_color_space == JCS_GRAYSCALE)
		j->in.out_color_space = JCS_GRAYSCALE;
	else if (j->in.jpeg_color_space == JCS_CMYK || j->in.jpeg_color_space == JCS_YCCK)
		j->in.out_color_space = JCS_CMYK;
	else
		j->in.out_color_space = JCS_RGB;
}

/* a * b / 255, rounded. */
static int
scale255(int a, int b)
{
	int t = a * b + 128;

	return ((t >> 8) + t) >> 8;
}

/* CMYK files hold 255 - ink (Adobe's way, which all follow). n pixels of 4 to n of 3. */
static void
cmyk_to_rgb(uint8_t *to, const uint8_t *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (int c = 0; c < 3; c++)
			to[3 * i + (size_t)c] =
			    (uint8_t)(from[4 * i + 3] - scale255(255 - from[4 * i + (size_t)c],
			                                    from[4 * i + 3]));
}

static void
read_pixels(struct job *j)
{
	struct image *im = j->im;
	size_t row = (size_t)im->w * (size_t)im->c;

	j->scanning = true;
	jpeg_start_decompress(&j->in);
	if (j->in.output_width != (unsigned)im->w || j->in.output_height != (unsigned)im->h ||
	    j->in.output_components != (j->row ? 4 : im->c))
		fail(j, "unexpected output size");
	while (j->in.output_scanline < j->in.output_height) {
		JSAMPROW to = (unsigned char *)im->data + j->in.output_scanline * row;
		JSAMPROW line = j->row ? j->row : to;

		jpeg_read_scanlines(&j->in, &line, 1);
		if (j->row)
			cmyk_to_rgb(to, j->row, (size_t)im->w);
	}
	jpeg_finish_decompress(&j->in);
}

static int
decode(struct job *j, enum decode_mode mode)
{
	struct image *im = j->im;
	uint64_t blocks;
	int c;

	if (attempt(j, read_header))
		return -1;
	if (image_check_size(j->name, j->in.image_width, j->in.image_height))
		return -1;
	c = j->in.out_color_space == JCS_GRAYSCALE ? 1 : 3;
	if (mode == DECODE_HEADER) {
		*im = (struct image){ .w = (int)j->in.image_width, .h = (int)j->in.image_height,
			.c = c, .bits = 8 };
		return 0;
	}
	/* a Huffman code has a bit at least: a short file that claims more blocks of 8 x 8 is not
	 * whole */
	blocks = ((uint64_t)j->in.image_width + 7) / 8 * (((uint64_t)j->in.image_height + 7) / 8);
	if (!j->in.arith_code && blocks / 8 > j->n)
		return err("%s: damaged JPEG: truncated", j->name);
	image_alloc(im, (int)j->in.image_width, (int)j->in.image_height, c, 8);
	if (j->in.out_color_space == JCS_CMYK)
		j->row = xmalloc((size_t)im->w * 4);
	return attempt(j, read_pixels);
}

int
jpeg_decode(struct image *im, const void *p, size_t n, enum decode_mode mode, const char *name)
{
	struct job j = { .name = name, .p = p, .n = n, .im = im };
	int r;

	j.in.err = jpeg_std_error(&j.errors);
	j.in.client_data = &j;
	j.errors.error_exit = on_error;
	j.errors.emit_message = on_message;
	r = decode(&j, mode);
	jpeg_destroy_decompress(&j.in);
	free(j.row);
	if (r)
		image_release(im);
	return r;
}

/* XMP has a marker of its own, the rest become comments "key: value". */
static void
put_text(struct job *j)
{
	static const char xmp[] = "http://ns.adobe.com/xap/1.0/"; /* with its NUL */
	enum { MARKER_MAX = 65533 };

	for (const char *const *t = j->text; t && t[0]; t += 2) {
		bool is_xmp = strcmp(t[0], "XML:com.adobe.xmp") == 0;
		size_t head = is_xmp ? sizeof(xmp) : strlen(t[0]) + 2, body = strlen(t[1]);
		const char *start = is_xmp ? xmp : t[0];

		if (head > MARKER_MAX || body > MARKER_MAX - head)
			fail(j, "text of more than 65533 bytes");
		jpeg_write_m_header(&j->out, is_xmp ? JPEG_APP0 + 1 : JPEG_COM,
		    (unsigned)(head + body));
		for (size_t i = 0; i < (is_xmp ? head : head - 2); i++)
			jpeg_write_m_byte(&j->out, start[i]);
		for (size_t i = 0; !is_xmp && i < 2; i++)
			jpeg_write_m_byte(&j->out, ": "[i]);
		for (size_t i = 0; i < body; i++)
			jpeg_write_m_byte(&j->out, t[1][i]);
	}
}

static void
dest_start(j_compress_ptr c)
{
	struct job *j = c->client_data;

	j->dest.next_output_byte = j->chunk;
	j->dest.free_in_buffer = sizeof(j->chunk);
}

static boolean
dest_full(j_compress_ptr c)
{
	struct job *j = c->client_data;

	sb_put(&j->bytes, j->chunk, sizeof(j->chunk));
	dest_start(c);
	return TRUE;
}

static void
dest_end(j_compress_ptr c)
{
	struct job *j = c->client_data;

	sb_put(&j->bytes, j->chunk, sizeof(j->chunk) - j->dest.free_in_buffer);
}

static void
write_all(struct job *j)
{
	const struct image *im = j->from;
	size_t row = (size_t)im->w * (size_t)im->c;

	if (im->bits != 8)
		fail(j, "cannot hold 16 bits");
	jpeg_create_compress(&j->out);
	j->dest.init_destination = dest_start;
	j->dest.empty_output_buffer = dest_full;
	j->dest.term_destination = dest_end;
	j->out.dest = &j->dest;
	j->out.image_width = (JDIMENSION)im->w;
	j->out.image_height = (JDIMENSION)im->h;
	j->out.input_components = im->c;
	j->out.in_color_space = im->c == 3 ? JCS_RGB : JCS_GRAYSCALE;
	jpeg_set_defaults(&j->out);
	jpeg_set_quality(&j->out, j->quality, TRUE);
	jpeg_start_compress(&j->out, TRUE);
	put_text(j);
	while (j->out.next_scanline < j->out.image_height) {
		/* libjpeg only reads it */
		JSAMPROW line = (unsigned char *)im->data + j->out.next_scanline * row;

		jpeg_write_scanlines(&j->out, &line, 1);
	}
	jpeg_finish_compress(&j->out);
}

int
jpeg_encode(const struct image *im, int quality, const char *const *text, void **p, size_t *n)
{
	struct job j = { .from = im, .quality = quality, .text = text };
	int r;

	j.out.err = jpeg_std_error(&j.errors);
	j.out.client_data = &j;
	j.errors.error_exit = on_error;
	j.errors.emit_message = on_message;
	r = attempt(&j, write_all);
	jpeg_destroy_compress(&j.out);
	if (r) {
		sb_release(&j.bytes);
		return -1;
	}
	*p = j.bytes.s;
	*n = j.bytes.len;
	return 0;
}
