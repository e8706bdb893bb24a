/* The configuration of a single-file checkpoint: from its metadata, or from the shapes of its
 * tensors. */
#include "model/ldm.h"

#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *
ldm_meta(enum sd_net net)
{
	static const char *const key[] = { "phantom.text_encoder", "phantom.unet", "phantom.vae",
		"phantom.class_embedding" };

	return key[net];
}

/* Dimension d of the tensor that fmt names; 0: not there. */
static int64_t dim_of(const struct safetensors *st, int d, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int64_t
dim_of(const struct safetensors *st, int d, const char *fmt, ...)
{
	const struct st_tensor *t;
	char name[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	t = st_find(st, name);
	return t && d < t->ndim && t->dim[d] < 1 << 24 ? t->dim[d] : 0;
}

#define UNET "model.diffusion_model."
#define VAE "first_stage_model."
#define OPEN "cond_stage_model.model."
#define TEXT "cond_stage_model.transformer.text_model."

static int
guess_unet(const struct safetensors *st, struct unet_config *c)
{
	int level = 0, layers = 0;

	c->levels = 0;
	c->in_channels = (int)dim_of(st, 1, UNET "input_blocks.0.0.weight");
	c->out_channels = (int)dim_of(st, 0, UNET "out.2.weight");
	for (int n = 1; level < UNET_LEVELS; n++) {
		int64_t w = dim_of(st, 0, UNET "input_blocks.%d.0.in_layers.2.weight", n);

		if (w) {
			c->width[level] = (int)w;
			c->cross_down[level] =
			    dim_of(st, 0, UNET "input_blocks.%d.1.norm.weight", n) > 0;
			c->levels = level + 1;
			layers += level == 0;
		} else if (dim_of(st, 0, UNET "input_blocks.%d.0.op.weight", n)) {
			level++;
		} else {
			break;
		}
	}
	if (!c->levels || !layers || !c->in_channels || !c->out_channels)
		return err("%s: no U-Net of Stable Diffusion in it", st->path);
	c->layers = layers;
	for (int i = 0; i < c->levels; i++)
		c->cross_up[i] =
		    dim_of(st, 0, UNET "output_blocks.%d.1.norm.weight", i * (layers + 1)) > 0;
	c->context = (int)dim_of(st, 1, UNET
	    "middle_block.1.transformer_blocks.0.attn2.to_k.weight");
	c->linear_projection = dim_of(st, 0, UNET "middle_block.1.proj_in.weight") &&
	    !dim_of(st, 2, UNET "middle_block.1.proj_in.weight");
	for (int i = 0; i < c->levels; i++)
		c->heads[i] = c->linear_projection && c->width[i] >= 64 ? c->width[i] / 64 : 8;
	return c->context ? 0 : err("%s: the U-Net has no cross-attention", st->path);
}

static int
guess_vae(const struct safetensors *st, struct vae_config *c)
{
	c->levels = c->layers = 0;
	while (c->levels < VAE_LEVELS) {
		int64_t w = dim_of(st, 0, VAE "encoder.down.%d.block.0.conv1.weight", c->levels);

		if (!w)
			break;
		c->width[c->levels++] = (int)w;
	}
	while (
	    c->layers < 8 && dim_of(st, 0, VAE "encoder.down.0.block.%d.conv1.weight", c->layers))
		c->layers++;
	c->in_channels = (int)dim_of(st, 1, VAE "encoder.conv_in.weight");
	c->out_channels = (int)dim_of(st, 0, VAE "decoder.conv_out.weight");
	c->latent = (int)dim_of(st, 1, VAE "decoder.conv_in.weight");
	if (!c->levels || !c->in_channels || !c->out_channels || !c->latent)
		return err("%s: no autoencoder of Stable Diffusion in it", st->path);
	return 0;
}

static int
guess_text(const struct safetensors *st, struct clip_config *c)
{
	bool open = dim_of(st, 0, OPEN "token_embedding.weight") > 0;

	c->act = open ? ACT_GELU : ACT_QUICK_GELU;
	c->layers = 0;
	if (open) {
		c->vocab = (int)dim_of(st, 0, OPEN "token_embedding.weight");
		c->width = (int)dim_of(st, 1, OPEN "token_embedding.weight");
		c->length = (int)dim_of(st, 0, OPEN "positional_embedding");
		c->mlp = (int)dim_of(st, 0, OPEN "transformer.resblocks.0.mlp.c_fc.weight");
		while (dim_of(st, 0, OPEN "transformer.resblocks.%d.ln_1.weight", c->layers))
			c->layers++;
		/* the states are those before the last layer of the 24 */
		if (c->layers == 24)
			c->layers = 23;
	} else {
		c->vocab = (int)dim_of(st, 0, TEXT "embeddings.token_embedding.weight");
		c->width = (int)dim_of(st, 1, TEXT "embeddings.token_embedding.weight");
		c->length = (int)dim_of(st, 0, TEXT "embeddings.position_embedding.weight");
		c->mlp = (int)dim_of(st, 0, TEXT "encoder.layers.0.mlp.fc1.weight");
		while (dim_of(st, 0, TEXT "encoder.layers.%d.layer_norm1.weight", c->layers))
			c->layers++;
	}
	c->projection = c->width;
	c->heads = c->width % 64 == 0 ? c->width / 64 : 1;
	if (!c->vocab || !c->width || !c->length || !c->mlp || !c->layers)
		return err("%s: no text encoder of Stable Diffusion in it", st->path);
	return 0;
}

/* One net's configuration out of the metadata: 1, 0 if it is not there, -1 with a message. */
static int
from_meta(const struct safetensors *st, struct sd_config *c, enum sd_net net)
{
	const char *text = st_meta(st, ldm_meta(net));
	struct json j;
	int ret;

	if (!text)
		return 0;
	if (json_parse(&j, text, strlen(text)))
		return err_prefix("%s: %s", st->path, ldm_meta(net));
	ret = sd_config_get(c, net, &j, 0);
	json_release(&j);
	return ret ? -1 : 1;
}

int
ldm_config(const struct safetensors *st, struct sd_config *c)
{
	const char *scheduler = st_meta(st, "phantom.scheduler");
	int text, unet, vae;

	if (sd_config_named(c, "sd15") || (text = from_meta(st, c, SD_TEXT)) < 0 ||
	    (unet = from_meta(st, c, SD_UNET)) < 0 || (vae = from_meta(st, c, SD_VAE)) < 0)
		return -1;
	if ((!text && guess_text(st, &c->text)) || (!unet && guess_unet(st, &c->unet)) ||
	    (!vae && guess_vae(st, &c->vae)))
		return -1;
	if (scheduler) {
		sb_clear(&c->scheduler);
		sb_puts(&c->scheduler, scheduler);
	}
	return 0;
}
