/*
 * Resampling. Every output pixel is a weighted mean of input pixels about its centre; the two
 * directions are done one after the other, horizontally first. The 8-bit path uses integer weights
 * of 22 bits and rounds to 8 bits between the directions, as Pillow does, so that it gives Pillow's
 * bytes; 16-bit images and floats keep their fractions.
 */
#include "data/image.h"

#include "base/err.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

static double
box(double x)
{
	return x > -0.5 && x <= 0.5 ? 1 : 0;
}

static double
bilinear(double x)
{
	x = fabs(x);
	return x < 1 ? 1 - x : 0;
}

static double
hamming(double x)
{
	x = fabs(x);
	if (x == 0)
		return 1;
	if (x >= 1)
		return 0;
	x *= pi;
	return sin(x) / x * (0.54 + 0.46 * cos(x));
}

/* Keys, Cubic convolution interpolation (1981), with a = -1/2. */
static double
bicubic(double x)
{
	const double a = -0.5;

	x = fabs(x);
	if (x < 1)
		return ((a + 2) * x - (a + 3)) * x * x + 1;
	if (x < 2)
		return (((x - 5) * x + 8) * x - 4) * a;
	return 0;
}

static double
sinc(double x)
{
	if (x == 0)
		return 1;
	x *= pi;
	return sin(x) / x;
}

