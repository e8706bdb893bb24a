/* Samples of a split, and batches of them on the device. */
#include "model/seg_data.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

static size_t
pixels_of(const struct seg_view *v)
{
	return (size_t)v->w * (size_t)v->h;
}

static int
round_up(int x, int unit)
{
	return (x + unit - 1) / unit * unit;
}

void
seg_view_init(struct seg_view *v, struct seg_data *d, int split, const struct augment *a,
    uint64_t seed, int unit)
{
	const struct seg_spec *s = d->spec;
	int w = 1, h = 1;

	*v = (struct seg_view){ .data = d, .augment = a, .seed = seed };
	v->item = xmalloc((d->n + 1) * sizeof(*v->item));
	v->id = xmalloc((d->n + 1) * sizeof(*v->id));
	for (size_t i = 0; i < d->n; i++) {
		if (d->item[i].split != split)
			continue;
		v->item[v->n] = (uint32_t)i;
		v->id[v->n++] = d->item[i].id;
		w = d->item[i].w > w ? d->item[i].w : w;
		h = d->item[i].h > h ? d->item[i].h : h;
	}
	if (s->resize_w) {
		w = s->resize_w;
		h = s->resize_h;
	}
	if (a && s->crop_w) {
		w = s->crop_w;
		h = s->crop_h;
	}
	v->w = round_up(w, unit);
	v->h = round_up(h, unit);
	/* images of odd shapes may need more than any of them has */
	if (pixels_of(v) > IMAGE_MAX_PIXELS)
		die("images that keep their sizes would share one of %d x %d pixels, more than %d "
		    "in all: --image-size or --crop make them smaller", v->w, v->h,
		    IMAGE_MAX_PIXELS);
}

void
seg_view_release(struct seg_view *v)
{
	free(v->item);
	free(v->id);
	*v = (struct seg_view){ 0 };
}

/* A sample is the image, float [h][w][c], then its mask: uint8_t [h][w], or float
 * [h][w][classes]. */
size_t
seg_sample_bytes(const struct seg_view *v)
{
	const struct seg_spec *s = v->data->spec;
	size_t n = pixels_of(v), mask = s->soft ? n * (size_t)s->classes * sizeof(float) : n;

	return n * (size_t)s->channels * sizeof(float) + (mask + 15) / 16 * 16;
}

/* What lies outside of an image that is smaller than the sample counts for nothing when judging. */
static void
blank_outside(uint8_t *labels, int w, int h, int iw, int ih)
{
	int left = (w - iw) / 2, top = (h - ih) / 2;

	for (int y = 0; y < h; y++)
		for (int x = 0; x < w; x++)
			if (x < left || x >= left + iw || y < top || y >= top + ih)
				labels[(size_t)y * (size_t)w + (size_t)x] = SEG_NO_CLASS;
}

/* Stretches planes in place of *p. */
static int
stretch(float **p, int c, int h, int w, int oh, int ow, bool antialias)
{
	float *out = xmalloc((size_t)c * (size_t)oh * (size_t)ow * sizeof(*out));

	if (image_resize_f32(out, *p, c, h, w, oh, ow, antialias)) {
		free(out);
		return -1;
	}
	free(*p);
	*p = out;
	return 0;
}

/* [c][n] -> [n][c] */
static void
interleave(float *dst, const float *src, size_t n, int c)
{
	for (int k = 0; k < c; k++)
		for (size_t i = 0; i < n; i++)
			dst[i * (size_t)c + (size_t)k] = src[(size_t)k * n + i];
}

/* The mask as a plane of 0 and 1 for each class. */
static float *
planes_of(const struct seg_spec *s, const uint8_t *labels, size_t n)
{
	float *p = xcalloc(n * (size_t)s->classes, sizeof(*p));

	for (size_t i = 0; i < n; i++)
		if (s->mode == SEG_BINARY)
			p[i] = labels[i] == 1;
		else if (labels[i] < s->classes)
			p[(size_t)labels[i] * n + i] = 1;
	return p;
}

