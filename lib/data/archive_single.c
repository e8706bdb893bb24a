/* Files that are no archives, but only compressed, or to be copied. */
#include "data/archive_unpack.h"

#include "base/err.h"
#include "base/file.h"
#include "data/archive_member.h"
#include "data/archive_name.h"
#include "data/archive_src.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* All bytes of s as file `name` of the staging folder. */
static int
plain_file(struct unpack *u, struct src *s, const char *name, int64_t *size)
{
	size_t n;
	const void *p;
	int fd = -1;

	*size = 0;
	if (u->root >= 0) {
		fd = openat(u->root, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0666);
		if (fd < 0)
			die("%s/%s: cannot be made:", u->o->dest, name);
	}
	for (;;) {
		int r = *u->stop ? err("stopped") : src_read(s, &p, &n);

		if (!r && !n)
			break;
		if (r) {
			if (fd >= 0) {
				unlinkat(u->root, name, 0);
				close(fd);
			}
			return -1;
		}
		for (size_t done = 0; fd >= 0 && done < n;) {
			ssize_t w = write(fd, (const char *)p + done, n - done);

			if (w < 0 && errno != EINTR)
				die("write error on %s/%s:", u->o->dest, name);
			done += w > 0 ? (size_t)w : 0;
		}
		*size += (int64_t)n;
	}
	if (fd >= 0 && close(fd))
		die("write error on %s/%s:", u->o->dest, name);
	return 0;
}

void
unpack_single(struct unpack *u, bool plain)
{
	struct src_limits l = { (uint64_t)u->o->max_bytes, u->o->max_ratio };
	struct log_entry e = { .kind = LOG_FILE };
	char *name = plain ? xstrdup(path_base(u->path)) : name_unpacked(path_base(u->path));
	struct src s;
	int r;

	name_utf8(&e.member, name);
	r = member_path(&e.path, name) || (!e.path.len && err("empty name")) ||
	    (plain ? src_open_plain(&s, u->file) : src_open(&s, u->file, &l));
	if (!r) {
		r = plain_file(u, &s, e.path.s, &e.size);
		if (s.garbage)
			unpack_say(u, LOG_WARN, NULL, BYTES_BEHIND);
		src_close(&s);
	}
	if (r) {
		unpack_say(u, LOG_BAD, plain ? NULL : name, errmsg());
	} else {
		log_put(u->log, &e);
		u->members++;
		++*u->count;
	}
	sb_release(&e.path);
	sb_release(&e.member);
	free(name);
}
