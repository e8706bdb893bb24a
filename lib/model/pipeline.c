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
		return p->opts.lean ? vae_init_part(&p->vae, &p->cfg.vae, dtype, VAE_DECODER)
		                    : vae_init(&p->vae, &p->cfg.vae, dtype, train);
	default:
		return class_embed_init(&p->classes, &p->cfg.classes, dtype, train);
	}
}

static void
release_net(struct pipeline *p, enum sd_net net)
{
	if (!p->there[net])
		return;
	if (net == SD_TEXT)
		clip_release(&p->text);
	else if (net == SD_UNET)
		unet_release(&p->unet);
	else if (net == SD_VAE)
		vae_release(&p->vae);
	else
		class_embed_release(&p->classes);
	p->there[net] = false;
	p->vae.cfg = p->cfg.vae; /* asked for sizes all the time */
}

struct params *
pipeline_params(struct pipeline *p, enum sd_net net)
{
	struct params *const ps[SD_NETS] = { &p->text.ps, &p->unet.ps, &p->vae.ps, &p->classes.ps };

	return p->there[net] ? ps[net] : NULL;
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

static enum dtype
dtype_for(const struct pipeline_opts *o, enum sd_net net, const struct safetensors *st)
{
	const bool half = (o->as_stored || o->dtype == F16) && stored_half(st);

	if (o->train >> net & 1)
		return F32;
	/* widened when they are used, halves are the values that F32 would hold */
	if (net == SD_VAE)
		return o->lean && half && o->vae_dtype == F32 ? F16 : o->vae_dtype;
	return o->as_stored && half ? F16 : o->dtype;
}

unsigned
pipeline_packing(const struct pipeline *p, enum sd_net net, bool doubling)
{
	const bool widened = net == SD_VAE && p->dtype[net] != p->opts.vae_dtype;

	return !p->opts.lean ? 0 : PARAMS_PACKED | (doubling ? PARAMS_DOUBLING : 0) |
	    (widened ? PARAMS_WIDENED : 0);
}

static int
load_net(struct pipeline *p, const struct sd_files *f, enum sd_net net)
{
	unsigned was = params_packing(pipeline_packing(p, net, net == SD_VAE || p->doubling));
	int ret = init_net(p, net, p->dtype[net], p->opts.train >> net & 1);

	params_packing(was);
	if (ret)
		return -1;
	p->there[net] = true;
	if (net == SD_VAE)
		p->vae.compute = p->opts.train >> net & 1 ? F32 : p->opts.vae_dtype;
	return params_load(pipeline_params(p, net), &f->net[net].st, "",
	    PARAMS_LIST | (net == SD_VAE && p->opts.lean ? PARAMS_EXTRA : 0));
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

static void
close_files(struct pipeline *p)
{
	if (p->files)
		sd_files_close(p->files);
	free(p->files);
	p->files = NULL;
}

/* Names and shapes of what is read later; of the autoencoder, half of which may never be, the
 * numbers too. */
static int
check_net(const struct pipeline *p, const struct sd_files *f, enum sd_net net)
{
	struct sd_outline o;
	int ret;

	sd_outline_init(&o, &p->cfg, net);
	ret = params_check(o.ps, &f->net[net].st, "",
	    PARAMS_LIST | (net == SD_VAE ? 0 : PARAMS_NAMES));
	sd_outline_release(&o);
	return ret;
}

static int
open_nets(struct pipeline *p, struct sd_files *f)
{
	const unsigned parts = p->opts.parts ? p->opts.parts : ~0u;
	int ret = 0;

	p->vae.cfg = p->cfg.vae;
	for (int i = 0; i < SD_NETS && ret == 0; i++) {
		enum sd_net net = (enum sd_net)i;

		p->has[i] = f->has[i] && (parts >> i & 1);
		if (!p->has[i])
			continue;
		p->dtype[i] = dtype_for(&p->opts, net, &f->net[i].st);
		/* what LoRAs are merged into lies in the host's memory: to be rid of soon */
		if (p->opts.lean && !p->opts.nlora)
			ret = check_net(p, f, net);
		else
			ret = load_net(p, f, net);
	}
	return ret;
}

int
pipeline_open(struct pipeline *p, const char *path, const struct pipeline_opts *o)
{
	struct sd_files *f = xcalloc(1, sizeof(*f));
	struct json j;
	int ret;

	*p = (struct pipeline){ .path = xstrdup(path), .opts = *o };
	if (open_files(p, f)) {
		free(f);
		pipeline_close(p);
		return -1;
	}
	/* the configuration moves */
	p->cfg = f->cfg;
	f->cfg = (struct sd_config){ 0 };
	p->files = f;
	ret = json_parse(&j, p->cfg.scheduler.s, p->cfg.scheduler.len);
	if (ret == 0) {
		ret = noise_config_get(&p->noise, &j, 0);
		json_release(&j);
	}
	if (ret)
		err_prefix("%s: the scheduler's configuration", path);
	if (ret == 0)
		ret = open_nets(p, f);
	if (ret == 0 && p->has[SD_TEXT])
		ret = open_tokenizer(p, f);
	if (ret)
		pipeline_close(p);
	else if (!o->lean || o->nlora)
		close_files(p);
	return ret;
}

/* ---- lean ------------------------------------------------------------------------------------ */

/* The open files, or opened once more in *again. */
static struct sd_files *
files_of(struct pipeline *p, struct sd_files *again)
{
	if (p->files)
		return p->files;
	return open_files(p, again) ? NULL : again;
}

static void
files_done(const struct pipeline *p, struct sd_files *f)
{
	if (f != p->files)
		sd_files_close(f);
}

int
pipeline_want(struct pipeline *p, enum sd_net net)
{
	struct sd_files again, *f;
	int ret;

	if (p->there[net])
		return 0;
	f = files_of(p, &again);
	if (!f)
		return -1;
	ret = load_net(p, f, net);
	files_done(p, f);
	return ret;
}

bool
pipeline_halves(const struct pipeline *p, int64_t h, int64_t w)
{
	const int64_t by = (int64_t)1 << (p->cfg.unet.levels - 1);

	return h % by == 0 && w % by == 0;
}

int
pipeline_want_unet(struct pipeline *p, int64_t h, int64_t w)
{
	const bool halves = p->opts.lean && pipeline_halves(p, h, w);

	if (p->there[SD_UNET] && p->doubling && !halves)
		release_net(p, SD_UNET);
	if (!p->there[SD_UNET])
		p->doubling = halves;
	return pipeline_want(p, SD_UNET);
}

const struct vae *
pipeline_want_encoder(struct pipeline *p)
{
	struct sd_files again, *f;
	unsigned was;
	int ret;

	if (!p->opts.lean)
		return &p->vae;
	if (p->encoder.blocks)
		return &p->encoder;
	f = files_of(p, &again);
	if (!f)
		return NULL;
	was = params_packing(pipeline_packing(p, SD_VAE, false));
	vae_init_part(&p->encoder, &p->cfg.vae, p->dtype[SD_VAE], VAE_ENCODER);
	params_packing(was);
	p->encoder.compute = p->opts.vae_dtype;
	ret = params_load(&p->encoder.ps, &f->net[SD_VAE].st, "", PARAMS_LIST | PARAMS_EXTRA);
	files_done(p, f);
	return ret ? NULL : &p->encoder;
}

void
pipeline_leave(struct pipeline *p, enum sd_net net)
{
	if (p->opts.lean && !p->opts.nlora)
		release_net(p, net);
}

int
pipeline_widen(struct pipeline *p)
{
	bool half[SD_NETS], any = false;
	int ret = 1;

	for (int i = 0; i < SD_NETS; i++) {
		half[i] = p->has[i] &&
		    (i == SD_VAE ? p->opts.vae_dtype : p->dtype[i]) != F32;
		any |= half[i];
	}
	if (!any)
		return 0;
	p->opts.dtype = p->opts.vae_dtype = F32;
	p->opts.as_stored = false;
	for (int i = 0; i < SD_NETS; i++) {
		if (!half[i])
			continue;
		release_net(p, (enum sd_net)i);
		p->dtype[i] = F32;
		if (i == SD_VAE && p->encoder.blocks)
			vae_release(&p->encoder);
	}
	for (int i = 0; i < SD_NETS && ret > 0 && !p->opts.lean; i++)
		if (half[i] && pipeline_want(p, (enum sd_net)i))
			ret = -1;
	return ret;
}

void
pipeline_close(struct pipeline *p)
{
	for (int i = 0; i < SD_NETS; i++)
		release_net(p, (enum sd_net)i);
	if (p->encoder.blocks)
		vae_release(&p->encoder);
	close_files(p);
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
		f->has[i] = p->there[i];
		if (p->there[i])
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

	if (!p->there[SD_TEXT] || !p->there[SD_UNET] || !p->there[SD_VAE])
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
