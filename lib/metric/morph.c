#include "metric/morph.h"

#include "base/err.h"
#include "base/order.h"
#include "base/rng.h"
#include "metric/parallel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- labels ------------------------------------------------------------------------------- */

int
morph_label(struct morph *m, const char *label)
{
	for (int i = 0; i < m->nlabel; i++)
		if (strcmp(m->label[i], label) == 0)
			return i;
	m->label = xgrow(m->label, &m->lcap, (size_t)m->nlabel + 1, sizeof(*m->label));
	m->label[m->nlabel] = xstrdup(label);
	return m->nlabel++;
}

void
morph_sort_labels(struct morph *m)
{
	char **old = xmalloc((size_t)m->nlabel * sizeof(*old) + 1);
	int *to = xcalloc((size_t)m->nlabel + 1, sizeof(*to));

	if (m->nlabel)
		memcpy(old, m->label, (size_t)m->nlabel * sizeof(*old));
	if (m->nlabel)
		qsort(m->label, (size_t)m->nlabel, sizeof(*m->label), order_names);
	for (int i = 0; i < m->nlabel; i++)
		for (int k = 0; k < m->nlabel; k++)
			if (m->label[k] == old[i])
				to[i] = k;
	for (int64_t i = 0; i < m->n; i++)
		m->item[i].label = to[m->item[i].label];
	free(old);
	free(to);
}

/* ---- outliers ----------------------------------------------------------------------------- */

struct looking {
	struct morph *m;
	const struct morph_limits *limits;
};

static unsigned
fails(const struct look *l, const struct morph_limits *t)
{
	return (l->mean_v < t->mean_v ? FAILS_V : 0) | (l->mean_s < t->mean_s ? FAILS_S : 0) |
	    (l->std_v < t->std_v ? FAILS_STD_V : 0) | (l->std_s < t->std_s ? FAILS_STD_S : 0) |
	    (l->std_h < t->std_h ? FAILS_STD_H : 0) | (l->var_l < t->var_l ? FAILS_L : 0) |
	    (l->n_contour < t->n_contour ? FAILS_CONTOUR : 0);
}

static void
look_at(void *vp, int64_t from, int64_t to, int part)
{
	const struct looking *c = vp;

	(void)part;
	for (int64_t i = from; i < to; i++) {
		struct morph_item *it = &c->m->item[i];
		struct image im = { 0 };

		if (image_read(&im, it->path, 3, 8)) {
			it->why = xstrdup(errmsg());
			continue;
		}
		look_of(&it->look, &im);
		it->fails = fails(&it->look, c->limits);
		image_release(&im);
	}
}

void
morph_look(struct morph *m, const struct morph_limits *limits)
{
	parallel(m->n, look_at, &(struct looking){ m, limits });
}

int64_t
morph_remove(struct morph *m)
{
	int64_t removed = 0;

	m->rows = 0;
	for (int64_t i = 0; i < m->n; i++) {
		struct morph_item *it = &m->item[i];

		if (it->fails || it->why) {
			it->row = -1;
			removed += !it->why;
			continue;
		}
		memmove(m->x + m->rows * m->d, m->x + it->row * m->d, (size_t)m->d * sizeof(*m->x));
		it->row = m->rows++;
	}
	return removed;
}

/* ---- clusters and prompts ----------------------------------------------------------------- */

void
morph_take_clusters(struct morph *m)
{
	for (int64_t i = 0; i < m->n; i++)
		m->item[i].cluster = m->item[i].row < 0 ? -1 : m->clusters.label[m->item[i].row];
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(((const struct morph_prompt *)a)->text,
	    ((const struct morph_prompt *)b)->text);
}

void
morph_set_prompts(struct morph *m, char **text)
{
	char **sorted = xmalloc((size_t)m->rows * sizeof(*sorted) + 1);
	int64_t n = 0;

	for (int64_t i = 0; i < m->n; i++)
		if (text[i])
			sorted[n++] = text[i];
	qsort(sorted, (size_t)n, sizeof(*sorted), order_names);
	m->prompt = xcalloc((size_t)n + 1, sizeof(*m->prompt));
	for (int64_t i = 0; i < n; i++)
		if (!m->nprompt || strcmp(m->prompt[m->nprompt - 1].text, sorted[i]) != 0)
			m->prompt[m->nprompt++].text = xstrdup(sorted[i]);
	for (int64_t i = 0; i < m->n; i++) {
		struct morph_prompt *p, key = { .text = text[i] };

		m->item[i].prompt = -1;
		if (!text[i])
			continue;
		p = bsearch(&key, m->prompt, (size_t)m->nprompt, sizeof(*p), by_text);
		m->item[i].prompt = (int)(p - m->prompt);
		p->label = m->item[i].label;
		p->n++;
	}
	for (int64_t i = 0; i < m->n; i++)
		free(text[i]);
	free(text);
	free(sorted);
}

/* ---- balancing ---------------------------------------------------------------------------- */

/* A label's prompts, the most frequent first, ties in their order. */
struct ranked {
	int *prompt;
	int n;
};

static const struct morph *ranking; /* by_count's */

static int
by_count(const void *a, const void *b)
{
	int i = *(const int *)a, k = *(const int *)b;
	int64_t d = ranking->prompt[k].n - ranking->prompt[i].n;

	return d ? (d > 0 ? 1 : -1) : i - k;
}

