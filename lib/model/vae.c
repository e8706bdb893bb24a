#include "model/vae.h"

#include "base/err.h"
#include "base/mem.h"
#include "model/sd_blocks.h"

#include <stdlib.h>
#include <string.h>

enum { VAE_MAXLAYERS = 8 };
static const double eps = 1e-6; /* of every norm of the autoencoder */

struct vae_attention {
	struct gn_layer norm;
	struct linear_layer q, k, v, out;
};

/* resnet, attention, resnet */
struct vae_mid {
	struct sd_resnet resnet[2];
	struct vae_attention attention;
};

struct vae_level {
	struct sd_resnet resnet[VAE_MAXLAYERS + 1];
	struct conv_layer sample; /* .w NULL: the last level keeps its size */
};

struct vae_half {
	struct conv_layer in, out;
	struct vae_level level[VAE_LEVELS];
	struct vae_mid mid;
	struct gn_layer norm;
};

struct vae_blocks {
	struct vae_half encoder, decoder;
	struct conv_layer quant, post_quant;
};

/* What other nets of the class have, and this one does not. */
static const struct sd_only only[] = { { "act_fn", "silu" }, { "shift_factor", "null" },
	{ "down_block_types", "DownEncoderBlock2D" }, { "up_block_types", "UpDecoderBlock2D" },
	{ "mid_block_add_attention", "true" }, { "use_quant_conv", "true" },
	{ "use_post_quant_conv", "true" }, { 0 } };

int
vae_config_get(struct vae_config *c, const struct json *j, int v)
{
	int w = json_get(j, v, "block_out_channels");

	*c = (struct vae_config){ .in_channels = 3, .out_channels = 3, .latent = 4, .levels = 1,
		.width = { 64 }, .layers = 1, .groups = 32, .sample_size = 32, .scaling = 0.18215,
		.force_upcast = true };
	if (sd_config_only(j, v, only) ||
	    json_member_int(j, v, "in_channels", 1, 1024, &c->in_channels) ||
	    json_member_int(j, v, "out_channels", 1, 1024, &c->out_channels) ||
	    json_member_int(j, v, "latent_channels", 1, 1024, &c->latent) ||
	    json_member_int(j, v, "layers_per_block", 1, VAE_MAXLAYERS, &c->layers) ||
	    json_member_int(j, v, "norm_num_groups", 1, 1024, &c->groups) ||
	    json_member_int(j, v, "sample_size", 1, 1 << 16, &c->sample_size) ||
	    json_member_num(j, v, "scaling_factor", &c->scaling) ||
	    json_member_bool(j, v, "force_upcast", &c->force_upcast))
		return err_prefix("vae");
	if (w >= 0) {
		if (j->v[w].type != JSON_ARRAY || j->v[w].size < 1 || j->v[w].size > VAE_LEVELS)
			return err("vae: block_out_channels: want 1 to %d numbers", VAE_LEVELS);
		c->levels = j->v[w].size;
		for (int i = 0, e = w + 1; i < c->levels; i++, e = j->v[e].next) {
			int64_t n;

			if (json_int(j, e, &n) || n < 1 || n > 1 << 16)
				return err("vae: block_out_channels: want whole numbers");
			c->width[i] = (int)n;
		}
	}
	for (int i = 0; i < c->levels; i++)
		if (c->width[i] % c->groups)
			return err("vae: %d channels in %d groups", c->width[i], c->groups);
	if (!(c->scaling > 0))
		return err("vae: scaling_factor %g", c->scaling);
	return 0;
}

