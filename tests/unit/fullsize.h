/*
 * Weights and inputs by the formula of the full-size golden sets (their README), so that nothing
 * large has to be kept: number i of the tensor called S follows from FNV-1a of S.
 */
#ifndef TESTS_FULLSIZE_H
#define TESTS_FULLSIZE_H

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/safetensors.h"
#include "model/sd_config.h"
#include "nn/params.h"
#include "tensor/ops.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static inline bool
fullsize_has(const char *set, const char *name)
{
	char *path = path_join(set, name);
	bool there = file_exists(path);

	free(path);
	return there;
}

/* Whose sizes a set has: the text states of SD 2 are 1024 wide, those of SD 1 768. */
static inline int
fullsize_config(struct sd_config *c, const char *set)
{
	char *path = path_join(set, "text.safetensors");
	const char *name = "sd15";
	struct safetensors st;

	if (file_exists(path) && st_open(&st, path) == 0) {
		const struct st_tensor *t = st_find(&st, "last_hidden_state");

		if (t && t->dim[t->ndim - 1] == 1024)
			name = "sd21";
		st_close(&st);
	}
	free(path);
	return sd_config_named(c, name);
}

static inline double
fullsize_unit(uint64_t h, uint64_t i)
{
	uint64_t z = h + (i + 1) * UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	z ^= z >> 31;
	return (double)(z >> 40) / 0x1p23 - 1;
}

static inline bool
fullsize_ends(const char *s, const char *with)
{
	size_t n = strlen(s), k = strlen(with);

	return n >= k && strcmp(s + n - k, with) == 0;
}

static inline void
fullsize_fill(struct params *ps, const char *net)
{
	for (int i = 0; i < ps->n; i++) {
		struct param *p = ps->p[i];
		char *name = xasprintf("%s.%s", net, p->name);
		uint64_t h = fnv1a(name, strlen(name));
		float *v = xmalloc((size_t)p->n * sizeof(*v));
		double scale = sqrt(3 / ((double)p->n / (double)p->dim[0])), add = 0;

		if (strstr(name, "token_embedding")) {
			scale = 0.1;
		} else if (strstr(name, "position_embedding")) {
			scale = 0.05;
		} else if (fullsize_ends(name, ".bias")) {
			scale = 0.1;
		} else if (p->ndim == 1) {
			scale = 0.2;
			add = 1;
		}
		for (int64_t k = 0; k < p->n; k++)
			v[k] = (float)(add + scale * fullsize_unit(h, (uint64_t)k));
		params_put(p, v);
		free(v);
		free(name);
	}
}

/* An input of the file's shape; images come as [N,H,W,C]. */
static inline struct tensor *
fullsize_input(const char *name, int ndim, const int64_t *dim, double scale)
{
	uint64_t h = fnv1a(name, strlen(name));
	int64_t n = 1;
	float *v;
	struct tensor *x;

	for (int i = 0; i < ndim; i++)
		n *= dim[i];
	v = xmalloc((size_t)n * sizeof(*v));
	for (int64_t i = 0; i < n; i++)
		v[i] = (float)(scale * fullsize_unit(h, (uint64_t)i));
	x = tensor_from(F32, ndim, dim, v);
	free(v);
	return ndim == 4 ? op_permute(x, (const int[]){ 0, 2, 3, 1 }) : x;
}

#endif
