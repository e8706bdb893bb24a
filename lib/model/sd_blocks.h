/*
 * What the U-Net and the autoencoder of Stable Diffusion are built of, under diffusers' names.
 * Images are [N,H,W,C].
 */
#ifndef MODEL_SD_BLOCKS_H
#define MODEL_SD_BLOCKS_H

#include "data/json.h"
#include "nn/layer.h"

/* Settings of a config.json that these nets know in one form alone: the key, and the value as JSON
 * writes it. A list ends with a key of NULL. */
struct sd_only {
	const char *key, *value;
};
/* Object v has each of them so, or null, or not at all: 0; -1 with a message. A list in the file
 * is right if each of its elements is. */
int sd_config_only(const struct json *, int v, const struct sd_only *);

struct gn_layer {
	struct tensor *w, *b;
	int groups;
	double eps;
};
void gn_layer_init(struct gn_layer *, struct params *, int64_t c, int groups, double eps,
    const char *fmt, ...) __attribute__((format(printf, 6, 7)));
struct tensor *gn_layer_forward(const struct gn_layer *, struct tensor *x, enum act);

struct ln_layer {
	struct tensor *w, *b;
	double eps;
};
void ln_layer_init(struct ln_layer *, struct params *, int64_t c, double eps, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
struct tensor *ln_layer_forward(const struct ln_layer *, struct tensor *x);

/* norm, SiLU, conv; the time's projection added; norm, SiLU, conv; around it the input, by a 1x1
 * convolution where the channels change. */
struct sd_resnet {
	struct gn_layer norm1, norm2;
	struct conv_layer conv1, conv2, shortcut; /* shortcut.w NULL: none */
	struct linear_layer time;                 /* .w NULL: none (autoencoder) */
};
/* time: width of the time embedding, 0 for none */
void sd_resnet_init(struct sd_resnet *, struct params *, int64_t in, int64_t out, int64_t time,
    int groups, double eps, const char *fmt, ...) __attribute__((format(printf, 8, 9)));
/* time: SiLU of the time embedding [N,time], or NULL. */
struct tensor *sd_resnet_forward(const struct sd_resnet *, struct tensor *x, struct tensor *time);

/* 3x3, stride 2: padding 1 all round (U-Net), or right and bottom by one (autoencoder). */
void sd_downsample_init(struct conv_layer *, struct params *, int64_t c, bool asymmetric,
    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* 3x3, stride 1. */
void sd_upsample_init(struct conv_layer *, struct params *, int64_t c, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Nearest to h x w, then 3x3. */
struct tensor *sd_upsample(const struct conv_layer *, struct tensor *x, int h, int w);

#endif
