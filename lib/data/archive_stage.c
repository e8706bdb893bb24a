#include "data/archive_stage.h"

#include "base/err.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct {
	int parent;
	char name[64]; /* "" if there is none */
	atomic_bool *stop;
	bool (*busy)(void);
	pthread_t listener;
	sigset_t set, old;
} stage = { .parent = -1 };

/* Removes folder `name` of dir with all that is in it, however deep, with one descriptor: goes down
 * into the first folder that is not empty, and up again. */
void
remove_tree(int dir, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dir, name, flags);
	size_t depth = 0;

	while (fd >= 0) {
		int sub = -1, up;
		struct dirent *d;
		DIR *dp = fdopendir(fd);

		while (dp && sub < 0 && (d = readdir(dp))) {
			if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
			    unlinkat(fd, d->d_name, 0) == 0 || unlinkat(fd, d->d_name, AT_REMOVEDIR) == 0)
				continue;
			sub = openat(fd, d->d_name, flags);
			if (sub < 0)
				break; /* not ours to remove */
		}
		up = sub < 0 && depth ? openat(fd, "..", flags) : -1;
		depth = sub >= 0 ? depth + 1 : depth ? depth - 1 : 0;
		if (!dp || closedir(dp))
			close(fd);
		fd = sub >= 0 ? sub : up;
	}
	unlinkat(dir, name, AT_REMOVEDIR);
}

bool
is_empty_folder(const char *path)
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
remove_stage(void)
{
	if (!stage.name[0])
		return;
	atomic_store(stage.stop, true);
	/* not for ever: somebody may be stuck in a read */
	for (int i = 0; i < 200 && stage.busy(); i++)
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	remove_tree(stage.parent, stage.name);
	stage.name[0] = '\0';
}

/* INT and TERM come to this thread alone; the folder goes before the program does. */
static void *
listen(void *unused)
{
	int sig;

	(void)unused;
	while (sigwait(&stage.set, &sig))
		;
	remove_stage();
	signal(sig, SIG_DFL);
	pthread_sigmask(SIG_UNBLOCK, &stage.set, NULL);
	raise(sig);
	return NULL;
}

/* The reader of our output has gone: raised by our own write, so nothing else is under way in this
 * thread. */
static void
no_reader(int sig)
{
	remove_stage();
	signal(sig, SIG_DFL);
	raise(sig);
}

void
stage_open(int parent, const char *name, atomic_bool *stop, bool (*busy)(void))
{
	static bool registered;
	struct timespec t;

	stage.parent = parent;
	stage.stop = stop;
	stage.busy = busy;
	sigemptyset(&stage.set);
	sigaddset(&stage.set, SIGINT);
	sigaddset(&stage.set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &stage.set, &stage.old);
	clock_gettime(CLOCK_REALTIME, &t);
	for (unsigned i = 0;; i++) {
		snprintf(stage.name, sizeof(stage.name), ".%.20s-%08x%03x", prog_name(),
		    (unsigned)t.tv_nsec ^ (unsigned)t.tv_sec << 8 ^ (unsigned)getpid() << 16, i);
		if (mkdirat(parent, stage.name, 0700) == 0)
			break;
		if (errno != EEXIST || i == 1000) {
			stage.name[0] = '\0';
			die("%s: cannot make a folder in it:", name);
		}
	}
	if (!registered)
		atexit(remove_stage);
	registered = true;
	if (pthread_create(&stage.listener, NULL, listen, NULL))
		die("cannot start a thread");
	if (sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = no_reader }, NULL))
		die("sigaction:");
}

char *
stage_path(const char *name)
{
	return xasprintf("%s/%s", stage.name, name);
}

void
stage_close(void)
{
	remove_tree(stage.parent, stage.name);
	stage.name[0] = '\0';
	pthread_cancel(stage.listener);
	pthread_join(stage.listener, NULL);
	pthread_sigmask(SIG_SETMASK, &stage.old, NULL);
	signal(SIGPIPE, SIG_DFL);
}
