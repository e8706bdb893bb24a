#include "model/sd_loss.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

/* [N,1,1,1]: sqrt(abar_t), or sqrt(1 - abar_t), negated where `sign` says so. */
static struct tensor *
factors(const struct noise_schedule *s, const int *t, int64_t n, bool noise, float sign)
{
	float *v = xmalloc((size_t)n * sizeof(*v));
	struct tensor *f;

	for (int64_t i = 0; i < n; i++)
		v[i] = sign * sqrtf(noise ? 1 - s->alpha_cum[t[i]] : s->alpha_cum[t[i]]);
	f = tensor_from(F32, 4, (int64_t[]){ n, 1, 1, 1 }, v);
	free(v);
	return f;
}

/* a x + b y, with one number of each for a sample. */
static struct tensor *
mix(struct tensor *x, struct tensor *a, struct tensor *y, struct tensor *b)
{
	return op_add(op_mul(x, a), op_mul(y, b));
}

struct tensor *
sd_add_noise(const struct noise_schedule *s, struct tensor *x, struct tensor *noise, const int *t)
{
	int64_t n = x->dim[0];

	scope_open();
	return scope_keep(mix(x, factors(s, t, n, false, 1), noise, factors(s, t, n, true, 1)));
}

struct tensor *
sd_target(const struct noise_schedule *s, enum prediction p, struct tensor *x, struct tensor *noise,
    const int *t)
{
	int64_t n = x->dim[0];

	if (p != PREDICT_V)
		return p == PREDICT_EPSILON ? noise : x;
	scope_open();
	return scope_keep(mix(noise, factors(s, t, n, false, 1), x, factors(s, t, n, true, -1)));
}

struct tensor *
sd_errors(struct tensor *pred, struct tensor *target)
{
	scope_open();
	return scope_keep(op_mean(op_square(op_sub(op_cast(pred, F32), target)), 14, false));
}

/* The weight of min-SNR at timestep t. With nothing left of the image (snr 0) epsilon's limit is
 * 1. */
static double
snr_weight(const struct sd_loss *l, const struct noise_schedule *s, int t)
{
	double snr = noise_snr(s, t), least = snr < l->snr_gamma ? snr : l->snr_gamma;
	double ratio = snr > l->snr_gamma ? l->snr_gamma / snr : 1;

	if (l->snr_gamma <= 0)
		return 1;
	if (l->prediction == PREDICT_SAMPLE)
		return least;
	if (l->prediction == PREDICT_EPSILON)
		return ratio;
	return l->form == SNR_DREAMBOOTH ? ratio + 1 : least / (snr + 1);
}

void
sd_loss_weights(const struct sd_loss *l, const struct noise_schedule *s, const int *t, int n,
    int prior, float *w)
{
	int own = n - prior;

	for (int i = 0; i < n; i++)
		w[i] = (float)(i < own ? snr_weight(l, s, t[i]) / own : l->prior_weight / prior);
}

struct tensor *
sd_loss_sum(const struct sd_loss *l, const struct noise_schedule *s, struct tensor *errors,
    const int *t, int prior)
{
	int n = (int)errors->dim[0];
	float *w = xmalloc((size_t)n * sizeof(*w));
	struct tensor *loss;

	sd_loss_weights(l, s, t, n, prior, w);
	scope_open();
	loss = op_sum_all(op_mul(errors, tensor_from(F32, 1, (int64_t[]){ n }, w)));
	free(w);
	return scope_keep(loss);
}
