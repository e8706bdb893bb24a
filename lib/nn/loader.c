#include "nn/loader.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/threads.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { AHEAD = 3 }; /* batches made or being made */

struct slot {
	struct loader_batch b;
	size_t left; /* samples not yet made */
	char *error;
};

struct loader {
	loader_fn *fn;
	void *ctx;
	size_t bytes, batch;
	pthread_t *thread;
	int nthread;
	pthread_mutex_t lock;
	pthread_cond_t work, done;
	bool stop;
	uint32_t *order;
	size_t n;         /* samples of this run */
	uint64_t epoch;
	size_t next;      /* sample to be made next */
	size_t running;   /* samples being made */
	size_t given;     /* batches handed out */
	struct slot slot[AHEAD];
};

/* A sample may be begun: its batch's slot is free. Batch number `given` - 1 is the caller's. */
static bool
may_begin(const struct loader *l)
{
	size_t in_use = l->given ? l->given - 1 : 0;

	return l->next < l->n && l->next / l->batch < in_use + AHEAD;
}

static void
make_one(struct loader *l)
{
	size_t i = l->next++, at = i / l->batch, in = i % l->batch;
	struct slot *s = &l->slot[at % AHEAD];
	uint32_t item = l->order[i];
	uint64_t epoch = l->epoch;
	int r;

	if (in == 0) {
		s->b.n = s->left = l->n - i < l->batch ? l->n - i : l->batch;
		s->b.item = l->order + i;
		free(s->error);
		s->error = NULL;
	}
	l->running++;
	pthread_mutex_unlock(&l->lock);
	r = l->fn(l->ctx, item, epoch, (char *)s->b.data + in * l->bytes);
	pthread_mutex_lock(&l->lock);
	if (r && !s->error)
		s->error = xstrdup(errmsg());
	l->running--;
	s->left--;
	pthread_cond_broadcast(&l->done);
}

static void *
worker(void *arg)
{
	struct loader *l = arg;

	pthread_mutex_lock(&l->lock);
	while (!l->stop)
		if (may_begin(l))
			make_one(l);
		else
			pthread_cond_wait(&l->work, &l->lock);
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

struct loader *
loader_new(loader_fn *fn, void *ctx, size_t sample_bytes, size_t batch, int threads)
{
	struct loader *l = xcalloc(1, sizeof(*l));
	size_t size;

	if (!mul_size(sample_bytes, batch, &size))
		die("loader: a batch is too large");
	*l = (struct loader){ .fn = fn, .ctx = ctx, .bytes = sample_bytes, .batch = batch };
	for (int i = 0; i < AHEAD; i++)
		l->slot[i].b.data = xmalloc(size);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->work, NULL);
	pthread_cond_init(&l->done, NULL);
	l->thread = xcalloc((size_t)threads, sizeof(*l->thread));
	l->nthread = threads;
	threads_start(l->thread, (size_t)threads, worker, l);
	return l;
}

void
loader_free(struct loader *l)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_broadcast(&l->work);
	pthread_mutex_unlock(&l->lock);
	for (int i = 0; i < l->nthread; i++)
		pthread_join(l->thread[i], NULL);
	for (int i = 0; i < AHEAD; i++) {
		free(l->slot[i].b.data);
		free(l->slot[i].error);
	}
	pthread_cond_destroy(&l->work);
	pthread_cond_destroy(&l->done);
	pthread_mutex_destroy(&l->lock);
	free(l->thread);
	free(l->order);
	free(l);
}

void
loader_start(struct loader *l, const uint32_t *order, size_t n, uint64_t epoch)
{
	pthread_mutex_lock(&l->lock);
	l->n = l->next; /* nothing more is begun */
	while (l->running)
		pthread_cond_wait(&l->done, &l->lock);
	free(l->order);
	l->order = xmalloc((n + 1) * sizeof(*l->order));
	if (n)
		memcpy(l->order, order, n * sizeof(*order));
	l->n = n;
	l->epoch = epoch;
	l->next = l->given = 0;
	pthread_cond_broadcast(&l->work);
	pthread_mutex_unlock(&l->lock);
}

struct loader_batch *
loader_next(struct loader *l)
{
	struct slot *s = NULL;

	pthread_mutex_lock(&l->lock);
	if (l->given * l->batch < l->n) {
		size_t end = (l->given + 1) * l->batch;

		l->given++;
		/* the slot of the batch before is free now */
		pthread_cond_broadcast(&l->work);
		s = &l->slot[(l->given - 1) % AHEAD];
		while (l->next < (end < l->n ? end : l->n) || s->left)
			pthread_cond_wait(&l->done, &l->lock);
		s->b.error = s->error;
	}
	pthread_mutex_unlock(&l->lock);
	return s ? &s->b : NULL;
}

/* ---- order ----------------------------------------------------------------------------------- */

struct key {
	uint64_t at;
	const char *id;
	uint32_t item;
};

static int
by_key(const void *a, const void *b)
{
	const struct key *p = a, *q = b;

	if (p->at != q->at)
		return p->at < q->at ? -1 : 1;
	return strcmp(p->id, q->id);
}

void
loader_shuffle(uint32_t *order, const char *const *id, size_t n, uint64_t seed, uint64_t epoch)
{
	struct key *k = xmalloc((n + 1) * sizeof(*k));

	for (size_t i = 0; i < n; i++) {
		struct rng r;

		rng_init(&r, seed, rng_stream("order", id[i]) ^ (epoch + 1) * 0x9E3779B97F4A7C15u);
		k[i] = (struct key){ rng_u64(&r), id[i], (uint32_t)i };
	}
	qsort(k, n, sizeof(*k), by_key);
	for (size_t i = 0; i < n; i++)
		order[i] = k[i].item;
	free(k);
}
