/* One member of an archive into the staging folder. */
#include "data/archive_unpack.h"

#include "base/err.h"
#include "data/archive_member.h"
#include "data/archive_name.h"
#include "data/archive_src.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Room that the staging folder's own name takes in a path. */
enum { STAGING_LEN = 40 };

/* A name that the file system will not have is the member's fault; all else is the world's. */
static int
refused(const char *what, const char *path)
{
	switch (errno) {
	case EEXIST:
		return err("a member of that name is there already");
	case ENOTDIR:
	case ELOOP:
	case EISDIR:
		return err("the name goes through what is no folder (links are not followed)");
	case ENAMETOOLONG:
	case EINVAL:
	case EILSEQ:
	case EPERM:
	case EMLINK:
	case EOPNOTSUPP:
	case EFBIG:
	case ENOENT:
		return err("%s:", what);
	default:
		die("%s: %s:", path, what);
	}
}

int
folder_open(int root, const char *path, size_t n, bool make, unsigned mode)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(root, ".", flags);
	char part[NAME_PART_MAX + 1];

	if (fd < 0)
		die("%s: cannot open folder:", path);
	for (size_t i = 0; i < n;) {
		size_t len = strcspn(path + i, "/");
		bool last = i + len >= n;
		int sub;

		memcpy(part, path + i, len);
		part[len] = '\0';
		sub = openat(fd, part, flags);
		if (sub < 0 && errno == ENOENT && make) {
			if (mkdirat(fd, part, last ? mode : 0777) == 0)
				sub = openat(fd, part, flags);
		}
		if (sub < 0)
			refused("cannot make a folder", path);
		close(fd);
		fd = sub;
		if (fd < 0)
			return -1;
		i += len + 1;
	}
	return fd;
}

/* The folder that path lies in, borrowed until the next call; *base is path's last part. */
static int
parent(struct unpack *u, const char *path, const char **base)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	*base = slash ? slash + 1 : path;
	if (u->dirfd >= 0 && u->dirname.len == n && memcmp(u->dirname.s, path, n) == 0)
		return u->dirfd;
	if (u->dirfd >= 0)
		close(u->dirfd);
	u->dirfd = folder_open(u->root, path, n, true, 0777);
	sb_clear(&u->dirname);
	sb_put(&u->dirname, path, n);
	return u->dirfd;
}

static int
write_at(struct unpack *u, int fd, const char *p, size_t n, int64_t at, const char *path)
{
	while (n) {
		ssize_t w = pwrite(fd, p, n, (off_t)at);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			die("write error on %s/%s:", u->o->dest, path);
		p += w;
		n -= (size_t)w;
		at += w;
	}
	return 0;
}

static bool
over(struct unpack *u, uint64_t more)
{
	struct src_limits l = { (uint64_t)u->o->max_bytes, u->o->max_ratio };
	uint64_t total = u->bytes + more < more ? UINT64_MAX : u->bytes + more;

	u->over = u->over || src_over(&l, total, u->size);
	return u->over;
}

