#include "model/sd_config.h"

#include "base/err.h"

#include <string.h>

const char *
sd_net_name(enum sd_net net)
{
	static const char *const name[] = { "text_encoder", "unet", "vae", "class_embedding" };

	return name[net];
}

const char *
sd_net_stem(enum sd_net net)
{
	return net == SD_TEXT ? "model" : "diffusion_pytorch_model";
}

int
sd_config_get(struct sd_config *c, enum sd_net net, const struct json *j, int v)
{
	if (j->v[v].type != JSON_OBJECT)
		return err("%s: the configuration is no object", sd_net_name(net));
	switch (net) {
	case SD_TEXT:
		return clip_config_get(&c->text, j, v);
	case SD_UNET:
		return unet_config_get(&c->unet, j, v);
	case SD_VAE:
		return vae_config_get(&c->vae, j, v);
	default:
		return class_config_get(&c->classes, j, v);
	}
}

void
sd_config_put(const struct sd_config *c, enum sd_net net, struct sb *sb)
{
	if (net == SD_TEXT)
		clip_config_put(&c->text, sb);
	else if (net == SD_UNET)
		unet_config_put(&c->unet, sb);
	else if (net == SD_VAE)
		vae_config_put(&c->vae, sb);
	else
		class_config_put(&c->classes, sb);
}

void
sd_config_scheduler(struct sd_config *c, bool v_prediction)
{
	sb_clear(&c->scheduler);
	sb_puts(&c->scheduler,
	    "{\n  \"_class_name\": \"PNDMScheduler\",\n  \"beta_start\": 0.00085,\n"
	    "  \"beta_end\": 0.012,\n  \"beta_schedule\": \"scaled_linear\",\n"
	    "  \"num_train_timesteps\": 1000,\n  \"set_alpha_to_one\": false,\n  "
	    "\"skip_prk_steps\": true,\n"
	    "  \"steps_offset\": 1,\n  \"clip_sample\": false,\n  \"prediction_type\": \"");
	sb_puts(&c->scheduler, v_prediction ? "v_prediction\"\n}\n" : "epsilon\"\n}\n");
}

void
sd_config_release(struct sd_config *c)
{
	class_config_release(&c->classes);
	sb_release(&c->scheduler);
	*c = (struct sd_config){ 0 };
}

int
sd_config_check(const struct sd_config *c)
{
	int width = c->classes.classes ? c->classes.width : c->text.width;

	if (c->unet.context != width)
		return err("the U-Net wants text states of %d numbers, it is given %d",
		    c->unet.context, width);
	if (c->unet.in_channels != c->vae.latent || c->unet.out_channels != c->vae.latent)
		return err("the U-Net takes %d and gives %d channels, the autoencoder has %d",
		    c->unet.in_channels, c->unet.out_channels, c->vae.latent);
	return 0;
}

/* ---- models by name -------------------------------------------------------------------------- */

/* SD 1.5's, as its config.json files say. */
static const struct sd_config sd15 = {
	.text = { 49408, 77, 768, 12, 12, 3072, ACT_QUICK_GELU, 1e-5, 768 },
	.unet = { .in_channels = 4, .out_channels = 4, .levels = 4,
		.width = { 320, 640, 1280, 1280 },
	    .cross_down = { true, true, true, false }, .cross_up = { false, true, true, true },
	    .layers = 2, .heads = { 8, 8, 8, 8 }, .context = 768, .groups = 32, .eps = 1e-5,
	    .flip_sin_to_cos = true, .sample_size = 64 },
	.vae = { .in_channels = 3, .out_channels = 3, .latent = 4, .levels = 4,
	    .width = { 128, 256, 512, 512 }, .layers = 2, .groups = 32, .sample_size = 512,
	    .scaling = 0.18215 },
};

/* 16 x 16 latents of 64 x 64 pixels; the vocabulary is as large as its tokenizer's. */
static const struct sd_config tiny = {
	.text = { 0, 77, 96, 2, 4, 384, ACT_QUICK_GELU, 1e-5, 96 },
	.unet = { .in_channels = 4, .out_channels = 4, .levels = 3, .width = { 64, 96, 128 },
	    .cross_down = { false, true, true }, .cross_up = { true, true, false }, .layers = 1,
	    .heads = { 4, 4, 4 }, .context = 96, .groups = 16, .eps = 1e-5, .flip_sin_to_cos = true,
	    .sample_size = 16 },
	.vae = { .in_channels = 3, .out_channels = 3, .latent = 4, .levels = 3,
		.width = { 32, 64, 96 },
	    .layers = 1, .groups = 16, .sample_size = 64, .scaling = 0.18215 },
};