void
vae_config_put(const struct vae_config *c, struct sb *sb)
{
	sb_printf(sb, "{\n  \"_class_name\": \"AutoencoderKL\",\n  \"act_fn\": \"silu\",\n"
	    "  \"in_channels\": %d,\n  \"out_channels\": %d,\n  \"latent_channels\": %d,\n"
	    "  \"layers_per_block\": %d,\n  \"norm_num_groups\": %d,\n  \"sample_size\": %d,\n"
	    "  \"scaling_factor\": %.15g,\n  \"block_out_channels\": [", c->in_channels,
	    c->out_channels, c->latent, c->layers, c->groups, c->sample_size, c->scaling);
	for (int i = 0; i < c->levels; i++)
		sb_printf(sb, "%s%d", i ? ", " : "", c->width[i]);
	sb_puts(sb, "],\n  \"down_block_types\": [");
	for (int i = 0; i < c->levels; i++)
		sb_printf(sb, "%s\"DownEncoderBlock2D\"", i ? ", " : "");
	sb_puts(sb, "],\n  \"up_block_types\": [");
	for (int i = 0; i < c->levels; i++)
		sb_printf(sb, "%s\"UpDecoderBlock2D\"", i ? ", " : "");
	sb_puts(sb, "]\n}\n");
}

static void
mid_init(struct vae_mid *m, struct params *ps, int64_t c, int groups, const char *half)
{
	struct vae_attention *a = &m->attention;

	for (int i = 0; i < 2; i++)
		sd_resnet_init(&m->resnet[i], ps, c, c, 0, groups, eps, "%s.mid_block.resnets.%d",
		    half, i);
	gn_layer_init(&a->norm, ps, c, groups, eps, "%s.mid_block.attentions.0.group_norm", half);
	linear_layer_init(&a->q, ps, c, c, true, "%s.mid_block.attentions.0.to_q", half);
	linear_layer_init(&a->k, ps, c, c, true, "%s.mid_block.attentions.0.to_k", half);
	linear_layer_init(&a->v, ps, c, c, true, "%s.mid_block.attentions.0.to_v", half);
	linear_layer_init(&a->out, ps, c, c, true, "%s.mid_block.attentions.0.to_out.0", half);
}

static void
encoder_init(struct vae_half *e, struct params *ps, const struct vae_config *c)
{
	int64_t in = c->width[0], last = c->width[c->levels - 1];

	conv_layer_init(&e->in, ps, c->in_channels, in, 3, CONV_SAME(3), true, "encoder.conv_in");
	for (int i = 0; i < c->levels; i++) {
		for (int k = 0; k < c->layers; k++) {
			sd_resnet_init(&e->level[i].resnet[k], ps, in, c->width[i], 0, c->groups,
			    eps, "encoder.down_blocks.%d.resnets.%d", i, k);
			in = c->width[i];
		}
		if (i + 1 < c->levels)
			sd_downsample_init(&e->level[i].sample, ps, in, true,
			    "encoder.down_blocks.%d.downsamplers.0.conv", i);
	}
	mid_init(&e->mid, ps, last, c->groups, "encoder");
	gn_layer_init(&e->norm, ps, last, c->groups, eps, "encoder.conv_norm_out");
	conv_layer_init(&e->out, ps, last, 2 * c->latent, 3, CONV_SAME(3), true,
	    "encoder.conv_out");
}

static void
decoder_init(struct vae_half *d, struct params *ps, const struct vae_config *c)
{
	int64_t in = c->width[c->levels - 1];

	conv_layer_init(&d->in, ps, c->latent, in, 3, CONV_SAME(3), true, "decoder.conv_in");
	mid_init(&d->mid, ps, in, c->groups, "decoder");
	for (int i = 0; i < c->levels; i++) {
		int64_t out = c->width[c->levels - 1 - i];

		for (int k = 0; k <= c->layers; k++) {
			sd_resnet_init(&d->level[i].resnet[k], ps, in, out, 0, c->groups, eps,
			    "decoder.up_blocks.%d.resnets.%d", i, k);
			in = out;
		}
		if (i + 1 < c->levels)
			sd_upsample_init(&d->level[i].sample, ps, in,
			    "decoder.up_blocks.%d.upsamplers.0.conv", i);
	}
	gn_layer_init(&d->norm, ps, in, c->groups, eps, "decoder.conv_norm_out");
	conv_layer_init(&d->out, ps, in, c->out_channels, 3, CONV_SAME(3), true,
	    "decoder.conv_out");
}

