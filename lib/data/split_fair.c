/* The fair split: every phase is shared out by the weights, the rarest first; and split.json. */
#include "data/split_pick.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mt19937.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Phases in the order in which the videos first show them, each with its videos. */
struct lists {
	int n;
	int *phase;
	size_t **video;
	size_t *len;
};

static void
make_lists(struct lists *l, const struct fair_video *v, size_t n)
{
	int phases = 0, *at;

	for (size_t i = 0; i < n; i++)
		for (int k = 0; k < v[i].n; k++)
			if (v[i].phase[k] >= phases)
				phases = v[i].phase[k] + 1;
	*l = (struct lists){ .phase = xcalloc((size_t)phases + 1, sizeof(*l->phase)),
		.video = xcalloc((size_t)phases + 1, sizeof(*l->video)),
		.len = xcalloc((size_t)phases + 1, sizeof(*l->len)) };
	at = xmalloc(((size_t)phases + 1) * sizeof(*at));
	for (int k = 0; k < phases; k++)
		at[k] = -1;
	for (size_t i = 0; i < n; i++) {
		for (int k = 0; k < v[i].n; k++) {
			int p = v[i].phase[k];

			if (at[p] < 0) {
				at[p] = l->n++;
				l->phase[at[p]] = p;
				l->video[at[p]] = xmalloc(n * sizeof(**l->video));
			}
			l->video[at[p]][l->len[at[p]]++] = i;
		}
	}
	free(at);
}

static void
free_lists(struct lists *l)
{
	for (int k = 0; k < l->n; k++)
		free(l->video[k]);
	free(l->video);
	free(l->phase);
	free(l->len);
}

int
split_fair(const struct fair_video *v, size_t n, const char *const *phase_name,
    const struct split_weights *w, uint64_t seed, bool allow_empty, size_t *list, size_t *size)
{
	size_t *taken = xmalloc((n + 1) * sizeof(*taken)), *part[SPLIT_MAX_PARTS], at = 0;
	bool *gone = xcalloc(n + 1, sizeof(*gone));
	struct mt19937 mt;
	struct lists l;
	int rc = 0;

	make_lists(&l, v, n);
	mt_python_seed(&mt, seed);
	for (int k = 0; k < w->n; k++) {
		part[k] = xmalloc((n + 1) * sizeof(**part));
		size[k] = 0;
	}
	for (;;) {
		size_t share[SPLIT_MAX_PARTS], count, from = 0;
		int rarest = -1;

		for (int k = 0; k < l.n; k++)
			if (l.len[k] && (rarest < 0 || l.len[k] < l.len[rarest]))
				rarest = k;
		if (rarest < 0)
			break;
		count = l.len[rarest];
		if (split_sizes(w, count, allow_empty, share)) {
			rc = err_prefix("phase %s", phase_name[l.phase[rarest]]);
			break;
		}
		memcpy(taken, l.video[rarest], count * sizeof(*taken));
		mt_shuffle(&mt, taken, count);
		for (int k = 0; k < w->n; k++) {
			memcpy(part[k] + size[k], taken + from, share[k] * sizeof(**part));
			size[k] += share[k];
			from += share[k];
		}
		for (size_t i = 0; i < count; i++)
			gone[taken[i]] = true;
		for (int k = 0; k < l.n; k++) {
			size_t left = 0;

			for (size_t i = 0; i < l.len[k]; i++)
				if (!gone[l.video[k][i]])
					l.video[k][left++] = l.video[k][i];
			l.len[k] = left;
		}
	}
	for (int k = 0; k < w->n; k++) {
		memcpy(list + at, part[k], size[k] * sizeof(*list));
		at += size[k];
		free(part[k]);
	}
	free_lists(&l);
	free(taken);
	free(gone);
	return rc;
}

void
fair_from_set(const struct split_set *s, struct fair_video **out, size_t *n)
{
	struct fair_video *v = xcalloc(s->group.n + 1, sizeof(*v));

	/* groups are numbered in order of first appearance */
	for (size_t i = 0; i < s->norder; i++) {
		const struct split_item *it = &s->v[s->order[i]];
		struct fair_video *f;
		int k = 0;

		if (it->raw || it->generated || it->group < 0 || it->phase < 0)
			continue;
		f = &v[it->group];
		while (k < f->n && f->phase[k] != it->phase)
			k++;
		if (k < f->n)
			continue;
		f->phase = xrealloc(f->phase, ((size_t)f->n + 1) * sizeof(*f->phase));
		f->phase[f->n++] = it->phase;
	}
	for (size_t i = 0; i < s->group.n; i++)
		v[i].id = s->group.name[i];
	*out = v;
	*n = s->group.n;
}

void
fair_release(struct fair_video *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i].phase);
	free(v);
}

void
fair_apply(struct split_set *s, const struct fair_video *v, const struct split_weights *w,
    const size_t *list, const size_t *size)
{
	int *part = xmalloc((s->group.n + 1) * sizeof(*part));
	size_t at = 0;

	for (size_t i = 0; i < s->group.n; i++)
		part[i] = -1;
	for (int k = 0; k < w->n; k++) {
		int number = intern_add(&s->part, w->name[k]);

		for (size_t i = 0; i < size[k]; i++) {
			int group = intern_find(&s->group, v[list[at++]].id);

			if (group >= 0)
				part[group] = number;
		}
	}
	for (size_t i = 0; i < s->norder; i++) {
		struct split_item *it = &s->v[s->order[i]];

		if (!it->raw && !it->generated)
			it->part = it->group < 0 ? -1 : part[it->group];
	}
	free(part);
}

