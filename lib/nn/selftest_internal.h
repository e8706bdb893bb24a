/* Between the parts of the self-test. */
#ifndef NN_SELFTEST_INTERNAL_H
#define NN_SELFTEST_INTERNAL_H

#include "nn/selftest.h"

/* What has state (random numbers, optimisers, sums of gradients) in one storage type. */
int selftest_state(enum dtype, void (*fn)(const struct selftest_result *, void *), void *ctx);

#endif
