/* For benches: the processor's seconds, and the middle of several times. */
#ifndef BENCH_STAT_H
#define BENCH_STAT_H

#include "base/order.h"

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

/* Seconds that all threads of this process took together. */
static inline double
cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Sorts v; of an even number of them it is the upper one. */
static inline double
median(double *v, int64_t n)
{
	qsort(v, (size_t)n, sizeof(*v), order_doubles);
	return v[n / 2];
}

#endif
