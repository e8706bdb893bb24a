/*
 * Vision transformers that make features of images (Dosovitskiy et al., An image is worth 16x16
 * words,
 * 2021), under the names of the files they are published in:
 *
 *	DINO      cls_token, pos_embed, patch_embed.proj, blocks.N.attn.qkv, ..., norm
 *	DINOv2    the same with blocks.N.ls1.gamma, register_tokens, blocks.N.mlp.{w12,w3} (SwiGLU)
 *	both of transformers (ViTModel, Dinov2Model): embeddings.cls_token, encoder.layer.N...
 *	CLIP      vision_model.embeddings.class_embedding, ..., visual_projection (transformers)
 *
 * Caron et al., Emerging properties in self-supervised vision transformers, 2021; Oquab et al.,
 * DINOv2,
 * 2023; Darcet et al., Vision transformers need registers, 2023; Radford et al., Learning
 * transferable visual models from natural language supervision, 2021.
 */
#ifndef MODEL_VIT_H
#define MODEL_VIT_H

#include "model/sd_blocks.h"

enum vit_layout { VIT_DINO, VIT_DINO_HF, VIT_DINOV2, VIT_DINOV2_HF, VIT_CLIP };

struct vit_config {
	enum vit_layout layout;
	int patch;      /* pixels of a patch's side */
	int width, depth, heads;
	int mlp;        /* hidden width, of SwiGLU the half of w12's rows */
	int grid;     /* the position embedding has grid x grid places and one of the class token */
	int registers;
	int projection; /* CLIP: width of what comes out, 0 otherwise */
	bool swiglu;
	enum act act;   /* ACT_GELU or ACT_QUICK_GELU */
	double eps;     /* of layer norms */
};

struct vit {
	struct vit_config cfg;
	struct params ps;
	struct conv_layer patch;
	struct vit_block *block;
	struct ln_layer pre, norm;   /* pre: CLIP's */
	struct linear_layer project; /* .w NULL: none */
	float *pos;                  /* [grid * grid][width] of the file */
	/* [1 + registers, width]: class token at its place, registers; held */
	struct tensor *first;
	struct tensor *place;        /* [rows * columns, width] for the grid last seen; held */
	int rows, columns;
};

/* The configuration of dino-vits16, dino-vitb8, dinov2-vitb14, dinov2-vitb14-reg, clip-vitb32,
 * ... */
int vit_config_named(struct vit_config *, const char *name);
extern const char vit_names[]; /* "dino-vits16|dino-vits8|..." */
/* From a file's tensors. What shapes do not say (heads, the norm's eps, the activation) comes from
 * the metadata, from config.json's text (NULL: none; its vision_config where it has one), or is
 * what the published nets have: heads of 64. 0, or -1 with a message. */
int vit_config_from(struct vit_config *, const struct safetensors *, const char *json);

/* Announces the tensors of a file. */
void vit_announce(struct params *, const struct vit_config *);
/* Reads the weights onto the device; each misfit is said on stderr. 0, or -1 with a message. */
int vit_load(struct vit *, const struct vit_config *, const struct safetensors *);
void vit_release(struct vit *);

/* x [N,H,W,3], sides multiples of the patch -> [N,width]: the class token, or the patches' mean, of
 * the last norm's output. Positions are interpolated as the original of the layout does. */
struct tensor *vit_class(struct vit *, struct tensor *x);
struct tensor *vit_patch_mean(struct vit *, struct tensor *x);
/* Class [N,width] -> [N,projection] (CLIP's image_embeds before they are made unit vectors). */
struct tensor *vit_project(const struct vit *, struct tensor *cls);

/* The file's places [grid*grid][width] resized to [rows*columns][width]. */
void vit_positions(const struct vit_config *, const float *pos, int rows, int columns, float *out);

#endif
