/* The configuration of a whole Stable Diffusion model: what the config.json of each part says. */
#ifndef MODEL_SD_CONFIG_H
#define MODEL_SD_CONFIG_H

#include "model/class_embed.h"
#include "model/clip.h"
#include "model/unet.h"
#include "model/vae.h"

/* A model has the first three, or classes in the place of the text encoder. */
enum sd_net { SD_TEXT, SD_UNET, SD_VAE, SD_CLASSES, SD_NETS };

struct sd_config {
	struct clip_config text;
	struct unet_config unet;
	struct vae_config vae;
	struct class_config classes; /* .classes 0: text */
	struct sb scheduler; /* scheduler_config.json, as it came */
};

/* "text_encoder", "unet", "vae", "class_embedding"; and how its weights' file begins. */
const char *sd_net_name(enum sd_net);
const char *sd_net_stem(enum sd_net);
/* config.json of a net, from and to. 0, or -1 with a message. */
int sd_config_get(struct sd_config *, enum sd_net, const struct json *, int v);
void sd_config_put(const struct sd_config *, enum sd_net, struct sb *);
/* The scheduler's file of SD 1.5 (PNDM, scaled linear betas), with another prediction type if v. */
void sd_config_scheduler(struct sd_config *, bool v_prediction);
void sd_config_release(struct sd_config *);
/* Do the parts fit together? -1 with a message. */
int sd_config_check(const struct sd_config *);

/* sd15, sd21-base, sd21, tiny (64 x 64 pixels, 7.5 million parameters, for two CPU cores), small
 * (32 x 32 pixels, 3 million), mini (smaller still, for tests): 0, or -1 with a message that lists
 * the names. */
int sd_config_named(struct sd_config *, const char *name);

/* The net's parameters as an outline (params_outline): names and shapes, no memory on a device. */
struct sd_outline {
	enum sd_net net;
	struct clip text;
	struct unet unet;
	struct vae vae;
	struct class_embed classes;
	struct params *ps; /* of the one that was made */
};
void sd_outline_init(struct sd_outline *, const struct sd_config *, enum sd_net);
void sd_outline_release(struct sd_outline *);

#endif
