#include "model/sd_setup.h"

#include "base/err.h"
#include "base/file.h"
#include "data/rec.h"
#include "nn/init.h"

#include <stdlib.h>
#include <string.h>

static int
new_classes(const struct sd_setup *s, struct sd_config *cfg)
{
	if (!s->nlabels)
		return 0;
	class_config_release(&cfg->classes);
	cfg->classes = (struct class_config){ s->nlabels, s->tokens, cfg->unet.context,
		xcalloc((size_t)s->nlabels, sizeof(*cfg->classes.label)) };
	for (int i = 0; i < s->nlabels; i++) {
		if (strlen(s->labels[i]) >= CLASS_LABEL)
			return err("'%s': a label of %d bytes or more", s->labels[i], CLASS_LABEL);
		for (int k = 0; k < i; k++)
			if (!strcmp(s->labels[i], s->labels[k]))
				return err("'%s': a label that is there twice", s->labels[i]);
		strcpy(cfg->classes.label[i], s->labels[i]);
	}
	return 0;
}

int
sd_setup_config(const struct sd_setup *s, bool bare, struct sd_config *cfg)
{
	const struct sd_sources *from = &s->from;
	bool others = from->unet || from->vae || from->tokenizer || from->variant ||
	    from->v_prediction;
	struct sd_files f;

	if (bare && !others && !file_exists(s->model)) {
		if (sd_config_named(cfg, s->model))
			return -1;
	} else if (!bare || others || sd_files_config(cfg, s->model)) {
		if (sd_files_open(&f, s->model, &s->from))
			return -1;
		*cfg = f.cfg;
		f.cfg = (struct sd_config){ 0 };
		sd_files_close(&f);
	}
	return new_classes(s, cfg);
}

static unsigned
networks(const struct sd_setup *s, const struct sd_config *cfg)
{
	return 1u << SD_UNET | (s->text && !cfg->classes.classes ? 1u << SD_TEXT : 0);
}

unsigned
sd_setup_trained(const struct sd_setup *s, const struct sd_config *cfg)
{
	return (s->rank ? 0 : networks(s, cfg)) | (cfg->classes.classes ? 1u << SD_CLASSES : 0);
}

unsigned
sd_setup_adapted(const struct sd_setup *s, const struct sd_config *cfg)
{
	return s->rank ? networks(s, cfg) : 0;
}

/* Another prediction type, in the model's own scheduler, too: pictures and the final model would be
 * wrong otherwise. */
static int
set_prediction(const struct sd_setup *s, struct pipeline *p)
{
	static const char *const word[] = { "epsilon", "v_prediction", "sample" };
	struct rec r = { 0 };
	struct sb sb = { 0 };

	if (s->prediction < 0)
		return 0;
	p->noise.prediction = (enum prediction)s->prediction;
	if (rec_parse(&r, p->cfg.scheduler.s, p->cfg.scheduler.len))
		return err_prefix("the scheduler's configuration");
	rec_set_str(&r, "prediction_type", word[s->prediction]);
	rec_write(&r, &sb);
	sb_release(&p->cfg.scheduler);
	p->cfg.scheduler = sb;
	rec_release(&r);
	return 0;
}

/* A table of states as nn.Embedding draws it. */
static void
make_classes(const struct sd_setup *s, const struct sd_config *cfg, struct pipeline *p)
{
	struct class_config *own = &p->cfg.classes;
	size_t n = (size_t)cfg->classes.classes;

	class_config_release(own);
	*own = cfg->classes;
	own->label = xcalloc(n, sizeof(*own->label));
	memcpy(own->label, cfg->classes.label, n * sizeof(*own->label));
	class_embed_init(&p->classes, own, F32, true);
	init_param(p->classes.ps.p[0], INIT_NORMAL, 1, s->seed);
	p->has[SD_CLASSES] = p->there[SD_CLASSES] = true;
}

int
sd_setup_open(const struct sd_setup *s, const struct sd_config *cfg, struct pipeline *p,
    struct lora *lora)
{
	bool classes = cfg->classes.classes > 0, fresh = s->nlabels > 0;
	unsigned adapted = sd_setup_adapted(s, cfg), trained = sd_setup_trained(s, cfg);
	/* latents are the better for an autoencoder that is not rounded */
	struct pipeline_opts po = { .from = s->from, .dtype = s->compute, .vae_dtype = F32,
		.train = trained };

	po.parts = 1u << SD_UNET | 1u << SD_VAE |
	    (fresh ? 0 : classes ? 1u << SD_CLASSES : 1u << SD_TEXT);
	if (pipeline_open(p, s->model, &po))
		return -1;
	if (fresh)
		make_classes(s, cfg, p);
	p->unet.checkpointing = s->checkpointing;
	if (trained >> SD_TEXT & 1)
		p->text.compute = s->compute;
	for (int i = 0; i < SD_NETS; i++)
		if ((adapted >> i & 1) &&
		    lora_init(&lora[i], pipeline_params(p, (enum sd_net)i), s->targets[i],
		        s->ntargets[i], s->rank, s->alpha, s->seed))
			return -1;
	return set_prediction(s, p);
}
