/* An item in one visit: its crop, its caption; and the samples that make up an epoch. */
#include "model/sd_data.h"

#include "base/err.h"
#include "base/rng.h"
#include "nn/loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of a visit: each purpose has its own, whatever the others draw. */
static struct rng
draws(const struct sd_data *d, const struct sd_item *it, const char *purpose, uint64_t visit)
{
	struct rng r;

	rng_init(&r, d->conf.seed, rng_stream(purpose, it->id));
	r.index = visit << 8;
	return r;
}

bool
sd_data_flipped(const struct sd_data *d, const struct sd_item *it, uint64_t visit)
{
	struct rng r = draws(d, it, "flip", visit);

	return d->conf.flip && rng_float(&r) < 0.5f;
}

const char *
sd_data_caption(const struct sd_data *d, const struct sd_item *it, uint64_t visit)
{
	struct rng r = draws(d, it, "caption", visit);

	if (d->conf.empty > 0 && rng_double(&r) < d->conf.empty)
		return "";
	return it->ntext == 1 ? it->text[0] : it->text[rng_below(&r, (uint64_t)it->ntext)];
}

/* Python's round((long - short) / 2): halves go to the even number. */
static int
middle(int room)
{
	return room % 2 == 0 ? room / 2 : room / 2 + room / 2 % 2;
}

int
sd_data_pixels(const struct sd_data *d, const struct sd_item *it, uint64_t visit, uint8_t *out)
{
	struct rng r = draws(d, it, "crop", d->conf.one_crop ? 0 : visit);
	int res = d->conf.resolution, c = d->conf.channels, x, y;
	bool flip = sd_data_flipped(d, it, visit);
	struct image read = { 0 };
	const struct image *im = &it->image;
	const uint8_t *px;

	if (!im->data) {
		if (sd_data_decode(&d->conf, it, &read))
			return -1;
		im = &read;
	}
	y = d->conf.center_crop ? middle(im->h - res)
	    : (int)rng_below(&r, (uint64_t)(im->h - res + 1));
	x = d->conf.center_crop ? middle(im->w - res)
	    : (int)rng_below(&r, (uint64_t)(im->w - res + 1));
	for (int i = 0; i < res; i++) {
		px = (const uint8_t *)im->data +
		    ((size_t)(y + i) * (size_t)im->w + (size_t)x) * (size_t)c;
		for (int k = 0; k < res; k++)
			memcpy(out + ((size_t)i * (size_t)res + (size_t)k) * (size_t)c,
			    px + (size_t)(flip ? res - 1 - k : k) * (size_t)c, (size_t)c);
	}
	image_release(&read);
	return 0;
}

void
sd_data_normalize(const uint8_t *in, size_t n, float *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = ((float)in[i] / 255.0f - 0.5f) / 0.5f;
}

/* ---- epochs ---------------------------------------------------------------------------------- */

void
sd_view_init(struct sd_view *v, struct sd_data *own, struct sd_data *prior)
{
	*v = (struct sd_view){ .own = own, .prior = prior, .n = own->n };
	if (prior && prior->n > v->n)
		v->n = prior->n;
}

struct sd_pick
sd_view_pick(const struct sd_view *v, uint32_t sample, uint64_t epoch)
{
	const struct sd_data *d = sample < v->n ? v->own : v->prior;
	size_t k = sample % v->n, again = (v->n + d->n - 1) / d->n;

	return (struct sd_pick){ d, &d->item[k % d->n], k % d->n, epoch * again + k / d->n };
}

uint32_t *
sd_view_order(const struct sd_view *v, size_t batch, uint64_t epoch, size_t *n)
{
	uint32_t *order = xmalloc((v->n + 1) * sizeof(*order)), *out;
	char **id = xmalloc((v->n + 1) * sizeof(*id));
	size_t at = 0;

	/* items that come again have names of their own */
	for (size_t i = 0; i < v->n; i++)
		id[i] = i < v->own->n ? xstrdup(v->own->item[i].id) :
		    xasprintf("%s %zu", v->own->item[i % v->own->n].id, i / v->own->n);
	loader_shuffle(order, (const char *const *)id, v->n, v->own->conf.seed, epoch);
	out = xmalloc((2 * v->n + 1) * sizeof(*out));
	for (size_t i = 0; i < v->n; i += batch) {
		size_t m = v->n - i < batch ? v->n - i : batch;

		for (size_t k = 0; k < m; k++)
			out[at++] = order[i + k];
		for (size_t k = 0; k < m && v->prior; k++)
			out[at++] = order[i + k] + (uint32_t)v->n;
	}
	for (size_t i = 0; i < v->n; i++)
		free(id[i]);
	free(id);
	free(order);
	*n = at;
	return out;
}

int
sd_view_sample(void *view, uint32_t sample, uint64_t epoch, void *dst)
{
	const struct sd_view *v = view;
	struct sd_pick p = sd_view_pick(v, sample, epoch);

	if (v->kept && v->kept(v->ctx, p.data, p.item, sd_data_flipped(p.data, p.item, p.visit)))
		return 0;
	return sd_data_pixels(p.data, p.item, p.visit, dst) ? err_prefix("%s", p.item->id) : 0;
}
