#include "model/seg_data.h"

#include "base/err.h"
#include "base/file.h"
#include "nn/loader.h"

#include <stdlib.h>
#include <string.h>

void
seg_data_init(struct seg_data *d, const struct seg_spec *spec, size_t cache)
{
	*d = (struct seg_data){ .spec = spec, .room = cache };
}

static void
item_release(struct seg_item *it)
{
	image_release(&it->image);
	free(it->labels);
	free(it->id);
	free(it->line);
	free(it->input);
	free(it->bad);
}

void
seg_data_release(struct seg_data *d)
{
	for (size_t i = 0; i < d->n; i++)
		item_release(&d->item[i]);
	free(d->item);
	*d = (struct seg_data){ 0 };
}

int
seg_data_add(struct seg_data *d, struct rec *r)
{
	struct seg_item it = { .lineno = r->lineno };
	struct sb sb = { 0 };

	if (split_set_of(r, &it.split))
		return -1;
	if (!rec_str(r, "file_name"))
		return err("no file_name");
	rec_write(r, &sb);
	it.line = sb.s;
	it.len = sb.len - 1; /* without the newline */
	it.id = xstrdup(rec_id(r));
	it.input = xstrdup(r->input ? r->input : "-");
	d->item = xgrow(d->item, &d->cap, d->n + 1, sizeof(*d->item));
	d->item[d->n++] = it;
	return 0;
}

