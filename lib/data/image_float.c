/* Bilinear resampling of f32 planes, in the arithmetic of torch's CPU kernels. */
#include "data/image.h"

#include "base/err.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Output i of a line is the sum over j < n[i] of k[i * taps + j] * in[first[i] + j]. */
struct taps {
	int taps;
	int *first, *n;
	float *k;
};

static void
taps_alloc(struct taps *t, int out, int taps)
{
	t->taps = taps;
	t->first = xcalloc((size_t)out, sizeof(*t->first));
	t->n = xcalloc((size_t)out, sizeof(*t->n));
	t->k = xcalloc((size_t)out * (size_t)taps, sizeof(*t->k));
}

static void
taps_release(struct taps *t)
{
	free(t->first);
	free(t->n);
	free(t->k);
}

/* The two pixels on either side of the centre. */
static void
taps_plain(struct taps *t, int in, int out)
{
	float scale = (float)in / (float)out;

	taps_alloc(t, out, 2);
	for (int i = 0; i < out; i++) {
		double at = scale * (i + 0.5) - 0.5; /* only scale is rounded to f32, as in torch */
		int first;
		float far;

		if (at < 0)
			at = 0;
		first = (int)at < in ? (int)at : in - 1;
		far = (float)(at - first);
		if (far > 1)
			far = 1;
		t->first[i] = first;
		t->n[i] = first + 1 < in ? 2 : 1;
		t->k[2 * i] = t->n[i] == 2 ? 1 - far : 1;
		t->k[2 * i + 1] = t->n[i] == 2 ? far : 0;
	}
}

/* A triangle about the centre, as wide as an output pixel when shrinking. */
static void
taps_antialias(struct taps *t, int in, int out)
{
	float scale = (float)in / (float)out, widen = scale < 1 ? 1 : scale, inverse = 1 / widen;

	taps_alloc(t, out, (int)ceilf(widen) * 2 + 1);
	for (int i = 0; i < out; i++) {
		float centre = scale * ((float)i + 0.5f), sum = 0,
		      *k = t->k + (size_t)i * (size_t)t->taps;
		int first = (int)(centre - widen + 0.5f), end = (int)(centre + widen + 0.5f);

		if (first < 0)
			first = 0;
		if (end > in)
			end = in;
		t->first[i] = first;
		t->n[i] = end - first < t->taps ? end - first : t->taps;
		for (int j = 0; j < t->n[i]; j++) {
			float x = fabsf(((float)(j + first) - centre + 0.5f) * inverse);

			k[j] = x < 1 ? 1 - x : 0;
			sum += k[j];
		}
		for (int j = 0; j < t->n[i]; j++)
			k[j] /= sum;
	}
}

/* in: [h][w], mid: [h][ow], out: [oh][ow] */
static void
plane(float *out, float *mid, const float *in, int h, int w, int oh, int ow,
    const struct taps *tx, const struct taps *ty)
{
	for (int y = 0; y < h; y++) {
		const float *row = in + (size_t)y * (size_t)w;
		float *to = mid + (size_t)y * (size_t)ow;

		for (int x = 0; x < ow; x++) {
			const float *k = tx->k + (size_t)x * (size_t)tx->taps,
			            *p = row + tx->first[x];
			float sum = 0;

			for (int j = 0; j < tx->n[x]; j++)
				sum += p[j] * k[j];
			to[x] = sum;
		}
	}
	memset(out, 0, (size_t)oh * (size_t)ow * sizeof(*out));
	for (int y = 0; y < oh; y++, out += ow) {
		for (int j = 0; j < ty->n[y]; j++) {
			const float *p = mid + (size_t)(ty->first[y] + j) * (size_t)ow;
			float k = ty->k[(size_t)y * (size_t)ty->taps + (size_t)j];

			for (int x = 0; x < ow; x++)
				out[x] += p[x] * k;
		}
	}
}

static bool
good_side(int n)
{
	return n > 0 && n <= IMAGE_MAX_SIDE;
}

int
image_resize_f32(float *dst, const float *src, int c, int h, int w, int oh, int ow, bool antialias)
{
	void (*make)(struct taps *, int, int) = antialias ? taps_antialias : taps_plain;
	struct taps tx, ty;
	float *mid;

	if (!good_side(h) || !good_side(w) || !good_side(oh) || !good_side(ow) || c < 0)
		return err("cannot resize %d x %d to %d x %d", w, h, ow, oh);
	make(&tx, w, ow);
	make(&ty, h, oh);
	mid = xmalloc((size_t)h * (size_t)ow * sizeof(*mid));
	for (int ch = 0; ch < c; ch++)
		plane(dst + (size_t)ch * (size_t)oh * (size_t)ow, mid,
		    src + (size_t)ch * (size_t)h * (size_t)w, h, w, oh, ow, &tx, &ty);
	free(mid);
	taps_release(&tx);
	taps_release(&ty);
	return 0;
}
