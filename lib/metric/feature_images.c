#include "metric/feature_images.h"

#include "base/err.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/threads.h"
#include "gpu/gpu.h"
#include "metric/feature_cache.h"
#include "metric/kernel.h"
#include "model/embedder.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX ((size_t)1 << 30)

/* A prepared image on its way to the device. */
struct slot {
	int64_t row;
	struct content content;
	float *in;
};

struct work {
	struct fset_images *im;
	struct fset *s;
	struct feature_cache *cache;
	float *logits;          /* [n,c] or NULL */
	char **why;             /* [n]: of a bad image */
	pthread_mutex_t lock;
	pthread_cond_t ready, emptied;
	struct slot *slot;
	int nslots;
	int *idle, nidle;       /* slots without an image */
	int *full, nfull;       /* prepared ones, in the order in which they came */
	int64_t next, done;     /* rows taken by a thread, rows finished or prepared */
};

static size_t
floats(const struct work *w)
{
	return (size_t)w->s->d + (w->logits ? (size_t)w->s->c : 0);
}

/* Features, and logits after them, of a row: from the cache, or to be put there. */
static void
set_row(struct work *w, int64_t row, const float *v)
{
	memcpy(w->s->x + row * w->s->d, v, (size_t)w->s->d * sizeof(*v));
	if (w->logits)
		memcpy(w->logits + row * w->s->c, v + w->s->d, (size_t)w->s->c * sizeof(*v));
}

/* 1: the features were known, 0: it is prepared, -1 with a message. */
static int
prepare(struct work *w, struct slot *slot)
{
	const char *path = w->s->row[slot->row].file;
	struct image im = { 0 };
	char *bytes;
	size_t n;
	int rc;

	if (file_read_regular(path, FILE_MAX, &bytes, &n))
		return -1;
	if (w->cache) {
		float *v = xmalloc(floats(w) * sizeof(*v));
		bool known;

		slot->content = content_of(bytes, n);
		known = feature_cache_get(w->cache, slot->content, v);
		if (known)
			set_row(w, slot->row, v);
		free(v);
		if (known) {
			free(bytes);
			return 1;
		}
	}
	rc = image_decode(&im, bytes, n, 0, 0, path);
	free(bytes);
	if (!rc && embedder_prepare(w->im->e, &im, slot->in))
		rc = err_prefix("%s", path);
	image_release(&im);
	return rc;
}

