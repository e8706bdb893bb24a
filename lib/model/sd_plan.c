#include "model/sd_plan.h"

#include "base/mem.h"
#include "model/sd_step.h"

#include <stdlib.h>
#include <string.h>

struct nets {
	struct clip text;
	struct unet unet;
	struct vae vae;
	struct class_embed classes;
	bool has_text;
};

static void
open_nets(struct nets *m, const struct sd_plan_conf *c)
{
	const unsigned train = c->train;

	m->has_text = c->cfg->classes.classes == 0;
	unet_init(&m->unet, &c->cfg->unet, train >> SD_UNET & 1 ? F32 : c->dtype, train >> SD_UNET & 1);
	vae_init(&m->vae, &c->cfg->vae, c->dtype, false);
	m->unet.checkpointing = c->checkpointing;
	if (m->has_text) {
		clip_init(&m->text, &c->cfg->text, train >> SD_TEXT & 1 ? F32 : c->dtype, train >> SD_TEXT & 1);
		m->text.compute = train >> SD_TEXT & 1 ? c->compute : F32;
	} else {
		class_embed_init(&m->classes, &c->cfg->classes, F32, true);
	}
}

static void
close_nets(struct nets *m)
{
	unet_release(&m->unet);
	vae_release(&m->vae);
	if (m->has_text)
		clip_release(&m->text);
	else
		class_embed_release(&m->classes);
}

static struct tensor *
zeros(enum dtype dtype, int ndim, const int64_t *dim)
{
	return tensor_full(dtype, ndim, dim, 0);
}

/* As it comes before a step: one image through the encoder, one caption through its. */
static void
encode(const struct nets *m, const struct sd_plan_conf *c)
{
	struct tensor *mean, *logvar;
	bool was = grads_set(false);

	scope_open();
	vae_encode(&m->vae, zeros(m->vae.ps.dtype, 4,
	    (int64_t[]){ 1, c->resolution, c->resolution, c->cfg->vae.in_channels }), &mean, &logvar);
	scope_close();
	if (m->has_text && !(c->train >> SD_TEXT & 1)) {
		scope_open();
		clip_forward(&m->text, zeros(I32, 2, (int64_t[]){ 1, c->cfg->text.length }), NULL);
		scope_close();
	}
	grads_set(was);
}

static struct tensor *
context(const struct nets *m, const struct sd_plan_conf *c, int64_t n)
{
	if (!m->has_text)
		return class_embed_forward(&m->classes, zeros(I32, 1, &n));
	if (c->train >> SD_TEXT & 1)
		return clip_forward(&m->text, zeros(I32, 2, (int64_t[]){ n, c->cfg->text.length }), NULL);
	return zeros(F32, 3, (int64_t[]){ n, c->cfg->text.length, c->cfg->text.width });
}

static void
one_step(const struct nets *m, const struct sd_plan_conf *c, struct sd_step *s)
{
	int64_t n = c->batch + c->prior, side = c->resolution / vae_factor(&m->vae);
	int64_t dim[] = { n, side, side, c->cfg->vae.latent };
	int *t = xcalloc((size_t)n, sizeof(*t));
	struct tensor *norm;
	struct sd_batch b = { .t = t, .prior = c->prior };

	scope_open();
	b.x = zeros(F32, 4, dim);
	b.noise = zeros(F32, 4, dim);
	b.context = context(m, c, n);
	sd_step_batch(s, &b);
	sd_step_update(s, 0, &norm);
	scope_close();
	free(t);
}

void
sd_plan_make(struct sd_plan *plan, const struct sd_plan_conf *c)
{
	static const struct noise_config noise = { .train_steps = 1, .beta_start = 0.1, .beta_end = 0.1,
		.beta_schedule = "linear" };
	struct sd_step s = { .compute = c->compute, .accumulate = 1, .clip = 1,
		.ema_decay = c->ema ? 0.9999 : 0, .loss = { .prior_weight = 1 } };
	struct noise_schedule schedule;
	struct params *trained[SD_NETS];
	struct gpu_mem_stat mem;
	struct nets m = { 0 };
	int n = 0;

	gpu_count(true);
	noise_schedule_init(&schedule, &noise);
	open_nets(&m, c);
	if (c->train >> SD_UNET & 1)
		trained[n++] = &m.unet.ps;
	if (c->train >> SD_TEXT & 1)
		trained[n++] = &m.text.ps;
	if (c->train >> SD_CLASSES & 1)
		trained[n++] = &m.classes.ps;
	s.unet = &m.unet;
	sd_step_init(&s, &schedule, &c->optim, trained, n);
	encode(&m, c);
	one_step(&m, c, &s);
	gpu_mem(&mem);
	plan->weights = mem.live[MEM_PARAM];
	plan->gradients = mem.live[MEM_GRAD];
	plan->optimizer = mem.live[MEM_OPT];
	plan->total = mem.peak_all;
	plan->activations = plan->total - plan->weights - plan->gradients - plan->optimizer;
	sd_step_release(&s);
	close_nets(&m);
	noise_schedule_release(&schedule);
	gpu_count(false);
}
