/* Which part each record goes to. */
#include "data/split.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mt19937.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- weights --------------------------------------------------------------------------------- */

static int
parse_weight(const char *s, bool counts, double *out)
{
	size_t n = strlen(s);
	int64_t i;
	char *num;
	int rc;

	if (counts && (!strcmp(s, "rest") || !strcmp(s, "*"))) {
		*out = -1;
		return 0;
	}
	if (counts) {
		if (parse_int(s, 0, INT64_C(1) << 52, &i))
			return -1;
		*out = (double)i;
		return 0;
	}
	num = xstrndup(s, n && s[n - 1] == '%' ? n - 1 : n);
	rc = parse_float(num, 0, 1e15, out);
	free(num);
	return rc;
}

int
split_parse_weights(struct split_weights *w, const char *text, bool counts, struct arena *mem)
{
	static const char *const two[] = { "train", "test" };
	static const char *const three[] = { "train", "validation", "test" };
	char *s = arena_strndup(mem, text, strlen(text)), *next;
	int named = 0, rest = 0;

	*w = (struct split_weights){ 0 };
	for (; s; s = next) {
		char *eq;

		next = strchr(s, ',');
		if (next)
			*next++ = '\0';
		if (w->n == SPLIT_MAX_PARTS)
			return err("more than %d parts", SPLIT_MAX_PARTS);
		eq = strchr(s, '=');
		if (eq) {
			*eq = '\0';
			w->name[w->n] = split_canonical(s);
			for (int i = 0; i < w->n; i++)
				if (w->name[i] && !strcmp(w->name[i], w->name[w->n]))
					return err("two parts named %s", w->name[i]);
			if (!*s)
				return err("a part without a name");
			named++;
		}
		if (parse_weight(eq ? eq + 1 : s, counts, &w->w[w->n]))
			return -1;
		rest += w->w[w->n++] < 0;
	}
	if (named && named != w->n)
		return err("some parts have a name and some have none");
	if (!named && w->n != 2 && w->n != 3)
		return err(
		    "%d weights: want 2 (train,test) or 3 (train,validation,test), or names", w->n);
	if (rest > 1)
		return err("only one part can be the rest");
	for (int i = 0; !named && i < w->n; i++)
		w->name[i] = w->n == 2 ? two[i] : three[i];
	return 0;
}

int
split_sizes(const struct split_weights *w, size_t n, bool allow_empty, size_t *size)
{
	double sum = 0, cum = 0;
	size_t from = 0;

	for (int i = 0; i < w->n; i++)
		sum += w->w[i];
	if (!(sum > 1e-9))
		return err("the weights sum to %g", sum);
	for (int i = 0; i < w->n; i++) {
		size_t to;

		cum += w->w[i] / sum;
		to = (size_t)nearbyint(cum * (double)n); /* half to even */
		if (to > n)
			to = n;
		size[i] = to - from;
		from = to;
		if (!size[i] && !allow_empty)
			return err("all partitions should be non-empty: %s gets none of %zu",
			    w->name[i], n);
	}
	return from == n ? 0 : err("the last offset is %zu, not %zu", from, n);
}

/* Sizes by counts; what no part takes is left over. */
static int
count_sizes(const struct split_weights *w, size_t n, bool allow_empty, size_t *size)
{
	size_t left = n;
	int rest = -1;

	for (int i = 0; i < w->n; i++) {
		size[i] = 0;
		if (w->w[i] < 0) {
			rest = i;
			continue;
		}
		if (w->w[i] > (double)left)
			return err("the parts want more than the %zu there are", n);
		size[i] = (size_t)w->w[i];
		left -= size[i];
	}
	if (rest >= 0)
		size[rest] = left;
	for (int i = 0; i < w->n && !allow_empty; i++)
		if (!size[i])
			return err("all partitions should be non-empty: %s gets none of %zu",
			    w->name[i], n);
	return 0;
}

void
split_tenths(struct split_weights *w, size_t n)
{
	double valid = nearbyint((double)n / 10), test = nearbyint(((double)n - valid) / 10);

	*w = (struct split_weights){ .n = 3, .name = { "train", "validation", "test" },
		.w = { (double)n - valid - test, valid, test } };
}

struct named {
	const char *name;
	size_t item;
};

static int
name_then_item(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : x->item < y->item ? -1 : x->item > y->item;
}