void
seg_data_split(struct seg_data *d, double valid, double test, uint64_t seed)
{
	uint32_t *order = xmalloc((d->n + 1) * sizeof(*order));
	const char **id = xmalloc((d->n + 1) * sizeof(*id));
	size_t nv = (size_t)((double)d->n * valid + 0.5), nt;
	bool given = false;

	nt = (size_t)((double)(d->n - nv) * test + 0.5);
	for (size_t i = 0; i < d->n; i++) {
		id[i] = d->item[i].id;
		given = given || d->item[i].split >= 0;
	}
	loader_shuffle(order, id, d->n, seed, UINT64_MAX);
	for (size_t i = 0; i < d->n; i++) {
		struct seg_item *it = &d->item[order[i]];

		if (it->split < 0)
			it->split = given ? SET_TRAIN : i < nv ? SET_VALIDATION :
			    i < nv + nt ? SET_TEST : SET_TRAIN;
	}
	free(order);
	free(id);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Labels by colour. */
static int
read_colours(const struct seg_spec *s, const char *path, uint8_t **labels, int *w, int *h)
{
	struct image im = { 0 };
	int16_t *l;
	size_t n;

	if (image_read(&im, path, 0, 0))
		return -1;
	n = (size_t)im.w * (size_t)im.h;
	l = xmalloc(n * sizeof(*l));
	mask_from_colours(&im, &s->dict, l);
	*labels = xmalloc(n);
	for (size_t i = 0; i < n; i++)
		(*labels)[i] = l[i] < 0 || l[i] == s->ignore ? SEG_NO_CLASS : (uint8_t)l[i];
	*w = im.w;
	*h = im.h;
	free(l);
	image_release(&im);
	return 0;
}

/* Labels by number. */
static int
read_numbers(const struct seg_spec *s, const char *path, uint8_t **labels, int *w, int *h)
{
	struct image im = { 0 };
	size_t n;
	int r = 0;

	if (image_read_labels(&im, path))
		return -1;
	if (im.c != 1) {
		image_release(&im);
		return err("%s: a mask in colour needs a class dictionary", path);
	}
	n = (size_t)im.w * (size_t)im.h;
	*labels = xmalloc(n);
	for (size_t i = 0; i < n && !r; i++) {
		int v = im.bits == 8 ? ((uint8_t *)im.data)[i] : ((uint16_t *)im.data)[i];

		if (v == s->ignore)
			v = SEG_NO_CLASS;
		else if (v >= s->classes)
			r = err("%s: a label of %d; there are %d classes", path, v, s->classes);
		(*labels)[i] = (uint8_t)v;
	}
	*w = im.w;
	*h = im.h;
	image_release(&im);
	return r;
}

/* Foreground and background. */
static int
read_binary(const struct seg_spec *s, struct rec *r, uint8_t **labels, int *w, int *h)
{
	struct image im = { 0 };
	size_t n;
	int got;

	/* an ignored label is lost in a union */
	if (s->ignore >= 0) {
		const char *path = rec_path(r, "mask_file_name");

		if (!path || image_read_labels(&im, path))
			return -1;
		if (im.c != 1 || im.bits != 8) {
			image_release(&im);
			return err("%s: labels are wanted, 8 bits and gray or by palette", path);
		}
		got = 1;
	} else {
		got = mask_of_record(&im, r);
	}
	if (got <= 0)
		return got < 0 ? -1 : err("no mask_file_name, mask_file_names or mask_rle");
	n = (size_t)im.w * (size_t)im.h;
	*labels = xmalloc(n);
	for (size_t i = 0; i < n; i++) {
		int v = ((uint8_t *)im.data)[i];

		(*labels)[i] = v == s->ignore ? SEG_NO_CLASS : v != 0;
	}
	*w = im.w;
	*h = im.h;
	image_release(&im);
	return 0;
}

static int
read_labels(const struct seg_spec *s, struct rec *r, uint8_t **labels, int *w, int *h)
{
	const char *path;

	*labels = NULL;
	if (s->mode == SEG_BINARY && !s->dict.n)
		return read_binary(s, r, labels, w, h);
	path = rec_path(r, "mask_file_name");
	if (!path)
		return -1;
	return s->dict.n ? read_colours(s, path, labels, w, h) : read_numbers(s, path, labels, w,
	    h);
}

int
seg_read(const struct seg_spec *s, struct rec *r, struct image *im, uint8_t **labels)
{
	const char *path = rec_path(r, "file_name");
	int w = 0, h = 0, ret = 0;

	if (!path || image_read(im, path, s->channels, 0))
		return -1;
	if (!labels)
		return 0;
	ret = read_labels(s, r, labels, &w, &h);
	if (!ret && (w != im->w || h != im->h))
		ret = err("the mask is %d x %d, the image %d x %d", w, h, im->w, im->h);
	if (!ret)
		return 0;
	free(*labels);
	*labels = NULL;
	image_release(im);
	return ret;
}

float *
seg_planar(const struct image *im, int c)
{
	size_t n = (size_t)im->w * (size_t)im->h;
	float *out = xmalloc(n * (size_t)c * sizeof(*out));
	const uint8_t *b = im->data;
	const uint16_t *s = im->data;

	for (int k = 0; k < c; k++) {
		size_t at = im->c == 1 ? 0 : (size_t)k, step = (size_t)im->c;

		for (size_t i = 0; i < n; i++)
			out[(size_t)k * n + i] = im->bits == 8 ? (float)b[i * step + at] / 255.0f :
			                                         (float)s[i * step + at] / 65535.0f;
	}
	return out;
}

int
seg_item_read(const struct seg_data *d, const struct seg_item *it, struct image *im,
    uint8_t **labels)
{
	struct rec r = { 0 };
	int ret = rec_parse(&r, it->line, it->len);

	r.input = it->input;
	r.lineno = it->lineno;
	if (!ret)
		ret = seg_read(d->spec, &r, im, labels);
	rec_release(&r);
	return ret;
}

static void
read_one(void *ctx, size_t i)
{
	struct seg_data *d = ctx;
	struct seg_item *it = &d->item[i];
	struct image im = { 0 };
	uint8_t *labels = NULL;
	size_t pixels, size;

	if (seg_item_read(d, it, &im, &labels)) {
		it->bad = xstrdup(errmsg());
		return;
	}
	it->w = im.w;
	it->h = im.h;
	pixels = (size_t)im.w * (size_t)im.h;
	size = pixels * (size_t)im.c * (size_t)im.bits / 8 + pixels;
	if (threads_take(&d->room, size)) {
		it->image = im;
		it->labels = labels;
		return;
	}
	image_release(&im);
	free(labels);
}

size_t
seg_data_read(struct seg_data *d, int jobs, int (*stop)(void))
{
	size_t bad = 0;

	threads_each(d->n, (size_t)jobs, stop, read_one, d);
	for (size_t i = 0; i < d->n; i++)
		bad += d->item[i].bad != NULL;
	return bad;
}

void
seg_data_drop_bad(struct seg_data *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n; i++)
		if (d->item[i].bad)
			item_release(&d->item[i]);
		else
			d->item[n++] = d->item[i];
	d->n = n;
}
