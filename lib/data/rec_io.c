/* Record streams: lines in, lines out. */
#include "data/rec.h"

#include "base/err.h"
#include "base/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	READ_CHUNK = 65536,
	PIPE_BATCH = 4096, /* PIPE_BUF: what a pipe takes in one piece */
	FILE_BATCH = 65536
};

/* ---- reading --------------------------------------------------------------------------------- */

void
rec_in_open(struct rec_in *in, const char *const *files, size_t nfiles)
{
	static const char *const standard[] = { "-" };

	*in = (struct rec_in){ .files = files, .nfiles = nfiles, .fd = -1 };
	if (!nfiles) {
		if (isatty(0))
			usage_error("no file, and standard input is a terminal");
		in->files = standard;
		in->nfiles = 1;
	}
	/* a wrong name is better told before any work than after much of it */
	for (size_t i = 0; i < nfiles; i++)
		if (strcmp(files[i], "-") != 0 && access(files[i], R_OK))
			die("%s:", files[i]);
}

static void
tell_blocking(struct rec_in *in)
{
	if (in->before_block)
		in->before_block(in->before_block_ctx);
}

static void
close_file(struct rec_in *in)
{
	if (in->fd > 0)
		close(in->fd);
	in->fd = -1;
}

/* The input cannot be read: ends the program when what was read has been written. */
static _Noreturn void
broken(struct rec_in *in)
{
	int e = errno;

	close_file(in);
	tell_blocking(in);
	errno = e;
	die("%s:", in->name);
}

/* Goes on to the next file; false when there is none. */
static bool
next_file(struct rec_in *in)
{
	struct stat st;

	if (in->at == in->nfiles)
		return false;
	in->name = in->files[in->at++];
	in->lineno = 0;
	in->eof = false;
	if (strcmp(in->name, "-") == 0) {
		in->fd = 0;
		return true;
	}
	/* opening a fifo waits for its writer */
	if (stat(in->name, &st) == 0 && S_ISFIFO(st.st_mode))
		tell_blocking(in);
	in->fd = open(in->name, O_RDONLY | O_CLOEXEC);
	if (in->fd < 0)
		broken(in);
	return true;
}

/* Reads more behind what buf holds; sets eof at the end of the file. */
static void
fill(struct rec_in *in)
{
	struct pollfd pfd = { .fd = in->fd, .events = POLLIN };
	ssize_t n;

	if (in->pos) {
		memmove(in->buf, in->buf + in->pos, in->len - in->pos);
		in->len -= in->pos;
		in->pos = 0;
	}
	in->buf = xgrow(in->buf, &in->cap, in->len + READ_CHUNK, 1);
	if (poll(&pfd, 1, 0) == 0)
		tell_blocking(in);
	if (in->failed)
		return;
	for (;;) {
		n = read(in->fd, in->buf + in->len, in->cap - in->len);
		if (n >= 0)
			break;
		if (errno == EAGAIN) {
			tell_blocking(in);
			poll(&pfd, 1, -1);
		} else if (errno != EINTR) {
			broken(in);
		}
	}
	in->len += (size_t)n;
	in->eof = n == 0;
}

/* Length of the line at pos without its end, and in *step with it; false if more must be read.
 * A line that is too long comes with REC_LINE_MAX + 1 bytes, which rec_parse() refuses. */
static bool
find_line(struct rec_in *in, size_t *from, size_t *len, size_t *step)
{
	const char *start = in->buf + in->pos, *nl;
	size_t have = in->len - in->pos;

	nl = have > *from ? memchr(start + *from, '\n', have - *from) : NULL;
	if (nl) {
		*len = (size_t)(nl - start);
		*step = *len + 1;
		return true;
	}
	if (in->eof) {
		*len = *step = have;
		return true;
	}
	*from = have;
	return false;
}

static bool
blank(const char *s, size_t n)
{
	while (n && (*s == ' ' || *s == '\t')) {
		s++;
		n--;
	}
	return !n;
}

