#include "data/split.h"

#include "base/err.h"
#include "base/file.h"
#include "base/rng.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

const char *const split_set_name[SETS] = { "train", "validation", "test" };

const char *
split_canonical(const char *name)
{
	static const char *const validation[] = { "val", "valid", "eval" };

	for (size_t i = 0; i < sizeof(validation) / sizeof(validation[0]); i++)
		if (!strcmp(name, validation[i]))
			return "validation";
	return name;
}

int
split_set_of(struct rec *r, int *set)
{
	const char *s = rec_str(r, "split");

	*set = -1;
	if (!s)
		return rec_get(r, "split") ? err("split: not a string") : 0;
	for (int i = 0; i < SETS; i++)
		if (!strcmp(split_canonical(s), split_set_name[i]))
			*set = i;
	return *set < 0 ? err("split: \"%s\" is none of train, validation and test", s) : 0;
}

const char *
split_part_name(const struct split_set *s, const struct split_item *it)
{
	return it->part < 0 ? NULL : s->part.name[it->part];
}

struct split_item *
split_add(struct split_set *s, const char *line, size_t len, const char *id)
{
	struct split_item *it;

	s->v = xgrow(s->v, &s->cap, s->n + 1, sizeof(*s->v));
	s->order = xgrow(s->order, &s->order_cap, s->norder + 1, sizeof(*s->order));
	it = &s->v[s->n];
	*it = (struct split_item){ .line = arena_strndup(&s->mem, line, len),
		.len = len,
		.frame = -1,
		.group = -1,
		.label = -1,
		.stratum = -1,
		.phase = -1,
		.plane = -1,
		.part = -1 };
	it->id = id ? arena_strndup(&s->mem, id, strlen(id)) : NULL;
	s->order[s->norder++] = s->n++;
	return it;
}

void
split_release(struct split_set *s)
{
	free(s->v);
	free(s->order);
	intern_release(&s->group);
	intern_release(&s->label);
	intern_release(&s->stratum);
	intern_release(&s->phase);
	intern_release(&s->plane);
	intern_release(&s->part);
	arena_release(&s->mem);
	*s = (struct split_set){ 0 };
}

/* ---- reading --------------------------------------------------------------------------------- */

struct reader {
	struct split_set *set;
	const struct split_fields *f;
	struct rec_out bad; /* what rec_each passes on by itself */
	const char *input;  /* of the record before */
};

static int
number_of(struct intern *table, const struct rec *r, const char *field)
{
	const char *s = field ? rec_text(r, field) : NULL;

	return s ? intern_add(table, s) : -1;
}

static int
group_of(const struct reader *rd, const struct rec *r)
{
	const char *s = rd->f->group ? rec_text(r, rd->f->group) : NULL, *cut;

	if (!s)
		return -1;
	cut = rd->f->group_cut ? strrchr(s, *rd->f->group_cut) : NULL;
	if (cut && cut != s)
		s = arena_strndup(&rd->set->mem, s, (size_t)(cut - s));
	return intern_add(&rd->set->group, s);
}

/* The lines that went past us since the last record keep their place before this one. */
static void
add_raw(struct reader *rd)
{
	if (!rd->bad.sb.len)
		return;
	split_add(rd->set, rd->bad.sb.s, rd->bad.sb.len, NULL)->raw = true;
	sb_clear(&rd->bad.sb);
}

static void
note_folder(struct split_set *s, const char *input)
{
	char *dir = strcmp(input, "-") == 0 ? xstrdup(".") : path_dir(input);

	if (!s->folder)
		s->folder = arena_strndup(&s->mem, dir, strlen(dir));
	else if (strcmp(s->folder, dir) != 0)
		s->folders = true;
	free(dir);
}

static int
read_one(struct rec *r, void *ctx)
{
	struct reader *rd = ctx;
	struct split_set *s = rd->set;
	const char *part = rec_str(r, "split");
	struct split_item *it;
	int64_t frame = -1;

	add_raw(rd);
	if (rd->f->need_group && !rec_text(r, rd->f->group))
		return err("no field %s", rd->f->group);
	if (rd->f->need_label && !rec_text(r, rd->f->label))
		return err("no field %s", rd->f->label);
	if (rd->f->need_stratum && !rec_text(r, rd->f->stratum))
		return err("no field %s", rd->f->stratum);
	if (rec_int(r, "frame", &frame) < 0)
		frame = -1; /* somebody else's field of that name */
	if (r->input != rd->input)
		note_folder(s, r->input);
	rd->input = r->input;
	it = split_add(s, r->line, r->len, rec_id(r));
	it->input = r->input;
	it->lineno = r->lineno;
	it->frame = frame;
	it->generated = rd->f->generated;
	it->group = group_of(rd, r);
	it->label = number_of(&s->label, r, rd->f->label);
	it->stratum = number_of(&s->stratum, r, rd->f->stratum);
	it->phase = number_of(&s->phase, r, "phase");
	it->plane = number_of(&s->plane, r, "focal_plane");
	it->part = part ? intern_add(&s->part, split_canonical(part)) : -1;
	return 0;
}

int
split_read(struct split_set *s, const struct rec_opts *ro, const char *const *files, size_t n,
    const struct split_fields *f)
{
	struct reader rd = { .set = s, .f = f, .bad = { .deferred = true, .fd = -1 } };
	struct rec_opts whole = *ro;
	int rc;

	whole.shard = (struct shard){ 0 }; /* decisions look at all records, whatever is written */
	rc = rec_each(&whole, files, n, &rd.bad, read_one, &rd);
	add_raw(&rd);
	sb_release(&rd.bad.sb);
	return rc;
}

/* ---- order ----------------------------------------------------------------------------------- */

