#include "model/sd_plan.h"

#include "base/err.h"
#include "base/mem.h"
#include "model/lora.h"
#include "model/sd_feed.h"
#include "model/sd_step.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct nets {
	struct clip text;
	struct unet unet;
	struct vae vae;
	struct class_embed classes;
	bool has_text;
	struct lora lora[SD_NETS];
};

static int
open_nets(struct nets *m, const struct sd_plan_conf *c)
{
	const unsigned train = c->train;

	m->has_text = c->cfg->classes.classes == 0;
	unet_init(&m->unet, &c->cfg->unet, train >> SD_UNET & 1 ? F32 : c->dtype,
	    train >> SD_UNET & 1);
	vae_init(&m->vae, &c->cfg->vae, F32, false);
	m->unet.checkpointing = c->checkpointing;
	if (m->has_text) {
		/* a text encoder that is trained works in 16 bits, too */
		clip_init(&m->text, &c->cfg->text, train >> SD_TEXT & 1 ? F32 : c->dtype,
		    train >> SD_TEXT & 1);
		m->text.compute = train >> SD_TEXT & 1 ? c->compute : F32;
	} else {
		class_embed_init(&m->classes, &c->cfg->classes, F32, true);
	}
	for (int i = 0; i < SD_NETS; i++)
		if ((c->adapt >> i & 1) &&
		    lora_init(&m->lora[i], i == SD_TEXT ? &m->text.ps : &m->unet.ps, c->targets[i],
		    c->ntargets[i], c->rank, c->rank, 0))
			return -1;
	return 0;
}

static void
close_nets(struct nets *m)
{
	for (int i = 0; i < SD_NETS; i++)
		if (m->lora[i].pair)
			lora_release(&m->lora[i]);
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

/* As it comes before a step: images through the encoder, one caption through its. */
static void
encode(const struct nets *m, const struct sd_plan_conf *c)
{
	int64_t n = c->batch + c->prior, most = sd_feed_at_once(c->resolution);
	struct tensor *mean, *logvar;
	bool was = grads_set(false);
	int64_t samples;

	n = n < most ? n : most;
	samples = op_samples(n);
	scope_open();
	vae_encode(&m->vae, zeros(m->vae.ps.dtype, 4,
	    (int64_t[]){ n, c->resolution, c->resolution, c->cfg->vae.in_channels }), &mean,
	    &logvar);
	scope_close();
	op_samples(samples);
	if (m->has_text && !((c->train | c->adapt) >> SD_TEXT & 1)) {
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
	if ((c->train | c->adapt) >> SD_TEXT & 1)
		return clip_forward(&m->text, zeros(I32, 2, (int64_t[]){ n, c->cfg->text.length }),
		    NULL);
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

/* Two steps of what is open. */
static void
go_through(struct nets *m, const struct sd_plan_conf *c, struct sd_plan *plan)
{
	static const struct noise_config noise = { .train_steps = 1, .beta_start = 0.1,
		.beta_end = 0.1, .beta_schedule = "linear" };
	struct params *const own[] = { &m->text.ps, &m->unet.ps, &m->vae.ps, &m->classes.ps };
	static const enum sd_net order[] = { SD_UNET, SD_TEXT, SD_CLASSES };
	struct sd_step s = { .unet = &m->unet, .compute = c->compute, .accumulate = 1, .clip = 1,
		.ema_decay = c->ema ? 0.9999 : 0, .loss = { .prior_weight = 1 } };
	struct noise_schedule schedule;
	struct params *trained[SD_NETS];
	struct gpu_mem_stat mem;
	int n = 0;

	noise_schedule_init(&schedule, &noise);
	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
		if (c->train >> order[i] & 1)
			trained[n++] = own[order[i]];
		else if (c->adapt >> order[i] & 1)
			trained[n++] = &m->lora[order[i]].ps;
	sd_step_init(&s, &schedule, &c->optim, trained, n);
	/* in the second step all copies of weights are there that the first one made */
	for (int i = 0; i < 2; i++) {
		encode(m, c);
		one_step(m, c, &s);
	}
	gpu_mem(&mem);
	plan->weights = mem.live[MEM_PARAM];
	plan->gradients = mem.live[MEM_GRAD];
	plan->optimizer = mem.live[MEM_OPT];
	plan->total = mem.peak_all;
	plan->activations = plan->total - plan->weights - plan->gradients - plan->optimizer;
	sd_step_release(&s);
	noise_schedule_release(&schedule);
}

int
sd_plan_make(struct sd_plan *plan, const struct sd_plan_conf *c)
{
	struct nets m = { .has_text = false };
	int r;

	gpu_count(true);
	r = open_nets(&m, c);
	if (r == 0)
		go_through(&m, c, plan);
	close_nets(&m);
	gpu_count(false);
	return r;
}

void
sd_plan_put(const struct sd_plan *p, FILE *fp)
{
	fprintf(fp, "{\"kind\":\"plan\",\"weights_bytes\":%" PRIu64 ",\"gradients_bytes\":%" PRIu64
	    ",\"optimizer_bytes\":%" PRIu64 ",\"activations_bytes\":%" PRIu64 ",\"total_bytes\":%"
	    PRIu64 ",\"device_bytes\":%" PRIu64 "}\n", p->weights, p->gradients, p->optimizer,
	    p->activations, p->total, gpu_info()->memory);
}

/* The n-th way to take less, as an option; NULL where it is taken already. */
static const char *
save_memory(struct sd_plan_conf *c, int n)
{
	if (n == 0 && !c->checkpointing) {
		c->checkpointing = true;
		return " --gradient-checkpointing";
	}
	if (n == 1 && c->batch > 1) {
		c->prior = c->prior ? 1 : 0;
		c->batch = 1;
		return " --batch-size 1 (with --accumulate)";
	}
	if (n == 2 && c->optim.kind != OPTIM_ADAMW8 && !c->adapt) {
		c->optim.kind = OPTIM_ADAMW8;
		return " --use-8bit-adam";
	}
	if (n == 3 && c->compute == F32 && gpu_info()->f16) {
		c->compute = c->dtype = BF16;
		return " --mixed-precision bf16";
	}
	if (n == 4 && !c->adapt) {
		c->adapt = c->train & ~(1u << SD_CLASSES);
		c->train &= 1u << SD_CLASSES;
		c->rank = 4;
		c->ema = false;
		return " --lora-rank 4";
	}
	return NULL;
}

void
sd_plan_refuse(const struct sd_plan_conf *conf, uint64_t total)
{
	const double gib = 1 << 30, device = (double)gpu_info()->memory / gib;
	struct sd_plan_conf c = *conf;
	struct sd_plan p = { .total = total };
	struct sb sb = { 0 };

	for (int i = 0; i < 5 && p.total > gpu_info()->memory; i++) {
		const char *word = save_memory(&c, i);

		if (word && sd_plan_make(&p, &c))
			die("%s", errmsg());
		sb_puts(&sb, word ? word : "");
	}
	if (p.total > gpu_info()->memory)
		die("it takes %.2f GiB, the device has %.2f: a smaller --resolution, or a smaller "
		    "model",
		    (double)total / gib, device);
	die("it takes %.2f GiB, the device has %.2f; it would fit with%s (%.2f GiB)",
	    (double)total / gib, device, sb.s, (double)p.total / gib);
}
