#include "model/vae_train.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "nn/loader.h"

#include <math.h>
#include <stdlib.h>

enum { THREADS = 2 }; /* that read images */

void
vae_train_quiet(struct vae *m)
{
	/* of means, then of log variances */
	struct param *p = params_find(&m->ps, "quant_conv.bias");
	float *b = xmalloc((size_t)p->n * sizeof(*b));

	params_get(p, b);
	for (int i = m->cfg.latent; i < 2 * m->cfg.latent; i++)
		b[i] -= 6;
	params_put(p, b);
	free(b);
}

void
vae_train_init(struct vae_train *t, struct vae *vae, const struct vae_train_conf *conf)
{
	struct params *ps = &vae->ps;

	*t = (struct vae_train){ .vae = vae, .conf = *conf };
	if (schedule_init(&t->schedule, "cosine", conf->steps / 20, conf->steps))
		die("%s", errmsg());
	optim_init(&t->optim,
	    &(struct optim_conf){ .kind = OPTIM_ADAMW, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8 },
	    &ps, 1);
}

void
vae_train_release(struct vae_train *t)
{
	optim_release(&t->optim);
	*t = (struct vae_train){ 0 };
}

/* mean + exp(logvar / 2) noise */
static struct tensor *
draw(struct tensor *mean, struct tensor *logvar, uint64_t seed, uint64_t k)
{
	struct rng r;

	rng_init(&r, seed, rng_stream("vae latents", NULL));
	r.index = k;
	return op_add(mean, op_mul(op_exp(op_affine(logvar, 0.5, 0)),
	    op_normal(mean->ndim, mean->dim, rng_u64(&r))));
}

void
vae_train_step(struct vae_train *t, const float *pixels, int64_t n, int64_t h, int64_t w,
    struct vae_loss *loss)
{
	const struct vae *m = t->vae;
	struct tensor *x, *y, *d, *mean, *logvar, *kl, *absolute, *square, *total, *norm;
	double lr = t->conf.lr * schedule_factor(&t->schedule, t->step);
	bool was = grads_set(true);

	scope_open();
	params_zero_grad(&t->vae->ps);
	x = tensor_from(F32, 4, (int64_t[]){ n, h, w, m->cfg.in_channels }, pixels);
	vae_encode(m, x, &mean, &logvar);
	y = vae_decode(m, draw(mean, logvar, t->conf.seed, (uint64_t)t->step));
	d = op_sub(y, x);
	absolute = op_mean_all(op_abs(d));
	square = op_mean_all(op_square(d));
	kl = op_sub(op_add(op_square(mean), op_exp(logvar)), op_affine(logvar, 1, 1));
	kl = op_affine(op_sum_all(kl), 0.5 / (double)x->n, 0);
	total = op_add(op_add(absolute, square), op_affine(kl, t->conf.kl, 0));
	backward(total);
	norm = optim_clip(&t->optim, 1, 1);
	optim_step(&t->optim, lr);
	if (loss)
		*loss = (struct vae_loss){ tensor_item(total), tensor_item(absolute),
			tensor_item(square), tensor_item(kl), tensor_item(norm), lr };
	scope_close();
	grads_set(was);
	t->step++;
}

/* ---- images ---------------------------------------------------------------------------------- */

static size_t
values_of(const struct sd_data *d)
{
	return (size_t)d->conf.resolution * (size_t)d->conf.resolution * (size_t)d->conf.channels;
}

/* A window of each image, as the net takes it. */
static void
windows(const struct vae_train *t, const struct vae_train_run *r, const struct loader_batch *b,
    float *x)
{
	size_t side = (size_t)r->data->conf.resolution, crop = (size_t)r->crop;
	size_t c = (size_t)r->data->conf.channels;
	struct rng g;

	rng_init(&g, t->conf.seed, rng_stream("vae window", NULL));
	g.index = (uint64_t)t->step << 16;
	for (size_t i = 0; i < b->n; i++) {
		size_t top = rng_below(&g, side - crop + 1), left = rng_below(&g, side - crop + 1);
		const uint8_t *px = (const uint8_t *)b->data + i * side * side * c;

		for (size_t y = 0; y < crop; y++, x += crop * c)
			sd_data_normalize(px + ((top + y) * side + left) * c, crop * c, x);
	}
}

