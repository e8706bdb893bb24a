#include "metric/seg.h"

#include "base/err.h"
#include "base/mem.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

const char *const seg_metric_name[SEG_METRICS] = {
	"iou_score", "f1_score", "accuracy", "recall", "precision", "sensitivity", "specificity",
	"balanced_accuracy", "positive_predictive_value", "negative_predictive_value",
	"false_negative_rate", "false_positive_rate", "false_discovery_rate", "false_omission_rate",
	"positive_likelihood_ratio", "negative_likelihood_ratio",
};

const char *const seg_reduction_name[SEG_REDUCTIONS] = {
	"micro", "macro", "weighted", "micro-imagewise", "macro-imagewise", "weighted-imagewise",
};

int
seg_metric_find(const char *name)
{
	static const struct {
		const char *name;
		enum seg_metric m;
	} other[] = {
		{ "iou", SEG_IOU }, { "jaccard", SEG_IOU }, { "f1", SEG_F1 }, { "dice", SEG_F1 },
		{ "ppv", SEG_PPV }, { "npv", SEG_NPV }, { "fnr", SEG_FNR }, { "fpr", SEG_FPR },
		{ "fdr", SEG_FDR }, { "for", SEG_FOR },
	};

	for (int i = 0; i < SEG_METRICS; i++)
		if (!strcmp(name, seg_metric_name[i]))
			return i;
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		if (!strcmp(name, other[i].name))
			return (int)other[i].m;
	return err("no metric '%s'", name);
}

int
seg_reduction_find(const char *name)
{
	for (int i = 0; i < SEG_REDUCTIONS; i++)
		if (!strcmp(name, seg_reduction_name[i]))
			return i;
	return err("no reduction '%s'", name);
}

/* ---- counts ---------------------------------------------------------------------------------- */

void
seg_stats_init(struct seg_stats *s, int classes)
{
	*s = (struct seg_stats){ .c = classes };
}

void
seg_stats_clear(struct seg_stats *s)
{
	s->n = 0;
}

void
seg_stats_release(struct seg_stats *s)
{
	free(s->tp);
	free(s->fp);
	free(s->fn);
	free(s->tn);
	*s = (struct seg_stats){ .c = s->c };
}

/* Makes room for `more` images; the new rows are not set. */
static void
reserve(struct seg_stats *s, size_t more)
{
	int64_t **a[] = { &s->tp, &s->fp, &s->fn, &s->tn };
	size_t row, was = s->cap;

	if (!mul_size((size_t)s->c, sizeof(int64_t), &row))
		die("%d classes are too many", s->c);
	for (int i = 0; i < 4; i++) {
		size_t cap = was;

		*a[i] = xgrow(*a[i], &cap, s->n + more, row);
		s->cap = cap;
	}
}

void
seg_add_counts(struct seg_stats *s, const int64_t *tp, const int64_t *fp, const int64_t *fn,
    const int64_t *tn)
{
	size_t at = s->n * (size_t)s->c, row = (size_t)s->c * sizeof(int64_t);

	reserve(s, 1);
	memcpy(s->tp + at, tp, row);
	memcpy(s->fp + at, fp, row);
	memcpy(s->fn + at, fn, row);
	memcpy(s->tn + at, tn, row);
	s->n++;
}

void
seg_stats_append(struct seg_stats *dst, const struct seg_stats *src)
{
	for (size_t i = 0; i < src->n; i++) {
		size_t at = i * (size_t)src->c;

		seg_add_counts(dst, src->tp + at, src->fp + at, src->fn + at, src->tn + at);
	}
}

/* A row of zeros at the end; returns its first element's number. */
static size_t
add_row(struct seg_stats *s)
{
	size_t at = s->n * (size_t)s->c, row = (size_t)s->c * sizeof(int64_t);

	reserve(s, 1);
	memset(s->tp + at, 0, row);
	memset(s->fp + at, 0, row);
	memset(s->fn + at, 0, row);
	memset(s->tn + at, 0, row);
	s->n++;
	return at;
}

void
seg_add_multiclass(struct seg_stats *s, const int32_t *pred, const int32_t *truth, size_t pixels,
    int32_t ignore)
{
	size_t at = add_row(s);
	int64_t seen = 0;

	for (size_t i = 0; i < pixels; i++) {
		int32_t p = pred[i], t = truth[i];

		if (ignore != SEG_NO_IGNORE && t == ignore)
			continue;
		seen++;
		if (p == t) {
			if (t >= 0 && t < s->c)
				s->tp[at + (size_t)t]++;
			continue;
		}
		if (p >= 0 && p < s->c)
			s->fp[at + (size_t)p]++;
		if (t >= 0 && t < s->c)
			s->fn[at + (size_t)t]++;
	}
	for (size_t k = at; k < at + (size_t)s->c; k++)
		s->tn[k] = seen - s->tp[k] - s->fp[k] - s->fn[k];
}

void
seg_add_multilabel(struct seg_stats *s, const float *prob, const uint8_t *truth, size_t pixels,
    float threshold)
{
	size_t at = add_row(s);

	for (size_t k = 0; k < (size_t)s->c; k++) {
		int64_t count[2][2] = { { 0 } };

		for (size_t i = k * pixels; i < (k + 1) * pixels; i++)
			count[prob[i] >= threshold][truth[i] != 0]++;
		s->tp[at + k] = count[1][1];
		s->fp[at + k] = count[1][0];
		s->fn[at + k] = count[0][1];
		s->tn[at + k] = count[0][0];
	}
}

