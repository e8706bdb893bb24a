#include "model/pipeline.h"

#include "base/err.h"
#include "base/file.h"
#include "model/ldm.h"

#include <stdlib.h>
#include <string.h>

static int
init_net(struct pipeline *p, enum sd_net net, enum dtype dtype, bool train)
{
	switch (net) {
	case SD_TEXT:
		return clip_init(&p->text, &p->cfg.text, dtype, train);
	case SD_UNET:
		return unet_init(&p->unet, &p->cfg.unet, dtype, train);
	case SD_VAE:
		return vae_init(&p->vae, &p->cfg.vae, dtype, train);
	default:
		return class_embed_init(&p->classes, &p->cfg.classes, dtype, train);
	}
}

static void
release_net(struct pipeline *p, enum sd_net net)
{
	if (!p->has[net])
		return;
	if (net == SD_TEXT)
		clip_release(&p->text);
	else if (net == SD_UNET)
		unet_release(&p->unet);
	else if (net == SD_VAE)
		vae_release(&p->vae);
	else
		class_embed_release(&p->classes);
	p->has[net] = false;
}

struct params *
pipeline_params(struct pipeline *p, enum sd_net net)
{
	struct params *const ps[SD_NETS] = { &p->text.ps, &p->unet.ps, &p->vae.ps, &p->classes.ps };

	return p->has[net] ? ps[net] : NULL;
}

/* Are most of the weights f16? (What was merged into is not.) */
static bool
stored_half(const struct safetensors *st)
{
	int64_t half = 0, all = 0;

	for (int i = 0; i < st->n; i++) {
		all += st->t[i].n;
		half += st->t[i].dtype == ST_F16 ? st->t[i].n : 0;
	}
	return 2 * half > all;
}

static int
load_net(struct pipeline *p, const struct sd_files *f, enum sd_net net,
    const struct pipeline_opts *o)
{
	bool train = o->train >> net & 1;
	enum dtype dtype = train ? F32 : net == SD_VAE ? o->vae_dtype : o->dtype;
	bool was;
	int ret;

	if (o->as_stored && !train && net != SD_VAE && stored_half(&f->net[net].st))
		dtype = F16;
	was = params_packed(o->packed);
	ret = init_net(p, net, dtype, train);
	params_packed(was);
	if (ret)
		return -1;
	p->has[net] = true;
	return params_load(pipeline_params(p, net), &f->net[net].st, "", PARAMS_LIST);
}

/* The model's files, with what is merged into them. */
static int
open_files(const struct pipeline *p, struct sd_files *f)
{
	if (sd_files_open(f, p->path, &p->opts.from))
		return -1;
	for (int i = 0; i < p->opts.nlora; i++)
		if (lora_apply(&p->opts.lora[i], f)) {
			sd_files_close(f);
			return -1;
		}
	return 0;
}

static int
open_tokenizer(struct pipeline *p, struct sd_files *f)
{
	if (!f->tokenizer)
		return err("%s: it has no tokenizer; name a folder that has one (--tokenizer)",
		    f->path);
	if (tokenizer_open(&p->tokenizer, f->tokenizer))
		return -1;
	if (p->tokenizer.vocab > p->cfg.text.vocab)
		return err("%s: the tokenizer has %d ids, the text encoder knows %d", f->tokenizer,
		    p->tokenizer.vocab, p->cfg.text.vocab);
	p->tokenizer_dir = f->tokenizer;
	f->tokenizer = NULL;
	return 0;
}

