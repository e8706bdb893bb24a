/*
 * Counts of true and false positives and negatives per image and class, and the scores made of
 * them: the functions and reductions of segmentation_models_pytorch 0.3 (metrics/functional).
 *
 *	struct seg_stats st;
 *	seg_stats_init(&st, 3);
 *	for each image
 *		seg_add_multiclass(&st, pred, truth, h * w, 255);
 *	iou = seg_score(SEG_IOU, &st, SEG_MACRO, NULL, 0);
 *	seg_stats_release(&st);
 *
 * Counts are whole, so the order of the images changes a score by rounding at most. Not safe to add
 * to from two threads at once.
 */
#ifndef METRIC_SEG_H
#define METRIC_SEG_H

#include <stddef.h>
#include <stdint.h>

/* [n][c], row-major: image i, class k at i * c + k. */
struct seg_stats {
	size_t n, cap; /* images */
	int c;         /* classes */
	int64_t *tp, *fp, *fn, *tn;
};

void seg_stats_init(struct seg_stats *, int classes);
void seg_stats_clear(struct seg_stats *); /* no images, memory kept */
void seg_stats_release(struct seg_stats *);
/* Images of src go after those of dst; both have the same classes. */
void seg_stats_append(struct seg_stats *dst, const struct seg_stats *src);

enum { SEG_NO_IGNORE = INT32_MIN };

/*
 * One image each. Labels outside 0..c-1 belong to no class (they count as negatives of all), those
 * of the truth that equal `ignore` are left out of every count.
 *	multiclass  pred, truth: [pixels] class numbers
 *	multilabel  prob: [c][pixels] probabilities, positive if >= threshold; truth: [c][pixels],
 *	            positive if not 0. With c = 1 this is the library's binary mode.
 */
void seg_add_multiclass(struct seg_stats *, const int32_t *pred, const int32_t *truth,
    size_t pixels, int32_t ignore);
void seg_add_multilabel(struct seg_stats *, const float *prob, const uint8_t *truth, size_t pixels,
    float threshold);
/* One image's counts, [c] each. */
void seg_add_counts(struct seg_stats *, const int64_t *tp, const int64_t *fp, const int64_t *fn,
    const int64_t *tn);

enum seg_metric {
	SEG_IOU, SEG_F1, SEG_ACCURACY, SEG_RECALL, SEG_PRECISION, SEG_SENSITIVITY, SEG_SPECIFICITY,
	SEG_BALANCED_ACCURACY, SEG_PPV, SEG_NPV, SEG_FNR, SEG_FPR, SEG_FDR, SEG_FOR, SEG_LR_PLUS,
	SEG_LR_MINUS, SEG_METRICS
};
/* The library's names, in the order of the enum: iou_score, f1_score, ... */
extern const char *const seg_metric_name[SEG_METRICS];
/* By name; also iou, jaccard, f1, dice, ppv, npv, fnr, fpr, fdr, for. -1 with a message. */
int seg_metric_find(const char *name);

/*
 * How the counts of images and classes become one number:
 *	micro               counts summed over all; 0/0 stays NaN (zero_division is not looked at)
 *	macro               per class over all images, then the mean of score * weight
 *	weighted            per class over all images, then the sum of score * weight
 *	micro-imagewise     per image over its classes, then the mean
 *	macro-imagewise     per image and class, mean over images, then the mean of score * weight
 *	weighted-imagewise  the same as macro-imagewise (a mean, not a sum, as in the library)
 * weight: class_weights divided by their sum; without class_weights 1 for the means, and 1/c for
 * `weighted`. A mean over nothing is NaN.
 */
enum seg_reduction { SEG_MICRO, SEG_MACRO, SEG_WEIGHTED, SEG_MICRO_IMAGEWISE, SEG_MACRO_IMAGEWISE,
	SEG_WEIGHTED_IMAGEWISE, SEG_REDUCTIONS };
extern const char *const seg_reduction_name[SEG_REDUCTIONS];
int seg_reduction_find(const char *name); /* -1 with a message */

/* class_weights: [c] or NULL. zero_division takes the place of 0/0. */
double seg_score(enum seg_metric, const struct seg_stats *, enum seg_reduction,
    const double *class_weights, double zero_division);
/* F-beta by the same rules; beta 1 is SEG_F1. */
double seg_fbeta(double beta, const struct seg_stats *, enum seg_reduction,
    const double *class_weights, double zero_division);
/* One image and class (the library's reduction "none"). */
double seg_score_at(enum seg_metric, const struct seg_stats *, size_t image, int k,
    double zero_division);
/* From four counts; NaN where it is 0/0. */
double seg_score_of(enum seg_metric, int64_t tp, int64_t fp, int64_t fn, int64_t tn);

#endif