static int
make_mask(const struct seg_view *v, const uint8_t *labels, int w, int h,
    const struct augment_draw *draw, void *dst)
{
	const struct seg_spec *s = v->data->spec;
	bool resize = s->resize_w && (s->resize_w != w || s->resize_h != h);
	uint8_t *small = NULL;

	if (s->soft) {
		float *p = planes_of(s, labels, (size_t)w * (size_t)h), *q;

		if (resize &&
		    stretch(&p, s->classes, h, w, s->resize_h, s->resize_w, s->antialias)) {
			free(p);
			return -1;
		}
		q = xmalloc(pixels_of(v) * (size_t)s->classes * sizeof(*q));
		augment_warp(q, p, s->classes, resize ? s->resize_h : h, resize ? s->resize_w : w,
		    draw, v->h, v->w);
		interleave(dst, q, pixels_of(v), s->classes);
		free(p);
		free(q);
		return 0;
	}
	if (resize) {
		small = xmalloc((size_t)s->resize_w * (size_t)s->resize_h);
		for (int y = 0; y < s->resize_h; y++)
			for (int x = 0; x < s->resize_w; x++) {
				/* the pixel under the centre */
				int sx = (int)((2 * (int64_t)x + 1) * w / (2 * s->resize_w));
				int sy = (int)((2 * (int64_t)y + 1) * h / (2 * s->resize_h));

				small[(size_t)y * (size_t)s->resize_w + (size_t)x] =
				    labels[(size_t)sy * (size_t)w + (size_t)sx];
			}
		w = s->resize_w;
		h = s->resize_h;
		labels = small;
	}
	augment_warp_labels(dst, labels, h, w, draw, v->h, v->w);
	if (!v->augment)
		blank_outside(dst, v->w, v->h, w, h);
	free(small);
	return 0;
}

static int
make_image(const struct seg_view *v, const struct image *im, const struct augment_draw *draw,
    float *dst)
{
	const struct seg_spec *s = v->data->spec;
	float *p = seg_planar(im, s->channels), *q;
	size_t n = pixels_of(v);
	int w = im->w, h = im->h;

	if (s->resize_w && (s->resize_w != w || s->resize_h != h)) {
		if (stretch(&p, s->channels, h, w, s->resize_h, s->resize_w, s->antialias)) {
			free(p);
			return -1;
		}
		w = s->resize_w;
		h = s->resize_h;
	}
	q = xmalloc(n * (size_t)s->channels * sizeof(*q));
	augment_warp(q, p, s->channels, h, w, draw, v->h, v->w);
	augment_colour(q, s->channels, v->h, v->w, draw);
	for (int k = 0; k < s->channels; k++)
		for (size_t i = 0; i < n; i++)
			dst[i * (size_t)s->channels + (size_t)k] =
			    (q[(size_t)k * n + i] - (float)s->mean[k]) / (float)s->std[k];
	free(p);
	free(q);
	return 0;
}

int
seg_sample(void *ctx, uint32_t i, uint64_t epoch, void *dst)
{
	const struct seg_view *v = ctx;
	const struct seg_spec *s = v->data->spec;
	const struct seg_item *it = &v->data->item[v->item[i]];
	struct augment_draw draw = augment_none();
	struct image im = it->image;
	uint8_t *labels = it->labels;
	bool own = !labels;
	int r;

	if (own && seg_item_read(v->data, it, &im, &labels))
		return err_prefix("%s", it->id);
	if (v->augment)
		augment_draw(&draw, v->augment, v->seed, it->id, epoch);
	r = make_image(v, &im, &draw, dst);
	if (!r)
		r = make_mask(v, labels, im.w, im.h, &draw,
		    (float *)dst + pixels_of(v) * (size_t)s->channels);
	if (own) {
		image_release(&im);
		free(labels);
	}
	return r;
}

/* ---- batches --------------------------------------------------------------------------------- */

static const char *
mask_at(const struct seg_view *v, const void *samples, size_t i)
{
	return (const char *)samples + i * seg_sample_bytes(v) +
	    pixels_of(v) * (size_t)v->data->spec->channels * sizeof(float);
}

