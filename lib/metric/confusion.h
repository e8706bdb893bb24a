/* Confusion matrices: rows are the truth, columns the prediction. */
#ifndef METRIC_CONFUSION_H
#define METRIC_CONFUSION_H

#include <stdbool.h>
#include <stdint.h>

struct confusion {
	int c;      /* classes */
	int64_t *n; /* [c][c]: n[t * c + p] */
};

void confusion_init(struct confusion *, int classes); /* zeros */
void confusion_release(struct confusion *);
/* Both in 0..c-1; anything else is a bug of the caller's. */
void confusion_add(struct confusion *, int truth, int pred);

struct confusion_scores {
	double precision, recall, f1; /* NaN where 0/0 */
	int64_t support;              /* items of the class */
};
/* Of class k from the counts, or, with normalised, from the matrix whose rows were divided by their
 * sums (so that every class weighs the same in precision and F1). Rows of no items stay 0. */
struct confusion_scores confusion_scores(const struct confusion *, int k, int normalised);
double confusion_accuracy(const struct confusion *);          /* NaN if empty */
double confusion_balanced_accuracy(
    const struct confusion *); /* mean recall where there are items */
/* Cohen's kappa: (observed - expected) / (1 - expected). */
double confusion_kappa(const struct confusion *);
/* Element of the matrix whose rows sum to 1; 0 in rows of no items. */
double confusion_share(const struct confusion *, int truth, int pred);
/* As CSV, the classes' names as header; with shares each row divided by its sum. 0, or -1 with a
 * message. */
int confusion_csv(const struct confusion *, const char *const *name, bool shares,
    const char *path);

#endif
