#include "metric/parallel.h"

#include "base/err.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

struct work {
	int64_t n;
	void (*fn)(void *, int64_t, int64_t, int);
	void *ctx;
	pthread_mutex_t lock;
	int next;
};

static void *
run(void *vp)
{
	struct work *w = vp;

	for (;;) {
		int part;

		pthread_mutex_lock(&w->lock);
		part = w->next < PARALLEL_PARTS ? w->next++ : -1;
		pthread_mutex_unlock(&w->lock);
		if (part < 0)
			return NULL;
		w->fn(w->ctx, w->n * part / PARALLEL_PARTS, w->n * (part + 1) / PARALLEL_PARTS,
		    part);
	}
}

void
parallel(int64_t n, void (*fn)(void *ctx, int64_t from, int64_t to, int part), void *ctx)
{
	struct work w = { .n = n, .fn = fn, .ctx = ctx, .lock = PTHREAD_MUTEX_INITIALIZER };
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t t[PARALLEL_PARTS];
	int extra = cores < 1 ? 0 : cores > PARALLEL_PARTS ? PARALLEL_PARTS - 1 : (int)cores - 1;

	for (int i = 0; i < extra; i++) {
		errno = pthread_create(&t[i], NULL, run, &w);
		if (errno)
			die("cannot start a thread:");
	}
	run(&w);
	for (int i = 0; i < extra; i++)
		pthread_join(t[i], NULL);
	pthread_mutex_destroy(&w.lock);
}
