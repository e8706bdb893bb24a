/* What the self-test runs: operators, each with its reference in plain C, and what has state. */
#ifndef NN_SELFTEST_TABLE_H
#define NN_SELFTEST_TABLE_H

#include "nn/selftest.h"

enum { SELFTEST_MAXIN = 5 };

/* An input: its shape, and how its values are drawn. */
struct selftest_in {
	int ndim;
	int64_t dim[4];
	enum { NORMAL, POSITIVE, PARAM, IDS } kind; /* PARAM: f32 whatever the storage type */
	int ids;                                    /* IDS: I32 in [0, ids) */
};

struct selftest_check {
	const char *op;
	int nin;
	struct selftest_in in[SELFTEST_MAXIN];
	struct tensor *(*run)(struct tensor **in);
	/* out has room for what run gives */
	void (*ref)(const struct selftest_check *, double *const *in, double *out);
	bool gradient;
	/* some checks share a reference: which function, axis and so on */
	int variant;
};

extern const struct selftest_check selftest_checks[];
extern const size_t selftest_nchecks;
/* Elements of an input. */
int64_t selftest_count(const struct selftest_in *);

/* References of products (selftest_products.c). */
void selftest_matmul(const struct selftest_check *, double *const *in, double *out);
void selftest_linear(const struct selftest_check *, double *const *in, double *out);
void selftest_attention(const struct selftest_check *, double *const *in, double *out);
void selftest_conv(const struct selftest_check *, double *const *in, double *out);
/* The transpose of 3x3, stride 2, padding 1, one more row and column: [H,W] -> [2H,2W]. */
void selftest_conv_t(const struct selftest_check *, double *const *in, double *out);
/* Kernel, stride, padding and groups by variant; the last two are transposed. */
struct selftest_conv_shape {
	int k, s, p, g;
};
extern const struct selftest_conv_shape selftest_convs[];

/* Random numbers, optimisers, sums of gradients and conversions in one storage type; how many
 * failed. */
int selftest_state(enum dtype, void (*fn)(const struct selftest_result *, void *), void *ctx);

#endif