size_t
split_holdout(struct split_set *s, double keep)
{
	struct named *v = xmalloc((s->norder + 1) * sizeof(*v));
	int part = intern_add(&s->part, "holdout");
	struct arena mem = { 0 };
	struct rec r = { 0 };
	size_t n = 0, first;

	for (size_t i = 0; i < s->norder; i++) {
		const struct split_item *it = &s->v[s->order[i]];
		const char *name;

		if (it->raw || it->generated)
			continue;
		rec_clear(&r);
		if (rec_parse(&r, it->line, it->len))
			die("%s: %s", it->id, errmsg()); /* it was parsed before */
		name = rec_str(&r, "file_name");
		name = name ? path_base(name) : it->id;
		v[n++] = (struct named){ arena_strndup(&mem, name, strlen(name)), s->order[i] };
	}
	qsort(v, n, sizeof(*v), name_then_item);
	first = (size_t)(keep * (double)n);
	for (size_t i = first; i < n; i++) {
		s->v[v[i].item].part = part;
		s->v[v[i].item].fixed = true;
	}
	rec_release(&r);
	arena_release(&mem);
	free(v);
	return first;
}

/* ---- units: what must not be divided --------------------------------------------------------- */

struct unit {
	const char *name;
	size_t records;
	uint64_t key;
	size_t at;   /* number in order of appearance */
	int part;    /* -1: none */
};

struct units {
	struct unit *v;
	size_t n;
	size_t *of; /* [norder]: unit of each item of the order, SIZE_MAX for bad records */
};

static void
find_units(struct units *u, const struct split_set *s, const struct split_plan *p)
{
	size_t *unit_of_group = NULL;

	*u = (struct units){ .v = xcalloc(s->norder + 1, sizeof(*u->v)),
		.of = xmalloc((s->norder + 1) * sizeof(*u->of)) };
	if (p->grouped) {
		unit_of_group = xmalloc((s->group.n + 1) * sizeof(*unit_of_group));
		for (size_t i = 0; i < s->group.n; i++)
			unit_of_group[i] = SIZE_MAX;
	}
	for (size_t i = 0; i < s->norder; i++) {
		const struct split_item *it = &s->v[s->order[i]];
		bool grouped = p->grouped && it->group >= 0;
		size_t k = u->n;

		if (it->raw || it->generated || it->fixed) {
			u->of[i] = SIZE_MAX;
			continue;
		}
		if (grouped && unit_of_group[it->group] != SIZE_MAX)
			k = unit_of_group[it->group];
		if (k == u->n) {
			struct rng r;

			u->v[k] =
			    (struct unit){ .name = grouped ? s->group.name[it->group] : it->id,
				    .at = k,
				    .part = -1 };
			rng_init(&r, p->seed, rng_stream("split", u->v[k].name));
			u->v[k].key = rng_u64(&r);
			if (grouped)
				unit_of_group[it->group] = k;
			u->n++;
		}
		u->v[k].records++;
		u->of[i] = k;
	}
	free(unit_of_group);
}

static const struct unit *sorting;

