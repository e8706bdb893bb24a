/*
 * Areas under the receiver operating characteristic and the precision-recall curve of scores with
 * binary truth. Items of equal score are one step of the curve, so ties do not depend on order.
 * All cost O(n log n) time and n pairs of memory.
 */
#ifndef METRIC_ROC_H
#define METRIC_ROC_H

#include <stddef.h>
#include <stdint.h>

struct roc_areas {
	double roc_auc;           /* trapezoid; NaN without positives or without negatives */
	double pr_auc;            /* trapezoid over recall, from (0, 1); NaN without positives */
	double average_precision; /* sum of precision * step of recall; NaN without positives */
	int64_t positives, negatives;
};

/* score: [n] finite, higher is more positive; truth: [n], nonzero is positive. */
struct roc_areas roc_areas(const double *score, const uint8_t *truth, size_t n);

#endif
