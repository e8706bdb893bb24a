#include "data/archive_src.h"

#include "base/err.h"
#include "base/mem.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { BLOCK = 1 << 17 };

/* A layer reads from the one below and fills whole blocks (only the last is shorter). */
struct src_layer {
	struct src_layer *below;
	int (*fill)(struct src *, struct src_layer *); /* sets len, 0 at the end; also with -1 */
	int fd;
	z_stream z;
	bool z_open;          /* inflate is set up */
	bool ended;           /* nothing more comes */
	bool z_member;        /* at least one gzip member was whole */
	struct archive *a;
	const unsigned char *rest; /* of a's last block, not yet copied */
	size_t rest_len;
	uint64_t out;         /* bytes given so far */
	size_t len;           /* bytes in buf */
	size_t last;          /* and of the last block that was not empty: an end leaves it there */
	bool ready;           /* buf was filled ahead and not yet given out */
	char *failed;         /* the message of a fault met behind bytes that were still good */
	enum src_fault fault; /* and what it was */
	unsigned char buf[BLOCK];
};

bool
src_over(const struct src_limits *l, uint64_t bytes, uint64_t size)
{
	if (bytes > l->bytes) {
		err("unpacks to more than %" PRIu64 " bytes (--max-bytes)", l->bytes);
		return true;
	}
	if (bytes > SRC_RATIO_FROM && (double)bytes > l->ratio * (double)size) {
		err("unpacks to more than %g times its size (--max-ratio)", l->ratio);
		return true;
	}
	return false;
}

int
src_err(struct archive *a)
{
	const char *s = archive_error_string(a);
	size_t n = s ? strlen(s) : 0;

	while (n && (s[n - 1] == '\n' || s[n - 1] == ' ' || s[n - 1] == ':'))
		n--;
	return n ? err("%.*s", n < 500 ? (int)n : 500, s) : err("damaged");
}

static int
fault(struct src *s, enum src_fault f)
{
	s->fault = f;
	return -1;
}

/* Fills the layer's block. What could be read before a fault is given out before the fault is. */
static int
refill(struct src *s, struct src_layer *l)
{
	if (l->failed) {
		s->fault = l->fault;
		return err("%s", l->failed);
	}
	l->len = 0;
	if (l->fill(s, l)) {
		if (!l->len)
			return -1;
		l->failed = xstrdup(errmsg());
		l->fault = s->fault;
		s->fault = SRC_FINE;
	}
	l->out += l->len;
	l->last = l->len ? l->len : l->last;
	/* each layer for itself: one that gives nothing may stand on one that gives without end */
	if (l->below && src_over(&s->limits, l->out, s->size))
		return fault(s, SRC_LIMIT);
	return 0;
}

static int
next(struct src *s, struct src_layer *l)
{
	if (l->ready) {
		l->ready = false;
		return 0;
	}
	return refill(s, l);
}

/* The block that next() will give, without taking it. */
static int
peek(struct src *s, struct src_layer *l)
{
	if (!l->ready && refill(s, l))
		return -1;
	l->ready = true;
	return 0;
}

static int
fill_file(struct src *s, struct src_layer *l)
{
	while (l->len < sizeof(l->buf)) {
		ssize_t r = read(l->fd, l->buf + l->len, sizeof(l->buf) - l->len);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0) {
			err("cannot be read:");
			return fault(s, SRC_TRUNCATED);
		}
		if (!r)
			break;
		l->len += (size_t)r;
	}
	return 0;
}

/* At the end of a gzip member: another one, zeros to fill a tape's block, or what is no gzip. */
static int
gzip_next_member(struct src *s, struct src_layer *l)
{
	for (;;) {
		while (l->z.avail_in && !*l->z.next_in) {
			l->z.next_in++;
			l->z.avail_in--;
		}
		if (l->z.avail_in)
			break;
		if (next(s, l->below))
			return -1;
		if (!l->below->len) {
			l->ended = true;
			return 0;
		}
		l->z.next_in = l->below->buf;
		l->z.avail_in = (uInt)l->below->len;
	}
	if (inflateReset(&l->z) != Z_OK)
		die("zlib: cannot start again");
	return 0;
}

