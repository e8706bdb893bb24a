#include "model/embed_prep.h"

#include "base/err.h"
#include "base/mem.h"
#include "data/edges.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct rule {
	const char *name;
	int side;
} rules[PREP_KINDS] = {
	[PREP_PYTORCH_FID] = { "pytorch-fid", 299 },
	[PREP_CLEAN_FID] = { "clean-fid", 299 },
	[PREP_TORCH_FIDELITY] = { "torch-fidelity", 299 },
	[PREP_DINO] = { "dino", 224 },
	[PREP_HF] = { "hf", 224 },
	[PREP_MEP_EDGES] = { "mep-edges", 224 },
	[PREP_IMAGENET] = { "imagenet", 224 },
	[PREP_CLIP] = { "clip", 224 },
	[PREP_NSW] = { "nsw", 256 },
};

/* Means and deviations of the channels: ImageNet's as torchvision has them; CLIP's own. */
static const float imagenet[2][3] = { { 0.485f, 0.456f, 0.406f }, { 0.229f, 0.224f, 0.225f } };
static const float clip[2][3] = { { 0.48145466f, 0.4578275f, 0.40821073f },
	{ 0.26862954f, 0.26130258f, 0.27577711f } };
static const float none[2][3] = { { 0, 0, 0 }, { 1, 1, 1 } };

const char *
embed_prep_name(enum embed_prep p)
{
	return rules[p].name;
}

int
embed_prep_named(const char *name)
{
	for (int i = 0; i < PREP_KINDS; i++)
		if (strcmp(name, rules[i].name) == 0)
			return i;
	return err("%s: no such preprocessing (%s)", name, EMBED_PREPS);
}

int
embed_prep_side(enum embed_prep p)
{
	return rules[p].side;
}

/* ---- Inception's -------------------------------------------------------------------------- */

/* [3][h][w], each byte times scale. */
static float *
planes(const struct image *im, float divisor)
{
	size_t n = (size_t)im->w * (size_t)im->h;
	float *p = xmalloc(n * 3 * sizeof(*p));
	const uint8_t *s = im->data;

	for (size_t i = 0; i < n; i++)
		for (size_t c = 0; c < 3; c++)
			p[c * n + i] = s[i * 3 + c] / divisor;
	return p;
}

/* TensorFlow 1's resize_bilinear: place = i * in/out, no half pixels; beyond the edge, the edge. */
static void
resize_tf1(float *dst, const float *src, int h, int w, int side)
{
	float sy = (float)h / (float)side, sx = (float)w / (float)side;

	for (int c = 0; c < 3; c++, src += (size_t)h * (size_t)w)
		for (int y = 0; y < side; y++) {
			float fy = (float)y * sy;
			int y0 = (int)fy, y1 = y0 + 1 < h ? y0 + 1 : h - 1;
			const float *top = src + (size_t)y0 * (size_t)w,
			            *low = src + (size_t)y1 * (size_t)w;

			fy -= (float)y0;
			for (int x = 0; x < side; x++) {
				float fx = (float)x * sx, a, b;
				int x0 = (int)fx, x1 = x0 + 1 < w ? x0 + 1 : w - 1;

				fx -= (float)x0;
				a = top[x0] + (top[x1] - top[x0]) * fx;
				b = low[x0] + (low[x1] - low[x0]) * fx;
				*dst++ = a + (b - a) * fy;
			}
		}
}

static void
resize_fid(enum embed_prep p, int side, const struct image *im, float *out)
{
	float *in = planes(im, p == PREP_PYTORCH_FID ? 255 : 1);
	size_t n = (size_t)side * (size_t)side * 3;

	if (p == PREP_PYTORCH_FID)
		image_resize_f32(out, in, 3, im->h, im->w, side, side, false);
	else if (p == PREP_CLEAN_FID)
		image_filter_f32(out, in, 3, im->h, im->w, side, side, FILTER_BICUBIC);
	else
		resize_tf1(out, in, im->h, im->w, side);
	if (p == PREP_CLEAN_FID)
		for (size_t i = 0; i < n; i++)
			out[i] = fminf(fmaxf(out[i], 0), 255);
	free(in);
}

