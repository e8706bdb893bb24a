#include "data/split_check.h"

#include "base/err.h"
#include "base/progress.h"
#include "base/threads.h"
#include "data/image.h"
#include "data/result.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- decoding -------------------------------------------------------------------------------- */

struct decoding {
	const struct split_set *s;
	char **why; /* [norder] NULL: fine */
	size_t done;
	struct progress progress;
	pthread_mutex_t lock;
};

/* The record as it came; its names are seen from its input. */
static int
parse_item(struct rec *r, const struct split_item *it)
{
	rec_clear(r);
	if (rec_parse(r, it->line, it->len))
		return -1;
	r->input = it->input;
	r->lineno = it->lineno;
	return 0;
}

static int
decode(struct rec *r, const struct split_item *it)
{
	struct image im = { 0 };
	const char *path;

	if (parse_item(r, it))
		return -1;
	path = rec_path(r, "file_name");
	if (!path || image_read(&im, path, 0, 0))
		return -1;
	image_release(&im);
	return 0;
}

static void
decode_one(void *vd, size_t i)
{
	struct decoding *d = vd;
	const struct split_item *it = &d->s->v[d->s->order[i]];
	struct rec r = { 0 };

	pthread_mutex_lock(&d->lock);
	progress_at(&d->progress, d->done++);
	pthread_mutex_unlock(&d->lock);
	if (!it->raw && decode(&r, it))
		d->why[i] = xstrdup(errmsg());
	rec_release(&r);
}

static void
tell(struct split_set *s, struct split_item *it, const struct rec_opts *ro, const char *why)
{
	struct rec_out out = { .deferred = true, .fd = -1 };
	struct rec r = { 0 };

	if (parse_item(&r, it))
		die("%s: %s", it->id, errmsg()); /* it was parsed before */
	rec_bad(ro, &r, &out, why);
	if (ro->strict)
		exit(EXIT_FATAL);
	if (out.sb.len) {
		it->raw = true;
		it->line = arena_strndup(&s->mem, out.sb.s, out.sb.len);
		it->len = out.sb.len;
	}
	sb_release(&out.sb);
	rec_release(&r);
}

int
split_decode(struct split_set *s, const struct rec_opts *ro)
{
	struct decoding d = { .s = s, .why = xcalloc(s->norder + 1, sizeof(*d.why)) };
	size_t n = 0;
	int rc = EXIT_OK;

	pthread_mutex_init(&d.lock, NULL);
	progress_start(&d.progress, "images", s->norder, ro->quiet);
	threads_each(s->norder, (size_t)ro->jobs, NULL, decode_one, &d);
	progress_end(&d.progress);
	pthread_mutex_destroy(&d.lock);
	for (size_t i = 0; i < s->norder; i++) {
		struct split_item *it = &s->v[s->order[i]];

		if (d.why[i]) {
			tell(s, it, ro, d.why[i]);
			rc = EXIT_RECORDS;
		}
		if (!d.why[i] || it->raw)
			s->order[n++] = s->order[i];
		free(d.why[i]);
	}
	s->norder = n;
	free(d.why);
	return rc;
}

/* ---- summary --------------------------------------------------------------------------------- */

static void
end(struct sb *sb, size_t value)
{
	sb_printf(sb, ", \"value\": %zu}\n", value);
}

void
split_count(struct sb *sb, const char *metric, int64_t value)
{
	result_begin(sb, metric);
	end(sb, (size_t)value);
}

