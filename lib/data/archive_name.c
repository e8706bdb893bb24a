#include "data/archive_name.h"

#include "base/err.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Bytes of the UTF-8 character at s, 0 if there is none (RFC 3629: shortest forms, no
 * surrogates). */
static size_t
utf8_len(const unsigned char *s)
{
	size_t n;

	if (s[0] < 0x80)
		return 1;
	n = s[0] >= 0xc2 && s[0] <= 0xdf ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 :
	    s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static void
put_utf8(struct sb *sb, const char *s, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t n = utf8_len((const unsigned char *)s + i);

		if (!n)
			sb_printf(sb, "%%%02X", (unsigned char)s[i]);
		else
			sb_put(sb, s + i, n);
		i += n ? n : 1;
	}
}

void
name_utf8(struct sb *sb, const char *s)
{
	put_utf8(sb, s, strlen(s));
}

void
name_show(struct sb *sb, const char *s)
{
	while (*s) {
		const unsigned char *u = (const unsigned char *)s;
		size_t n = utf8_len(u);

		if (u[0] < 0x20 || u[0] == 0x7f)
			sb_printf(sb, "\\x%02x", u[0]);
		else if (u[0] == 0xc2 && n == 2 && u[1] < 0xa0)
			sb_printf(sb, "\\x%02x", u[1]);
		else
			put_utf8(sb, s, n ? n : 1);
		s += n ? n : 1;
	}
}

static bool
dotdot(const char *s, size_t n)
{
	return n == 2 && s[0] == '.' && s[1] == '.';
}

/* What no name or link target may be, on this system or the one that it is carried to. */
static int
check_root(const char *s)
{
	if (!*s)
		return err("empty name");
	if (*s == '/' || *s == '\\')
		return err("absolute name");
	if (isalpha((unsigned char)s[0]) && s[1] == ':')
		return err("name with a drive");
	return 0;
}

int
member_path(struct sb *path, const char *name)
{
	size_t start = path->len;

	if (check_root(name))
		return -1;
	sb_put(path, "", 0);
	for (const char *s = name; *s;) {
		size_t n = strcspn(s, "/"), at;

		for (const char *p = s; p < s + n;) {
			size_t m = strcspn(p, "/\\");

			if (dotdot(p, m))
				return err("'..' in the name");
			p += m + (p[m] == '\\');
		}
		if (n && !(n == 1 && *s == '.')) {
			if (path->len > start)
				sb_putc(path, '/');
			at = path->len;
			put_utf8(path, s, n);
			if (path->len - at > NAME_PART_MAX)
				return err("a part of the name is longer than %d bytes",
				    NAME_PART_MAX);
		}
		s += n + (s[n] == '/');
	}
	return 0;
}

int
member_link(const char *path, const char *target)
{
	size_t depth = 0, up = 0;
	bool down = false;

	for (const char *s = path; *s; s++)
		depth += *s == '/';
	if (check_root(target))
		return err_prefix("link to '%.200s'", target);
	for (const char *s = target; *s;) {
		size_t n = strcspn(s, "/\\");

		if (dotdot(s, n)) {
			/* past a name that may itself be a link, ".." means another folder than it
			 * says */
			if (down || ++up > depth)
				return err("link that leaves the destination");
		} else if (n && !(n == 1 && *s == '.')) {
			down = true;
		}
		s += n + (s[n] != '\0');
	}
	return 0;
}

/* Suffixes of compressed files, and those that stand for a compressed tar. */
static const char *const packed[] = { ".gz", ".bz2", ".xz", ".Z", ".lz4", ".zst", ".lzma", ".lz",
	".lzo", ".lrz", ".grz", ".uu", NULL };
static const char *const tars[] = { ".tar", ".tgz", ".taz", ".tbz", ".tbz2", ".tz2", ".txz", ".tlz",
	".tzst", NULL };
static const char *const others[] = { ".zip", ".zipx", ".7z", ".rar", ".cpio", ".iso", ".cab",
    ".lha",
	".lzh", ".xar", ".ar", ".a", ".deb", ".rpm", ".warc", ".pax", ".jar", NULL };

/* Length of base without one of the suffixes; 0 if it has none, or is nothing but one. */
static size_t
without(const char *base, size_t len, const char *const *suffix)
{
	for (; *suffix; suffix++) {
		size_t n = strlen(*suffix);

		if (len > n && strncasecmp(base + len - n, *suffix, n) == 0)
			return len - n;
	}
	return 0;
}

char *
name_unpacked(const char *base)
{
	size_t n = without(base, strlen(base), packed);

	return n ? xstrndup(base, n) : xstrdup(base);
}

bool
name_is_tar(const char *base)
{
	size_t len = strlen(base), n = without(base, len, packed);

	return without(base, n ? n : len, tars) != 0;
}

bool
name_is_archive(const char *base)
{
	size_t len = strlen(base);

	return without(base, len, packed) || without(base, len, tars) || without(base, len, others);
}
