#define _GNU_SOURCE /* syncfs */
#include "data/archive.h"

#include "base/err.h"
#include "base/file.h"
#include "base/progress.h"
#include "data/archive_name.h"
#include "data/archive_stage.h"
#include "data/archive_unpack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Archives that may be unpacked ahead of the one whose turn it is to be published: each holds an
 * open log. */
enum { AHEAD = 64 };

static struct job {
	const struct unpack_opts *o;
	const struct unpack_item *items;
	struct unpack *u;
	bool *done;           /* archive i is unpacked, not yet published */
	size_t n, next, turn;
	atomic_int active;    /* threads that may write below the staging folder */
	int dest;             /* -1 when listing */
	atomic_bool stop;
	atomic_ullong count;
	pthread_mutex_t lock;
	pthread_cond_t moved; /* next, turn or done changed */
} job = { .dest = -1, .lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER };
static _Thread_local bool worker;

static bool
busy(void)
{
	return atomic_load(&job.active) > worker;
}

static bool
is_empty(const char *path)
{
	DIR *dp = opendir(path);
	struct dirent *d;
	bool empty = true;

	if (!dp)
		die("%s: cannot be read:", path);
	while (empty && (d = readdir(dp)))
		empty = strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0;
	closedir(dp);
	return empty;
}