void
split_count_records(
    const struct split_set *s, const char *label_field, uint64_t seed, struct sb *sb)
{
	size_t parts = s->part.n + 1, labels = s->label.n + 1; /* the last: none */
	size_t *count = xcalloc(parts * labels, sizeof(*count));
	size_t *all = xcalloc(parts, sizeof(*all)), written = 0;

	for (size_t i = 0; i < s->norder; i++) {
		const struct split_item *it = &s->v[s->order[i]];
		size_t part = it->part < 0 ? parts - 1 : (size_t)it->part;

		if (it->raw)
			continue;
		count[part * labels + (it->label < 0 ? labels - 1 : (size_t)it->label)]++;
		all[part]++;
		written++;
	}
	result_begin(sb, "records");
	sb_printf(sb, ", \"seed\": %" PRIu64, seed);
	end(sb, written);
	for (size_t k = 0; k < parts && parts > 1; k++) {
		if (!all[k])
			continue;
		result_begin(sb, "records");
		result_str(sb, "split", k < s->part.n ? s->part.name[k] : "");
		end(sb, all[k]);
	}
	for (size_t k = 0; k < parts && label_field; k++) {
		for (size_t l = 0; l < labels; l++) {
			if (!count[k * labels + l])
				continue;
			result_begin(sb, "records");
			result_str(sb, "split", k < s->part.n ? s->part.name[k] : NULL);
			result_str(sb, "label_field", label_field);
			result_str(sb, "label", l < s->label.n ? s->label.name[l] : "");
			end(sb, count[k * labels + l]);
		}
	}
	free(count);
	free(all);
}

size_t
split_count_groups(const struct split_set *s, const char *group_field, struct sb *sb)
{
	enum { UNSEEN = -2, SEVERAL = -3 };
	size_t straddling = 0, groups = 0, without = 0,
	       *count = xcalloc(s->part.n + 1, sizeof(*count));
	int *side = xmalloc((s->group.n + 1) * sizeof(*side));

	for (size_t g = 0; g < s->group.n; g++)
		side[g] = UNSEEN;
	for (size_t i = 0; i < s->norder; i++) {
		const struct split_item *it = &s->v[s->order[i]];

		if (it->raw || it->generated)
			continue;
		if (it->group < 0)
			without++;
		else if (side[it->group] == UNSEEN)
			side[it->group] = it->part;
		else if (side[it->group] != it->part)
			side[it->group] = SEVERAL;
	}
	for (size_t g = 0; g < s->group.n; g++) {
		groups += side[g] != UNSEEN;
		straddling += side[g] == SEVERAL;
		if (side[g] >= 0)
			count[side[g]]++;
	}
	for (size_t k = 0; k < s->part.n; k++) {
		result_begin(sb, "groups");
		result_str(sb, "split", s->part.name[k]);
		end(sb, count[k]);
	}
	result_begin(sb, "groups_straddling");
	result_str(sb, "group_by", group_field);
	sb_printf(sb, ", \"n\": %zu, \"records_without_group\": %zu", groups, without);
	end(sb, straddling);
	free(side);
	free(count);
	return straddling;
}

void
split_count_lists(const struct split_file *f, struct sb *sb)
{
	for (int k = 0; k < f->parts; k++) {
		result_begin(sb, "groups");
		result_str(sb, "split", f->name[k]);
		end(sb, f->n[k]);
	}
}

size_t
split_count_repeated(const struct split_set *s, struct sb *sb)
{
	struct intern ids = { 0 };
	size_t repeated = 0;

	for (size_t i = 0; i < s->norder; i++) {
		const struct split_item *it = &s->v[s->order[i]];
		size_t had = ids.n;

		if (it->raw || it->copy)
			continue;
		intern_add(&ids, it->id);
		repeated += ids.n == had;
	}
	intern_release(&ids);
	result_begin(sb, "repeated_ids");
	end(sb, repeated);
	return repeated;
}

void
split_count_mixed(const struct split_set *s, const struct mixed *m, size_t n, struct sb *sb)
{
	for (; n; n--, m++) {
		if (!m->real && !m->added)
			continue;
		result_begin(sb, "mixed");
		result_str(sb, "label", s->label.name[m->label]);
		sb_printf(
		    sb, ", \"real\": %zu, \"generated\": %zu", m->real - m->dropped, m->added);
		end(sb, m->real - m->dropped + m->added);
	}
}