/* Units by number, in the order of their hashes. */
static int
by_hash(const void *a, const void *b)
{
	const struct unit *x = &sorting[*(const size_t *)a], *y = &sorting[*(const size_t *)b];

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* The same, but units of many records first: they are the hardest to place. */
static int
by_size(const void *a, const void *b)
{
	const struct unit *x = &sorting[*(const size_t *)a], *y = &sorting[*(const size_t *)b];

	if (x->records != y->records)
		return x->records > y->records ? -1 : 1;
	return by_hash(a, b);
}

static void
slice(struct units *u, const struct split_plan *p, const size_t *size)
{
	size_t *v = xmalloc((u->n + 1) * sizeof(*v)), at = 0;

	for (size_t i = 0; i < u->n; i++)
		v[i] = i;
	if (p->how == SPLIT_PYTHON) {
		struct mt19937 mt;

		mt_python_seed(&mt, p->seed);
		mt_shuffle(&mt, v, u->n);
	} else {
		sorting = u->v;
		qsort(v, u->n, sizeof(*v), by_hash);
	}
	for (int k = 0; k < p->w->n; k++)
		for (size_t i = 0; i < size[k]; i++)
			u->v[v[at++]].part = k;
	free(v);
}

/* Each unit alone: the part whose stretch of [0, 1) its hash falls into. */
static void
by_threshold(struct units *u, const struct split_weights *w)
{
	double sum = 0;

	for (int k = 0; k < w->n; k++)
		sum += w->w[k];
	for (size_t i = 0; i < u->n; i++) {
		double x = (double)(u->v[i].key >> 11) * 0x1p-53, cum = 0;
		int k = 0;

		for (; k < w->n - 1; k++) {
			cum += w->w[k] / sum;
			if (x < cum)
				break;
		}
		u->v[i].part = k;
	}
}

/* ---- stratified ------------------------------------------------------------------------------ */

/* Sechidis, Tsoumakas and Vlahavas, On the stratification of multi-label data, 2011. */

/* Records of one unit in one stratum. */
struct cell {
	size_t unit;
	int stratum;
	size_t records;
};

struct strata {
	int n, parts;       /* parts: one more than the plan's, for what is left over */
	struct cell *cell;  /* by unit */
	size_t *of_unit;    /* [units + 1] first cell of each unit */
	double *want;       /* [parts][n] records of a stratum still wanted */
	double *want_all;   /* [parts] */
	size_t *room;       /* [parts] units that still fit */
	size_t *left;       /* [n] records not yet placed */
	bool exact;         /* all units have one record: rooms are kept to */
};

static int
cell_order(const void *a, const void *b)
{
	const struct cell *x = a, *y = b;

	if (x->unit != y->unit)
		return x->unit < y->unit ? -1 : 1;
	return x->stratum < y->stratum ? -1 : x->stratum > y->stratum;
}

/* The cells of the order's records; sets of_unit and left too. */
static void
find_cells(struct strata *t, const struct units *u, const struct split_set *s, bool stratified)
{
	size_t n = 0, m = 0;

	t->cell = xmalloc((s->norder + 1) * sizeof(*t->cell));
	t->of_unit = xcalloc(u->n + 1, sizeof(*t->of_unit));
	t->left = xcalloc((size_t)t->n, sizeof(*t->left));
	for (size_t i = 0; i < s->norder; i++) {
		int l = s->v[s->order[i]].stratum;

		if (u->of[i] == SIZE_MAX)
			continue;
		l = !stratified ? 0 : l < 0 ? t->n - 1 : l;
		t->cell[n++] = (struct cell){ u->of[i], l, 1 };
		t->left[l]++;
	}
	qsort(t->cell, n, sizeof(*t->cell), cell_order);
	for (size_t i = 0; i < n; i++) {
		if (m && !cell_order(&t->cell[m - 1], &t->cell[i]))
			t->cell[m - 1].records++;
		else
			t->cell[m++] = t->cell[i];
	}
	for (size_t i = 0; i < m; i++)
		t->of_unit[t->cell[i].unit + 1] = i + 1;
}

/* The part that most wants a unit with records of stratum l; equal wants are drawn by the unit's
 * hash. */
static int
most_wanting(const struct strata *t, const struct unit *u, int l)
{
	int best = -1, ties = 1;
	struct rng r;

	rng_init(&r, u->key, rng_stream("tie", u->name));
	for (int k = 0; k < t->parts; k++) {
		double a = t->want[k * t->n + l], b = best < 0 ? 0 : t->want[best * t->n + l];

		if (t->exact && !t->room[k])
			continue;
		if (best < 0 || a > b || (a == b && t->want_all[k] > t->want_all[best])) {
			best = k;
			ties = 1;
		} else if (a == b && t->want_all[k] == t->want_all[best]) {
			if (!rng_below(&r, (uint64_t)++ties))
				best = k;
		}
	}
	return best;
}

static void
give(struct strata *t, struct unit *u, size_t i, int part)
{
	u->part = part;
	t->want_all[part] -= (double)u->records;
	if (t->exact)
		t->room[part]--;
	for (size_t c = t->of_unit[i]; c < t->of_unit[i + 1]; c++) {
		t->want[part * t->n + t->cell[c].stratum] -= (double)t->cell[c].records;
		t->left[t->cell[c].stratum] -= t->cell[c].records;
	}
}

static const char *const *sort_names;

static int
name_order(const void *a, const void *b)
{
	return strcmp(sort_names[*(const int *)a], sort_names[*(const int *)b]);
}

/* Takes the rarest stratum with records left, again and again, and gives its units away. */
static void
place_all(struct strata *t, struct units *u, const int *by_name)
{
	size_t *v = xmalloc((u->n + 1) * sizeof(*v)), cells = u->n ? t->of_unit[u->n] : 0;
	size_t *first = xcalloc((size_t)t->n + 1, sizeof(*first)), *member;

	/* member: units of each stratum, in the order they are taken */
	for (size_t i = 0; i < u->n; i++)
		v[i] = i;
	sorting = u->v;
	qsort(v, u->n, sizeof(*v), by_size);
	member = xmalloc((cells + 1) * sizeof(*member));
	for (size_t c = 0; c < cells; c++)
		first[t->cell[c].stratum + 1]++;
	for (int l = 0; l < t->n; l++)
		first[l + 1] += first[l];
	for (size_t j = 0; j < u->n; j++)
		for (size_t c = t->of_unit[v[j]]; c < t->of_unit[v[j] + 1]; c++)
			member[first[t->cell[c].stratum]++] = v[j];
	for (int l = t->n; l > 0; l--) /* the ends of the lists, back to beginnings */
		first[l] = first[l - 1];
	first[0] = 0;

	for (;;) {
		int l = -1;

		for (int j = 0; j < t->n; j++)
			if (t->left[by_name[j]] && (l < 0 || t->left[by_name[j]] < t->left[l]))
				l = by_name[j];
		if (l < 0)
			break;
		for (size_t j = first[l]; j < first[l + 1]; j++)
			if (u->v[member[j]].part == -1)
				give(t, &u->v[member[j]], member[j],
				    most_wanting(t, &u->v[member[j]], l));
	}
	for (size_t i = 0; i < u->n; i++)
		if (u->v[i].part == t->parts - 1)
			u->v[i].part = -1; /* left over */
	free(v);
	free(first);
	free(member);
}

static void
stratify(struct units *u, const struct split_set *s, const struct split_plan *p, const size_t *size)
{
	int n = p->stratified ? (int)s->stratum.n + 1 : 1; /* the last: records without a stratum */
	struct strata t = { .n = n, .parts = p->w->n + 1, .exact = true };
	const char **name = xcalloc((size_t)n, sizeof(*name));
	int *by_name = xcalloc((size_t)n, sizeof(*by_name));
	size_t records = 0, left = u->n;
	double sum = 0;

	for (int k = 0; k < p->w->n; k++)
		sum += p->w->w[k];
	find_cells(&t, u, s, p->stratified);
	t.want = xcalloc((size_t)t.parts * (size_t)n, sizeof(*t.want));
	t.want_all = xcalloc((size_t)t.parts, sizeof(*t.want_all));
	t.room = xcalloc((size_t)t.parts, sizeof(*t.room));
	for (size_t i = 0; i < u->n; i++) {
		records += u->v[i].records;
		t.exact = t.exact && u->v[i].records == 1;
	}
	for (int k = 0; k < t.parts; k++) {
		size_t units = k < p->w->n ? size[k] : left;
		/* sizes are whole; groups are better told what was asked for */
		double share = t.exact || p->counts || k == p->w->n ? (double)units / (double)u->n
		                                                   : p->w->w[k] / sum;

		left -= units;
		t.room[k] = units;
		t.want_all[k] = share * (double)records;
		for (int l = 0; l < n; l++)
			t.want[k * n + l] = share * (double)t.left[l];
	}
	for (int l = 0; l < n; l++) {
		by_name[l] = l;
		name[l] = p->stratified && l < n - 1 ? s->stratum.name[l] : "";
	}
	sort_names = name; /* ties must not depend on the order of the input */
	qsort(by_name, (size_t)n, sizeof(*by_name), name_order);
	place_all(&t, u, by_name);
	free(t.cell);
	free(t.of_unit);
	free(t.left);
	free(t.want);
	free(t.want_all);
	free(t.room);
	free(name);
	free(by_name);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int
check_parts(const struct units *u, const struct split_plan *p)
{
	for (int k = 0; k < p->w->n; k++) {
		size_t n = 0;

		for (size_t i = 0; i < u->n; i++)
			n += u->v[i].part == k;
		if (!n && !p->allow_empty)
			return err("all partitions should be non-empty: %s gets none of %zu",
			    p->w->name[k], u->n);
	}
	return 0;
}

int
split_assign(struct split_set *s, const struct split_plan *p)
{
	size_t size[SPLIT_MAX_PARTS];
	int number[SPLIT_MAX_PARTS], rc = -1;
	struct units u;

	find_units(&u, s, p);
	if (!u.n) {
		rc = 0; /* no records, no parts */
		goto out;
	}
	if (p->counts ? count_sizes(p->w, u.n, p->allow_empty, size)
	              : split_sizes(p->w, u.n, p->allow_empty || p->how == SPLIT_HASH, size))
		goto out;
	if (p->how == SPLIT_HASH)
		by_threshold(&u, p->w);
	else if (p->stratified || p->by_records)
		stratify(&u, s, p, size);
	else
		slice(&u, p, size);
	if (check_parts(&u, p))
		goto out;
	for (int k = 0; k < p->w->n; k++)
		number[k] = intern_add(&s->part, p->w->name[k]);
	for (size_t i = 0; i < s->norder; i++) {
		if (u.of[i] != SIZE_MAX) {
			int part = u.v[u.of[i]].part;

			s->v[s->order[i]].part = part < 0 ? -1 : number[part];
		}
	}
	rc = 0;
out:
	free(u.v);
	free(u.of);
	return rc;
}