struct keyed {
	uint64_t key;
	size_t item, at;
};

static int
by_key(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

void
split_hash_order(const struct split_set *s, size_t *v, size_t n, uint64_t seed, const char *purpose)
{
	struct keyed *k = xmalloc((n ? n : 1) * sizeof(*k));

	for (size_t i = 0; i < n; i++) {
		struct rng r;

		rng_init(&r, seed, rng_stream(purpose, s->v[v[i]].id));
		k[i] = (struct keyed){ rng_u64(&r), v[i], i };
	}
	qsort(k, n, sizeof(*k), by_key);
	for (size_t i = 0; i < n; i++)
		v[i] = k[i].item;
	free(k);
}

void
split_shuffle(struct split_set *s, uint64_t seed)
{
	size_t *v = xmalloc((s->norder ? s->norder : 1) * sizeof(*v)), n = 0, at = 0;

	for (size_t i = 0; i < s->norder; i++)
		if (!s->v[s->order[i]].raw)
			v[n++] = s->order[i];
	split_hash_order(s, v, n, seed, "shuffle");
	for (size_t i = 0; i < s->norder; i++)
		if (!s->v[s->order[i]].raw)
			s->order[i] = v[at++];
	free(v);
}

struct ranked {
	int plane, rank;
	size_t at, item;
};

static int
by_rank(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->plane != y->plane)
		return x->plane < y->plane ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

void
split_order_groups(struct split_set *s, const char *const *ids, size_t n)
{
	int *rank = xmalloc((s->group.n + 1) * sizeof(*rank));
	struct ranked *v = xmalloc((s->norder + 1) * sizeof(*v));

	for (size_t g = 0; g < s->group.n; g++)
		rank[g] = INT_MAX;
	for (size_t i = 0; i < n; i++) {
		int g = intern_find(&s->group, ids[i]);

		if (g >= 0 && rank[g] == INT_MAX)
			rank[g] = (int)i;
	}
	for (size_t i = 0; i < s->norder; i++) {
		const struct split_item *it = &s->v[s->order[i]];

		v[i] = (struct ranked){ it->plane, it->group < 0 ? INT_MAX : rank[it->group], i,
			s->order[i] };
	}
	qsort(v, s->norder, sizeof(*v), by_rank);
	for (size_t i = 0; i < s->norder; i++)
		s->order[i] = v[i].item;
	free(rank);
	free(v);
}

void
split_keep(struct split_set *s, bool (*ok)(const struct split_item *, void *), void *ctx)
{
	size_t n = 0;

	for (size_t i = 0; i < s->norder; i++) {
		const struct split_item *it = &s->v[s->order[i]];

		if (it->raw || ok(it, ctx))
			s->order[n++] = s->order[i];
	}
	s->norder = n;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void
resolve_field(struct rec *r, const char *key)
{
	const char *name = rec_str(r, key), *path;

	if (!name)
		return;
	path = rec_path(r, key);
	if (strcmp(path, name) != 0)
		rec_set_str(r, key, path);
}

static void
describe(const struct split_set *s, const struct split_item *it, bool planes, struct rec *r)
{
	struct sb sb = { 0 };

	if (it->phase < 0)
		return;
	sb_printf(
	    &sb, "a microscopic image of a human embryo at phase %s", s->phase.name[it->phase]);
	if (planes && it->plane >= 0)
		sb_printf(&sb, " recorded at focal plane %s", s->plane.name[it->plane]);
	rec_set_str(r, "text", sb.s);
	sb_release(&sb);
}

static int
write_one(const struct split_set *s, const struct split_item *it, const struct split_out *how,
    bool planes, struct rec *r, struct rec_out *out)
{
	rec_clear(r);
	if (rec_parse(r, it->line, it->len))
		return err_prefix("%s", it->id);
	r->input = it->input;
	r->lineno = it->lineno;
	if (how->set_split && it->part >= 0)
		rec_set_str(r, "split", s->part.name[it->part]);
	if (how->set_split && it->part < 0)
		rec_del(r, "split");
	if (how->resolve) {
		resolve_field(r, "file_name");
		resolve_field(r, "mask_file_name");
		resolve_field(r, "pred_mask_file_name");
	}
	if (how->describe)
		describe(s, it, planes, r);
	if (it->copy) {
		char *id = xasprintf("%s#%u", it->id, it->copy + 1);

		rec_set_str(r, "id", id);
		free(id);
	}
	rec_emit(out, r);
	return 0;
}

static bool
several_planes(const struct split_set *s)
{
	int first = -1;

	for (size_t i = 0; i < s->norder; i++) {
		int plane = s->v[s->order[i]].plane;

		if (plane >= 0 && first >= 0 && plane != first)
			return true;
		if (plane >= 0)
			first = plane;
	}
	return false;
}

int
split_write(const struct split_set *s, const struct split_out *how, struct rec_out *out)
{
	bool planes = how->describe && several_planes(s);
	bool plain = !how->set_split && !how->resolve && !how->describe;
	struct rec r = { 0 };
	struct sb line = { 0 };
	int rc = 0;

	for (size_t i = 0; i < s->norder && !rc; i++) {
		const struct split_item *it = &s->v[s->order[i]];

		if (!shard_has(&how->shard, i))
			continue;
		if (it->raw) {
			rec_out_lines(out, it->line, it->len);
		} else if (plain && !it->copy) {
			sb_clear(&line);
			sb_put(&line, it->line, it->len);
			sb_putc(&line, '\n');
			rec_out_lines(out, line.s, line.len);
		} else {
			rc = write_one(s, it, how, planes, &r, out);
		}
	}
	rec_release(&r);
	sb_release(&line);
	return rc;
}