int
rec_in_line(struct rec_in *in, const char **line, size_t *len)
{
	for (;;) {
		size_t from = 0, n, step;

		if (in->failed || (in->fd < 0 && !next_file(in)))
			return 0;
		while (!find_line(in, &from, &n, &step)) {
			if (from > REC_LINE_MAX + (size_t)READ_CHUNK) {
				/* keep the head, forget what follows it */
				in->len = in->pos + REC_LINE_MAX + 1;
				from = REC_LINE_MAX + 1;
			}
			fill(in);
			if (in->failed)
				return 0;
		}
		if (!step) {
			close_file(in);
			continue;
		}
		*line = in->buf + in->pos;
		in->pos += step;
		in->lineno++;
		/* some editors put a byte order mark before the first line */
		if (in->lineno == 1 && n >= 3 && memcmp(*line, "\xef\xbb\xbf", 3) == 0) {
			*line += 3;
			n -= 3;
		}
		if (n && (*line)[n - 1] == '\r')
			n--;
		if (blank(*line, n))
			continue;
		*len = n;
		in->count++;
		return 1;
	}
}

void
rec_in_close(struct rec_in *in)
{
	close_file(in);
	free(in->buf);
	*in = (struct rec_in){ .fd = -1 };
}

/* ---- writing --------------------------------------------------------------------------------- */

void
rec_out_open(struct rec_out *out, int fd, const char *name)
{
	struct stat st;

	*out = (struct rec_out){ .fd = fd, .name = name, .batch = PIPE_BATCH,
		.written_s = now_s() };
	if (fstat(fd, &st) == 0) {
		if (S_ISREG(st.st_mode))
			out->batch = FILE_BATCH;
		out->pipe = S_ISFIFO(st.st_mode);
	}
}

/* Several programs may write to one pipe (xargs -P). The kernel takes up to PIPE_BUF bytes in one
 * piece; a longer line needs a lock to stay whole, which a pipe's inode can bear like a file's. */
static void
lock_pipe(const struct rec_out *out, short type)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET };

	if (!out->pipe)
		return;
	while (fcntl(out->fd, F_SETLKW, &l) && errno == EINTR)
		;
}

static void
write_all(struct rec_out *out, const char *p, size_t n)
{
	if (!n)
		return;
	lock_pipe(out, F_WRLCK);
	while (n) {
		ssize_t w = write(out->fd, p, n);

		if (w >= 0) {
			p += w;
			n -= (size_t)w;
		} else if (errno == EAGAIN) {
			poll(&(struct pollfd){ .fd = out->fd, .events = POLLOUT }, 1, -1);
		} else if (errno != EINTR) {
			die("write error on %s:", out->name);
		}
	}
	lock_pipe(out, F_UNLCK);
	out->written_s = now_s();
}

/* A piece was put behind the first `before` bytes: writes what makes more than a batch, and all
 * when the last time was long ago, since then work is slow and somebody may be waiting. */
static void
settle(struct rec_out *out, size_t before)
{
	struct sb *sb = &out->sb;

	if (out->deferred)
		return;
	if (sb->len > out->batch) {
		write_all(out, sb->s, before);
		memmove(sb->s, sb->s + before, sb->len - before);
		sb->len -= before;
	}
	if (sb->len > out->batch || now_s() - out->written_s > 0.25)
		rec_out_flush(out);
}

void
rec_emit(struct rec_out *out, const struct rec *r)
{
	size_t before = out->sb.len;

	rec_write(r, &out->sb);
	settle(out, before);
}

void
rec_out_put(struct rec_out *out, const char *piece, size_t len)
{
	size_t before = out->sb.len;

	sb_put(&out->sb, piece, len);
	settle(out, before);
}

void
rec_out_lines(struct rec_out *out, const char *lines, size_t len)
{
	while (len) {
		const char *nl = memchr(lines, '\n', len);
		size_t n = nl ? (size_t)(nl - lines) + 1 : len;

		rec_out_put(out, lines, n);
		lines += n;
		len -= n;
	}
}

void
rec_out_flush(struct rec_out *out)
{
	if (out->deferred)
		return;
	write_all(out, out->sb.s, out->sb.len);
	sb_clear(&out->sb);
}

void
rec_out_close(struct rec_out *out)
{
	rec_out_flush(out);
	/* some file systems tell only now that the disk is full */
	if (out->fd == 1 && close(1))
		die("write error on %s:", out->name);
	sb_release(&out->sb);
	*out = (struct rec_out){ .fd = -1 };
}