/* [3][n] -> [n][3], normalised. */
static void
finish_fid(enum embed_prep p, int side, const float *in, float *out)
{
	size_t n = (size_t)side * (size_t)side;

	for (size_t i = 0; i < n; i++)
		for (size_t c = 0; c < 3; c++) {
			float x = in[c * n + i];

			out[i * 3 + c] = p == PREP_PYTORCH_FID ? 2 * x - 1 : (x - 128) / 128;
		}
}

/* ---- the others': bytes first ------------------------------------------------------------- */

static void
finish_bytes(const struct image *im, const float norm[2][3], float *out)
{
	const uint8_t *s = im->data;
	size_t n = (size_t)im->w * (size_t)im->h;

	for (size_t i = 0; i < n; i++)
		for (size_t c = 0; c < 3; c++)
			out[i * 3 + c] = ((float)s[i * 3 + c] / 255 - norm[0][c]) / norm[1][c];
}

/* The short side to `to` (the other one to the whole part of what keeps the shape), then the middle
 * side x side; offsets round half to even, as Python's. */
static int
resize_crop(struct image *dst, const struct image *im, int to, int side, enum image_filter f)
{
	struct image r = { 0 };
	int64_t lng = im->w > im->h ? im->w : im->h, shrt = im->w > im->h ? im->h : im->w;
	int64_t other = (int64_t)to * lng / shrt;
	int w = im->w > im->h ? (int)other : to, h = im->w > im->h ? to : (int)other;

	if (other > IMAGE_MAX_SIDE)
		return err("%d x %d pixels: too narrow for its length", im->w, im->h);
	image_resize(&r, im, w, h, f);
	image_crop(dst, &r, (int)nearbyint((w - side) / 2.0), (int)nearbyint((h - side) / 2.0),
	    side, side);
	image_release(&r);
	return 0;
}

static int
prepare_bytes(enum embed_prep p, int side, const struct image *im, float *out)
{
	const float (*norm)[3] = p == PREP_CLIP ? clip : p == PREP_NSW ? none : imagenet;
	/* 256 for 224 */
	int to = p == PREP_CLIP ? side : (side * 256 + 112) / 224;
	struct image sized = { 0 }, tmp = { 0 };
	int ret = 0;

	switch (p) {
	case PREP_MEP_EDGES:
		image_edges(&tmp, im);
		image_resize(&sized, &tmp, side, side, FILTER_BILINEAR);
		break;
	case PREP_HF:
		image_resize(&sized, im, side, side, FILTER_BILINEAR);
		break;
	case PREP_NSW:
		image_copy(&tmp, im);
		image_convert(&tmp, 1, 8);
		image_resize(&sized, &tmp, side, side, FILTER_BILINEAR);
		image_convert(&sized, 3, 8);
		break;
	default:
		ret = resize_crop(&sized, im, to, side, p == PREP_IMAGENET ? FILTER_BILINEAR
		    : FILTER_BICUBIC);
	}
	if (!ret)
		finish_bytes(&sized, norm, out);
	image_release(&sized);
	image_release(&tmp);
	return ret;
}

/* im itself, or a copy of it as 8-bit RGB in *tmp. */
static const struct image *
as_rgb(const struct image *im, struct image *tmp)
{
	if (im->c == 3 && im->bits == 8)
		return im;
	image_copy(tmp, im);
	image_convert(tmp, 3, 8);
	return tmp;
}

void
embed_resize_fid(enum embed_prep p, int side, const struct image *im, float *out)
{
	struct image tmp = { 0 };

	resize_fid(p, side, as_rgb(im, &tmp), out);
	image_release(&tmp);
}

int
embed_prepare(enum embed_prep p, int side, const struct image *im, float *out)
{
	struct image tmp = { 0 };
	int ret = 0;

	im = as_rgb(im, &tmp);
	if (p <= PREP_TORCH_FIDELITY) {
		float *sized = xmalloc((size_t)side * (size_t)side * 3 * sizeof(*sized));

		resize_fid(p, side, im, sized);
		finish_fid(p, side, sized, out);
		free(sized);
	} else {
		ret = prepare_bytes(p, side, im, out);
	}
	image_release(&tmp);
	return ret;
}
