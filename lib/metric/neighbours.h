/*
 * Nearest neighbours among rows of features, and what is counted with them: improved precision and
 * recall (Kynkäänniemi et al., 2019), density and coverage (Naeem et al., 2020).
 *
 * Distances of all pairs come from products of matrices in single precision, |a|^2 + |b|^2 - 2 ab,
 * which is tens of times as fast as differences one by one. Wherever the rounding of that could
 * change an answer (a neighbour's rank, a pair near a radius) the distance is worked out again from
 * the differences in double precision, so that every answer, ties included, is that of exact
 * distances.
 *
 * x: [nx,d], y: [ny,d], f32. Memory: blocks of a few MiB besides what is said.
 */
#ifndef METRIC_NEIGHBOURS_H
#define METRIC_NEIGHBOURS_H

#include <stdbool.h>
#include <stdint.h>

struct neighbour {
	int64_t at;      /* row of y */
	double d2;       /* squared Euclidean distance */
};

/* |x - y|^2 in double precision; the same whichever comes first. */
double distance2(const float *x, const float *y, int64_t d);

/* The k nearest rows of y to each row of x, nearest first (the first row among equals), into out
 * [nx,k]. others: x is y, and a row is not its own neighbour. k is at most ny, ny - 1 with
 * others. */
void nearest(const float *x, int64_t nx, const float *y, int64_t ny, int64_t d, int64_t k,
    bool others, struct neighbour *out);

/* Counts by radii r2x [nx] and r2y [ny] (squared distances), all n's of bool or counts:
 *	y_in_x [ny]   number of x whose radius holds the y
 *	x_in_y [nx]   number of y whose radius holds the x
 *	x_met [nx]    number of y within the x's own radius
 * A radius holds what is nearer, with `inclusive` also what is as far. */
void within(const float *x, const double *r2x, int64_t nx, const float *y, const double *r2y,
    int64_t ny, int64_t d, bool inclusive, int64_t *y_in_x, int64_t *x_in_y, int64_t *x_met);

#endif
