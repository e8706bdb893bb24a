#include "data/pack_sink.h"

#include "base/err.h"
#include "base/mem.h"
#include "data/pack_stage.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TAR_BLOCK = 512, USTAR_NAME = 100, COPY_CHUNK = 65536,
	NEW_FILE = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC };

/* ---- folders --------------------------------------------------------------------------------- */

static int
make_parents(int root, const char *member)
{
	char *copy = xstrdup(member);
	int r = 0;

	for (char *slash = strchr(copy, '/'); !r && slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		r = mkdirat(root, copy, 0777) && errno != EEXIST ? -1 : 0;
		*slash = '/';
	}
	free(copy);
	return r;
}

static int
write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno != EINTR)
			return -1;
		if (w > 0) {
			p += w;
			n -= (size_t)w;
		}
	}
	return 0;
}

static int
copy_all(int fd, FILE *from)
{
	char *buf = xmalloc(COPY_CHUNK);
	size_t n;
	int r = 0;

	while (!r && (n = fread(buf, 1, COPY_CHUNK, from)))
		r = write_all(fd, buf, n);
	free(buf);
	return r || ferror(from) ? -1 : 0;
}

static int
create(int root, const char *member)
{
	int fd = openat(root, member, NEW_FILE, 0666);

	if (fd >= 0 || errno != ENOENT || make_parents(root, member))
		return fd;
	return openat(root, member, NEW_FILE, 0666);
}

/* p, or from if that is no null pointer. */
static int
put_file(const struct sink *s, const char *member, const void *p, size_t n, FILE *from)
{
	int fd = create(s->fd, member), r;

	if (fd < 0)
		return -1;
	r = from ? copy_all(fd, from) : write_all(fd, p, n);
	return close(fd) || r ? -1 : 0;
}

/* ---- archives -------------------------------------------------------------------------------- */

/* libarchive converts names from the locale's charset; they are UTF-8 whatever the user's is. */
static locale_t
enter_utf8(void)
{
	static locale_t utf8;

	if (!utf8)
		utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	return utf8 ? uselocale(utf8) : (locale_t)0;
}

static void
leave_utf8(locale_t old)
{
	if (old)
		uselocale(old);
}

static int
broken(struct archive *a)
{
	const char *why = archive_error_string(a);
	int e = archive_errno(a);

	/* libarchive's own numbers are negative */
	return err("%s%s%s", why ? why : "cannot be written", e > 0 ? ": " : "",
	    e > 0 ? strerror(e) : "");
}

/* More than a warning. */
static bool
bad(la_ssize_t r)
{
	return r < ARCHIVE_WARN;
}

static int
start_archive(struct sink *s, const char *filter)
{
	struct archive *a = archive_write_new();
	int r;

	if (!a)
		die("out of memory (libarchive)");
	s->archive = a;
	if (s->kind == PACK_ZIP)
		r = archive_write_set_format_zip(a);
	else
		r = archive_write_set_format_pax_restricted(a);
	if (bad(r) || (filter && bad(archive_write_add_filter_by_name(a, filter))) ||
	    (filter && strcmp(filter, "gzip") == 0 &&
	        bad(archive_write_set_options(a, "gzip:!timestamp"))) ||
	    bad(archive_write_set_options(a, s->kind == PACK_ZIP ? "zip:hdrcharset=UTF-8" :
	                                                           "pax:hdrcharset=UTF-8")) ||
	    bad(archive_write_open_fd(a, s->fd)))
		return broken(a);
	return 0;
}