int
pipeline_open(struct pipeline *p, const char *path, const struct pipeline_opts *o)
{
	unsigned parts = o->parts ? o->parts : ~0u;
	struct sd_files f;
	struct json j;
	int ret;

	*p = (struct pipeline){ .path = xstrdup(path), .opts = *o };
	if (open_files(p, &f)) {
		pipeline_close(p);
		return -1;
	}
	/* the configuration moves */
	p->cfg = f.cfg;
	f.cfg = (struct sd_config){ 0 };
	ret = json_parse(&j, p->cfg.scheduler.s, p->cfg.scheduler.len);
	if (ret == 0) {
		ret = noise_config_get(&p->noise, &j, 0);
		json_release(&j);
	}
	if (ret)
		err_prefix("%s: the scheduler's configuration", path);
	for (int i = 0; i < SD_NETS && ret == 0; i++)
		if (f.has[i] && (parts >> i & 1))
			ret = load_net(p, &f, (enum sd_net)i, o);
	if (ret == 0 && p->has[SD_TEXT])
		ret = open_tokenizer(p, &f);
	sd_files_close(&f);
	if (ret)
		pipeline_close(p);
	return ret;
}

int
pipeline_widen(struct pipeline *p)
{
	bool half[SD_NETS], any = false;
	struct sd_files f;
	int ret = 1;

	for (int i = 0; i < SD_NETS; i++) {
		half[i] = p->has[i] && pipeline_params(p, (enum sd_net)i)->dtype != F32;
		any |= half[i];
	}
	if (!any)
		return 0;
	p->opts.dtype = p->opts.vae_dtype = F32;
	p->opts.as_stored = false;
	if (open_files(p, &f))
		return -1;
	for (int i = 0; i < SD_NETS && ret > 0; i++) {
		if (!half[i])
			continue;
		release_net(p, (enum sd_net)i);
		if (load_net(p, &f, (enum sd_net)i, &p->opts))
			ret = -1;
	}
	sd_files_close(&f);
	return ret;
}

void
pipeline_close(struct pipeline *p)
{
	for (int i = 0; i < SD_NETS; i++)
		release_net(p, (enum sd_net)i);
	if (p->tokenizer.tab)
		tokenizer_close(&p->tokenizer);
	sd_config_release(&p->cfg);
	free(p->tokenizer_dir);
	free(p->path);
	*p = (struct pipeline){ 0 };
}

/* Files of what is loaded; the configuration is borrowed. */
static void
as_files(const struct pipeline *p, struct sd_files *f)
{
	*f = (struct sd_files){ .path = p->path, .cfg = p->cfg, .tokenizer = p->tokenizer_dir };
	for (int i = 0; i < SD_NETS; i++) {
		f->has[i] = p->has[i];
		if (p->has[i])
			weights_from_params(&f->net[i], p->path,
			    pipeline_params((struct pipeline *)(uintptr_t)p, (enum sd_net)i));
	}
}

static void
drop_files(struct sd_files *f)
{
	for (int i = 0; i < SD_NETS; i++)
		weights_close(&f->net[i]);
}

int
pipeline_save(const struct pipeline *p, const char *dir, enum st_dtype dtype, int64_t shard,
    const char *const *meta)
{
	struct sd_files f;
	int ret;

	as_files(p, &f);
	ret = make_dirs(dir) || sd_files_write(&f, dir, dtype, shard, meta) ? -1 : 0;
	drop_files(&f);
	return ret;
}

int
pipeline_save_single(const struct pipeline *p, const char *path, enum st_dtype dtype,
    const char *const *meta)
{
	struct sd_files f;
	int ret;

	if (!p->has[SD_TEXT] || !p->has[SD_UNET] || !p->has[SD_VAE])
		return err("%s: a single file holds text encoder, U-Net and autoencoder", path);
	as_files(p, &f);
	ret = ldm_write(path, &f.cfg, f.net, dtype, meta);
	drop_files(&f);
	return ret;
}

int
pipeline_tokens(const struct pipeline *p)
{
	return p->tokenizer.length < p->cfg.text.length ? p->tokenizer.length : p->cfg.text.length;
}

int
pipeline_encode(const struct pipeline *p, const char *text, int32_t *ids)
{
	return tokenizer_encode(&p->tokenizer, text, strlen(text), ids, pipeline_tokens(p));
}