static int
init(struct vae *m, const struct vae_config *cfg, enum dtype dtype, bool train, enum vae_part part)
{
	struct vae_blocks *b = xcalloc(1, sizeof(*b));

	*m = (struct vae){ .cfg = *cfg, .blocks = b, .compute = dtype };
	params_init(&m->ps, dtype, train);
	if (part & VAE_ENCODER)
		encoder_init(&b->encoder, &m->ps, cfg);
	if (part & VAE_DECODER)
		decoder_init(&b->decoder, &m->ps, cfg);
	if (part & VAE_ENCODER)
		conv_layer_init(&b->quant, &m->ps, 2 * cfg->latent, 2 * cfg->latent, 1,
		    (struct conv){ 0 }, true, "quant_conv");
	if (part & VAE_DECODER)
		conv_layer_init(&b->post_quant, &m->ps, cfg->latent, cfg->latent, 1,
		    (struct conv){ 0 }, true, "post_quant_conv");
	params_ready(&m->ps);
	return 0;
}

int
vae_init(struct vae *m, const struct vae_config *cfg, enum dtype dtype, bool train)
{
	return init(m, cfg, dtype, train, VAE_BOTH);
}

int
vae_init_part(struct vae *m, const struct vae_config *cfg, enum dtype dtype, enum vae_part part)
{
	return init(m, cfg, dtype, false, part);
}

void
vae_release(struct vae *m)
{
	params_release(&m->ps);
	free(m->blocks);
	*m = (struct vae){ 0 };
}

int
vae_factor(const struct vae *m)
{
	return 1 << (m->cfg.levels - 1);
}

static struct tensor *
mid_forward(const struct vae_mid *m, struct tensor *x)
{
	const struct vae_attention *a = &m->attention;
	struct tensor *h;

	scope_open();
	x = sd_resnet_forward(&m->resnet[0], x, NULL);
	h = gn_layer_forward(&a->norm, x, ACT_NONE);
	h = op_view(h, x->dim[0], x->dim[1] * x->dim[2], x->dim[3]);
	h = op_attention(linear_layer_forward(&a->q, h, ACT_NONE),
	    linear_layer_forward(&a->k, h, ACT_NONE), linear_layer_forward(&a->v, h, ACT_NONE), 1,
	    0, false);
	h = linear_layer_forward(&a->out, h, ACT_NONE);
	x = op_add(x, op_reshape(h, 4, x->dim));
	return scope_keep(sd_resnet_forward(&m->resnet[1], x, NULL));
}

void
vae_encode(const struct vae *m, struct tensor *x, struct tensor **mean, struct tensor **logvar)
{
	const struct vae_half *e = &m->blocks->encoder;
	struct tensor *out[2];

	scope_open();
	x = conv_layer_forward(&e->in, x);
	for (int i = 0; i < m->cfg.levels; i++) {
		scope_open();
		for (int k = 0; k < m->cfg.layers; k++)
			x = sd_resnet_forward(&e->level[i].resnet[k], x, NULL);
		if (e->level[i].sample.w)
			x = conv_layer_forward(&e->level[i].sample, x);
		x = scope_keep(x);
	}
	x = gn_layer_forward(&e->norm, mid_forward(&e->mid, x), ACT_SILU);
	x = conv_layer_forward(&m->blocks->quant, conv_layer_forward(&e->out, x));
	out[0] = op_slice(x, 3, 0, m->cfg.latent);
	out[1] = op_clamp(op_slice(x, 3, m->cfg.latent, m->cfg.latent), -30, 20);
	scope_keep_all(out, 2);
	*mean = out[0];
	*logvar = out[1];
}

