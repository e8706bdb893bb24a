/*
 * How good a clustering is: rows x [n,d] with labels 0..k-1, every label taken by at least one row.
 */
#ifndef METRIC_CLUSTER_SCORE_H
#define METRIC_CLUSTER_SCORE_H

#include <stdint.h>

/* The mean of (b - a) / max(a, b): a the mean distance to the row's own cluster, b to the nearest
 * other (Rousseeuw, Silhouettes, 1987); 0 for rows alone in a cluster. Of all rows, or of at most
 * `sample` of them drawn with seed (0: all). k from 2. */
double score_silhouette(const float *x, int64_t n, int64_t d, const int32_t *label, int64_t k,
    int64_t sample, uint64_t seed);
/* S_Dbw as Tong and Tan have it (A clustering validity index of clusters with arbitrary shapes,
 * 2009): scatter within clusters plus density between them, the smaller the better; each cluster
 * stands for by its row nearest to its mean, densities count rows within 1.96 standard errors in
 * every feature. k from 2. -1 with a message where two clusters have no density. */
int score_sdbw(const float *x, int64_t n, int64_t d, const int32_t *label, int64_t k, double *out);

/* Of one cluster: the mean of its features' variances, and the largest squared distance from its
 * mean. */
struct compactness {
	int64_t n;
	double mean_variance, max_distance2;
};
void score_compactness(const float *x, int64_t n, int64_t d, const int32_t *label, int64_t k,
    struct compactness *out);

/* The first two principal components (of at most `sample` rows drawn with seed; 0: all), each with
 * its largest loading positive: out [n,2]. -1 with a message. */
int map_rows(const float *x, int64_t n, int64_t d, int64_t sample, uint64_t seed, double *out);

#endif
