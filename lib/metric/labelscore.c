#include "metric/labelscore.h"

#include "base/err.h"
#include "base/opt.h"
#include "base/order.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A class's number; new classes are taken in while none are given. */
static int
class_of(struct label_scores *s, const char *name, const char *field)
{
	int k = s->closed ? intern_find(&s->classes, name) : intern_add(&s->classes, name);

	return k < 0 ? err("%s: no class '%s'", field, name) : k;
}

static int
need_scores(struct label_scores *s, int n, const char *field)
{
	if (s->n && s->nscores != n)
		return err("%s: %d scores, records before had %d", field, n, s->nscores);
	s->nscores = n;
	return 0;
}

static int
finite_score(double x, const char *field)
{
	return isfinite(x) ? 0 : err("%s: not finite", field);
}

static int
read_array(struct label_scores *s, const struct rec_field *f, double **out)
{
	struct json j;
	int rc = 0, v = 1;

	if (json_parse(&j, f->raw, f->rawlen))
		return -1;
	rc = need_scores(s, j.v[0].size, f->key);
	*out = arena_alloc(&s->mem, ((size_t)j.v[0].size + 1) * sizeof(**out));
	for (int i = 0; i < j.v[0].size && !rc; i++, v = j.v[v].next)
		if (json_num(&j, v, &(*out)[i]))
			rc = err_prefix("%s[%d]", f->key, i);
	json_release(&j);
	return rc;
}

/* p_0, p_1, ... until one is missing; else p_CLASS for each given class. */
static int
read_fields(struct label_scores *s, const struct rec *r, const char *prefix, double **out)
{
	size_t cap = 0;
	double *v = NULL, x;
	int n = 0, got = 1, rc;

	for (; got == 1; n += got) {
		char *key = xasprintf("%s%d", prefix, n);

		got = rec_num(r, key, &x);
		if (got == 1) {
			v = xgrow(v, &cap, (size_t)n + 1, sizeof(*v));
			v[n] = x;
		}
		free(key);
		if (got < 0) {
			free(v);
			return -1;
		}
	}
	for (size_t k = 0; !n && k < s->classes.n && s->closed; k++) {
		char *key = xasprintf("%s%s", prefix, s->classes.name[k]);

		v = xgrow(v, &cap, k + 1, sizeof(*v));
		got = rec_num(r, key, &v[k]);
		rc = got == 1 ? 0 : got < 0 ? -1 : err("no field %s", key);
		free(key);
		if (rc) {
			free(v);
			return -1;
		}
		if (k + 1 == s->classes.n)
			n = (int)k + 1;
	}
	rc = n ? need_scores(s, n, prefix) : err("no field %s or %s0", prefix, prefix);
	*out = arena_alloc(&s->mem, ((size_t)n + 1) * sizeof(**out));
	if (!rc)
		memcpy(*out, v, (size_t)n * sizeof(*v));
	free(v);
	return rc;
}

static int
read_scores(struct label_scores *s, const struct rec *r, const char *field, double **out)
{
	const struct rec_field *f = rec_get(r, field);

	if (f && f->type == JSON_ARRAY)
		return read_array(s, f, out);
	if (!f)
		return read_fields(s, r, field, out);
	*out = arena_alloc(&s->mem, sizeof(**out));
	if (need_scores(s, 1, field))
		return -1;
	return rec_num(r, field, *out) == 1 ? 0
	       : f->type == JSON_NULL       ? err("no field %s", field)
	                                    : -1;
}

int
label_scores_add(struct label_scores *s, struct rec *r, const struct label_how *how, size_t file)
{
	struct label_item it = { .file = file, .line = r->lineno, .pred = -1 };
	const char *truth = rec_text(r, how->truth), *pred = NULL;

	if (!truth)
		return err("no field %s", how->truth);
	if (how->pred && !(pred = rec_text(r, how->pred)))
		return err("no field %s", how->pred);
	if (how->scores) {
		if (read_scores(s, r, how->scores, &it.score))
			return -1;
		for (int i = 0; i < s->nscores; i++)
			if (finite_score(it.score[i], how->scores))
				return -1;
	}
	it.truth = class_of(s, truth, how->truth);
	if (it.truth < 0)
		return -1;
	if (pred && (it.pred = class_of(s, pred, how->pred)) < 0)
		return -1;
	s->v = xgrow(s->v, &s->cap, s->n + 1, sizeof(*s->v));
	s->v[s->n++] = it;
	return 0;
}

/* ---- at the end ------------------------------------------------------------------------------ */

static int
item_order(const void *a, const void *b)
{
	const struct label_item *x = a, *y = b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

static int
number_order(const void *a, const void *b)
{
	int64_t x = 0, y = 0;

	parse_int(*(const char *const *)a, INT64_MIN, INT64_MAX, &x);
	parse_int(*(const char *const *)b, INT64_MIN, INT64_MAX, &y);
	return x < y ? -1 : x > y;
}

/* Numbers by value if all are numbers, else names by their bytes. Class numbers without a gap that
 * scores go with (0 .. nscores - 1) are completed: a class may be in no record. */
static void
sort_classes(struct label_scores *s)
{
	struct intern sorted = { 0 };
	const char **name = xmalloc((s->classes.n + 1) * sizeof(*name));
	int *now = xmalloc((s->classes.n + 1) * sizeof(*now));
	bool numbers = true, below = true;
	int64_t x;

	for (size_t k = 0; k < s->classes.n; k++) {
		name[k] = s->classes.name[k];
		numbers = numbers && !parse_int(name[k], INT64_MIN, INT64_MAX, &x);
		below = below && numbers && x >= 0 && x < s->nscores;
	}
	if (s->classes.n)
		qsort(name, s->classes.n, sizeof(*name), numbers ? number_order : order_names);
	for (int k = 0; below && s->nscores > 1 && k < s->nscores; k++) {
		char *n = xasprintf("%d", k);

		intern_add(&sorted, n);
		free(n);
	}
	for (size_t k = 0; k < s->classes.n; k++)
		intern_add(&sorted, name[k]);
	for (size_t k = 0; k < s->classes.n; k++)
		now[k] = intern_find(&sorted, s->classes.name[k]);
	for (size_t i = 0; i < s->n; i++) {
		s->v[i].truth = now[s->v[i].truth];
		if (s->v[i].pred >= 0)
			s->v[i].pred = now[s->v[i].pred];
	}
	intern_release(&s->classes);
	s->classes = sorted;
	free(name);
	free(now);
}

int
label_scores_finish(struct label_scores *s, bool given, double threshold)
{
	if (!given)
		sort_classes(s);
	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), item_order);
	if (s->nscores == 1 && s->classes.n > 2)
		return err(
		    "one score and %zu classes: name two, or give a score for each", s->classes.n);
	if (s->nscores > 1 && (size_t)s->nscores != s->classes.n)
		return err("%d scores and %zu classes", s->nscores, s->classes.n);
	for (size_t i = 0; i < s->n; i++) {
		struct label_item *it = &s->v[i];

		if (it->pred >= 0)
			continue;
		it->pred = s->nscores == 1 && it->score[0] >= threshold && s->classes.n > 1;
		for (int k = 1; k < s->nscores; k++)
			if (it->score[k] > it->score[it->pred])
				it->pred = k;
	}
	return 0;
}

void
label_scores_release(struct label_scores *s)
{
	intern_release(&s->classes);
	free(s->v);
	arena_release(&s->mem);
	*s = (struct label_scores){ 0 };
}
