#include "base/file.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/order.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/*
 * A program that a signal ends runs no atexit function, so the names of temporary files also stand
 * where a handler finds them: in fixed places, for it may neither lock nor allocate. More files at
 * once than places: the rest is removed by die() and a normal end only.
 */
enum { PLACES = 64 };
static struct {
	atomic_bool live;
	pid_t owner; /* a child between fork and exec must not remove its parent's files */
	char name[1024];
} places[PLACES];
static pthread_mutex_t places_lock = PTHREAD_MUTEX_INITIALIZER; /* for all but the handler */
/* Threads that are creating a file, signals blocked, so that the handler, which is on another
 * thread then, can wait for them. Once it runs no more are created. */
static atomic_int creating;
static atomic_bool ending;

static void
remove_temps(int sig)
{
	const struct timespec ms = { 0, 1000000 };

	atomic_store(&ending, true);
	for (int i = 0; i < 2000 && atomic_load(&creating); i++)
		nanosleep(&ms, NULL);
	for (int i = 0; i < PLACES; i++)
		if (atomic_load(&places[i].live) && places[i].owner == getpid())
			unlink(places[i].name);
	signal(sig, SIG_DFL);
	raise(sig);
}

/* Signals that would end the program are caught; those that it ignores or handles are left. */
static void
catch_signals(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGUSR1, SIGXCPU,
	    SIGXFSZ };
	struct sigaction sa = { .sa_handler = remove_temps }, old;

	sigfillset(&sa.sa_mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			sigaction(signals[i], &sa, NULL);
}

static void
note_temp(const char *name)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	on_exit_unlink(name);
	pthread_once(&once, catch_signals);
	pthread_mutex_lock(&places_lock);
	for (int i = 0; i < PLACES && strlen(name) < sizeof(places[i].name); i++) {
		if (!places[i].live) {
			strcpy(places[i].name, name);
			places[i].owner = getpid();
			atomic_store(&places[i].live, true);
			break;
		}
	}
	pthread_mutex_unlock(&places_lock);
}

static void
forget_temp(const char *name)
{
	on_exit_unlink_done(name);
	pthread_mutex_lock(&places_lock);
	for (int i = 0; i < PLACES; i++)
		if (places[i].live && strcmp(places[i].name, name) == 0)
			atomic_store(&places[i].live, false);
	pthread_mutex_unlock(&places_lock);
}

/* A new file of this name, noted for removal. -1 with errno. */
static int
create_noted(const char *name)
{
	sigset_t all, old;
	int fd, e;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	atomic_fetch_add(&creating, 1);
	if (atomic_load(&ending)) {
		atomic_fetch_sub(&creating, 1);
		for (;;)
			pause();
	}
	note_temp(name);
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	e = errno;
	if (fd < 0)
		forget_temp(name);
	atomic_fetch_sub(&creating, 1);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = e;
	return fd;
}

/* A new file beside path under a name of its own; fills f->temp. -1 with errno. */
static int
temp_create(struct outfile *f, const char *path)
{
	static atomic_uint count;
	char *dir = path_dir(path);

	for (int tries = 0; tries < 1000; tries++) {
		char *name = xasprintf("%s/.phantom-%ld-%u.tmp", dir, (long)getpid(),
		    atomic_fetch_add(&count, 1));
		int fd = create_noted(name);

		if (fd >= 0)
			f->temp = name;
		else
			free(name);
		if (fd >= 0 || errno != EEXIST) {
			free(dir);
			return fd;
		}
	}
	free(dir);
	return -1;
}

static void
forget(struct outfile *f)
{
	if (f->temp)
		forget_temp(f->temp);
	free(f->temp);
	free(f->path);
	*f = (struct outfile){ 0 };
}

int
outfile_open(struct outfile *f, const char *path)
{
	struct stat st;
	int fd;

	*f = (struct outfile){ 0 };
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return err("%s: is a folder", path);
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		/* a device or pipe is written as it is: it cannot be replaced */
		fd = open(path, O_WRONLY | O_CLOEXEC);
	} else {
		fd = temp_create(f, path);
	}
	if (fd < 0 || !(f->fp = fdopen(fd, "wb"))) {
		err("%s: cannot create:", path);
		if (fd >= 0)
			close(fd);
		if (f->temp)
			unlink(f->temp);
		forget(f);
		return -1;
	}
	f->path = xstrdup(path);
	return 0;
}

int
outfile_commit(struct outfile *f)
{
	bool bad = fflush(f->fp) != 0 || ferror(f->fp);

	if (f->temp && !bad)
		bad = fsync(fileno(f->fp)) != 0;
	if (bad)
		err("%s: cannot write:", f->path);
	if (fclose(f->fp) && !bad) {
		err("%s: cannot write:", f->path);
		bad = true;
	}
	f->fp = NULL;
	if (!bad && f->temp && rename(f->temp, f->path)) {
		err("%s: cannot rename:", f->path);
		bad = true;
	}
	if (bad && f->temp)
		unlink(f->temp);
	forget(f);
	return bad ? -1 : 0;
}

void
outfile_abort(struct outfile *f)
{
	if (f->fp)
		fclose(f->fp);
	if (f->temp)
		unlink(f->temp);
	forget(f);
}

