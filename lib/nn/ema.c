#include "nn/ema.h"

#include "base/err.h"
#include "base/mem.h"
#include "nn/slabs.h"
#include "tensor/op.h"

#include <stdlib.h>
#include <string.h>

/* Calls fn for every slab that has a mean. */
static void
each(struct ema *e, void (*fn)(const struct slab *, struct gbuf **mean, const void *),
    const void *ctx)
{
	int k = 0;

	for (int i = 0; i < e->nparams; i++)
		for (int j = 0; j < e->params[i]->nslab; j++, k++) {
			const struct slab *s = &e->params[i]->slab[j];

			if (e->buffers || !s->buffers)
				fn(s, &e->mean[k], ctx);
		}
}

static void
copy(const struct slab *s, struct gbuf **mean, const void *ctx)
{
	(void)ctx;
	if (!*mean)
		*mean = gbuf_new(s->bytes, MEM_OPT);
	gpu_copy(*mean, 0, s->value, 0, s->bytes);
}

void
ema_init(struct ema *e, struct params *const *ps, int n, bool buffers)
{
	*e = (struct ema){ .nparams = n, .buffers = buffers };
	e->params = xcalloc((size_t)n, sizeof(struct params *));
	memcpy(e->params, ps, (size_t)n * sizeof(*ps));
	for (int i = 0; i < n; i++) {
		if (ps[i]->dtype != F32)
			die("ema: values are %s, not f32", dtype_name(ps[i]->dtype));
		e->nmean += ps[i]->nslab;
	}
	e->mean = xcalloc((size_t)e->nmean + 1, sizeof(struct gbuf *));
	each(e, copy, NULL);
}

void
ema_release(struct ema *e)
{
	for (int i = 0; i < e->nmean; i++)
		gbuf_unref(e->mean[i]);
	free(e->mean);
	free(e->params);
	*e = (struct ema){ 0 };
}

void
ema_restart(struct ema *e)
{
	each(e, copy, NULL);
}

static void
update(const struct slab *s, struct gbuf **mean, const void *ctx)
{
	const double *decay = ctx;
	size_t max = slab_piece_max();
	struct {
		uint32_t n;
		float lr, decay, beta1, beta2, rate, root, eps;
	} push = { .beta1 = (float)*decay };

	if (s->buffers) {
		gpu_copy(*mean, 0, s->value, 0, s->bytes);
		return;
	}
	for (size_t off = 0; off < s->bytes; off += max) {
		size_t len = s->bytes - off < max ? s->bytes - off : max;
		struct gpu_arg m = { *mean, off, len };

		push.n = (uint32_t)(len / 16);
		gpu_run(&(struct gpu_call){ .kernel = gpu_info()->texel ? K_EMA_T : K_EMA_V,
		    .arg = { { s->value, off, len }, m, m }, .nargs = 3, .spec = { 0 }, .nspec = 1,
		    .push = &push, .npush = sizeof(push),
		    .groups = { gpu_groups(push.n, FLAT_STEP) }, .flops = (double)len * .75,
		    .bytes = (double)len * 3 });
	}
}

void
ema_update(struct ema *e, double decay)
{
	each(e, update, &decay);
}

static void
swap(const struct slab *s, struct gbuf **mean, const void *ctx)
{
	struct gbuf *values = gbuf_new(s->bytes, MEM_WORK);

	(void)ctx;
	gpu_copy(values, 0, s->value, 0, s->bytes);
	gpu_copy(s->value, 0, *mean, 0, s->bytes);
	gpu_copy(*mean, 0, values, 0, s->bytes);
	gbuf_unref(values);
}

void
ema_swap(struct ema *e)
{
	each(e, swap, NULL);
	/* packed copies of the weights are old now */
	for (int i = 0; i < e->nparams; i++)
		for (int j = 0; j < e->params[i]->n; j++)
			if (e->params[i]->p[j]->t)
				e->params[i]->p[j]->t->version++;
}

double
ema_decay(double asked, int64_t nth)
{
	double s = (double)(nth - 1), d = (1 + s) / (10 + s);

	return s <= 0 ? 0 : d < asked ? d : asked;
}
