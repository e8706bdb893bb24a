#include "model/fold.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One tensor's values, which are known to be there; caller frees. */
static float *
values(const struct safetensors *st, const char *layer, const char *what)
{
	char *name = xasprintf("%s.%s", layer, what);
	const struct st_tensor *t = st_find(st, name);
	float *v = xmalloc((size_t)t->n * sizeof(*v));

	st_get_f32(t, v);
	free(name);
	return v;
}

void
folded_init(struct folded *f, struct params *ps, int in, int out, int k, const char *conv)
{
	const int64_t dim[4] = { out, in, k, k };

	params_add(ps, &f->w, PARAM_CONV, 4, dim, "%s.weight", conv);
	params_add(ps, &f->b, PARAM_PLAIN, 1, dim, "%s.bias", conv);
}

void
fold_norm(struct weights *w, const struct safetensors *st, const char *conv, const char *norm,
    double eps)
{
	char *kernel = xasprintf("%s.weight", conv), *name = xasprintf("%s.bias", conv);
	struct st_tensor t = *st_find(st, kernel), b = { .dtype = ST_F32, .ndim = 1 };
	size_t out = (size_t)t.dim[0], per = (size_t)t.n / out;
	float *gamma = values(st, norm, "weight"), *beta = values(st, norm, "bias");
	float *mean = values(st, norm, "running_mean"), *var = values(st, norm, "running_var");
	float *own = st_find(st, name) ? values(st, conv, "bias") : NULL;
	float *wide = weights_alloc(w, (size_t)t.n * sizeof(*wide));
	float *bias = weights_alloc(w, out * sizeof(*bias));

	st_get_f32(&t, wide);
	for (size_t o = 0; o < out; o++) {
		double s = gamma[o] / sqrt((double)var[o] + eps);

		for (size_t i = 0; i < per; i++)
			wide[o * per + i] = (float)(wide[o * per + i] * s);
		bias[o] = (float)(beta[o] + ((own ? own[o] : 0.0) - mean[o]) * s);
	}
	t.dtype = ST_F32;
	t.get = NULL;
	t.data = wide;
	weights_add(w, kernel, &t);
	b.n = b.dim[0] = t.dim[0];
	b.data = bias;
	weights_add(w, name, &b);
	free(own);
	free(kernel);
	free(name);
	free(gamma);
	free(beta);
	free(mean);
	free(var);
}