/* ---- split.json ------------------------------------------------------------------------------ */

/* The set between train and test is `eval` in this format. */
static const char *
json_name(const char *name)
{
	return strcmp(name, "validation") ? name : "eval";
}

static int
write_new(const char *path, const struct sb *sb)
{
	char *inside = NULL;
	struct stat st;
	int rc;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		path = inside = path_join(path, "split.json");
	rc = file_exists(path) ? err("%s: it exists already", path)
	                       : file_write(path, sb->s, sb->len);
	free(inside);
	return rc;
}

int
split_json_write(const char *path, const struct split_weights *w, const char *const *const *ids,
    const size_t *n)
{
	struct sb sb = { 0 };
	int rc;

	sb_putc(&sb, '{');
	for (int k = 0; k < w->n; k++) {
		const char *key = json_name(w->name[k]);

		sb_puts(&sb, k ? ", " : "");
		json_put_str(&sb, key, strlen(key));
		sb_puts(&sb, ": [");
		for (size_t i = 0; i < n[k]; i++) {
			sb_puts(&sb, i ? ", " : "");
			json_put_str(&sb, ids[k][i], strlen(ids[k][i]));
		}
		sb_putc(&sb, ']');
	}
	sb_puts(&sb, "}\n");
	rc = write_new(path, &sb);
	sb_release(&sb);
	return rc;
}

int
split_json_write_set(const char *path, const struct split_set *s)
{
	struct split_weights w = { .n = (int)s->part.n };
	const char **ids[SPLIT_MAX_PARTS] = { 0 };
	size_t n[SPLIT_MAX_PARTS] = { 0 }, cap[SPLIT_MAX_PARTS] = { 0 };
	bool *seen = xcalloc(s->group.n + 1, sizeof(*seen));
	int rc = -1;

	if (s->part.n > SPLIT_MAX_PARTS) {
		err("%zu splits are more than %d", s->part.n, SPLIT_MAX_PARTS);
		goto out;
	}
	for (int k = 0; k < w.n; k++)
		w.name[k] = s->part.name[k];
	for (size_t i = 0; i < s->norder; i++) {
		const struct split_item *it = &s->v[s->order[i]];
		int k = it->part;

		if (it->raw || it->generated || k < 0 || (it->group >= 0 && seen[it->group]))
			continue;
		ids[k] = xgrow(ids[k], &cap[k], n[k] + 1, sizeof(**ids));
		ids[k][n[k]++] = it->group >= 0 ? s->group.name[it->group] : it->id;
		if (it->group >= 0)
			seen[it->group] = true;
	}
	rc = split_json_write(path, &w, (const char *const *const *)ids, n);
	for (int k = 0; k < w.n; k++)
		free(ids[k]);
out:
	free(seen);
	return rc;
}

static int
read_part(struct split_file *f, const struct json *j, int array, const char *path)
{
	int k = f->parts, v = array + 1;

	if (j->v[array].type != JSON_ARRAY)
		return err("%s: %s is no list of ids", path, f->key[k]);
	f->id[k] = arena_alloc(&f->mem, ((size_t)j->v[array].size + 1) * sizeof(**f->id));
	for (int i = 0; i < j->v[array].size; i++, v = j->v[v].next) {
		f->id[k][i] = json_str(j, v, &f->mem);
		if (!f->id[k][i])
			return err("%s: %s[%d] is no id", path, f->key[k], i);
	}
	f->n[k] = (size_t)j->v[array].size;
	f->parts++;
	return 0;
}

int
split_json_read(struct split_file *f, const char *path)
{
	struct json j;
	char *text;
	int rc = -1, v = 1;

	*f = (struct split_file){ 0 };
	if (json_read_file(&j, &text, path))
		return -1;
	if (j.v[0].type != JSON_OBJECT || j.v[0].size > SPLIT_MAX_PARTS) {
		err("%s: want an object of at most %d lists of ids", path, SPLIT_MAX_PARTS);
		goto out;
	}
	for (int i = 0; i < j.v[0].size; i++, v = j.v[v + 1].next) {
		f->key[i] = json_str(&j, v, &f->mem);
		if (!f->key[i]) {
			err("%s: a key that is no name", path);
			goto out;
		}
		f->name[i] = split_canonical(f->key[i]);
		if (read_part(f, &j, v + 1, path))
			goto out;
	}
	rc = 0;
out:
	json_release(&j);
	free(text);
	if (rc)
		split_file_release(f);
	return rc;
}

void
split_file_release(struct split_file *f)
{
	arena_release(&f->mem);
	*f = (struct split_file){ 0 };
}

void
split_file_apply(struct split_set *s, const struct split_file *f)
{
	struct intern id = { 0 };
	int *part = NULL;
	size_t cap = 0;

	for (int k = 0; k < f->parts; k++) {
		int number = intern_add(&s->part, f->name[k]);

		for (size_t i = 0; i < f->n[k]; i++) {
			int at = intern_add(&id, f->id[k][i]);

			part = xgrow(part, &cap, (size_t)at + 1, sizeof(*part));
			part[at] = number;
		}
	}
	for (size_t i = 0; i < s->norder; i++) {
		struct split_item *it = &s->v[s->order[i]];
		int at;

		if (it->raw || it->generated)
			continue;
		at = intern_find(&id, it->group >= 0 ? s->group.name[it->group] : it->id);
		it->part = at < 0 ? -1 : part[at];
	}
	intern_release(&id);
	free(part);
}
