#include "model/sd_room.h"

#include "base/mem.h"

#include <stdlib.h>

/* Networks like the pipeline's, without memory. */
struct nets {
	struct clip text;
	struct unet unet;
	struct vae vae;
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
	op_cast(vae_decode_tiled(&m->vae, zeros(m->vae.ps.dtype, 1, h, w, m->vae.cfg.latent), tile),
	    F32);
	scope_close();
}

/* All that is loaded, each having worked once: the copies of weights that ops keep are there. */
static void
open_nets(struct nets *m, const struct pipeline *p)
{
	int factor = vae_factor(&p->vae);

	unet_init(&m->unet, &p->cfg.unet, p->unet.ps.dtype, false);
	vae_init(&m->vae, &p->cfg.vae, p->vae.ps.dtype, false);
	m->tokens = p->cfg.classes.tokens;
	scope_open();
	if (p->has[SD_TEXT]) {
		m->tokens = pipeline_tokens(p);
		clip_init(&m->text, &p->cfg.text, p->text.ps.dtype, false);
		clip_forward(&m->text, zeros(I32, 1, m->tokens, 0, 0), NULL);
	} else {
		class_embed_init(&m->classes, &p->cfg.classes, p->classes.ps.dtype, false);
	}
	scope_close();
	denoise(m, 1, factor, factor);
	decode(m, 8, 8, 0);
}

static void
close_nets(struct nets *m, const struct pipeline *p)
{
	unet_release(&m->unet);
	vae_release(&m->vae);
	if (p->has[SD_TEXT])
		clip_release(&m->text);
	else
		class_embed_release(&m->classes);
}

/* decoding: b is the tile */
static uint64_t
most(const struct pipeline *p, int64_t b, int64_t h, int64_t w, bool decoding)
{
	struct nets *m = xcalloc(1, sizeof(*m));
	bool was = grads_set(false), packed = params_packed(p->opts.packed);
	struct gpu_mem_stat stat;

	gpu_count(true);
	open_nets(m, p);
	if (decoding)
		decode(m, h, w, (int)b);
	else
		denoise(m, b, h, w);
	gpu_mem(&stat);
	close_nets(m, p);
	gpu_count(false);
	params_packed(packed);
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
