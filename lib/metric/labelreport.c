#include "metric/labelreport.h"

#include "base/err.h"
#include "base/file.h"
#include "data/json.h"
#include "data/result.h"
#include "metric/confusion.h"
#include "metric/roc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* All that is known of the classes. */
struct classes {
	const struct label_scores *s;
	const struct label_report *how;
	struct confusion m;
	struct roc_areas *area; /* [m.c], one against the rest; NULL: no scores */
	struct sb *sb;
};

bool
label_listed(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = list; p; p = strchr(p, ',')) {
		p += *p == ',';
		if (!strncmp(p, name, n) && (p[n] == ',' || !p[n]))
			return true;
	}
	return !list;
}

/* One class against the rest; with a single score the second of two. */
static struct roc_areas
areas_of(const struct label_scores *s, int k)
{
	double *score = xmalloc((s->n + 1) * sizeof(*score));
	uint8_t *truth = xmalloc(s->n + 1);
	struct roc_areas a;

	for (size_t i = 0; i < s->n; i++) {
		const double *v = s->v[i].score;

		score[i] = s->nscores > 1 ? v[k] : k ? v[0] : -v[0];
		truth[i] = s->v[i].truth == k;
	}
	a = roc_areas(score, truth, s->n);
	free(score);
	free(truth);
	return a;
}

enum { PRECISION, RECALL, F1, ROC_AUC, PR_AUC, AVERAGE_PRECISION, BY_CLASS };

static double
value_of(const struct classes *c, int metric, int k)
{
	struct confusion_scores s = confusion_scores(&c->m, k, 0);

	switch (metric) {
	case PRECISION:
		return s.precision;
	case RECALL:
		return s.recall;
	case F1:
		return s.f1;
	case ROC_AUC:
		return c->area[k].roc_auc;
	case PR_AUC:
		return c->area[k].pr_auc;
	default:
		return c->area[k].average_precision;
	}
}

/* A metric of every class, and its means over the classes where it is defined. */
static void
put_by_class(const struct classes *c, int metric)
{
	static const char *const name[BY_CLASS] = { "precision", "recall", "f1", "roc_auc",
		"pr_auc", "average_precision" };
	const char *averages = c->how->averages;
	double sum = 0, weighted = 0, n = 0, total = 0;

	if (!label_listed(c->how->metrics, name[metric]))
		return;
	for (int k = 0; k < c->m.c; k++) {
		int64_t support = confusion_scores(&c->m, k, 0).support;
		double x = value_of(c, metric, k);

		if (isnan(x) && metric <= F1)
			x = c->how->zero_division;
		if (label_listed(averages, "none"))
			result_put(
			    c->sb, name[metric], "none", c->s->classes.name[k], x, (size_t)support);
		if (isnan(x))
			continue;
		sum += x;
		n++;
		weighted += x * (double)support;
		total += (double)support;
	}
	if (label_listed(averages, "macro"))
		result_put(c->sb, name[metric], "macro", NULL, sum / n, c->s->n);
	if (label_listed(averages, "weighted"))
		result_put(c->sb, name[metric], "weighted", NULL, weighted / total, c->s->n);
}

static void
put_csv_num(struct sb *sb, double x, char after)
{
	if (!isnan(x)) /* an empty cell */
		json_put_num(sb, x);
	sb_putc(sb, after);
}

/* Precision, recall and F1 by the matrix whose rows sum to 1, and the areas. */
static void
class_table(const struct classes *c, struct sb *sb)
{
	sb_puts(sb, "Precision,Recall,F1_Score,PR_AUC,ROC_AUC\n");
	for (int k = 0; k < c->m.c; k++) {
		struct confusion_scores s = confusion_scores(&c->m, k, 1);

		put_csv_num(sb, s.precision, ',');
		put_csv_num(sb, s.recall, ',');
		put_csv_num(sb, s.f1, ',');
		put_csv_num(sb, c->area ? c->area[k].pr_auc : NAN, ',');
		put_csv_num(sb, c->area ? c->area[k].roc_auc : NAN, '\n');
	}
}

/* The phase classifier's tables; the columns of its matrices are numbered. */
static int
write_nsw(const struct classes *c)
{
	static const char *const file[] = { "conf_mat.csv", "norm_conf_mat.csv",
		"class_metrics.csv", "other_metrics.csv" };
	const char **number = xmalloc(((size_t)c->m.c + 1) * sizeof(*number));
	struct arena mem = { 0 };
	struct sb sb = { 0 };
	int rc = make_dirs(c->how->nsw);

	for (int k = 0; k < c->m.c; k++) {
		char *s = xasprintf("%d", k);

		number[k] = arena_strndup(&mem, s, strlen(s));
		free(s);
	}
	for (int i = 0; i < 4 && !rc; i++) {
		char *path = path_join(c->how->nsw, file[i]);

		sb_clear(&sb);
		if (i == 2) {
			class_table(c, &sb);
		} else if (i == 3) {
			sb_puts(&sb, "Balanced_Accuracy\n");
			put_csv_num(&sb, confusion_balanced_accuracy(&c->m), '\n');
		}
		rc = i < 2 ? confusion_csv(&c->m, number, i == 1, path)
		           : file_write(path, sb.s, sb.len);
		free(path);
	}
	sb_release(&sb);
	arena_release(&mem);
	free(number);
	return rc;
}

int
label_report(const struct label_scores *s, const struct label_report *how, struct sb *sb)
{
	struct classes c = { .s = s, .how = how, .sb = sb };
	int rc = 0;

	confusion_init(&c.m, (int)s->classes.n);
	for (size_t i = 0; i < s->n; i++)
		confusion_add(&c.m, s->v[i].truth, s->v[i].pred);
	if (s->nscores) {
		c.area = xmalloc(((size_t)c.m.c + 1) * sizeof(*c.area));
		for (int k = 0; k < c.m.c; k++)
			c.area[k] = areas_of(s, k);
	}
	if (label_listed(how->metrics, "accuracy"))
		result_put(sb, "accuracy", NULL, NULL, confusion_accuracy(&c.m), s->n);
	if (label_listed(how->metrics, "balanced_accuracy"))
		result_put(
		    sb, "balanced_accuracy", NULL, NULL, confusion_balanced_accuracy(&c.m), s->n);
	if (label_listed(how->metrics, "kappa"))
		result_put(sb, "kappa", NULL, NULL, confusion_kappa(&c.m), s->n);
	for (int metric = 0; metric < (c.area ? BY_CLASS : ROC_AUC); metric++)
		put_by_class(&c, metric);
	if (how->confusion)
		rc = confusion_csv(&c.m, s->classes.name, false, how->confusion);
	if (how->nsw && !rc)
		rc = write_nsw(&c);
	confusion_release(&c.m);
	free(c.area);
	return rc;
}