/* RFC 1952. zlib verifies each member's CRC and length (windowBits + 16). */
static int
fill_gzip(struct src *s, struct src_layer *l)
{
	z_stream *z = &l->z;

	z->next_out = l->buf;
	z->avail_out = sizeof(l->buf);
	for (; z->avail_out && !l->ended; l->len = sizeof(l->buf) - z->avail_out) {
		int r;

		if (!z->avail_in) {
			if (next(s, l->below))
				return -1;
			z->next_in = l->below->buf;
			z->avail_in = (uInt)l->below->len;
		}
		if (!z->avail_in) {
			err("gzip: truncated");
			return fault(s, SRC_TRUNCATED);
		}
		r = inflate(z, Z_NO_FLUSH);
		if (r == Z_STREAM_END) {
			l->z_member = true;
			if (gzip_next_member(s, l))
				return -1;
		} else if (r == Z_MEM_ERROR) {
			die("out of memory (zlib)");
		} else if (r == Z_DATA_ERROR && !z->total_out && z->total_in <= 4 && l->z_member) {
			s->garbage = true;
			l->ended = true;
		} else if (r != Z_OK && r != Z_BUF_ERROR) {
			/* "incorrect data check", "incorrect length check", or what is wrong with a
			 * code */
			err("gzip: damaged (%s)", z->msg ? z->msg : "no reason given");
			l->len = sizeof(l->buf) - z->avail_out;
			return fault(s,
			    strstr(errmsg(), "data check") || strstr(errmsg(), "length check")
			        ? SRC_CHECKSUM
			        : SRC_DAMAGED);
		}
	}
	return 0;
}

struct feed {
	struct src *s;
	struct src_layer *l;
};

static ssize_t
feed_read(struct archive *a, void *ctx, const void **p)
{
	struct feed *f = ctx;

	if (next(f->s, f->l)) {
		archive_set_error(a, EIO, "%s", errmsg());
		return -1;
	}
	*p = f->l->buf;
	return (ssize_t)f->l->len;
}

static int
feed_close(struct archive *a, void *ctx)
{
	(void)a;
	free(ctx);
	return ARCHIVE_OK;
}

/* All filters but gzip, which is ours. */
static struct archive *
filters(void)
{
	struct archive *a = archive_read_new();

	if (!a)
		die("out of memory (libarchive)");
	/* those that need a program answer with a warning; whether it is there shows at reading */
	archive_read_support_filter_bzip2(a);
	archive_read_support_filter_compress(a);
	archive_read_support_filter_grzip(a);
	archive_read_support_filter_lrzip(a);
	archive_read_support_filter_lz4(a);
	archive_read_support_filter_lzip(a);
	archive_read_support_filter_lzma(a);
	archive_read_support_filter_lzop(a);
	archive_read_support_filter_rpm(a);
	archive_read_support_filter_uu(a);
	archive_read_support_filter_xz(a);
	archive_read_support_filter_zstd(a);
	archive_read_support_format_raw(a);
	archive_read_support_format_empty(a);
	return a;
}

/* What libarchive's filters mean by their messages, which is all that they tell. */
static enum src_fault
fault_of(const char *message)
{
	static const char *const cut[] =
	    { "runcated", "remature", "No progress", "unexpected end" };
	static const char *const sum[] = { "checksum", "Checksum", "CRC" };

	for (size_t i = 0; i < sizeof(cut) / sizeof(*cut); i++)
		if (strstr(message, cut[i]))
			return SRC_TRUNCATED;
	for (size_t i = 0; i < sizeof(sum) / sizeof(*sum); i++)
		if (strstr(message, sum[i]))
			return SRC_CHECKSUM;
	return SRC_DAMAGED;
}

/* libarchive's message about a filter becomes ours; -1. */
static int
filter_err(struct src *s, struct src_layer *l, bool ours)
{
	const char *name = archive_filter_name(l->a, 0); /* NULL if it did not even begin */

	src_err(l->a);
	if (ours)
		s->fault = fault_of(errmsg());
	if (ours && s->fault == SRC_TRUNCATED)
		err("truncated");
	return name ? err_prefix("%s", name) : -1;
}

/* Behind the compressed data: what is there is read to the end, as the layers below have checksums
 * too, and is told of unless it only fills up a block. */
static int
filter_end(struct src *s, struct src_layer *l)
{
	uint64_t used = (uint64_t)archive_filter_bytes(l->a, -1);
	struct src_layer *b = l->below;
	int code = archive_filter_code(l->a, 0);
	/* the others have no end, or stand in text that goes on */
	bool look = code == ARCHIVE_FILTER_BZIP2 || code == ARCHIVE_FILTER_LZ4 ||
	    code == ARCHIVE_FILTER_LZIP || code == ARCHIVE_FILTER_LZMA;

	l->ended = true;
	do {
		uint64_t left = b->out > used ? b->out - used : 0;

		for (size_t n = left < b->last ? (size_t)left : b->last; look && n; n--)
			s->garbage = s->garbage || b->buf[b->last - n];
		used = b->out;
		if (b->len && next(s, b))
			return -1;
	} while (b->len);
	return 0;
}

