/* Choosing records. */
#include "data/split_pick.h"

#include "base/err.h"
#include "base/mt19937.h"
#include "base/rng.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is common -------------------------------------------------------------------------- */

/* A list of items that becomes the order; bad records go first. */
struct chosen {
	size_t *v;
	size_t n, cap, raw;
};

static void
choose(struct chosen *c, size_t item)
{
	c->v = xgrow(c->v, &c->cap, c->n + 1, sizeof(*c->v));
	c->v[c->n++] = item;
}

static void
choose_bad(struct chosen *c, const struct split_set *s)
{
	for (size_t i = 0; i < s->norder; i++)
		if (s->v[s->order[i]].raw)
			choose(c, s->order[i]);
	c->raw = c->n;
}

/* The order is what was chosen; an item chosen again is written as a copy. */
static void
settle(struct chosen *c, struct split_set *s)
{
	unsigned *times = xcalloc(s->n + 1, sizeof(*times));

	for (size_t i = 0; i < c->n; i++) {
		size_t item = c->v[i];
		unsigned again = times[item]++;

		if (again) {
			struct split_item copy = s->v[item];

			copy.copy = again;
			s->v = xgrow(s->v, &s->cap, s->n + 1, sizeof(*s->v));
			c->v[i] = s->n;
			s->v[s->n++] = copy;
		}
	}
	free(times);
	free(s->order);
	s->order = c->v;
	s->norder = c->n;
	s->order_cap = c->cap;
}

static bool
among(int x, const int *v, int n)
{
	if (!v)
		return true;
	for (int i = 0; i < n; i++)
		if (v[i] == x)
			return true;
	return false;
}

/* Items by (group, frame, plane). */
struct frames {
	const struct split_set *s;
	size_t *v, n;
};

static const struct split_item *sorting;

static int
compare(const struct split_item *x, const struct split_item *y)
{
	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	if (x->frame != y->frame)
		return x->frame < y->frame ? -1 : 1;
	return x->plane < y->plane ? -1 : x->plane > y->plane;
}

static int
frame_order(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;
	int c = compare(&sorting[x], &sorting[y]);

	return c ? c : x < y ? -1 : x > y;
}

static void
find_frames(struct frames *f, const struct split_set *s)
{
	*f = (struct frames){ .s = s, .v = xmalloc((s->norder + 1) * sizeof(*f->v)) };
	for (size_t i = 0; i < s->norder; i++)
		if (!s->v[s->order[i]].raw)
			f->v[f->n++] = s->order[i];
	sorting = s->v;
	qsort(f->v, f->n, sizeof(*f->v), frame_order);
}