static double
lanczos(double x)
{
	return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

static const struct kernel {
	double (*fn)(double);
	double support; /* input pixels on either side, before widening */
} kernels[] = {
	[FILTER_BOX] = { box, 0.5 },
	[FILTER_BILINEAR] = { bilinear, 1 },
	[FILTER_HAMMING] = { hamming, 1 },
	[FILTER_BICUBIC] = { bicubic, 2 },
	[FILTER_LANCZOS] = { lanczos, 3 },
};

/* Weights of one direction: output i is the sum over j < n[i] of k[i * taps + j] * in[first[i] +
 * j]. */
struct weights {
	int taps;
	int *first, *n;
	double *k; /* sum to 1 for each output */
};

static void
weights_init(struct weights *w, int in, int out, const struct kernel *kernel)
{
	double scale = (double)in / out, widen = scale < 1 ? 1 : scale, inverse = 1 / widen;
	double support = kernel->support * widen;

	w->taps = (int)ceil(support) * 2 + 1;
	w->first = xcalloc((size_t)out, sizeof(*w->first));
	w->n = xcalloc((size_t)out, sizeof(*w->n));
	w->k = xcalloc((size_t)out * (size_t)w->taps, sizeof(*w->k));
	for (int i = 0; i < out; i++) {
		double centre = (i + 0.5) * scale, sum = 0;
		double *k = w->k + (size_t)i * (size_t)w->taps;
		int first = (int)(centre - support + 0.5), end = (int)(centre + support + 0.5);

		if (first < 0)
			first = 0;
		if (end > in)
			end = in;
		w->first[i] = first;
		w->n[i] = end - first;
		for (int j = 0; j < w->n[i]; j++) {
			k[j] = kernel->fn((j + first - centre + 0.5) * inverse);
			sum += k[j];
		}
		for (int j = 0; j < w->n[i] && sum != 0; j++)
			k[j] /= sum;
	}
}

static void
weights_release(struct weights *w)
{
	free(w->first);
	free(w->n);
	free(w->k);
}

/* 32 bits less 8 of a pixel and 2 for overshoot */
enum { FIXED_BITS = 32 - 8 - 2 };

static int32_t *
fixed_weights(const struct weights *w, int out)
{
	size_t n = (size_t)out * (size_t)w->taps;
	int32_t *k = xmalloc(n * sizeof(*k));

	for (size_t i = 0; i < n; i++)
		k[i] = (int32_t)((w->k[i] < 0 ? -0.5 : 0.5) + w->k[i] * (1 << FIXED_BITS));
	return k;
}

static uint8_t
clip8(int32_t x)
{
	x >>= FIXED_BITS; /* arithmetic: rounds down, the half was added before */
	return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
}

/* in: [h][w][c], out: [h][ow][c] */
static void
across8(uint8_t *out, const uint8_t *in, int h, int w, int ow, int c, const struct weights *weights)
{
	int32_t *fixed = fixed_weights(weights, ow);

	for (int y = 0; y < h; y++) {
		const uint8_t *row = in + (size_t)y * (size_t)w * (size_t)c;
		uint8_t *to = out + (size_t)y * (size_t)ow * (size_t)c;

		for (int x = 0; x < ow; x++) {
			const int32_t *k = fixed + (size_t)x * (size_t)weights->taps;
			const uint8_t *p = row + (size_t)weights->first[x] * (size_t)c;

			for (int ch = 0; ch < c; ch++) {
				int32_t sum = 1 << (FIXED_BITS - 1);

				for (int j = 0; j < weights->n[x]; j++)
					sum += p[j * c + ch] * k[j];
				to[x * c + ch] = clip8(sum);
			}
		}
	}
	free(fixed);
}

/* in: [h][row], out: [oh][row], row samples a line */
static void
down8(uint8_t *out, const uint8_t *in, int oh, size_t row, const struct weights *weights)
{
	int32_t *fixed = fixed_weights(weights, oh);
	int32_t *sum = xmalloc(row * sizeof(*sum));

	for (int y = 0; y < oh; y++) {
		const int32_t *k = fixed + (size_t)y * (size_t)weights->taps;

		for (size_t i = 0; i < row; i++)
			sum[i] = 1 << (FIXED_BITS - 1);
		for (int j = 0; j < weights->n[y]; j++) {
			const uint8_t *p = in + (size_t)(weights->first[y] + j) * row;

			for (size_t i = 0; i < row; i++)
				sum[i] += p[i] * k[j];
		}
		for (size_t i = 0; i < row; i++)
			out[(size_t)y * row + i] = clip8(sum[i]);
	}
	free(sum);
	free(fixed);
}

/* The same on floats, each sum in double. */
static void
across_f32(float *out, const float *in, int h, int w, int ow, int c, const struct weights *weights)
{
	for (int y = 0; y < h; y++) {
		const float *row = in + (size_t)y * (size_t)w * (size_t)c;

		for (int x = 0; x < ow; x++) {
			const double *k = weights->k + (size_t)x * (size_t)weights->taps;
			const float *p = row + (size_t)weights->first[x] * (size_t)c;

			for (int ch = 0; ch < c; ch++) {
				double sum = 0;

				for (int j = 0; j < weights->n[x]; j++)
					sum += p[j * c + ch] * k[j];
				*out++ = (float)sum;
			}
		}
	}
}

static void
down_f32(float *out, const float *in, int oh, size_t row, const struct weights *weights)
{
	double *sum = xmalloc(row * sizeof(*sum));

	for (int y = 0; y < oh; y++) {
		const double *k = weights->k + (size_t)y * (size_t)weights->taps;

		memset(sum, 0, row * sizeof(*sum));
		for (int j = 0; j < weights->n[y]; j++) {
			const float *p = in + (size_t)(weights->first[y] + j) * row;

			for (size_t i = 0; i < row; i++)
				sum[i] += p[i] * k[j];
		}
		for (size_t i = 0; i < row; i++)
			*out++ = (float)sum[i];
	}
	free(sum);
}

static void
resize8(struct image *dst, const struct image *src, const struct weights *wx,
    const struct weights *wy)
{
	const uint8_t *from = src->data;
	uint8_t *mid = NULL;

	if (dst->w != src->w) {
		mid = dst->h == src->h ? dst->data :
		                         xmalloc((size_t)src->h * (size_t)dst->w * (size_t)src->c);
		across8(mid, from, src->h, src->w, dst->w, src->c, wx);
		from = mid;
	}
	if (dst->h != src->h) {
		down8(dst->data, from, dst->h, (size_t)dst->w * (size_t)dst->c, wy);
		free(mid);
	}
}

static void
resize16(struct image *dst, const struct image *src, const struct weights *wx,
    const struct weights *wy)
{
	size_t row = (size_t)dst->w * (size_t)dst->c,
	       n = (size_t)src->w * (size_t)src->h * (size_t)src->c;
	float *in = xmalloc(n * sizeof(*in)), *mid = xmalloc((size_t)src->h * row * sizeof(*mid));
	float *out = xmalloc((size_t)dst->h * row * sizeof(*out));

	for (size_t i = 0; i < n; i++)
		in[i] = ((const uint16_t *)src->data)[i];
	across_f32(mid, in, src->h, src->w, dst->w, src->c, wx);
	down_f32(out, mid, dst->h, row, wy);
	for (size_t i = 0; i < (size_t)dst->h * row; i++) {
		float x = floorf(out[i] + 0.5f);

		((uint16_t *)dst->data)[i] = (uint16_t)(x < 0 ? 0 : x > 65535 ? 65535 : x);
	}
	free(in);
	free(mid);
	free(out);
}

/* Input index of each output pixel's centre. The step is added up rather than multiplied: where a
 * centre falls on a pixel's edge, that decides as Pillow does. */
static int *
nearest_index(int in, int out)
{
	int *index = xmalloc((size_t)out * sizeof(*index));
	double step = (double)in / out, at = step * 0.5;

	for (int i = 0; i < out; i++, at += step)
		index[i] = at < in ? (int)at : in - 1;
	return index;
}

static void
nearest(struct image *dst, const struct image *src)
{
	size_t size = (size_t)src->c * (size_t)(src->bits / 8);
	int *xs = nearest_index(src->w, dst->w), *ys = nearest_index(src->h, dst->h);
	char *to = dst->data;

	for (int y = 0; y < dst->h; y++) {
		const char *row = (const char *)src->data + (size_t)ys[y] * (size_t)src->w * size;

		for (int x = 0; x < dst->w; x++, to += size)
			memcpy(to, row + (size_t)xs[x] * size, size);
	}
	free(xs);
	free(ys);
}

void
image_resize(struct image *dst, const struct image *src, int w, int h, enum image_filter filter)
{
	struct weights wx, wy;

	if (w == src->w && h == src->h) {
		image_copy(dst, src);
		return;
	}
	image_alloc(dst, w, h, src->c, src->bits);
	if (filter == FILTER_NEAREST) {
		nearest(dst, src);
		return;
	}
	weights_init(&wx, src->w, w, &kernels[filter]);
	weights_init(&wy, src->h, h, &kernels[filter]);
	if (src->bits == 8)
		resize8(dst, src, &wx, &wy);
	else
		resize16(dst, src, &wx, &wy);
	weights_release(&wx);
	weights_release(&wy);
}

static bool
good_side(int n)
{
	return n > 0 && n <= IMAGE_MAX_SIDE;
}

int
image_filter_f32(float *dst, const float *src, int c, int h, int w, int oh, int ow,
    enum image_filter filter)
{
	struct weights wx, wy;
	float *mid;

	if (!good_side(h) || !good_side(w) || !good_side(oh) || !good_side(ow) || c < 0 ||
	    filter == FILTER_NEAREST)
		return err("cannot filter %d x %d to %d x %d", w, h, ow, oh);
	weights_init(&wx, w, ow, &kernels[filter]);
	weights_init(&wy, h, oh, &kernels[filter]);
	mid = xmalloc((size_t)h * (size_t)ow * sizeof(*mid));
	for (int ch = 0; ch < c; ch++) {
		across_f32(mid, src + (size_t)ch * (size_t)h * (size_t)w, h, w, ow, 1, &wx);
		down_f32(dst + (size_t)ch * (size_t)oh * (size_t)ow, mid, oh, (size_t)ow, &wy);
	}
	free(mid);
	weights_release(&wx);
	weights_release(&wy);
	return 0;
}
