/* Loops over rows on all cores. */
#ifndef METRIC_PARALLEL_H
#define METRIC_PARALLEL_H

#include <stdint.h>

enum { PARALLEL_PARTS = 16 };

/* Calls fn for rows [from, to) of [0, n), in PARALLEL_PARTS parts (part says which) that depend on
 * n alone, on as many threads as there are cores; sums that are kept by part and added up in order
 * come out the same on every machine. Returns when all are done. */
void parallel(int64_t n, void (*fn)(void *ctx, int64_t from, int64_t to, int part), void *ctx);

#endif