/* ---- scores ---------------------------------------------------------------------------------- */

struct counts {
	int64_t tp, fp, fn, tn;
};

/* What is computed of four counts: a metric, or F-beta. */
struct formula {
	enum seg_metric m;
	double beta; /* 0: m */
};

double
seg_score_of(enum seg_metric m, int64_t tp, int64_t fp, int64_t fn, int64_t tn)
{
	double t = (double)tp, n = (double)tn;
	double sens = t / (double)(tp + fn), spec = n / (double)(tn + fp);
	double ppv = t / (double)(tp + fp), npv = n / (double)(tn + fn);

	switch (m) {
	case SEG_IOU:
		return t / (double)(tp + fp + fn);
	case SEG_F1:
		return 2 * t / (double)(2 * tp + fp + fn);
	case SEG_ACCURACY:
		return (t + n) / (double)(tp + fp + fn + tn);
	case SEG_RECALL:
	case SEG_SENSITIVITY:
		return sens;
	case SEG_PRECISION:
	case SEG_PPV:
		return ppv;
	case SEG_SPECIFICITY:
		return spec;
	case SEG_BALANCED_ACCURACY:
		return (sens + spec) / 2;
	case SEG_NPV:
		return npv;
	case SEG_FNR:
		return 1 - sens;
	case SEG_FPR:
		return 1 - spec;
	case SEG_FDR:
		return 1 - ppv;
	case SEG_FOR:
		return 1 - npv;
	case SEG_LR_PLUS:
		return sens / (1 - spec);
	case SEG_LR_MINUS:
		return (1 - sens) / spec;
	case SEG_METRICS:
		break;
	}
	die("seg_score_of: no metric %d", (int)m);
}

static double
apply(const struct formula *f, const struct counts *c)
{
	double b = f->beta * f->beta, t = (1 + b) * (double)c->tp;

	if (f->beta == 0)
		return seg_score_of(f->m, c->tp, c->fp, c->fn, c->tn);
	return t / (t + b * (double)c->fn + (double)c->fp);
}

static double
no_nan(double x, double zero_division)
{
	return isnan(x) ? zero_division : x;
}

/* Sums over images [i0, i1) and classes [k0, k1). */
static struct counts
sum(const struct seg_stats *s, size_t i0, size_t i1, int k0, int k1)
{
	struct counts c = { 0 };

	for (size_t i = i0; i < i1; i++)
		for (int k = k0; k < k1; k++) {
			size_t at = i * (size_t)s->c + (size_t)k;

			c.tp += s->tp[at];
			c.fp += s->fp[at];
			c.fn += s->fn[at];
			c.tn += s->tn[at];
		}
	return c;
}

/* Mean over images of class k's score. */
static double
mean_over_images(const struct formula *f, const struct seg_stats *s, int k, double zero_division)
{
	double total = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct counts c = sum(s, i, i + 1, k, k + 1);

		total += no_nan(apply(f, &c), zero_division);
	}
	return total / (double)s->n;
}

static double
reduce(const struct formula *f, const struct seg_stats *s, enum seg_reduction r, const double *w,
    double zero_division)
{
	bool imagewise = r == SEG_MACRO_IMAGEWISE || r == SEG_WEIGHTED_IMAGEWISE;
	double total = 0, wsum = 0;
	struct counts c;

	if (r == SEG_MICRO) {
		c = sum(s, 0, s->n, 0, s->c);
		return apply(f, &c);
	}
	if (r == SEG_MICRO_IMAGEWISE) {
		for (size_t i = 0; i < s->n; i++) {
			c = sum(s, i, i + 1, 0, s->c);
			total += no_nan(apply(f, &c), zero_division);
		}
		return total / (double)s->n;
	}
	for (int k = 0; k < s->c; k++)
		wsum += w ? w[k] : 1;
	for (int k = 0; k < s->c; k++) {
		double x;

		if (imagewise) {
			x = mean_over_images(f, s, k, zero_division);
		} else {
			c = sum(s, 0, s->n, k, k + 1);
			x = no_nan(apply(f, &c), zero_division);
		}
		total += w ? x * w[k] / wsum : r == SEG_WEIGHTED ? x / wsum : x;
	}
	return r == SEG_WEIGHTED ? total : total / s->c;
}

double
seg_score(enum seg_metric m, const struct seg_stats *s, enum seg_reduction r, const double *weights,
    double zero_division)
{
	return reduce(&(struct formula){ .m = m }, s, r, weights, zero_division);
}

double
seg_fbeta(double beta, const struct seg_stats *s, enum seg_reduction r, const double *weights,
    double zero_division)
{
	return reduce(&(struct formula){ .beta = beta }, s, r, weights, zero_division);
}

double
seg_score_at(enum seg_metric m, const struct seg_stats *s, size_t image, int k,
    double zero_division)
{
	struct counts c = sum(s, image, image + 1, k, k + 1);

	return no_nan(seg_score_of(m, c.tp, c.fp, c.fn, c.tn), zero_division);
}