/* The member's bytes into fd; *pos is how many it then has, also when it failed. */
static int
blocks(struct unpack *u, struct archive *a, struct archive_entry *e, int fd, const char *path,
    int64_t *pos, bool *fatal)
{
	bool sparse = archive_entry_sparse_count(e) > 0;
	int format = archive_format(a) & ARCHIVE_FORMAT_BASE_MASK;

	for (;;) {
		la_int64_t at = *pos;
		const void *p = NULL;
		size_t n = 0;
		int r = archive_read_data_block(a, &p, &n, &at);

		/* only tars have holes; of xar, libarchive tells offsets from its own start */
		if (format != ARCHIVE_FORMAT_TAR)
			at = *pos;
		if (r == ARCHIVE_EOF && at > *pos)
			n = 0; /* a hole at the end of a sparse file: at is where it ends */
		else if (r == ARCHIVE_EOF)
			break;
		else if (r != ARCHIVE_OK) {
			*fatal = r == ARCHIVE_FATAL;
			return src_err(a);
		}
		/* libarchive gives a WARC record with the line ends that close it */
		if (format == ARCHIVE_FORMAT_WARC && at + (int64_t)n > archive_entry_size(e))
			n = at < archive_entry_size(e) ? (size_t)(archive_entry_size(e) - at) : 0;
		if (at < *pos)
			return err("damaged: its parts overlap");
		sparse |= at > *pos;
		if (over(u, (uint64_t)at + n))
			return -1;
		if (*u->stop)
			return err("stopped");
		write_at(u, fd, p, n, at, path);
		*pos = at + (int64_t)n;
		if (r == ARCHIVE_EOF)
			break;
	}
	if (archive_entry_size_is_set(e)) {
		int64_t want = archive_entry_size(e);

		if (*pos > want || (*pos < want && !sparse))
			return err("damaged: holds %lld of %lld bytes", (long long)*pos,
			    (long long)want);
		*pos = want;
	}
	if (sparse && (over(u, (uint64_t)*pos) || ftruncate(fd, (off_t)*pos)))
		return u->over ? -1 : refused("cannot be as large", path);
	return 0;
}

static int
data(struct unpack *u, struct archive *a, struct archive_entry *e, int fd, const char *path,
    int64_t *size, bool *fatal)
{
	int64_t pos = 0;
	int r = blocks(u, a, e, fd, path, &pos, fatal);

	/* what was written for nothing counts too */
	u->bytes += (uint64_t)pos;
	*size = pos;
	return r;
}

static unsigned
mode_of(struct archive_entry *e, unsigned otherwise, unsigned always)
{
	unsigned m = (unsigned)archive_entry_perm(e) & 0777;

	/* no set-user, set-group or sticky bit; what cannot be read is of no use to the next
	 * program, and many formats have no modes at all */
	return (m ? m : otherwise) | always;
}

static void
keep_time(int fd, struct archive_entry *e)
{
	struct timespec t[2] = { { .tv_nsec = UTIME_OMIT },
		{ archive_entry_mtime(e), archive_entry_mtime_nsec(e) } };

	/* a time that the file system cannot hold is not worth a word */
	if (archive_entry_mtime_is_set(e) && futimens(fd, t))
		errno = 0;
}

static int
regular(struct unpack *u, struct archive *a, struct archive_entry *e, const char *path,
    int64_t *size, bool *fatal)
{
	const char *base;
	int dir = parent(u, path, &base), fd;

	if (dir < 0)
		return -1;
	fd = openat(dir, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	    mode_of(e, 0666, 0600));
	if (fd < 0)
		return refused("cannot be made", path);
	if (data(u, a, e, fd, path, size, fatal)) {
		close(fd);
		unlinkat(dir, base, 0);
		return -1;
	}
	keep_time(fd, e);
	if (close(fd))
		die("write error on %s/%s:", u->o->dest, path);
	return 0;
}

/* New cpio archives hold the bytes of a file of several names only with its last name: the names
 * before were made empty, and share what is written now. */
static int
linked_data(struct unpack *u, struct archive *a, struct archive_entry *e, int dir, const char *base,
    const char *path, int64_t *size, bool *fatal)
{
	int fd = openat(dir, base, O_WRONLY | O_NOFOLLOW | O_TRUNC | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st))
		return refused("cannot be written", path);
	r = data(u, a, e, fd, path, size, fatal);
	close(fd);
	if (r) {
		unlinkat(dir, base, 0);
		unpack_lose(u, st.st_ino);
	}
	return r;
}

