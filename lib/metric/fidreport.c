#include "metric/fidreport.h"

#include "base/err.h"
#include "base/file.h"
#include "data/csv.h"
#include "data/json.h"
#include "data/result.h"
#include "metric/kernel.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- records --------------------------------------------------------------------------------- */

static void
put_count(struct sb *sb, const char *key, int64_t n)
{
	if (n)
		sb_printf(sb, ", \"%s\": %" PRId64, key, n);
}

/* What says nothing is left out. */
static const char *
said(const char *s)
{
	return s && *s ? s : NULL;
}

static const char *
either(const char *a, const char *b)
{
	return said(*b ? b : a);
}

void
fidreport_records(struct sb *sb, const struct fid_list *l, const struct fset *real,
    const struct fset *gen, const char *by)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct fid_value *v = &l->v[i];

		result_begin(sb, fid_metric_name[v->metric]);
		result_str(sb, "by", v->group ? said(by) : NULL);
		result_str(sb, "label", said(v->group));
		sb_puts(sb, ", \"value\": ");
		json_put_num(sb, v->value);
		result_num(sb, "std", v->std);
		result_num(sb, "se", v->se);
		result_num(sb, "low", v->low);
		result_num(sb, "high", v->high);
		put_count(sb, "n", v->n);
		put_count(sb, "n_real", v->n_real);
		put_count(sb, v->metric == FID_IS ? "splits" : v->metric == FID_KID ? "subsets"
		    : "points", v->parts);
		put_count(sb, v->metric == FID_KID ? "subset_size" : "smallest_size", v->size);
		put_count(sb, "neighbours", v->k);
		put_count(sb, "dim", gen->d);
		if (v->singular)
			sb_puts(sb, ", \"singular\": true");
		result_str(sb, "embedding_network",
		    either(real->source.network, gen->source.network));
		result_str(sb, "embedding_preprocess",
		    either(real->source.preprocess, gen->source.preprocess));
		result_str(sb, "embedding_weights",
		    either(real->source.weights, gen->source.weights));
		sb_puts(sb, "}\n");
	}
}

/* ---- tables ---------------------------------------------------------------------------------- */

static bool
says_nothing(const char *part)
{
	static const char *const generic[] =
	    { "image", "images", "train", "test", "validation", "val", "token",
		"inceptionv3_tokens", "metadata.jsonl", ".", "-" };

	for (size_t i = 0; i < sizeof(generic) / sizeof(generic[0]); i++)
		if (strcmp(part, generic[i]) == 0)
			return true;
	return !*part;
}

static bool
is_data(const char *ext)
{
	return strcmp(ext, ".jsonl") == 0 || strcmp(ext, ".npy") == 0 || strcmp(ext, ".npz") == 0;
}

char *
fidreport_name(const char *path)
{
	char *p = xstrdup(path), *name = NULL;

	while (!name) {
		char *slash = strrchr(p, '/'), *part = slash ? slash + 1 : p;
		const char *ext = path_ext(part);

		if (!says_nothing(part))
			name = xstrndup(part, strlen(part) - (is_data(ext) ? strlen(ext) : 0));
		else if (!slash)
			name = xstrdup(path_base(path));
		else
			*slash = '\0';
	}
	free(p);
	return name;
}

static void
cell(struct sb *sb, const char *text)
{
	csv_put(sb, text, strlen(text), ',');
}

static void
number(struct sb *sb, double x)
{
	if (!isnan(x))
		json_put_num(sb, x);
}

/* The split of all rows of s, or "train". */
static const char *
split_of(const struct fset *s)
{
	for (int64_t i = 1; s->row && i < s->n; i++)
		if (!s->row[i].split || !s->row[0].split ||
		    strcmp(s->row[i].split, s->row[0].split) != 0)
			return "train";
	return s->row && s->n && s->row[0].split ? s->row[0].split : "train";
}

void
fidreport_mep(struct sb *sb, const struct fid_list *l, const struct fset *real,
    const struct fset *gen)
{
	static const struct { enum fid_metric m; const char *name; } rows[] = {
		{ FID_DISTANCE, "fid_based_on_latents" }, { FID_PRECISION, "precision" },
		{ FID_RECALL, "recall" } };
	char *reference = fidreport_name(real->name), *target = fidreport_name(gen->name);

	sb_puts(sb, "metric,reference_ds,target_ds,split,value\n");
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		for (size_t i = 0; i < l->n; i++) {
			if (l->v[i].metric != rows[r].m || l->v[i].group)
				continue;
			cell(sb, rows[r].name);
			sb_putc(sb, ',');
			cell(sb, reference);
			sb_putc(sb, ',');
			cell(sb, target);
			sb_putc(sb, ',');
			cell(sb, split_of(gen));
			sb_putc(sb, ',');
			number(sb, l->v[i].value);
			sb_putc(sb, '\n');
		}
	}
	free(reference);
	free(target);
}

const char fidreport_nsw_header[] =
    "model_name,orig_data,synth_data,label,entropy_orig,entropy_synth,"
    "accuracy_orig,accuracy_synth,fid\n";

/* The mean entropy of a group's shares of classes (group -1: of all rows), NAN if there are
 * none. */
static double
entropy(const struct fset *s, int group)
{
	double sum = 0;
	int64_t n = 0;

	for (int64_t i = 0; s->p && i < s->n; i++) {
		if (group >= 0 && s->row[i].group != group)
			continue;
		sum += mean_entropy(s->p + i * s->c, 1, s->c);
		n++;
	}
	return n ? sum / (double)n : NAN;
}

static double
accuracy(const struct fset *s, int group)
{
	int64_t n = 0, hits = 0;

	for (int64_t i = 0; i < s->n; i++) {
		const struct fset_row *r = &s->row[i];

		if ((group >= 0 && r->group != group) || !r->pred || !r->label)
			continue;
		hits += strcmp(r->pred, r->label) == 0;
		n++;
	}
	return n ? (double)hits / (double)n : NAN;
}

void
fidreport_nsw(struct sb *sb, const struct fid_list *l, const struct fset *real,
    const struct fset *gen, const struct intern *groups, const char *model)
{
	char *orig = fidreport_name(real->name), *synth = fidreport_name(gen->name);

	for (size_t i = 0; i < l->n; i++) {
		const struct fid_value *v = &l->v[i];
		int group = v->group ? intern_find(groups, v->group) : -1;

		if (v->metric != FID_DISTANCE)
			continue;
		cell(sb, model);
		sb_putc(sb, ',');
		cell(sb, orig);
		sb_putc(sb, ',');
		cell(sb, synth);
		sb_putc(sb, ',');
		cell(sb, v->group ? v->group : "all");
		sb_putc(sb, ',');
		number(sb, entropy(real, group));
		sb_putc(sb, ',');
		number(sb, entropy(gen, group));
		sb_putc(sb, ',');
		number(sb, accuracy(real, group));
		sb_putc(sb, ',');
		number(sb, accuracy(gen, group));
		sb_putc(sb, ',');
		number(sb, v->value);
		sb_putc(sb, '\n');
	}
	free(orig);
	free(synth);
}