/* Labels of n samples -> the target: numbers, or a plane for each class; and what counts. */
static void
upload_labels(const struct seg_view *v, size_t n, const void *samples, struct seg_target *t)
{
	const struct seg_spec *s = v->data->spec;
	size_t px = pixels_of(v), c = (size_t)s->classes;
	int64_t dim[4] = { (int64_t)n, v->h, v->w, s->classes };
	int32_t *num = xmalloc(n * px * sizeof(*num));
	float *ok = xmalloc(n * px * sizeof(*ok)), *dense = NULL;
	bool all = true;

	if (s->mode != SEG_MULTICLASS)
		dense = xcalloc(n * px * c, sizeof(*dense));
	for (size_t i = 0; i < n; i++) {
		const uint8_t *l = (const uint8_t *)mask_at(v, samples, i);

		for (size_t k = 0; k < px; k++) {
			size_t at = i * px + k;

			num[at] = l[k];
			ok[at] = l[k] != SEG_NO_CLASS;
			all = all && ok[at] > 0;
			if (s->mode == SEG_BINARY)
				dense[at] = l[k] == 1;
			else if (dense && l[k] < s->classes)
				dense[at * c + l[k]] = 1;
		}
	}
	if (dense)
		t->dense = tensor_from(F32, 4, dim, dense);
	else
		t->labels = tensor_from(I32, 3, dim, num);
	dim[3] = 1;
	t->valid = all ? NULL : tensor_from(F32, 4, dim, ok);
	free(num);
	free(ok);
	free(dense);
}

struct tensor *
seg_upload(const struct seg_view *v, size_t n, const void *samples, struct seg_target *t)
{
	const struct seg_spec *s = v->data->spec;
	size_t px = pixels_of(v), row = px * (size_t)s->channels, plane = px * (size_t)s->classes;
	float *x = xmalloc(n * row * sizeof(*x));
	int64_t dim[4] = { (int64_t)n, v->h, v->w, s->channels };
	struct tensor *in;

	for (size_t i = 0; i < n; i++)
		memcpy(x + i * row, (const char *)samples + i * seg_sample_bytes(v),
		    row * sizeof(*x));
	in = tensor_from(F32, 4, dim, x);
	free(x);
	*t = (struct seg_target){ 0 };
	if (!s->soft) {
		upload_labels(v, n, samples, t);
		return in;
	}
	x = xmalloc(n * plane * sizeof(*x));
	for (size_t i = 0; i < n; i++)
		memcpy(x + i * plane, mask_at(v, samples, i), plane * sizeof(*x));
	dim[3] = s->classes;
	t->dense = tensor_from(F32, 4, dim, x);
	free(x);
	return in;
}

void
seg_labels(const struct seg_view *v, const void *samples, size_t i, uint8_t *out)
{
	const struct seg_spec *s = v->data->spec;
	const char *mask = mask_at(v, samples, i);
	const float *p = (const float *)mask;

	if (!s->soft) {
		memcpy(out, mask, pixels_of(v));
		return;
	}
	for (size_t k = 0; k < pixels_of(v); k++) {
		out[k] = s->mode == SEG_BINARY ? p[k] >= 1 : SEG_NO_CLASS;
		for (int c = 0; c < s->classes && s->mode != SEG_BINARY; c++)
			if (p[k * (size_t)s->classes + (size_t)c] >= 1)
				out[k] = (uint8_t)c;
	}
}

void
seg_class_pixels(const struct seg_view *v, double *count)
{
	const struct seg_spec *s = v->data->spec;

	for (int c = 0; c < s->classes; c++)
		count[c] = 0;
	for (size_t i = 0; i < v->n; i++) {
		const struct seg_item *it = &v->data->item[v->item[i]];
		struct image im = { 0 };
		uint8_t *labels = it->labels;
		size_t n = (size_t)it->w * (size_t)it->h;

		if (!labels && seg_item_read(v->data, it, &im, &labels))
			die("%s: %s", it->id, errmsg());
		for (size_t k = 0; k < n; k++) {
			if (s->mode == SEG_BINARY)
				count[0] += labels[k] == 1;
			else if (labels[k] < s->classes)
				count[labels[k]]++;
		}
		if (!it->labels) {
			image_release(&im);
			free(labels);
		}
	}
}