/* 16 x 16 latents of 32 x 32 pixels, captions of 14 tokens beside their ends. */
static const struct sd_config small = {
	.text = { 0, 16, 64, 2, 4, 256, ACT_QUICK_GELU, 1e-5, 64 },
	.unet = { .in_channels = 4, .out_channels = 4, .levels = 3, .width = { 32, 64, 96 },
	    .cross_down = { false, true, true }, .cross_up = { true, true, false }, .layers = 1,
	    .heads = { 4, 4, 4 }, .context = 64, .groups = 16, .eps = 1e-5, .flip_sin_to_cos = true,
	    .sample_size = 16 },
	.vae = { .in_channels = 3, .out_channels = 3, .latent = 4, .levels = 2, .width = { 16, 32 },
	    .layers = 1, .groups = 8, .sample_size = 32, .scaling = 0.18215 },
};

/* As little as has every part: for tests. */
static const struct sd_config mini = {
	.text = { 0, 77, 16, 2, 2, 32, ACT_QUICK_GELU, 1e-5, 16 },
	.unet = { .in_channels = 4, .out_channels = 4, .levels = 2, .width = { 16, 32 },
	    .cross_down = { true, false }, .cross_up = { false, true }, .layers = 1,
	    .heads = { 2, 2 }, .context = 16, .groups = 8, .eps = 1e-5, .flip_sin_to_cos = true,
	    .sample_size = 8 },
	.vae = { .in_channels = 3, .out_channels = 3, .latent = 4, .levels = 3,
		.width = { 8, 16, 16 },
	    .layers = 1, .groups = 8, .sample_size = 32, .scaling = 0.18215 },
};

int
sd_config_named(struct sd_config *c, const char *name)
{
	bool v2 = strcmp(name, "sd21-base") == 0, v2v = strcmp(name, "sd21") == 0;

	if (strcmp(name, "sd15") == 0 || v2 || v2v)
		*c = sd15;
	else if (strcmp(name, "tiny") == 0)
		*c = tiny;
	else if (strcmp(name, "small") == 0)
		*c = small;
	else if (strcmp(name, "mini") == 0)
		*c = mini;
	else
		return err(
		    "'%s' is neither a model's name (sd15, sd21-base, sd21, tiny, small, mini) nor "
		    "a file or "
		    "folder with configurations",
		    name);
	if (v2 || v2v) {
		/* OpenCLIP ViT-H less its last layer; heads of 64 channels */
		c->text = (struct clip_config){ 49408, 77, 1024, 23, 16, 4096, ACT_GELU, 1e-5,
		    512 };
		for (int i = 0; i < c->unet.levels; i++)
			c->unet.heads[i] = c->unet.width[i] / 64;
		c->unet.context = 1024;
		c->unet.linear_projection = true;
		c->unet.upcast_attention = v2v;
		c->unet.sample_size = v2v ? 96 : 64;
		c->vae.sample_size = v2v ? 768 : 512;
	}
	sd_config_scheduler(c, v2v);
	return 0;
}

/* ---- outlines -------------------------------------------------------------------------------- */

void
sd_outline_init(struct sd_outline *o, const struct sd_config *c, enum sd_net net)
{
	bool was = params_outline(true);

	*o = (struct sd_outline){ .net = net };
	if (net == SD_TEXT) {
		clip_init(&o->text, &c->text, F32, false);
		o->ps = &o->text.ps;
	} else if (net == SD_UNET) {
		unet_init(&o->unet, &c->unet, F32, false);
		o->ps = &o->unet.ps;
	} else if (net == SD_VAE) {
		vae_init(&o->vae, &c->vae, F32, false);
		o->ps = &o->vae.ps;
	} else {
		class_embed_init(&o->classes, &c->classes, F32, false);
		o->ps = &o->classes.ps;
	}
	params_outline(was);
}

void
sd_outline_release(struct sd_outline *o)
{
	if (o->net == SD_TEXT)
		clip_release(&o->text);
	else if (o->net == SD_UNET)
		unet_release(&o->unet);
	else if (o->net == SD_VAE)
		vae_release(&o->vae);
	else
		class_embed_release(&o->classes);
}