/* One epoch, from where the step stands to the last; x has room for a batch. */
static int
run_epoch(struct vae_train *t, const struct vae_train_run *r, struct loader *l, struct sd_view *v,
    uint64_t epoch, float *x)
{
	size_t n;
	uint32_t *order = sd_view_order(v, (size_t)r->batch, epoch, &n);
	struct loader_batch *b;
	int ret = 0;

	loader_start(l, order, n, epoch);
	while (ret == 0 && t->step < t->conf.steps && !(r->stop && r->stop()) &&
	    (b = loader_next(l))) {
		bool tell = r->report && (t->step == 0 || (t->step + 1) % r->every == 0 ||
		    t->step + 1 == t->conf.steps);
		struct vae_loss loss;

		if (b->error) {
			ret = err("%s", b->error);
			break;
		}
		windows(t, r, b, x);
		vae_train_step(t, x, (int64_t)b->n, r->crop, r->crop, tell ? &loss : NULL);
		if (tell)
			r->report(r->ctx, t->step, &loss);
	}
	free(order);
	return ret;
}

int
vae_train_run(struct vae_train *t, const struct vae_train_run *r)
{
	size_t each = values_of(r->data);
	float *x = xmalloc(each * (size_t)r->batch * sizeof(*x));
	struct loader *l;
	struct sd_view v;
	int ret = 0;

	sd_view_init(&v, r->data, NULL);
	l = loader_new(sd_view_sample, &v, each, (size_t)r->batch, THREADS);
	for (uint64_t epoch = 0; ret == 0 && t->step < t->conf.steps && !(r->stop && r->stop());
	     epoch++)
		ret = run_epoch(t, r, l, &v, epoch, x);
	loader_free(l);
	free(x);
	return ret;
}

int
vae_score_images(struct vae_score *s, const struct vae *m, struct sd_data *d, size_t most)
{
	size_t each = values_of(d);
	uint8_t *px = xmalloc(each);
	float *x = xmalloc(each * sizeof(*x));
	int ret = 0, side = d->conf.resolution;

	for (size_t i = 0; i < d->n && i < most && ret == 0; i++) {
		ret = sd_data_pixels(d, &d->item[i], 0, px);
		sd_data_normalize(px, each, x);
		if (ret == 0)
			vae_score_add(s, m, x, 1, side, side);
	}
	free(px);
	free(x);
	return ret;
}

/* ---- scores ---------------------------------------------------------------------------------- */

void
vae_score_add(struct vae_score *s, const struct vae *m, const float *pixels, int64_t n, int64_t h,
    int64_t w)
{
	struct tensor *x, *mean, *logvar, *z;
	bool was = grads_set(false);

	scope_open();
	x = tensor_from(m->ps.dtype, 4, (int64_t[]){ n, h, w, m->cfg.in_channels }, pixels);
	vae_encode(m, x, &mean, &logvar);
	z = draw(mean, logvar, 0, (uint64_t)s->latents);
	s->sum += tensor_item(op_sum_all(z));
	s->square += tensor_item(op_sum_all(op_square(z)));
	s->latents += (double)z->n;
	s->error += tensor_item(op_sum_all(op_square(op_sub(vae_decode(m, mean), x))));
	s->values += (double)x->n;
	scope_close();
	grads_set(was);
}

double
vae_score_psnr(const struct vae_score *s)
{
	return 10 * log10(4 * s->values / s->error);
}

double
vae_score_deviation(const struct vae_score *s)
{
	double mean = s->sum / s->latents;

	return sqrt(s->square / s->latents - mean * mean);
}
