#include "metric/roc.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

struct item {
	double score;
	uint8_t positive;
};

static int
falling(const void *a, const void *b)
{
	double x = ((const struct item *)a)->score, y = ((const struct item *)b)->score;

	return (x < y) - (x > y);
}

struct roc_areas
roc_areas(const double *score, const uint8_t *truth, size_t n)
{
	struct roc_areas r = { 0 };
	struct item *v = xmalloc((n ? n : 1) * sizeof(*v));
	double roc = 0, pr = 0, ap = 0, recall = 0, precision = 1;
	int64_t tp = 0, fp = 0;

	for (size_t i = 0; i < n; i++) {
		v[i] = (struct item){ score[i], truth[i] != 0 };
		r.positives += v[i].positive;
	}
	r.negatives = (int64_t)n - r.positives;
	qsort(v, n, sizeof(*v), falling);
	for (size_t i = 0; i < n;) {
		int64_t dtp = 0, dfp = 0;
		double at = v[i].score, step, p;

		for (; i < n && v[i].score == at; i++) {
			dtp += v[i].positive;
			dfp += !v[i].positive;
		}
		roc += (double)dfp * ((double)tp + (double)dtp / 2);
		tp += dtp;
		fp += dfp;
		p = (double)tp / (double)(tp + fp);
		step = (double)tp / (double)r.positives - recall;
		pr += step * (p + precision) / 2;
		ap += step * p;
		precision = p;
		recall += step;
	}
	free(v);
	r.roc_auc =
	    r.positives && r.negatives ? roc / ((double)r.positives * (double)r.negatives) : NAN;
	r.pr_auc = r.positives ? pr : NAN;
	r.average_precision = r.positives ? ap : NAN;
	return r;
}
