#define _GNU_SOURCE /* syncfs */
#include "data/pack_stage.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_S = 10 }; /* a signal waits so long for a write that hangs */

static struct {
	int parent, fd;   /* the folder that holds the stage, and the stage; -1 */
	char name[64];    /* "": there is none */
	pthread_mutex_t lock; /* held while files are made */
	pthread_t listener;
	sigset_t signals, old;
} stage = { .parent = -1, .fd = -1 };

/* ---- removal --------------------------------------------------------------------------------- */

/* At the end of the program, however it comes. The lock is not given back: nobody makes files in a
 * stage that has gone. */
static void
remove_stage(void)
{
	struct timespec t;

	if (!stage.name[0])
		return;
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += PATIENCE_S;
	/* held by this thread: it ends the program in the middle of a write */
	(void)pthread_mutex_timedlock(&stage.lock, &t);
	(void)tree_remove(stage.parent, stage.name);
	stage.name[0] = '\0';
}

/* Signals come to this thread alone; the stage goes before the program does. */
static void *
listen(void *set)
{
	int sig;

	while (sigwait(set, &sig))
		;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	remove_stage();
	signal(sig, SIG_DFL);
	pthread_sigmask(SIG_UNBLOCK, set, NULL);
	raise(sig);
	return NULL;
}

/* Those that would end the program; what it was told to ignore stays ignored. A write beyond a
 * limit or to a closed pipe is an error of that write. */
static void
hold_signals(void)
{
	static const int ending[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM,
		SIGXCPU };
	struct sigaction sa;
	sigset_t all;

	sigemptyset(&stage.signals);
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		if (sigaction(ending[i], NULL, &sa) == 0 && sa.sa_handler == SIG_DFL)
			sigaddset(&stage.signals, ending[i]);
	all = stage.signals;
	sigaddset(&all, SIGXFSZ);
	sigaddset(&all, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &all, &stage.old);
}

/* ---- the stage ------------------------------------------------------------------------------- */

void
stage_open(const char *path)
{
	static bool registered;
	pthread_mutexattr_t attr;
	char *dir = path_dir(path);

	hold_signals();
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&stage.lock, &attr);
	pthread_mutexattr_destroy(&attr);
	if (!registered)
		atexit(remove_stage);
	registered = true;
	stage.parent = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (stage.parent < 0)
		die("%s: cannot be opened:", dir);
	for (int i = 0; !stage.name[0]; i++) {
		char name[sizeof(stage.name)];

		snprintf(name, sizeof(name), ".phantom-%ld-%d.tmp", (long)getpid(), i);
		if (mkdirat(stage.parent, name, 0700) == 0)
			strcpy(stage.name, name);
		else if (errno != EEXIST || i == 1000)
			die("%s: cannot make a folder in it:", dir);
	}
	stage.fd = openat(stage.parent, stage.name,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (stage.fd < 0)
		die("%s: cannot make a folder in it:", dir);
	if ((errno = pthread_create(&stage.listener, NULL, listen, &stage.signals)))
		die("cannot start a thread:");
	free(dir);
}

int
stage_fd(void)
{
	return stage.fd;
}

void
stage_enter(void)
{
	pthread_mutex_lock(&stage.lock);
}

void
stage_leave(void)
{
	pthread_mutex_unlock(&stage.lock);
}

FILE *
stage_spool(void)
{
	static const char name[] = "spool";
	FILE *fp;
	int fd;

	stage_enter();
	fd = openat(stage.fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	unlinkat(stage.fd, name, 0);
	stage_leave();
	if (fd < 0 || !(fp = fdopen(fd, "w+b")))
		die("cannot make a temporary file:");
	return fp;
}

void
spool_put(FILE *fp, const void *p, size_t n)
{
	if (n && fwrite(p, 1, n, fp) != n)
		die("write error on a temporary file:");
}

/* ---- publishing ------------------------------------------------------------------------------ */

/* A folder never takes the place of one that holds something, nor a file that of another. */
static int
move(const struct stage_item *it)
{
	struct stat from, to;

	if (fstatat(stage.fd, it->from, &from, AT_SYMLINK_NOFOLLOW))
		return err("%s: has gone:", it->from);
	if (lstat(it->to, &to) == 0)
		return err("%s: exists", it->to);
	if (!S_ISDIR(from.st_mode)) {
		if (linkat(stage.fd, it->from, AT_FDCWD, it->to, 0) == 0)
			return 0;
		if (errno == EEXIST)
			return err("%s: exists", it->to);
		/* a file system without links */
	}
	if (renameat(stage.fd, it->from, AT_FDCWD, it->to))
		return err("%s: cannot be made:", it->to);
	return 0;
}

void
stage_publish(const struct stage_item *it, size_t n)
{
	size_t done = 0;
	int r = 0;

	if (syncfs(stage.fd))
		die("%s: write error:", n ? it->to : "file system");
	stage_enter();
	while (!r && done < n && (r = move(&it[done])) == 0)
		done++;
	/* some file systems have nothing to do here, and say so */
	if (!r && fsync(stage.parent) && errno != EINVAL)
		r = err("%s: write error:", n ? it->to : "file system");
	while (r && done--)
		(void)tree_remove(AT_FDCWD, it[done].to);
	stage_leave();
	if (r)
		die("%s", errmsg());
}

void
stage_close(void)
{
	if (stage.parent < 0)
		return;
	pthread_cancel(stage.listener);
	pthread_join(stage.listener, NULL);
	remove_stage();
	stage_leave();
	close(stage.fd);
	close(stage.parent);
	stage.fd = stage.parent = -1;
	pthread_sigmask(SIG_SETMASK, &stage.old, NULL);
}