static int
read_all(const char *path, int flags, size_t limit, char **data, size_t *len)
{
	size_t n = 0, cap = 0;
	char *p = NULL;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | flags);

	*data = NULL;
	*len = 0;
	if (fd < 0)
		return err("%s:", path);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= 0) {
		if ((uintmax_t)st.st_size > limit)
			goto toolarge;
		p = xgrow(p, &cap, (size_t)st.st_size + 2, 1);
	}
	for (;;) {
		ssize_t r;

		p = xgrow(p, &cap, n + 2, 1);
		r = read(fd, p + n, cap - n - 1);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0) {
			err("%s:", path);
			goto fail;
		}
		if (!r)
			break;
		n += (size_t)r;
		if (n > limit)
			goto toolarge;
	}
	close(fd);
	p[n] = '\0';
	*data = p;
	*len = n;
	return 0;
toolarge:
	err("%s: larger than %zu bytes", path, limit);
fail:
	close(fd);
	free(p);
	return -1;
}

int
file_read(const char *path, size_t limit, char **data, size_t *len)
{
	return read_all(path, 0, limit, data, len);
}

int
file_read_regular(const char *path, size_t limit, char **data, size_t *len)
{
	struct stat st;

	*data = NULL;
	*len = 0;
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return err("%s: is a pipe or device, not a file", path);
	/* so that a pipe which takes its place now is not waited for either */
	return read_all(path, O_NONBLOCK, limit, data, len);
}

int
file_write(const char *path, const void *data, size_t len)
{
	struct outfile f;

	if (outfile_open(&f, path))
		return -1;
	/* a short write is seen by outfile_commit() through ferror() */
	fwrite(data, 1, len, f.fp);
	return outfile_commit(&f);
}

bool
file_exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

int
dir_names(const char *dir, struct arena *mem, char ***names, size_t *n)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char **v = NULL;
	size_t cap = 0;

	*n = 0;
	if (!d)
		return err("%s:", dir);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		v = xgrow(v, &cap, *n + 1, sizeof(*v));
		v[(*n)++] = arena_strndup(mem, e->d_name, strlen(e->d_name));
	}
	closedir(d);
	if (*n)
		qsort(v, *n, sizeof(*v), order_names);
	*names = v;
	return 0;
}

bool
is_folder(const char *path, bool or_new)
{
	struct stat st;

	return stat(path, &st) ? or_new && errno == ENOENT : S_ISDIR(st.st_mode);
}

int
make_dirs(const char *path)
{
	char *copy = xstrdup(path);
	struct stat st;
	int ret = 0;

	/* each prefix that ends before a slash, then all of it */
	for (char *p = copy; !ret && *p; p++) {
		char c = p[1];

		if (*p == '/' || (c && c != '/'))
			continue;
		p[1] = '\0';
		if (mkdir(copy, 0777) &&
		    (errno != EEXIST || stat(copy, &st) || !S_ISDIR(st.st_mode))) {
			if (errno == EEXIST)
				errno = ENOTDIR;
			ret = err("%s: cannot create folder:", copy);
		}
		p[1] = c;
	}
	free(copy);
	return ret;
}

/* Removes what can go from an open folder, which is closed. Returns the folder to go on with: the
 * first in it that is not empty, or the one that holds it if `up`, or -1. */
static int
remove_members(int fd, bool up, bool *down, bool *stuck)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	const struct dirent *e;
	int next = -1;
	DIR *d = fdopendir(fd);

	*stuck = !d;
	while (d && next < 0 && !*stuck && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    unlinkat(fd, e->d_name, 0) == 0 || unlinkat(fd, e->d_name, AT_REMOVEDIR) == 0)
			continue;
		next = openat(fd, e->d_name, flags);
		*stuck = next < 0;
	}
	*down = next >= 0;
	if (next < 0 && up && !*stuck)
		next = openat(fd, "..", flags);
	if (!d || closedir(d))
		close(fd);
	return next;
}

int
tree_remove(int dir, const char *name)
{
	size_t depth = 0;
	bool down, stuck = false;
	int fd;

	if (unlinkat(dir, name, 0) == 0)
		return 0;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	while (fd >= 0) {
		fd = remove_members(fd, depth > 0, &down, &stuck);
		depth = down ? depth + 1 : depth ? depth - 1 : 0;
	}
	return unlinkat(dir, name, AT_REMOVEDIR) ? err("%s: cannot be removed:", name) : 0;
}

char *
path_join(const char *dir, const char *name)
{
	size_t n;

	if (!dir || !*dir || strcmp(dir, ".") == 0 || *name == '/')
		return xstrdup(name);
	n = strlen(dir);
	return xasprintf("%s%s%s", dir, dir[n - 1] == '/' ? "" : "/", name);
}

char *
path_dir(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return xstrdup(".");
	while (slash > path && slash[-1] == '/')
		slash--;
	return xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
}

const char *
path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

const char *
path_ext(const char *path)
{
	const char *base = path_base(path), *dot = strrchr(base, '.');

	return dot && dot > base ? dot : base + strlen(base);
}

void
stdout_close(void)
{
	bool bad = fflush(stdout) != 0 || ferror(stdout);

	if (fclose(stdout) || bad)
		die("write error on standard output:");
}
