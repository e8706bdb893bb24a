#include "base/threads.h"

#include "base/err.h"
#include "base/mem.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

void
threads_start(pthread_t *t, size_t n, void *(*fn)(void *), void *ctx)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	for (size_t i = 0; i < n; i++)
		if ((errno = pthread_create(&t[i], NULL, fn, ctx)))
			die("cannot start a thread:");
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

struct each {
	size_t n, next;
	int (*stop)(void);
	void (*one)(void *, size_t);
	void *ctx;
	pthread_mutex_t lock;
};

static void *
work(void *arg)
{
	struct each *e = arg;

	for (;;) {
		size_t i;

		pthread_mutex_lock(&e->lock);
		i = e->stop && e->stop() ? e->n : e->next;
		e->next += i < e->n;
		pthread_mutex_unlock(&e->lock);
		if (i >= e->n)
			return NULL;
		e->one(e->ctx, i);
	}
}

void
threads_each(size_t n, size_t threads, int (*stop)(void), void (*one)(void *ctx, size_t i),
    void *ctx)
{
	struct each e = { .n = n, .stop = stop, .one = one, .ctx = ctx,
		.lock = PTHREAD_MUTEX_INITIALIZER };
	size_t more = threads < n ? threads : n;
	pthread_t *t = xcalloc(more + 1, sizeof(*t));

	more -= more && !stop;
	threads_start(t, more, work, &e);
	if (!stop)
		work(&e);
	for (size_t i = 0; i < more; i++)
		pthread_join(t[i], NULL);
	pthread_mutex_destroy(&e.lock);
	free(t);
}

bool
threads_take(atomic_size_t *left, size_t n)
{
	size_t there = atomic_load(left);

	while (n <= there)
		if (atomic_compare_exchange_weak(left, &there, there - n))
			return true;
	return false;
}
