/* PKWARE's APPNOTE 6.3.10, 4.3.12 to 4.3.16. */
#include "data/archive_zip.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utf8proc.h>

enum {
	END = 22,            /* bytes of the record at the end, without its comment */
	TAIL = END + 65535,  /* with the longest */
	LOCATOR = 20,        /* of zip64's record, just before */
	END64 = 56,
	ENTRY = 46,          /* of a member's record, without name, extra fields and comment */
	DIR_MAX = 1 << 30,
	UTF8_FLAG = 0x800,
	EXTRA_ZIP64 = 1,
	EXTRA_NAME = 0x7075, /* a name in UTF-8, which libarchive takes instead */
	STRAYS_MAX = 1000
};

struct zip_name {
	uint64_t at;   /* of the header before the member */
	size_t index;  /* in the directory */
	const char *s; /* not ended by a NUL */
	size_t n;
	bool utf8;     /* it says that it is UTF-8 */
	bool other;    /* another name stands in the extra fields */
};

static uint64_t
number(const char *p, size_t n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | (unsigned char)p[n];
	return v;
}

static bool
is_record(const char *p, char a, char b)
{
	return p[0] == 'P' && p[1] == 'K' && p[2] == a && p[3] == b;
}

static bool
read_at(int fd, char *p, size_t n, uint64_t at)
{
	while (n) {
		ssize_t r = pread(fd, p, n, (off_t)at);

		if (r <= 0)
			return false;
		p += r;
		n -= (size_t)r;
		at += (uint64_t)r;
	}
	return true;
}

/* Where the directory begins, and its size; false if there is none. */
static bool
find(int fd, uint64_t size, uint64_t *at, uint64_t *len)
{
	size_t n = size < TAIL ? (size_t)size : TAIL, i;
	char *tail = xmalloc(n + 1), end64[END64];
	bool there = false;

	if (n >= END && read_at(fd, tail, n, size - n)) {
		for (i = n - END + 1; i-- && !there;)
			there = is_record(tail + i, 5, 6);
		i++;
	}
	if (there) {
		*len = number(tail + i + 12, 4);
		*at = size - n + i;
		*at -= *len < *at ? *len : *at;
		/* zip64: the true numbers stand in a record of its own */
		if (i >= LOCATOR && is_record(tail + i - LOCATOR, 6, 7) &&
		    read_at(fd, end64, END64, number(tail + i - LOCATOR + 8, 8)) &&
		    is_record(end64, 6, 6)) {
			*len = number(end64 + 40, 8);
			*at = number(end64 + 48, 8);
		}
	}
	free(tail);
	return there;
}

static void
look_into_extra(struct zip_name *z, const char *p, size_t n, bool size, bool packed)
{
	while (n >= 4) {
		uint64_t id = number(p, 2), len = number(p + 2, 2), at = size * 8 + packed * 8;

		if (len > n - 4)
			return;
		z->other |= id == EXTRA_NAME;
		if (id == EXTRA_ZIP64 && z->at == UINT32_MAX && len >= at + 8)
			z->at = number(p + 4 + at, 8);
		p += 4 + len;
		n -= 4 + (size_t)len;
	}
}

