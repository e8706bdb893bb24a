#include "model/sd_room.h"

#include "base/mem.h"

#include <stdlib.h>

/* Networks like the pipeline's, without memory. */
struct nets {
	struct clip text;
	struct unet unet;
	struct vae vae, encoder; /* encoder: a lean pipeline's, once it was wanted */
	bool has_text;
	struct class_embed classes;
	int64_t tokens;
};

static struct tensor *
zeros(enum dtype dtype, int64_t a, int64_t b, int64_t c, int64_t d)
{
	return tensor_full(dtype, d ? 4 : c ? 3 : 2, (int64_t[]){ a, b, c, d }, 0);
}

static void
denoise(struct nets *m, int64_t b, int64_t h, int64_t w)
{
	double *t = xcalloc((size_t)b, sizeof(*t));
	enum dtype dtype = m->unet.ps.dtype;
	struct tensor *context;

	scope_open();
	context = zeros(dtype, b, m->tokens, m->unet.cfg.context, 0);
	scope_open();
	op_samples(b);
	op_cast(unet_forward(&m->unet, zeros(dtype, b, h, w, m->unet.cfg.in_channels), t, context),
	    F32);
	op_samples(1);
	scope_close();
	(void)context;
	scope_close();
	free(t);
}

static void
decode(struct nets *m, int64_t h, int64_t w, int tile)
{
	scope_open();
	op_cast(vae_decode_tiled(&m->vae, zeros(m->vae.compute, 1, h, w, m->vae.cfg.latent), tile),
	    F32);
	scope_close();
}

static void
open_vae(struct vae *m, const struct pipeline *p, enum vae_part part)
{
	unsigned was = params_packing(pipeline_packing(p, SD_VAE, true));

	vae_init_part(m, &p->cfg.vae, p->dtype[SD_VAE], part);
	m->compute = p->opts.train >> SD_VAE & 1 ? F32 : p->opts.vae_dtype;
	params_packing(was);
}

/* All that is there when images of this size are made, each having worked once: the copies of
 * weights that ops keep are there. Of a lean pipeline: what stays. */
static void
open_nets(struct nets *m, const struct pipeline *p, int64_t h, int64_t w)
{
	const int64_t side = (int64_t)1 << (p->cfg.unet.levels - 1);
	unsigned was = params_packing(pipeline_packing(p, SD_UNET, pipeline_halves(p, h, w)));

	unet_init(&m->unet, &p->cfg.unet, p->dtype[SD_UNET], false);
	params_packing(was);
	open_vae(&m->vae, p, p->opts.lean ? VAE_DECODER : VAE_BOTH);
	if (p->encoder.blocks)
		open_vae(&m->encoder, p, VAE_ENCODER);
	m->tokens = p->cfg.classes.tokens;
	scope_open();
	if (p->has[SD_TEXT]) {
		m->tokens = pipeline_tokens(p);
		m->has_text = !p->opts.lean || p->there[SD_TEXT];
		if (m->has_text) {
			was = params_packing(pipeline_packing(p, SD_TEXT, false));
			clip_init(&m->text, &p->cfg.text, p->dtype[SD_TEXT], false);
			params_packing(was);
			clip_forward(&m->text, zeros(I32, 1, m->tokens, 0, 0), NULL);
		}
	} else {
		class_embed_init(&m->classes, &p->cfg.classes, p->dtype[SD_CLASSES], false);
	}
	scope_close();
	denoise(m, 1, side, side);
	decode(m, 8, 8, 0);
}

static void
close_nets(struct nets *m, const struct pipeline *p)
{
	unet_release(&m->unet);
	vae_release(&m->vae);
	if (m->encoder.blocks)
		vae_release(&m->encoder);
	if (m->has_text)
		clip_release(&m->text);
	if (!p->has[SD_TEXT])
		class_embed_release(&m->classes);
}

/* decoding: b is the tile */
static uint64_t
most(const struct pipeline *p, int64_t b, int64_t h, int64_t w, bool decoding)
{
	struct nets *m = xcalloc(1, sizeof(*m));
	bool was = grads_set(false);
	struct gpu_mem_stat stat;

	gpu_count(true);
	open_nets(m, p, h, w);
	if (decoding)
		decode(m, h, w, (int)b);
	else
		denoise(m, b, h, w);
	gpu_mem(&stat);
	close_nets(m, p);
	gpu_count(false);
	grads_set(was);
	free(m);
	return stat.peak_all;
}

uint64_t
sd_room_unet(const struct pipeline *p, int64_t b, int64_t h, int64_t w)
{
	return most(p, b, h, w, false);
}

uint64_t
sd_room_decode(const struct pipeline *p, int64_t h, int64_t w, int tile)
{
	return most(p, tile, h, w, true);
}