/* y, held; x no longer: of large images only what is worked on is there. */
static struct tensor *
instead(struct tensor *x, struct tensor *y)
{
	tensor_drop(x);
	return tensor_hold(y);
}

struct tensor *
vae_decode(const struct vae *m, struct tensor *z)
{
	const struct vae_half *d = &m->blocks->decoder;
	/* nothing of the smaller images' sizes is wanted again */
	bool was = gpu_thrift(!grads_on());
	struct tensor *x, *y;

	scope_open();
	x = mid_forward(&d->mid,
	    conv_layer_forward(&d->in, conv_layer_forward(&m->blocks->post_quant, z)));
	tensor_hold(x);
	for (int i = 0; i < m->cfg.levels; i++) {
		for (int k = 0; k <= m->cfg.layers; k++)
			x = instead(x, sd_resnet_forward(&d->level[i].resnet[k], x, NULL));
		if (d->level[i].sample.w)
			x = instead(x,
			    sd_upsample(&d->level[i].sample, x, 2 * (int)x->dim[1],
			        2 * (int)x->dim[2]));
	}
	y = gn_layer_forward(&d->norm, x, ACT_SILU);
	tensor_drop(x);
	y = scope_keep(conv_layer_forward(&d->out, y));
	gpu_thrift(was);
	return y;
}

/* How much of a tile's side counts at position i, rising over the first `ramp` places where there
 * is a neighbour before it. */
static float
ramp_weight(int64_t i, int64_t ramp, bool neighbour)
{
	return neighbour && i < ramp ? ((float)i + 0.5f) / (float)ramp : 1;
}

/* Lays a decoded tile (p [th,tw,c]) over the image at (y, x), blended into what is there above and
 * to the left. */
static void
lay_tile(float *out, int64_t width, int64_t c, const float *p, int64_t th, int64_t tw, int64_t y,
    int64_t x, int64_t ramp)
{
	for (int64_t i = 0; i < th; i++)
		for (int64_t k = 0; k < tw; k++) {
			float w = ramp_weight(i, ramp, y > 0) * ramp_weight(k, ramp, x > 0);
			float *to = out + ((y + i) * width + x + k) * c;
			const float *from = p + (i * tw + k) * c;

			for (int64_t j = 0; j < c; j++)
				to[j] += w * (from[j] - to[j]);
		}
}

struct tensor *
vae_decode_tiled(const struct vae *m, struct tensor *z, int tile)
{
	int64_t h = z->dim[1], w = z->dim[2], f = vae_factor(m), c = m->cfg.out_channels;
	int64_t step = tile - tile / 4, dims[4] = { z->dim[0], h * f, w * f, c };
	struct tensor *y;
	float *out, *part;

	if (tile <= 0 || (h <= tile && w <= tile))
		return vae_decode(m, z);
	if (tile < 4)
		op_die("vae_decode_tiled", "tiles of %d latents", tile);
	out = xcalloc((size_t)(dims[0] * dims[1] * dims[2] * c), sizeof(*out));
	part = xcalloc((size_t)(tile * f * tile * f * c), sizeof(*part));
	for (int64_t n = 0; n < dims[0]; n++)
		for (int64_t i = 0; i == 0 || i + tile - step < h; i += step)
			for (int64_t k = 0; k == 0 || k + tile - step < w; k += step) {
				int64_t th = i + tile < h ? tile : h - i,
				    tw = k + tile < w ? tile : w - k;

				scope_open();
				y = op_slice(op_slice(op_slice(z, 0, n, 1), 1, i, th), 2, k, tw);
				y = op_cast(vae_decode(m, y), F32);
				tensor_get(y, part);
				scope_close();
				lay_tile(out + n * dims[1] * dims[2] * c, dims[2], c, part, th * f,
				    tw * f, i * f, k * f, tile / 4 * f);
			}
	y = tensor_from(z->dtype, 4, dims, out);
	free(out);
	free(part);
	return y;
}
