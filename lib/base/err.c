#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *name = "phantom";
static _Thread_local char message[1024];

/* Temporary files to remove at exit. Few are open at once, so a list will do. */
static pthread_mutex_t temp_lock = PTHREAD_MUTEX_INITIALIZER;
static char **temps;
static size_t ntemps, captemps;

static void
unlink_temps(void)
{
	pthread_mutex_lock(&temp_lock);
	for (size_t i = 0; i < ntemps; i++)
		unlink(temps[i]);
	ntemps = 0;
	pthread_mutex_unlock(&temp_lock);
}

void
prog_init(const char *argv0)
{
	const char *slash = strrchr(argv0, '/');

	name = slash ? slash + 1 : argv0;
	/* if a standard descriptor is closed, the next file to be opened would take its place */
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd)
			die("cannot open /dev/null:");
	signal(SIGPIPE, SIG_DFL);
	atexit(unlink_temps);
}

const char *
prog_name(void)
{
	return name;
}

/* Formats into buf[size], with strerror(e) after a trailing colon. */
static void
format(char *buf, size_t size, int e, const char *fmt, va_list ap)
{
	int n = vsnprintf(buf, size, fmt, ap);
	size_t len = n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;

	if (len && buf[len - 1] == ':' && len + 2 < size)
		snprintf(buf + len, size - len, " %s", strerror(e));
}

void
warn(const char *fmt, ...)
{
	char buf[1200];
	int e = errno;
	va_list ap;

	va_start(ap, fmt);
	format(buf, sizeof(buf), e, fmt, ap);
	va_end(ap);
	fprintf(stderr, "%s: %s\n", name, buf);
}

static _Noreturn void
vdie(int code, int e, const char *fmt, va_list ap)
{
	char buf[1200];

	format(buf, sizeof(buf), e, fmt, ap);
	fprintf(stderr, "%s: %s\n", name, buf);
	exit(code);
}

void
die(const char *fmt, ...)
{
	int e = errno;
	va_list ap;

	va_start(ap, fmt);
	vdie(EXIT_FATAL, e, fmt, ap);
}

void
die_code(int code, const char *fmt, ...)
{
	int e = errno;
	va_list ap;

	va_start(ap, fmt);
	vdie(code, e, fmt, ap);
}

int
err(const char *fmt, ...)
{
	char buf[sizeof(message)];
	int e = errno;
	va_list ap;

	/* the arguments may include errmsg() itself, so format beside it */
	va_start(ap, fmt);
	format(buf, sizeof(buf), e, fmt, ap);
	va_end(ap);
	memcpy(message, buf, sizeof(message));
	return -1;
}

int
err_prefix(const char *fmt, ...)
{
	char buf[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	return err("%s: %s", buf, message);
}

const char *
errmsg(void)
{
	return message;
}

void
on_exit_unlink(const char *path)
{
	char *copy = strdup(path);

	pthread_mutex_lock(&temp_lock);
	if (copy && ntemps == captemps) {
		size_t cap = captemps ? 2 * captemps : 16;
		char **p = realloc(temps, cap * sizeof(*p));

		if (p) {
			temps = p;
			captemps = cap;
		}
	}
	if (copy && ntemps < captemps)
		temps[ntemps++] = copy;
	else
		free(copy);
	pthread_mutex_unlock(&temp_lock);
}

void
on_exit_unlink_done(const char *path)
{
	pthread_mutex_lock(&temp_lock);
	for (size_t i = 0; i < ntemps; i++) {
		if (strcmp(temps[i], path) == 0) {
			free(temps[i]);
			temps[i] = temps[--ntemps];
			break;
		}
	}
	pthread_mutex_unlock(&temp_lock);
}