static void *
worker(void *vp)
{
	struct work *w = vp;

	pthread_mutex_lock(&w->lock);
	while (w->next < w->s->n) {
		struct slot *slot;
		int k, got;

		if (!w->nidle) {
			pthread_cond_wait(&w->emptied, &w->lock);
			continue;
		}
		k = w->idle[--w->nidle];
		slot = &w->slot[k];
		slot->row = w->next++;
		pthread_mutex_unlock(&w->lock);
		got = prepare(w, slot);
		if (got < 0)
			w->why[slot->row] = xstrdup(errmsg());
		pthread_mutex_lock(&w->lock);
		if (got == 0)
			w->full[w->nfull++] = k;
		else
			w->idle[w->nidle++] = k;
		w->done++;
		pthread_cond_signal(&w->ready);
		if (got)
			pthread_cond_signal(&w->emptied);
	}
	pthread_cond_broadcast(&w->emptied);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* Slots taken[0..n) through the network. */
static void
run_batch(struct work *w, const int *taken, int n, float *in, float *x, float *l)
{
	const size_t input = embedder_input(w->im->e), d = (size_t)w->s->d, c = (size_t)w->s->c;
	float *v = xmalloc(floats(w) * sizeof(*v));

	for (int i = 0; i < n; i++)
		memcpy(in + (size_t)i * input, w->slot[taken[i]].in, input * sizeof(*in));
	embedder_run_prepared(w->im->e, in, n, x, w->logits ? l : NULL);
	for (int i = 0; i < n; i++) {
		const struct slot *slot = &w->slot[taken[i]];

		memcpy(v, x + (size_t)i * d, d * sizeof(*v));
		if (w->logits)
			memcpy(v + d, l + (size_t)i * c, c * sizeof(*v));
		set_row(w, slot->row, v);
		if (w->cache)
			feature_cache_put(w->cache, slot->content, v);
	}
	free(v);
}

/* Takes batches until all rows are done. */
static void
run_device(struct work *w, bool quiet)
{
	const int batch = (int)w->im->batch;
	const size_t input = embedder_input(w->im->e);
	float *in = xmalloc((size_t)batch * input * sizeof(*in));
	float *x = xmalloc((size_t)batch * (size_t)w->s->d * sizeof(*x));
	float *l = xmalloc((size_t)batch * (size_t)w->s->c * sizeof(*l) + 1);
	int *taken = xmalloc((size_t)batch * sizeof(*taken));
	struct progress pr;

	progress_start(&pr, "images", (uint64_t)w->s->n, quiet);
	pthread_mutex_lock(&w->lock);
	for (;;) {
		int n;

		while (w->nfull < batch && w->done < w->s->n)
			pthread_cond_wait(&w->ready, &w->lock);
		n = w->nfull < batch ? w->nfull : batch;
		if (!n)
			break;
		memcpy(taken, w->full, (size_t)n * sizeof(*taken));
		w->nfull -= n;
		memmove(w->full, w->full + n, (size_t)w->nfull * sizeof(*w->full));
		pthread_mutex_unlock(&w->lock);
		run_batch(w, taken, n, in, x, l);
		pthread_mutex_lock(&w->lock);
		progress_at(&pr, (uint64_t)w->done);
		memcpy(w->idle + w->nidle, taken, (size_t)n * sizeof(*taken));
		w->nidle += n;
		pthread_cond_broadcast(&w->emptied);
	}
	pthread_mutex_unlock(&w->lock);
	progress_end(&pr);
	free(in);
	free(x);
	free(l);
	free(taken);
}

static void
open_network(struct fset_images *im)
{
	if (im->e)
		return;
	gpu_open(im->device);
	if (embedder_open(&im->e, im->network, im->weights, im->preprocess, (int)im->side))
		die("%s", errmsg());
}

void
fset_images_close(struct fset_images *im)
{
	embedder_close(im->e);
	im->e = NULL;
}

/* Bad images as bad records, which leave the set. */
static int
drop_bad(struct fset *s, char **why, const struct fset_how *how)
{
	bool *gone = xcalloc((size_t)s->n + 1, sizeof(*gone));
	int rc = EXIT_OK;

	for (int64_t i = 0; i < s->n; i++) {
		struct rec r = { 0 };

		if (!why[i])
			continue;
		gone[i] = true;
		rc = EXIT_RECORDS;
		if (rec_parse(&r, s->row[i].line, s->row[i].len))
			die("%s", errmsg());
		r.input = s->row[i].input;
		r.lineno = s->row[i].lineno;
		rec_bad(how->ro, &r, how->out, why[i]);
		rec_release(&r);
		free(why[i]);
		if (how->ro->strict)
			exit(EXIT_FATAL);
	}
	fset_drop(s, gone);
	free(gone);
	return rc;
}

static void
start_cache(struct work *w)
{
	struct fset_images *im = w->im;
	char *key;

	if (!im->cache)
		return;
	key = xasprintf("%s %s %s%s", embedder_network(im->e), embedder_preprocess_id(im->e),
	    embedder_weights_hash(im->e), w->logits ? " with logits" : "");
	w->cache = feature_cache_open(im->cache, key, floats(w));
	if (!w->cache)
		warn("no features are kept: %s", errmsg());
	free(key);
}

int
fset_images_fill(struct fset_images *im, struct fset *s, const struct fset_how *how)
{
	struct work w = { .im = im, .s = s, .nslots = 3 * (int)im->batch + (int)im->jobs };
	pthread_t *thread = xcalloc((size_t)im->jobs, sizeof(*thread));
	int rc;

	open_network(im);
	fset_alloc(s, embedder_dim(im->e));
	s->source = (struct fset_source){ embedder_network(im->e), embedder_preprocess_id(im->e),
		embedder_weights_hash(im->e) };
	if (im->logits && !how->scores && embedder_classes(im->e)) {
		s->c = embedder_classes(im->e);
		w.logits = xmalloc((size_t)s->n * (size_t)s->c * sizeof(*w.logits));
	}
	start_cache(&w);
	w.why = xcalloc((size_t)s->n + 1, sizeof(*w.why));
	w.slot = xcalloc((size_t)w.nslots, sizeof(*w.slot));
	w.idle = xcalloc((size_t)w.nslots, sizeof(*w.idle));
	w.full = xcalloc((size_t)w.nslots, sizeof(*w.full));
	for (int i = 0; i < w.nslots; i++) {
		w.slot[i].in = xmalloc(embedder_input(im->e) * sizeof(float));
		w.idle[w.nidle++] = i;
	}
	pthread_mutex_init(&w.lock, NULL);
	pthread_cond_init(&w.ready, NULL);
	pthread_cond_init(&w.emptied, NULL);
	threads_start(thread, (size_t)im->jobs, worker, &w);
	run_device(&w, how->ro->quiet);
	for (int64_t i = 0; i < im->jobs; i++)
		pthread_join(thread[i], NULL);
	if (w.logits) {
		s->p = xrealloc(s->p, (size_t)s->n * (size_t)s->c * sizeof(*s->p));
		for (int64_t i = 0; i < s->n; i++)
			if (!w.why[i])
				softmax_rows(w.logits + i * s->c, 1, s->c, s->p + i * s->c);
	}
	for (int i = 0; i < w.nslots; i++)
		free(w.slot[i].in);
	rc = drop_bad(s, w.why, how);
	pthread_mutex_destroy(&w.lock);
	pthread_cond_destroy(&w.ready);
	pthread_cond_destroy(&w.emptied);
	feature_cache_close(w.cache);
	free(w.why);
	free(w.slot);
	free(w.idle);
	free(w.full);
	free(w.logits);
	free(thread);
	return rc;
}