static struct ranked *
rank(const struct morph *m)
{
	struct ranked *r = xcalloc((size_t)m->nlabel, sizeof(*r));

	ranking = m;
	for (int l = 0; l < m->nlabel; l++) {
		r[l].prompt = xmalloc((size_t)m->nprompt * sizeof(int) + 1);
		for (int p = 0; p < m->nprompt; p++)
			if (m->prompt[p].label == l)
				r[l].prompt[r[l].n++] = p;
		qsort(r[l].prompt, (size_t)r[l].n, sizeof(int), by_count);
	}
	return r;
}

/* The most prompts of each label that a set of `size` may have: the m-th of every label has more
 * items than each needs then. 0: none. */
static int64_t
most_prompts(const struct morph *m, const struct ranked *r, int64_t size)
{
	int64_t most = 0;

	for (int64_t n = 1; n <= m->nprompt; n++) {
		double need = (double)size / m->nlabel / (double)n;
		bool all = true;

		for (int l = 0; l < m->nlabel && all; l++)
			all = n <= r[l].n && (double)m->prompt[r[l].prompt[n - 1]].n > need;
		if (all)
			most = n;
	}
	return most;
}

/* An order of items that depends on seed and id alone. */
struct drawn {
	uint64_t key;
	int64_t item;
};

static int
by_key(const void *a, const void *b)
{
	const struct drawn *x = a, *y = b;

	return x->key != y->key ? (x->key < y->key ? -1 : 1)
	    : x->item < y->item ? -1 : x->item > y->item;
}

/* A prompt's items (only the taken ones, if so), drawn. Caller frees. */
static struct drawn *
draw(const struct morph *m, int prompt, bool taken, uint64_t seed, const char *purpose, int64_t *n)
{
	struct drawn *d = xmalloc((size_t)m->prompt[prompt].n * sizeof(*d) + 1);

	*n = 0;
	for (int64_t i = 0; i < m->n; i++) {
		struct rng r;

		if (m->item[i].prompt != prompt || (taken && !m->item[i].taken))
			continue;
		rng_init(&r, seed, rng_stream(purpose, m->item[i].id));
		d[(*n)++] = (struct drawn){ rng_u64(&r), i };
	}
	qsort(d, (size_t)*n, sizeof(*d), by_key);
	return d;
}

static void
take(struct morph *m, const struct ranked *r, const struct morph_balance *b, uint64_t seed)
{
	for (int l = 0; l < m->nlabel; l++)
		for (int64_t p = 0; p < b->prompts; p++) {
			int prompt = r[l].prompt[p];
			int64_t n;
			struct drawn *d = draw(m, prompt, false, seed, "balance", &n);

			m->prompt[prompt].taken = true;
			for (int64_t i = 0; i < n && i < b->each; i++)
				m->item[d[i].item].taken = true;
			free(d);
		}
}

int
morph_take_balanced(struct morph *m, struct morph_balance *b, uint64_t seed)
{
	struct ranked *r = rank(m);

	b->prompts = 0;
	for (int64_t size = b->first; size <= m->rows; size += b->step) {
		int64_t n = most_prompts(m, r, size);

		if (n <= b->least)
			continue;
		b->prompts = n;
		b->size = size;
		b->each = (int64_t)ceil((double)size / m->nlabel / (double)n);
	}
	if (b->prompts)
		take(m, r, b, seed);
	for (int l = 0; l < m->nlabel; l++)
		free(r[l].prompt);
	free(r);
	return b->prompts ? 0
	    : err("No size matches the constraints for balancing prompt building: %lld images, "
	    "%d labels, sizes from %lld, more than %lld prompts of each label", (long long)m->rows,
	    m->nlabel, (long long)b->first, (long long)b->least);
}

void
morph_take_all(struct morph *m)
{
	for (int64_t i = 0; i < m->n; i++)
		m->item[i].taken = m->item[i].row >= 0;
	for (int p = 0; p < m->nprompt; p++)
		m->prompt[p].taken = true;
}

/* ---- splits ------------------------------------------------------------------------------- */

void
morph_part(struct morph *m, const double weight[MORPH_SPLITS], uint64_t seed)
{
	double sum = weight[0] + weight[1] + weight[2], owed[MORPH_SPLITS] = { 0 };

	for (int p = 0; p < m->nprompt; p++) {
		int64_t n, at = 0, part[MORPH_SPLITS];
		struct drawn *d = draw(m, p, true, seed, "split", &n);

		/* what the parts are owed and did not get goes on to the next prompt */
		for (int s = MORPH_SPLITS - 1; s > 0; s--) {
			owed[s] += weight[s] / sum * (double)n;
			part[s] = (int64_t)floor(owed[s] + 0.5);
			part[s] = part[s] < 0 ? 0 : part[s] > n - at ? n - at : part[s];
			owed[s] -= (double)part[s];
			for (int64_t i = 0; i < part[s]; i++)
				m->item[d[at++].item].split = (enum morph_split)s;
		}
		for (; at < n; at++)
			m->item[d[at].item].split = MORPH_TRAIN;
		free(d);
	}
}

void
morph_release(struct morph *m)
{
	for (int64_t i = 0; i < m->n; i++) {
		free(m->item[i].line);
		free(m->item[i].id);
		free(m->item[i].path);
		free(m->item[i].why);
	}
	for (int i = 0; i < m->nlabel; i++)
		free(m->label[i]);
	for (int i = 0; i < m->nprompt; i++)
		free(m->prompt[i].text);
	free(m->item);
	free(m->label);
	free(m->prompt);
	kmeans_release(&m->clusters);
	morph_rows_release(m);
	*m = (struct morph){ 0 };
}
