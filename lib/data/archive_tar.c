/* Finding the way again in a tar whose headers are damaged. */
#include "base/err.h"
#include "data/archive_member.h"
#include "data/archive_src.h"

#include <string.h>

enum { TAR_BLOCK = 512 };

/* POSIX ustar: the sum of the header's bytes with its own field as blanks; old tars added up signed
 * bytes. */
static bool
tar_header(const unsigned char *b)
{
	long have = 0, sum = 0, old = 0;
	int i;

	if (memcmp(b + 257, "ustar", 5) != 0)
		return false;
	for (i = 148; i < 156 && b[i] == ' '; i++)
		;
	for (; i < 156 && b[i] >= '0' && b[i] <= '7'; i++)
		have = 8 * have + (b[i] - '0');
	for (i = 0; i < TAR_BLOCK; i++) {
		sum += i >= 148 && i < 156 ? ' ' : b[i];
		old += i >= 148 && i < 156 ? ' ' : (signed char)b[i];
	}
	return have == sum || have == old;
}

bool
tar_special(int type)
{
	return type && strchr("xgXLKNV", type);
}

/* The header of a member whose special headers are lost, so that it is not taken. */
static void
say_orphan(struct unpack *u, const unsigned char *b)
{
	sb_clear(&u->p);
	sb_put(&u->p, b, strnlen((const char *)b, 100));
	unpack_say(u, LOG_BAD, u->p.s, "the header that completes its own is damaged");
}

bool
tar_find(struct unpack *u, uint64_t *from, bool first, bool orphan)
{
	struct src_limits l = unpack_limits(u);
	unsigned char b[TAR_BLOCK];
	size_t have = 0, n;
	const void *p;
	struct src s;
	bool found = false;

	if (src_open(&s, u->file, &l))
		return false;
	if (src_skip(&s, *from))
		goto out;
	while (!*u->stop && !found && !src_read(&s, &p, &n) && n) {
		const unsigned char *q = p;

		while (n && !found) {
			size_t take = n < TAR_BLOCK - have ? n : TAR_BLOCK - have;

			memcpy(b + have, q, take);
			have += take;
			q += take;
			n -= take;
			if (have < TAR_BLOCK)
				break;
			have = 0;
			if (first && memcmp(b + 257, "ustar", 5) != 0)
				goto out;
			first = false;
			found = tar_header(b) && !orphan;
			if (orphan && tar_header(b) && !tar_special(b[156])) {
				say_orphan(u, b);
				orphan = false;
			}
			if (!found)
				*from += TAR_BLOCK;
		}
	}
out:
	src_close(&s);
	return found;
}

bool
stream_look(struct unpack *u, uint64_t at, size_t most, struct sb *name)
{
	struct src_limits l = unpack_limits(u);
	const void *p;
	struct src s;
	bool found = false;
	size_t n;

	if (src_open(&s, u->file, &l))
		return false;
	if (!src_skip(&s, at) && !src_read(&s, &p, &n) && n <= most) {
		const char *c = p;

		/* zeros and line ends fill up what is left of a block */
		for (size_t i = 0; i < n; i++)
			found = found || (c[i] && c[i] != '\n');
		sb_put(name, c, strnlen(c, n < 100 ? n : 100));
	}
	src_close(&s);
	return found;
}

int
tar_look(struct unpack *u, uint64_t at, struct sb *name, bool *sound)
{
	struct src_limits l = unpack_limits(u);
	const void *p;
	struct src s;
	int type = 0;
	size_t n;

	*sound = false;
	if (src_open(&s, u->file, &l))
		return 0;
	/* blocks of the stream are larger than a header, and what is skipped leaves the rest in
	 * one */
	if (!src_skip(&s, at) && !src_read(&s, &p, &n) && n >= TAR_BLOCK) {
		sb_put(name, p, strnlen(p, 100));
		type = ((const unsigned char *)p)[156];
		*sound = tar_header(p);
	}
	src_close(&s);
	return type;
}