static void
open_dest(const char *dest)
{
	struct stat st;
	bool there = stat(dest, &st) == 0;

	if (there && !S_ISDIR(st.st_mode))
		die("%s: is no folder", dest);
	if (there && !is_empty(dest))
		die("%s: is not empty", dest);
	if (!there && make_dirs(dest))
		die("%s", errmsg());
	job.dest = open(dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (job.dest < 0)
		die("%s: cannot be opened:", dest);
	staging_open(job.dest, dest, &job.stop, busy);
}

/* Gives archive i its folder and its log. */
static void
stage(struct unpack *u, size_t i)
{
	char number[32], *name;
	int fd;

	u->root = -1;
	if (job.dest < 0) {
		u->log = tmpfile();
		if (!u->log)
			die("no temporary file:");
		return;
	}
	snprintf(number, sizeof(number), "%zu", i);
	name = staging_path(number);
	if (mkdirat(job.dest, name, 0700) ||
	    (u->root = openat(job.dest, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		die("%s: cannot make a folder in it:", job.o->dest);
	free(name);
	snprintf(number, sizeof(number), "%zu.log", i);
	name = staging_path(number);
	fd = openat(job.dest, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || !(u->log = fdopen(fd, "w+b")))
		die("%s: cannot make a file in it:", job.o->dest);
	unlinkat(job.dest, name, 0);
	free(name);
}

/* ---- publishing ------------------------------------------------------------------------------ */

static bool
there(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Moves one member to its place. 0, or -1 with a message if the place is taken. */
static int
move(struct unpack *u, const struct log_entry *e)
{
	const char *slash = strrchr(e->path.s, '/'), *base = slash ? slash + 1 : e->path.s;
	size_t n = slash ? (size_t)(slash - e->path.s) : 0;
	int from, to, r = 0;

	if (staging_owns(e->path.s))
		return err("the name is in use while the archive is unpacked");
	if (e->kind == LOG_DIR) {
		struct stat st;

		from = folder_open(u->root, e->path.s, e->path.len, false, 0);
		if (from >= 0 && fstat(from, &st))
			die("%s: cannot be read:", e->path.s);
		to = folder_open(job.dest, e->path.s, e->path.len, true,
		    from < 0 ? 0777 : st.st_mode & 0777);
		r = to < 0 ? -1 : 0;
	} else {
		from = folder_open(u->root, e->path.s, n, false, 0);
		to = folder_open(job.dest, e->path.s, n, true, 0777);
		if (from < 0 || to < 0)
			r = -1;
		else if (there(to, base))
			r = err("there already, from another archive");
		else if (renameat(from, base, to, base))
			die("%s/%s: cannot be moved to its place:", job.o->dest, e->path.s);
	}
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return r;
}

/* Moves the members to their places: whole folders where nothing of that name is there yet, else
 * one by one when `emit` comes to them. False: some are left to be moved. */
static bool
publish(struct unpack *u)
{
	int fd = openat(u->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dp = fd < 0 ? NULL : fdopendir(fd);
	bool all = true;
	struct dirent *d;

	if (!dp)
		die("%s: cannot be read:", job.o->dest);
	if (job.o->sync && syncfs(fd))
		die("%s: write error:", job.o->dest);
	while ((d = readdir(dp))) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (there(job.dest, d->d_name))
			all = false;
		else if (renameat(u->root, d->d_name, job.dest, d->d_name))
			die("%s/%s: cannot be moved to its place:", job.o->dest, d->d_name);
	}
	closedir(dp);
	return all;
}

static bool
is_lost(const struct unpack *u, const char *path)
{
	for (size_t i = 0; i < u->lost.len; i += strlen(u->lost.s + i) + 1)
		if (strcmp(u->lost.s + i, path) == 0)
			return true;
	return false;
}

static void
record(const struct unpack *u, const struct log_entry *e, struct rec *r, struct rec_out *out)
{
	struct sb archive = { 0 };

	name_utf8(&archive, u->path);
	rec_set_str(r, "id", e->path.s);
	if (job.o->dest) {
		char *file = path_join(job.o->dest, e->path.s);

		rec_set_str(r, "file_name", file);
		free(file);
	}
	rec_set_str(r, "archive", archive.s);
	rec_set_str(r, "member", e->member.s);
	if (e->kind == LOG_FILE && e->size >= 0) {
		/* an empty file may have got its bytes with a later name of it */
		struct stat st = { .st_size = e->size };

		if (!e->size && job.dest >= 0)
			fstatat(job.dest, e->path.s, &st, AT_SYMLINK_NOFOLLOW);
		rec_set_int(r, "size", st.st_size);
	}
	if (e->kind != LOG_FILE)
		rec_set_str(r, "kind", e->kind == LOG_DIR ? "folder" : "symlink");
	rec_emit(out, r);
	rec_clear(r);
	sb_release(&archive);
}

static void
complain(const struct unpack *u, const struct log_entry *e, const char *why)
{
	struct sb text = { 0 };

	unpack_message(&text, u, e->member.s, why);
	warn("%s", text.s);
	sb_release(&text);
}

/* Publishes archive u, then writes its records and messages. True if anything was bad. */
static bool
emit(struct unpack *u, size_t i, struct rec_out *out)
{
	bool bad = u->bad, all = job.dest < 0 || u->withdrawn || publish(u);
	struct log_entry e = { 0 };
	struct rec r = { 0 };
	char number[32], *name;

	/* what the fast way left is moved before the first record goes out, so that a reader that
	 * goes away leaves nothing undone */
	rewind(u->log);
	while (!all && log_get(u->log, &e))
		if (e.kind <= LOG_SYMLINK && there(u->root, e.path.s))
			(void)move(u, &e);
	rewind(u->log);
	while (log_get(u->log, &e)) {
		if (e.kind == LOG_BAD || e.kind == LOG_WARN) {
			warn("%s", e.path.s);
		} else if (u->withdrawn) {
			continue;
		} else if (is_lost(u, e.path.s)) {
			complain(u, &e, "its bytes, under another name, are damaged");
		} else if (!all && there(u->root, e.path.s) && move(u, &e)) {
			complain(u, &e, errmsg());
			bad = true;
		} else if (e.kind == LOG_FILE || job.o->dirs) {
			record(u, &e, &r, out);
		}
	}
	rec_out_flush(out);
	sb_release(&e.path);
	sb_release(&e.member);
	rec_release(&r);
	if (u->root >= 0) {
		close(u->root);
		snprintf(number, sizeof(number), "%zu", i);
		name = staging_path(number);
		(void)tree_remove(job.dest, name);
		free(name);
	}
	unpack_release(u);
	return bad;
}

/* ---- threads --------------------------------------------------------------------------------- */

static void *
work(void *arg)
{
	(void)arg;
	worker = true;
	pthread_mutex_lock(&job.lock);
	while (job.next < job.n && !job.stop) {
		size_t i = job.next;
		struct unpack *u = &job.u[i];

		if (i >= job.turn + AHEAD) {
			pthread_cond_wait(&job.moved, &job.lock);
			continue;
		}
		job.next++;
		atomic_fetch_add(&job.active, 1);
		pthread_mutex_unlock(&job.lock);
		*u = (struct unpack){ .o = job.o, .path = job.items[i].path,
			.file = job.items[i].file, .copy = job.items[i].copy,
			.maybe = job.items[i].maybe, .stop = &job.stop, .count = &job.count };
		if (!u->file)
			u->file = u->path;
		stage(u, i);
		unpack_one(u);
		atomic_fetch_sub(&job.active, 1);
		pthread_mutex_lock(&job.lock);
		/* what was stopped halfway is never published: the program is about to end */
		job.done[i] = !job.stop;
		pthread_cond_broadcast(&job.moved);
	}
	pthread_mutex_unlock(&job.lock);
	return NULL;
}

/* Waits until archive i is unpacked. */
static void
await(size_t i, struct progress *p)
{
	pthread_mutex_lock(&job.lock);
	while (!job.done[i]) {
		struct timespec t;

		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_nsec += 200000000;
		t.tv_sec += t.tv_nsec / 1000000000;
		t.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&job.moved, &job.lock, &t);
		progress_at(p, atomic_load(&job.count));
	}
	job.turn = i + 1;
	pthread_cond_broadcast(&job.moved);
	pthread_mutex_unlock(&job.lock);
}

int
unpack_all(const struct unpack_opts *o, const struct unpack_item *items, size_t n,
    struct rec_out *out)
{
	size_t nthreads = (size_t)o->jobs < n ? (size_t)o->jobs : n;
	pthread_t *thread = xcalloc(nthreads, sizeof(*thread));
	struct progress p;
	bool bad = false;

	job.o = o;
	job.items = items;
	job.n = n;
	job.u = xcalloc(n, sizeof(*job.u));
	job.done = xcalloc(n, sizeof(*job.done));
	if (o->dest)
		open_dest(o->dest);
	progress_start(&p, "members", 0, o->quiet);
	for (size_t i = 0; i < nthreads; i++)
		if ((errno = pthread_create(&thread[i], NULL, work, NULL)))
			die("cannot start a thread:");
	for (size_t i = 0; i < n; i++) {
		await(i, &p);
		bad |= emit(&job.u[i], i, out);
	}
	progress_end(&p);
	for (size_t i = 0; i < nthreads; i++)
		pthread_join(thread[i], NULL);
	if (job.dest >= 0) {
		staging_close();
		close(job.dest);
	}
	job.dest = -1;
	free(job.u);
	free(job.done);
	free(thread);
	return bad ? EXIT_RECORDS : EXIT_OK;
}
