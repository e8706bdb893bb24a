#include "model/gen_queue.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

enum {
	AHEAD = 64,         /* records, if there are so many, whose text states are made together */
	AHEAD_IMAGES = 4096 /* that wait at most */
};

void
gen_queue_add(struct gen_queue *q, struct gen_item *it)
{
	q->v = xgrow(q->v, &q->cap, q->n + 1, sizeof(*q->v));
	q->v[q->n++] = it;
}

static void
item_free(struct gen_item *it)
{
	for (size_t k = 0; k < it->n; k++)
		free(it->task[k].path);
	free(it->task);
	free(it->why);
	free(it->id);
	free(it->init);
	rec_release(&it->r);
	free(it);
}

void
gen_queue_release(struct gen_queue *q)
{
	for (size_t i = 0; i < q->n; i++)
		item_free(q->v[i]);
	free(q->v);
	q->v = NULL;
	q->n = q->cap = 0;
}

/* RGB of the size asked. */
static int
read_init(const struct gen_item *it, const struct sd_job *j, struct image *im)
{
	struct image raw = { 0 };

	if (image_read(&raw, it->init, 3, 8))
		return -1;
	image_resize(im, &raw, j->width, j->height, FILTER_LANCZOS);
	image_release(&raw);
	return 0;
}

static void
spoil(struct gen_item *it)
{
	if (!it->why)
		it->why = xstrdup(errmsg());
}

static bool
wants_images(const struct gen_item *it)
{
	for (size_t k = 0; !it->why && k < it->n; k++)
		if (!it->task[k].there)
			return true;
	return false;
}

/* Are the text states of these there? */
static bool
knows(const struct gen_queue *q, struct gen_item *const *it, int n)
{
	bool known = true;

	for (int i = 0; i < n && known; i++)
		known = sd_sample_knows(q->sample, &it[i]->task[0].job);
	return known;
}

/* Is it worth while to wait for more records before these are made? */
static bool
waits(const struct gen_queue *q, struct gen_item *const *it, int n)
{
	size_t images = 0;

	for (size_t i = 0; i < q->n; i++)
		images += q->v[i]->n;
	return q->n < AHEAD && images < AHEAD_IMAGES && !knows(q, it, n);
}

/* When the text encoder is wanted for these, it makes the states of those behind them too. */
static void
look_ahead(const struct gen_queue *q, struct gen_item *const *it, int n)
{
	const struct sd_job *j[AHEAD];
	size_t jobs = 0;

	if (knows(q, it, n))
		return;
	for (size_t i = 0; i < q->n && jobs < AHEAD; i++)
		if (wants_images(q->v[i]))
			j[jobs++] = &q->v[i]->task[0].job;
	sd_sample_texts(q->sample, j, jobs);
}

/* Makes n images, which are alike. Where one cannot be made its item is spoiled, and none is. */
static void
make(struct gen_queue *q, struct gen_task **t, struct gen_item **it, int n)
{
	struct sd_job *j = xcalloc((size_t)n, sizeof(*j));
	struct image *init = xcalloc((size_t)n, sizeof(*init));
	bool bad = false;

	for (int i = 0; i < n && !bad; i++) {
		j[i] = t[i]->job;
		j[i].out = (struct image){ 0 };
		if (!j[i].init)
			continue;
		bad = read_init(it[i], &j[i], &init[i]) != 0;
		j[i].init = &init[i];
		if (bad)
			spoil(it[i]);
	}
	if (!bad && sd_sample_run(q->sample, j, n)) {
		bad = true;
		for (int i = 0; i < n; i++)
			spoil(it[i]);
	}
	for (int i = 0; i < n && !bad; i++) {
		t[i]->job.out = j[i].out;
		q->save(t[i]);
		image_release(&t[i]->job.out);
	}
	for (int i = 0; i < n; i++)
		image_release(&init[i]);
	free(init);
	free(j);
}

/* The images that come next and are alike, `most` at most. *full: no more would go with them. */
static int
gather(const struct gen_queue *q, struct gen_task **t, struct gen_item **it, int most, bool *full)
{
	size_t k = q->at;
	int n = 0;

	for (size_t i = 0; i < q->n; i++, k = 0) {
		struct gen_item *x = q->v[i];

		for (; !x->why && k < x->n; k++) {
			if (x->task[k].there)
				continue;
			if (n == most || (n && !sd_job_alike(&t[0]->job, &x->task[k].job))) {
				*full = true;
				return n;
			}
			it[n] = x;
			t[n++] = &x->task[k];
		}
	}
	*full = n == most;
	return n;
}

/* Writes out what is done at the head of the queue. */
static void
settle(struct gen_queue *q)
{
	size_t done = 0;

	while (done < q->n && q->code != EXIT_FATAL) {
		struct gen_item *it = q->v[done];

		for (; !it->why && q->at < it->n && it->task[q->at].there; q->at++)
			q->emit(it, q->at);
		if (it->why) {
			rec_bad(q->ro, &it->r, q->out, it->why);
			q->code = q->ro->strict ? EXIT_FATAL : EXIT_RECORDS;
		} else if (q->at < it->n) {
			break;
		} else if (!it->n) {
			rec_emit(q->out, &it->r);
		}
		item_free(it);
		q->at = 0;
		done++;
	}
	if (done) /* q->v is NULL before the first */
		memmove(q->v, q->v + done, (q->n - done) * sizeof(struct gen_item *));
	q->n -= done;
}

void
gen_queue_drain(struct gen_queue *q, bool all)
{
	struct gen_task *t[GEN_BATCH];
	struct gen_item *it[GEN_BATCH];

	for (;;) {
		bool full;
		int n, most;

		if (q->between)
			q->between();
		settle(q);
		if (!q->n || q->code == EXIT_FATAL || !gather(q, t, it, 1, &full))
			return;
		most = q->batch ? q->batch : sd_sample_batch(q->sample, &t[0]->job);
		n = gather(q, t, it, most < GEN_BATCH ? most : GEN_BATCH, &full);
		if (!all && (!full || waits(q, it, n)))
			return;
		look_ahead(q, it, n);
		make(q, t, it, n);
		/* in order: each is at the head of the queue when those before it are out */
		for (int i = 0; i < n && q->code != EXIT_FATAL && !it[i]->why; i++) {
			struct gen_item *head = it[i];

			q->emit(head, q->at++);
			if (q->at == head->n || head->task[q->at].there)
				settle(q);
		}
		rec_out_flush(q->out);
	}
}