/* p, or from if that is no null pointer; size is that of either. */
static int
put_member(const struct sink *s, const char *member, const void *p, size_t size, FILE *from)
{
	struct archive_entry *e = archive_entry_new();
	char *buf = from ? xmalloc(COPY_CHUNK) : NULL;
	size_t n = size;
	int r = 0;

	if (!e)
		die("out of memory (libarchive)");
	archive_entry_set_pathname(e, member);
	archive_entry_set_size(e, (la_int64_t)size);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0644);
	archive_entry_set_mtime(e, 0, 0);
	archive_entry_set_uid(e, 0);
	archive_entry_set_gid(e, 0);
	/* images are compressed already */
	if (s->kind == PACK_ZIP &&
	    (from && !s->store ? archive_write_zip_set_compression_deflate(s->archive) :
	                         archive_write_zip_set_compression_store(s->archive)) != ARCHIVE_OK)
		r = broken(s->archive);
	if (!r && bad(archive_write_header(s->archive, e)))
		r = broken(s->archive);
	while (!r && (!from || (n = fread(buf, 1, COPY_CHUNK, from)))) {
		if (n && archive_write_data(s->archive, from ? buf : p, n) != (la_ssize_t)n)
			r = broken(s->archive);
		if (!from)
			break;
	}
	if (!r && from && ferror(from))
		r = err("a temporary file cannot be read");
	if (!r && bad(archive_write_finish_entry(s->archive)))
		r = broken(s->archive);
	archive_entry_free(e);
	free(buf);
	return r;
}

/* ---- both ------------------------------------------------------------------------------------ */

void
sink_open(struct sink *s, int dir, const char *name, enum pack_kind kind, const char *filter,
    bool store, const char *title)
{
	locale_t old = enter_utf8();
	int r = 0;

	*s = (struct sink){ .title = title, .kind = kind, .store = store, .fd = -1 };
	stage_enter();
	if (kind != PACK_FOLDER)
		s->fd = openat(dir, name, NEW_FILE, 0666);
	else if (mkdirat(dir, name, 0777) == 0)
		s->fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->fd < 0)
		r = err("cannot be made:");
	else if (kind != PACK_FOLDER)
		r = start_archive(s, filter);
	stage_leave();
	leave_utf8(old);
	if (r)
		die("%s: %s", title, errmsg());
}

static void
put(struct sink *s, const char *member, const void *p, size_t n, FILE *from)
{
	locale_t old = enter_utf8();
	int r;

	stage_enter();
	if (s->kind == PACK_FOLDER)
		r = put_file(s, member, p, n, from) ? err("cannot be written:") : 0;
	else
		r = put_member(s, member, p, n, from);
	stage_leave();
	leave_utf8(old);
	if (r)
		die("%s: %s: %s", s->title, member, errmsg());
	s->bytes += sink_tar_size(member, n);
}

void
sink_put(struct sink *s, const char *member, const void *p, size_t n)
{
	put(s, member, p, n, NULL);
}

void
sink_put_spool(struct sink *s, const char *member, FILE *from)
{
	off_t size;

	if (fflush(from) || fseeko(from, 0, SEEK_END) || (size = ftello(from)) < 0 ||
	    fseeko(from, 0, SEEK_SET))
		die("write error on a temporary file:");
	put(s, member, NULL, (size_t)size, from);
}

void
sink_close(struct sink *s)
{
	locale_t old = enter_utf8();
	int r = 0;

	stage_enter();
	if (s->archive) {
		if (bad(archive_write_close(s->archive)))
			r = broken(s->archive);
		archive_write_free(s->archive);
	}
	if (!r && s->kind != PACK_FOLDER && fsync(s->fd))
		r = err("write error:");
	if (close(s->fd) && !r)
		r = err("write error:");
	stage_leave();
	leave_utf8(old);
	if (r)
		die("%s: %s", s->title, errmsg());
	*s = (struct sink){ .fd = -1 };
}

uint64_t
sink_tar_size(const char *member, size_t n)
{
	uint64_t size = TAR_BLOCK + ((uint64_t)n + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
	bool plain = strlen(member) <= USTAR_NAME;

	for (const char *p = member; *p; p++)
		plain &= (unsigned char)*p < 0x80;
	/* such a name stands in a header of its own, which is a member too */
	if (!plain)
		size += TAR_BLOCK + (strlen(member) + 2 * TAR_BLOCK) / TAR_BLOCK * TAR_BLOCK;
	return size;
}