/* The same frame on another plane; SIZE_MAX if it is not there. */
static size_t
on_plane(const struct frames *f, size_t item, int plane)
{
	struct split_item want = f->s->v[item];
	size_t lo = 0, hi = f->n;

	if (want.plane == plane)
		return item;
	want.plane = plane;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (compare(&f->s->v[f->v[mid]], &want) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < f->n && !compare(&f->s->v[f->v[lo]], &want) ? f->v[lo] : SIZE_MAX;
}

/* ---- one frame for each phase of each video -------------------------------------------------- */

/* A video's frames on the first plane, rising, with those of one phase picked out. */
struct video {
	size_t *item, n, cap;
};

static size_t
branch_choice(const struct split_set *s, const struct video *v, int phase)
{
	size_t *at = xmalloc((v->n + 1) * sizeof(*at)), n = 0, mid;

	for (size_t i = 0; i < v->n; i++)
		if (s->v[v->item[i]].phase == phase)
			at[n++] = i;
	mid = (at[(n - 1) / 2] + at[n / 2]) / 2;
	free(at);
	return v->item[mid];
}

static size_t
main_choice(const struct split_set *s, const struct video *v, int phase)
{
	size_t *of = xmalloc((v->n + 1) * sizeof(*of)), n = 0, low, chosen;

	for (size_t i = 0; i < v->n; i++)
		if (s->v[v->item[i]].phase == phase)
			of[n++] = v->item[i];
	low = chosen = of[(n - 1) / 2];
	if (n % 2 == 0) {
		int64_t mean = (s->v[low].frame + s->v[of[n / 2]].frame) / 2;

		for (size_t i = 0; i < n; i++)
			if (s->v[of[i]].frame == mean)
				chosen = of[i];
	}
	free(of);
	return chosen;
}

/* Phases in the order in which the video first shows them. */
static void
choose_of_video(const struct split_set *s, const struct video *v, const struct pick *p,
    struct chosen *c)
{
	bool *seen = xcalloc(s->phase.n + 1, sizeof(*seen));

	for (size_t i = 0; i < v->n; i++) {
		int phase = s->v[v->item[i]].phase;

		if (seen[phase] || !among(phase, p->phases, p->nphases))
			continue;
		seen[phase] = true;
		choose(c,
		    p->rule == FRAME_MAIN ? main_choice(s, v, phase) : branch_choice(s, v, phase));
	}
	free(seen);
}

/* Puts each chosen frame on a drawn plane. Returns how many are not there; they leave. */
static int64_t
draw_planes(struct chosen *c, const struct split_set *s, const struct pick *p, struct mt19937 *mt)
{
	struct frames f;
	int64_t missing = 0;
	size_t n = c->raw, drawn = c->n - c->raw;
	int *plane = xmalloc((drawn + 1) * sizeof(*plane));

	for (size_t i = 0; i < drawn; i++)
		plane[i] = p->planes[mt_choice(mt, (size_t)p->nplanes)];
	find_frames(&f, s);
	for (size_t i = 0; i < drawn; i++) {
		size_t item = c->v[c->raw + i], other = on_plane(&f, item, plane[i]);

		if (other == SIZE_MAX) {
			warn("%s: no such frame on focal plane %s", s->v[item].id,
			    s->plane.name[plane[i]]);
			missing++;
			continue;
		}
		c->v[n++] = other;
	}
	c->n = n;
	free(f.v);
	free(plane);
	return missing;
}

int64_t
pick_one_per_phase(struct split_set *s, const struct pick *p)
{
	struct video *video = xcalloc(s->group.n + 1, sizeof(*video));
	int *groups = xmalloc((s->group.n + 1) * sizeof(*groups)), ngroups = 0;
	struct chosen c = { 0 };
	struct mt19937 mt;
	int64_t missing = 0;

	choose_bad(&c, s);
	for (size_t i = 0; i < s->norder; i++) {
		const struct split_item *it = &s->v[s->order[i]];
		struct video *v;

		if (it->raw || it->group < 0 || it->phase < 0 || it->frame < 0 ||
		    (p->nplanes && it->plane != p->planes[0]))
			continue;
		v = &video[it->group];
		if (!v->n)
			groups[ngroups++] = it->group;
		v->item = xgrow(v->item, &v->cap, v->n + 1, sizeof(*v->item));
		v->item[v->n++] = s->order[i];
	}
	sorting = s->v;
	for (int i = 0; i < ngroups; i++) {
		struct video *v = &video[groups[i]];

		qsort(v->item, v->n, sizeof(*v->item), frame_order);
		choose_of_video(s, v, p, &c);
		free(v->item);
	}
	mt_python_seed(&mt, p->seed);
	if (p->nplanes)
		missing = draw_planes(&c, s, p, &mt);
	else
		for (size_t i = c.raw; i < c.n; i++)
			mt_choice(&mt, 1); /* one plane is drawn from too */
	if (p->shuffle && c.n > c.raw)
		mt_shuffle(&mt, c.v + c.raw, c.n - c.raw);
	settle(&c, s);
	free(video);
	free(groups);
	return missing;
}

/* ---- balanced and random --------------------------------------------------------------------- */

enum { NSW_PHASES = 16 }; /* planes are drawn for all of them, whatever phases there are */

static int
too_few(const char *name, size_t have, size_t want)
{
	return err("%s has %zu records, fewer than %zu", name, have, want);
}

/* Frames of each phase with replacement, then each on a plane drawn before. */
static int
balanced_python(struct split_set *s, size_t n, const struct pick *p)
{
	size_t *plane = xmalloc((NSW_PHASES * n + 1) * sizeof(*plane)), nplane = 0;
	int *phases = xmalloc((s->phase.n + 1) * sizeof(*phases)), nphases = 0, rc = 0;
	size_t *of = xmalloc((s->norder + 1) * sizeof(*of)), *count;
	struct chosen c = { 0 };
	struct mt19937 mt;
	struct frames f;

	count = xcalloc(s->phase.n + 1, sizeof(*count));
	choose_bad(&c, s);
	find_frames(&f, s);
	mt_python_seed(&mt, p->seed);
	for (size_t i = 0; i < NSW_PHASES * n; i++)
		plane[i] = mt_choice(&mt, p->nplanes ? (size_t)p->nplanes : 1);
	for (size_t i = 0; i < s->norder; i++) {
		const struct split_item *it = &s->v[s->order[i]];

		if (!it->raw && it->phase >= 0 && !count[it->phase]++)
			phases[nphases++] = it->phase;
	}
	for (int k = 0; k < nphases && !rc; k++) {
		size_t m = 0, take = n;

		for (size_t i = 0; i < s->norder; i++) {
			const struct split_item *it = &s->v[s->order[i]];

			if (!it->raw && it->phase == phases[k] &&
			    (!p->nplanes || it->plane == p->planes[0]))
				of[m++] = s->order[i];
		}
		if (m < n && !p->drop) {
			rc = too_few(s->phase.name[phases[k]], m, n);
			break;
		}
		if (m < n)
			take = m;
		for (size_t i = 0; i < take && nplane < NSW_PHASES * n; i++) {
			size_t item = of[mt_choice(&mt, m)], to = plane[nplane++];

			if (p->nplanes && (to = on_plane(&f, item, p->planes[to])) != SIZE_MAX)
				item = to;
			choose(&c, item);
		}
	}
	if (rc)
		free(c.v);
	else
		settle(&c, s);
	free(plane);
	free(phases);
	free(of);
	free(count);
	free(f.v);
	return rc;
}

static int
index_order(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return x < y ? -1 : x > y;
}

/* Positions in the order, so that what is chosen stays in the order of the input. */
static void
settle_in_order(struct split_set *s, size_t *at, size_t n)
{
	struct chosen c = { 0 };
	size_t k = 0;

	qsort(at, n, sizeof(*at), index_order);
	for (size_t i = 0; i < s->norder; i++) {
		if (s->v[s->order[i]].raw)
			choose(&c, s->order[i]);
		for (; k < n && at[k] == i; k++)
			choose(&c, s->order[i]);
	}
	settle(&c, s);
}

/* Positions of the order that pass, sorted by their items' hash. */
static size_t
by_hash(const struct split_set *s, int label, uint64_t seed, const char *purpose, size_t *at)
{
	size_t *item = xmalloc((s->norder + 1) * sizeof(*item)), n = 0;
	size_t *position = xmalloc((s->n + 1) * sizeof(*position));

	for (size_t i = 0; i < s->norder; i++) {
		const struct split_item *it = &s->v[s->order[i]];

		if (it->raw || (label >= -1 && it->label != label))
			continue;
		position[s->order[i]] = i;
		item[n++] = s->order[i];
	}
	split_hash_order(s, item, n, seed, purpose);
	for (size_t i = 0; i < n; i++)
		at[i] = position[item[i]];
	free(item);
	free(position);
	return n;
}

enum { ANY_LABEL = -2 };

int
pick_balanced(struct split_set *s, size_t n, const struct pick *p)
{
	size_t *at, *all = NULL, nall = 0, cap = 0;
	int rc = 0;

	if (p->python)
		return balanced_python(s, n, p);
	at = xmalloc((s->norder + 1) * sizeof(*at));
	for (int label = 0; label < (int)s->label.n && !rc; label++) {
		const char *name = s->label.name[label];
		size_t m = by_hash(s, label, p->seed, "balanced", at), take = n;
		struct rng r;

		rng_init(&r, p->seed, rng_stream("replacement", name));
		if (m < n && !p->replace) {
			rc = p->drop ? 0 : too_few(name, m, n);
			take = m;
		}
		all = xgrow(all, &cap, nall + take, sizeof(*all));
		for (size_t i = 0; i < take && m; i++)
			all[nall++] = at[p->replace ? (size_t)rng_below(&r, m) : i];
	}
	if (!rc)
		settle_in_order(s, all, nall);
	free(all);
	free(at);
	return rc;
}

void
pick_random(struct split_set *s, size_t n, const struct pick *p)
{
	size_t *at = xmalloc((s->norder + 1) * sizeof(*at)), m = 0;
	struct chosen c = { 0 };
	struct mt19937 mt;

	if (!p->python) {
		m = by_hash(s, ANY_LABEL, p->seed, "random", at);
		settle_in_order(s, at, m < n ? m : n);
		free(at);
		return;
	}
	choose_bad(&c, s);
	for (size_t i = 0; i < s->norder; i++)
		if (!s->v[s->order[i]].raw)
			at[m++] = s->order[i];
	mt_python_seed(&mt, p->seed);
	mt_shuffle(&mt, at, m);
	for (size_t i = 0; i < m && i < n; i++)
		choose(&c, at[i]);
	settle(&c, s);
	free(at);
}

/* ---- real and generated ---------------------------------------------------------------------- */

/* What --total says of a label: "LABEL=N" before a bare "N"; -1: nothing. */
static int
total_of(const struct opt_list *totals, const char *label, int64_t *out)
{
	size_t n = strlen(label);

	*out = -1;
	for (size_t i = 0; totals && i < totals->n; i++) {
		const char *s = totals->v[i], *eq = strrchr(s, '=');
		int64_t x;

		if (parse_int(eq ? eq + 1 : s, 0, INT64_C(1) << 52, &x))
			return err_prefix("--total %s", s);
		if (eq && ((size_t)(eq - s) != n || memcmp(s, label, n) != 0))
			continue;
		if (eq || *out < 0)
			*out = x;
		if (eq)
			break;
	}
	return 0;
}

static bool
is_real(const struct split_item *it, const struct mix *m)
{
	return !it->raw && !it->generated && (m->into < 0 || it->part == m->into);
}

/* One label: which leave and which come in; marks items in `out`. */
static int
mix_label(struct split_set *s, const struct mix *m, struct mixed *x, bool *out)
{
	const char *name = s->label.name[x->label];
	size_t *real = xmalloc((s->norder + 1) * sizeof(*real)), nreal = 0;
	size_t *fake = xmalloc((s->norder + 1) * sizeof(*fake)), nfake = 0;
	int64_t total;
	int rc = -1;

	for (size_t i = 0; i < s->norder; i++) {
		const struct split_item *it = &s->v[s->order[i]];

		if (it->raw || it->label != x->label)
			continue;
		if (it->generated)
			fake[nfake++] = s->order[i];
		else if (is_real(it, m))
			real[nreal++] = s->order[i];
	}
	split_hash_order(s, real, nreal, m->seed, "replaced");
	split_hash_order(s, fake, nfake, m->seed, "generated");
	x->real = nreal;
	if (m->replace >= 0)
		x->dropped = x->added = (size_t)nearbyint((double)nreal * m->replace);
	if (total_of(m->total, name, &total))
		goto out;
	if (total >= 0 && (size_t)total < nreal) {
		err("label %s has %zu real records, more than the total %" PRId64, name, nreal,
		    total);
		goto out;
	}
	if (total >= 0)
		x->added += (size_t)total - nreal;
	if (x->added > nfake) {
		err("label %s wants %zu generated records, there are %zu", name, x->added, nfake);
		goto out;
	}
	for (size_t i = 0; i < x->dropped; i++)
		out[real[i]] = true;
	for (size_t i = x->added; i < nfake; i++)
		out[fake[i]] = true;
	for (size_t i = 0; i < x->added; i++)
		s->v[fake[i]].part = m->into;
	rc = 0;
out:
	free(real);
	free(fake);
	return rc;
}

int
split_mix(struct split_set *s, const struct mix *m, struct mixed **told, size_t *ntold)
{
	bool *out = xcalloc(s->n + 1, sizeof(*out));
	struct mixed *x = xcalloc(s->label.n + 1, sizeof(*x));
	size_t n = 0;
	int rc = 0;

	for (int l = 0; l < (int)s->label.n && !rc; l++) {
		x[l].label = l;
		rc = mix_label(s, m, &x[l], out);
	}
	for (size_t i = 0; i < s->norder && !rc; i++) {
		const struct split_item *it = &s->v[s->order[i]];

		if (it->generated && it->label < 0) /* belongs to no label that could want it */
			out[s->order[i]] = true;
	}
	for (size_t i = 0; i < s->norder && !rc; i++)
		if (!out[s->order[i]])
			s->order[n++] = s->order[i];
	if (!rc)
		s->norder = n;
	free(out);
	if (rc) {
		free(x);
		return -1;
	}
	*told = x;
	*ntold = s->label.n;
	return 0;
}