static int
fill_filter(struct src *s, struct src_layer *l)
{
	enum src_fault below = s->fault;

	while (l->len < sizeof(l->buf) && !l->ended) {
		size_t n = l->rest_len;
		int r = ARCHIVE_OK;

		if (!n) {
			la_int64_t at;

			r = archive_read_data_block(l->a, (const void **)&l->rest, &l->rest_len,
			    &at);
			n = l->rest_len;
		}
		if (r == ARCHIVE_EOF)
			return filter_end(s, l);
		if (r != ARCHIVE_OK) {
			l->rest_len = 0;
			return filter_err(s, l, s->fault == below);
		}
		if (n > sizeof(l->buf) - l->len)
			n = sizeof(l->buf) - l->len;
		memcpy(l->buf + l->len, l->rest, n);
		l->len += n;
		l->rest += n;
		l->rest_len -= n;
	}
	return 0;
}

static struct src_layer *
push(struct src *s, int (*fill)(struct src *, struct src_layer *))
{
	struct src_layer *l = xmalloc(sizeof(*l));

	memset(l, 0, offsetof(struct src_layer, buf));
	l->fd = -1;
	l->fill = fill;
	l->below = s->top;
	s->top = l;
	s->nlayers++;
	return l;
}

static void
open_gzip(struct src *s)
{
	struct src_layer *l = push(s, fill_gzip);

	if (inflateInit2(&l->z, 15 + 16) != Z_OK)
		die("out of memory (zlib)");
	l->z_open = true;
}

/* Opens libarchive's filters on what the top layer gives. */
static int
open_filter(struct src *s)
{
	struct archive_entry *e;
	struct feed *f = xmalloc(sizeof(*f));
	struct src_layer *l;
	int r;

	*f = (struct feed){ s, s->top };
	l = push(s, fill_filter);
	l->a = filters();
	r = archive_read_open(l->a, f, NULL, feed_read, feed_close);
	if (!r)
		r = archive_read_next_header(l->a, &e);
	l->ended = r == ARCHIVE_EOF;
	if (r < ARCHIVE_WARN)
		return filter_err(s, l, s->fault == SRC_FINE);
	return 0;
}

/* Puts layers on the file until nothing is compressed. To look whether libarchive has a filter for
 * what the top layer gives is to read from it, so when there is none, *plain becomes the number of
 * layers and 1 is returned: to be opened anew, with so many. */
static int
open_layers(struct src *s, int *plain)
{
	for (;;) {
		const unsigned char *p = s->top->buf;

		if (peek(s, s->top))
			return -1;
		if (!s->top->len || s->nlayers == *plain)
			return 0;
		if (s->nlayers > SRC_LAYERS)
			return err("more than %d layers of compression", SRC_LAYERS);
		if (s->top->len > 2 && p[0] == 0x1f && p[1] == 0x8b && p[2] == 8) {
			open_gzip(s);
			continue;
		}
		if (open_filter(s))
			return -1;
		if (archive_filter_count(s->top->a) == 1) {
			*plain = s->nlayers - 1;
			return 1;
		}
	}
}

int
src_open_plain(struct src *s, const char *path)
{
	struct src_layer *l;
	struct stat st;

	*s = (struct src){ 0 };
	l = push(s, fill_file);
	l->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (l->fd < 0 || fstat(l->fd, &st)) {
		err("cannot be opened:");
		src_close(s);
		return -1;
	}
	s->size = (uint64_t)st.st_size;
	return 0;
}

int
src_open(struct src *s, const char *path, const struct src_limits *limits)
{
	int plain = 0, r;

	do {
		if (src_open_plain(s, path))
			return -1;
		s->limits = *limits;
		r = open_layers(s, &plain);
		if (r)
			src_close(s);
	} while (r > 0);
	return r;
}

int
src_read(struct src *s, const void **p, size_t *n)
{
	if (next(s, s->top))
		return -1;
	*p = s->top->buf;
	*n = s->top->len;
	return 0;
}

void
src_peek(const struct src *s, const void **p, size_t *n)
{
	*p = s->top->buf;
	*n = s->top->ready ? s->top->len : 0;
}

int
src_skip(struct src *s, uint64_t n)
{
	while (n) {
		struct src_layer *l = s->top;

		if (peek(s, l))
			return -1;
		if (!l->len)
			return 0;
		if (n >= l->len) {
			n -= l->len;
			l->ready = false;
		} else {
			memmove(l->buf, l->buf + n, l->len - n);
			l->len -= n;
			n = 0;
		}
	}
	return 0;
}

void
src_close(struct src *s)
{
	while (s->top) {
		struct src_layer *l = s->top;

		s->top = l->below;
		if (l->z_open)
			inflateEnd(&l->z);
		if (l->a)
			archive_read_free(l->a);
		if (l->fd >= 0)
			close(l->fd);
		free(l->failed);
		free(l);
	}
}
