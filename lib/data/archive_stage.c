#include "data/archive_stage.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
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

static void
remove_stage(void)
{
	if (!stage.name[0])
		return;
	atomic_store(stage.stop, true);
	/* not for ever: somebody may be stuck in a read */
	for (int i = 0; i < 200 && stage.busy(); i++)
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	(void)tree_remove(stage.parent, stage.name);
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
staging_open(int parent, const char *name, atomic_bool *stop, bool (*busy)(void))
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
	if ((errno = pthread_create(&stage.listener, NULL, listen, NULL)))
		die("cannot start a thread:");
	if (sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = no_reader }, NULL))
		die("sigaction:");
}

char *
staging_path(const char *name)
{
	return xasprintf("%s/%s", stage.name, name);
}

bool
staging_owns(const char *path)
{
	size_t n = strlen(stage.name);

	return strncmp(path, stage.name, n) == 0 && (path[n] == '/' || !path[n]);
}

void
staging_close(void)
{
	(void)tree_remove(stage.parent, stage.name);
	stage.name[0] = '\0';
	pthread_cancel(stage.listener);
	pthread_join(stage.listener, NULL);
	pthread_sigmask(SIG_SETMASK, &stage.old, NULL);
	signal(SIGPIPE, SIG_DFL);
}
