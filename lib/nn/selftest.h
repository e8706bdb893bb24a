/*
 * Known answers for every operator in every storage type on the open device: a driver that is wrong
 * is found before a training run is spent on it.
 *
 * Forward results are compared with plain C in double precision. A gradient is compared with the
 * reference's central difference along a random direction: <gx, d> against <gy,
 * (f(x+hd)-f(x-hd))/2h>.
 */
#ifndef NN_SELFTEST_H
#define NN_SELFTEST_H

#include "tensor/tensor.h"

#include <stdbool.h>

struct selftest_result {
	const char *op;
	enum dtype dtype;
	bool gradient;   /* else the forward result */
	double error;    /* largest, relative to the largest value; NaN counts as infinite */
	double bound;
	bool ok;
};
/* Calls fn for each check; returns how many failed. Needs gpu_open. */
int selftest(void (*fn)(const struct selftest_result *, void *), void *ctx);

#endif