static int
hardlink(struct unpack *u, struct archive *a, struct archive_entry *e, const char *path,
    int64_t *size, bool *fatal)
{
	bool own = archive_entry_size_is_set(e) && archive_entry_size(e) > 0;
	const char *slash, *base;
	struct stat st;
	int from, dir, r = -1;

	sb_clear(&u->target);
	if (member_path(&u->target, archive_entry_hardlink(e)))
		return err_prefix("hard link");
	slash = strrchr(u->target.s, '/');
	from = folder_open(u->root, u->target.s, slash ? (size_t)(slash - u->target.s) : 0, false,
	    0);
	if (from < 0)
		return err("hard link to '%.200s', which was not unpacked", u->target.s);
	slash = slash ? slash + 1 : u->target.s;
	dir = parent(u, path, &base);
	/* only to a file, as a symbolic link would mean another place in another folder */
	if (dir < 0)
		;
	else if (fstatat(from, slash, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
		err("hard link to '%.200s', which was not unpacked", u->target.s);
	else if (own && st.st_size)
		r = regular(u, a, e, path, size, fatal);
	else if (linkat(from, slash, dir, base, 0))
		refused("cannot be linked", path);
	else if (own)
		r = linked_data(u, a, e, dir, base, path, size, fatal);
	else {
		*size = st.st_size;
		r = 0;
	}
	close(from);
	return r;
}

static int
symbolic(struct unpack *u, struct archive_entry *e, const char *path)
{
	const char *to = archive_entry_symlink(e), *base;
	int dir;

	if (!to)
		return err("symbolic link to a name that cannot be read");
	if (member_link(path, to))
		return -1;
	sb_clear(&u->target);
	name_utf8(&u->target, to);
	dir = parent(u, path, &base);
	if (dir < 0)
		return -1;
	if (symlinkat(u->target.s, dir, base))
		return refused("cannot be made", path);
	return 0;
}

static int
directory(struct unpack *u, struct archive_entry *e, const char *path)
{
	int fd = folder_open(u->root, path, strlen(path), true, mode_of(e, 0777, 0700));

	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static const char *
device(unsigned type)
{
	switch (type) {
	case AE_IFCHR:
		return "character device";
	case AE_IFBLK:
		return "block device";
	case AE_IFIFO:
		return "named pipe";
	case AE_IFSOCK:
		return "socket";
	default:
		return "member of an unknown kind";
	}
}

int
member_unpack(struct unpack *u, struct archive *a, struct archive_entry *e, struct log_entry *le,
    bool *fatal)
{
	unsigned type = archive_entry_filetype(e);
	const char *link = archive_entry_hardlink(e), *path;
	size_t dest = u->o->dest ? strlen(u->o->dest) : 0;
	bool list = u->root < 0;

	if (!le->member.len)
		return err("its name cannot be read");
	sb_clear(&le->path);
	if (member_path(&le->path, le->member.s))
		return -1;
	path = le->path.s;
	if (dest + STAGING_LEN + le->path.len >= PATH_MAX)
		return err("the name is too long to be opened");
	le->kind = type == AE_IFDIR && !link ? LOG_DIR
	    : type == AE_IFLNK && !link ? LOG_SYMLINK : LOG_FILE;
	le->size = archive_entry_size_is_set(e) ? archive_entry_size(e) : -1;
	if (!*path)
		return le->kind == LOG_DIR ? 0 : err("empty name");
	if (le->kind == LOG_DIR)
		return list ? 0 : directory(u, e, path);
	if (le->kind == LOG_SYMLINK)
		return list ? member_link(path, archive_entry_symlink(e) ? archive_entry_symlink(e)
		    : "") :
		    symbolic(u, e, path);
	if (!link && type != AE_IFREG && type != 0)
		return err("%s: not made", device(type));
	if (archive_entry_is_encrypted(e))
		return err("encrypted");
	if ((archive_format(a) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_MTREE)
		return err("listed without contents");
	if (le->size > 0 && over(u, (uint64_t)le->size))
		return -1;
	if (list && link && le->size == 0)
		le->size = -1;
	if (list)
		return 0;
	return link ? hardlink(u, a, e, path, &le->size, fatal) : regular(u, a, e, path, &le->size,
	    fatal);
}