static int
order(const void *va, const void *vb)
{
	const struct zip_name *a = va, *b = vb;

	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

static void
list(struct zip_dir *d)
{
	size_t cap = 0, n = 0;

	for (size_t at = 0; d->size - at >= ENTRY && is_record(d->bytes + at, 1, 2);) {
		const char *p = d->bytes + at;
		size_t name = number(p + 28, 2), extra = number(p + 30, 2);
		size_t all = ENTRY + name + extra + number(p + 32, 2);
		struct zip_name z = { .at = number(p + 42, 4), .index = d->n, .s = p + ENTRY,
			.n = name, .utf8 = number(p + 8, 2) & UTF8_FLAG };

		if (all > d->size - at)
			break;
		look_into_extra(&z, p + ENTRY + name, extra, number(p + 24, 4) == UINT32_MAX,
		    number(p + 20, 4) == UINT32_MAX);
		d->v = xgrow(d->v, &cap, d->n + 1, sizeof(*d->v));
		d->v[d->n++] = z;
		at += all;
	}
	if (!d->n)
		return;
	qsort(d->v, d->n, sizeof(*d->v), order);
	/* of members at one place libarchive gives the first */
	for (size_t i = 0; i < d->n; i++)
		if (!i || d->v[i].at != d->v[n - 1].at)
			d->v[n++] = d->v[i];
	d->n = n;
}

void
zip_dir_read(struct zip_dir *d, const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	uint64_t at = 0, len = 0;
	struct stat st;

	*d = (struct zip_dir){ 0 };
	if (fd < 0)
		return;
	d->there = fstat(fd, &st) == 0 && find(fd, (uint64_t)st.st_size, &at, &len);
	if (d->there && len && len <= DIR_MAX && len <= (uint64_t)st.st_size) {
		d->bytes = xmalloc((size_t)len);
		if (read_at(fd, d->bytes, (size_t)len, at))
			d->size = (size_t)len;
		list(d);
	}
	close(fd);
}

void
zip_dir_release(struct zip_dir *d)
{
	free(d->bytes);
	free(d->v);
	sb_release(&d->name);
	*d = (struct zip_dir){ 0 };
}

static bool
is_slash(char c)
{
	return c == '/' || c == '\\';
}

static size_t
without_slashes(const char *s, size_t n)
{
	while (n && is_slash(s[n - 1]))
		n--;
	return n;
}

/* libarchive turns some systems' backslashes into slashes, and ends names of folders by one. */
static bool
same(const char *a, size_t na, const char *b, size_t nb)
{
	na = without_slashes(a, na);
	nb = without_slashes(b, nb);
	if (na != nb)
		return false;
	for (size_t i = 0; i < na; i++)
		if (a[i] != b[i] && !(is_slash(a[i]) && is_slash(b[i])))
			return false;
	return true;
}

/* Normal form C; NULL if s is no UTF-8. Caller frees. */
static char *
nfc(const char *s, size_t n)
{
	utf8proc_uint8_t *r = NULL;

	return utf8proc_map((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, &r,
	    UTF8PROC_STABLE | UTF8PROC_COMPOSE) < 0 ? NULL : (char *)r;
}

/* Is it the directory's name, composed as libarchive does it? */
static bool
composed(const struct zip_name *z, const char *name)
{
	char *a = z->utf8 ? nfc(z->s, z->n) : NULL, *b = a ? nfc(name, strlen(name)) : NULL;
	bool r = b && same(a, strlen(a), b, strlen(b));

	free(a);
	free(b);
	return r;
}

const char *
zip_dir_check(struct zip_dir *d, uint64_t i, const char **name)
{
	const struct zip_name *z = i + d->shift < d->n ? &d->v[i + d->shift] : NULL;
	size_t n = strlen(*name);

	if (!z || z->other || same(z->s, z->n, *name, n))
		return NULL;
	if (memchr(z->s, '\0', z->n))
		return "its name holds a NUL";
	if (composed(z, *name)) {
		if (!memchr(z->s, '\\', z->n)) {
			sb_clear(&d->name);
			sb_put(&d->name, z->s, z->n);
			*name = d->name.s;
		}
		return NULL;
	}
	/* elsewhere, as when libarchive passed over one that it could not read */
	if (d->strays++ < STRAYS_MAX)
		for (size_t k = 0; k < d->n; k++)
			if (same(d->v[k].s, d->v[k].n, *name, n) || composed(&d->v[k], *name)) {
				d->shift = k - i;
				return NULL;
			}
	sb_clear(&d->name);
	sb_puts(&d->name, "the archive's directory calls it '");
	sb_put(&d->name, z->s, z->n < 200 ? z->n : 200);
	sb_puts(&d->name, "'");
	return d->name.s;
}
