#include "nn/init.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>

static void
fans(const struct param *p, double *in, double *out)
{
	double area = 1;

	if (p->ndim < 2)
		die("init: %s has no fans", p->name);
	for (int i = 2; i < p->ndim; i++)
		area *= (double)p->dim[i];
	*in = (double)p->dim[1] * area;
	*out = (double)p->dim[0] * area;
}

static void
draw(const struct param *p, bool normal, double scale, uint64_t seed, float *v)
{
	struct rng r;

	rng_init(&r, seed, rng_stream("init", p->name));
	for (int64_t i = 0; i < p->n; i++)
		v[i] = (float)(scale * (normal ? rng_normal(&r) : 2 * rng_double(&r) - 1));
}

void
init_values(const struct param *p, enum init how, double gain, uint64_t seed, float *v)
{
	double in, out;

	switch (how) {
	case INIT_CONSTANT:
		for (int64_t i = 0; i < p->n; i++)
			v[i] = (float)gain;
		return;
	case INIT_NORMAL:
	case INIT_UNIFORM:
		draw(p, how == INIT_NORMAL, gain, seed, v);
		return;
	default:
		break;
	}
	fans(p, &in, &out);
	if (how == INIT_TORCH)
		draw(p, false, 1 / sqrt(in), seed, v);
	else if (how == INIT_KAIMING_NORMAL_OUT)
		draw(p, true, sqrt(2 / out), seed, v);
	else if (how == INIT_KAIMING_UNIFORM_IN)
		draw(p, false, sqrt(6 / in), seed, v);
	else
		draw(p, false, sqrt(6 / (in + out)), seed, v);
}

void
init_param(struct param *p, enum init how, double gain, uint64_t seed)
{
	float *v = xmalloc((size_t)p->n * sizeof(*v));

	init_values(p, how, gain, seed, v);
	params_put(p, v);
	free(v);
}

void
init_bias_torch(struct param *bias, const struct param *weight, uint64_t seed)
{
	double in, out;

	fans(weight, &in, &out);
	init_param(bias, INIT_UNIFORM, 1 / sqrt(in), seed);
}
