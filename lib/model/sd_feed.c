#include "model/sd_feed.h"

#include "base/err.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A side of latents. */
static int64_t
side(const struct sd_feed *f)
{
	return f->view.own->conf.resolution / vae_factor(&f->p->vae);
}

size_t
sd_feed_latent(const struct sd_feed *f)
{
	return 2 * (size_t)(side(f) * side(f)) * (size_t)f->p->cfg.vae.latent;
}

size_t
sd_feed_state(const struct sd_feed *f)
{
	return (size_t)pipeline_tokens(f->p) * (size_t)f->p->cfg.text.width;
}

static size_t
latent_place(const struct sd_feed *f, const struct sd_data *d, size_t item, bool flipped)
{
	return 2 * ((d == f->view.own ? 0 : f->view.own->n) + item) + flipped;
}

static size_t
place_of(const struct sd_feed *f, const struct sd_pick *p)
{
	return latent_place(f, p->data, p->index, sd_data_flipped(p->data, p->item, p->visit));
}

static bool
kept(void *ctx, const struct sd_data *d, const struct sd_item *it, bool flipped)
{
	const struct sd_feed *f = ctx;

	return sd_cache_has(f->latents, latent_place(f, d, (size_t)(it - d->item), flipped));
}

void
sd_feed_attach(struct sd_feed *f)
{
	if (!f->latents)
		return;
	f->view.kept = kept;
	f->view.ctx = f;
}

/* Numbers of a visit: what for, and of whom. */
static struct rng
draws(const struct sd_pick *p, const char *purpose)
{
	struct rng r;

	rng_init(&r, p->data->conf.seed, rng_stream(purpose, p->item->id));
	r.index = p->visit << 36;
	return r;
}

/* ---- latents --------------------------------------------------------------------------------- */

int
sd_feed_at_once(int resolution)
{
	int64_t n = 512 * 512 / ((int64_t)resolution * resolution);

	return n < 1 ? 1 : (int)n;
}

/* Mean and log variance of n images px, [n,h,w,channels]; out: n entries, each as if it had been
 * alone. */
static int
encode(const struct sd_feed *f, const struct sd_pick *const *p, size_t n, const uint8_t *px,
    float *out)
{
	const struct sd_data_conf *c = &p[0]->data->conf;
	size_t all = n * (size_t)c->resolution * (size_t)c->resolution * (size_t)c->channels;
	size_t entry = sd_feed_latent(f), half = entry / 2;
	float *v = xmalloc(all * sizeof(*v)), *m = xmalloc(n * entry * sizeof(*m));
	struct tensor *mean, *logvar;
	bool was = grads_set(false);
	int64_t samples = op_samples((int64_t)n);
	int ret = 0;

	sd_data_normalize(px, all, v);
	scope_open();
	vae_encode(&f->p->vae, tensor_from(f->p->vae.ps.dtype, 4,
	    (int64_t[]){ (int64_t)n, c->resolution, c->resolution, c->channels }, v), &mean,
	    &logvar);
	tensor_get(op_cast(mean, F32), m);
	tensor_get(op_cast(logvar, F32), m + n * half);
	scope_close();
	op_samples(samples);
	grads_set(was);
	for (size_t i = 0; i < n && ret == 0; i++) {
		float *to = out + i * entry;

		memcpy(to, m + i * half, half * sizeof(*m));
		memcpy(to + half, m + (n + i) * half, half * sizeof(*m));
		for (size_t k = 0; k < entry && ret == 0; k++)
			if (!isfinite(to[k]))
				ret = err("%s: the autoencoder makes numbers of it that are none",
				    p[i]->item->id);
	}
	free(v);
	free(m);
	return ret;
}

/* Means and log variances of the images px of n picks: those kept, and the others a few at a
 * time. */
static int
moments(const struct sd_feed *f, const struct sd_pick *p, size_t n, const uint8_t *px, float *out)
{
	const struct sd_data_conf *c = &f->view.own->conf;
	size_t bytes = (size_t)c->resolution * (size_t)c->resolution * (size_t)c->channels;
	size_t entry = sd_feed_latent(f), most = (size_t)sd_feed_at_once(c->resolution), k = 0;
	const struct sd_pick **todo = xmalloc(most * sizeof(*todo));
	uint8_t *shown = xmalloc(most * bytes);
	float *made = xmalloc(most * entry * sizeof(*made));
	int ret = 0;

	for (size_t i = 0; i < n && ret == 0; i++) {
		if (!f->latents || !sd_cache_get(f->latents, place_of(f, &p[i]), out + i * entry)) {
			memcpy(shown + k * bytes, px + i * bytes, bytes);
			todo[k++] = &p[i];
		}
		if (k == 0 || (k < most && i + 1 < n))
			continue;
		ret = encode(f, todo, k, shown, made);
		for (size_t j = 0; j < k && ret == 0; j++) {
			const float *m = made + j * entry;

			memcpy(out + (size_t)(todo[j] - p) * entry, m, entry * sizeof(*m));
			if (f->latents)
				sd_cache_put(f->latents, place_of(f, todo[j]), m);
		}
		k = 0;
	}
	free(todo);
	free(shown);
	free(made);
	return ret;
}

/* A sample of the autoencoder's normal of mean and log variance m, scaled: [h,w,c]. */
static void
latents(const struct sd_feed *f, const struct sd_pick *p, const float *m, float *out)
{
	size_t half = sd_feed_latent(f) / 2;
	struct rng r = draws(p, "latent");

	for (size_t i = 0; i < half; i++)
		out[i] = (float)f->p->cfg.vae.scaling *
		    (m[i] + expf(0.5f * m[half + i]) * (float)rng_normal(&r));
}

/* Noise [h,w,c] of one sample, and what is added to its latents. */
static void
noise(const struct sd_feed *f, const struct sd_pick *p, float *out, float *shown)
{
	int64_t c = f->p->cfg.vae.latent, px = side(f) * side(f);
	struct rng r = draws(p, "noise");

	for (int64_t i = 0; i < px * c; i++)
		out[i] = (float)rng_normal(&r);
	if (f->noise_offset > 0) {
		r = draws(p, "noise offset");
		for (int64_t k = 0; k < c; k++) {
			float d = (float)(f->noise_offset * rng_normal(&r));

			for (int64_t i = 0; i < px; i++)
				out[i * c + k] += d;
		}
	}
	if (f->perturbation > 0) {
		r = draws(p, "perturbation");
		for (int64_t i = 0; i < px * c; i++)
			shown[i] = out[i] + (float)(f->perturbation * rng_normal(&r));
	}
}

/* ---- what the images are of ------------------------------------------------------------------ */

/* Ids of a caption; returns how many there are without padding. */
static int
ids_of(const struct sd_feed *f, const char *text, int32_t *ids)
{
	int n = pipeline_encode(f->p, text, ids), most = pipeline_tokens(f->p);

	return n > most ? most : n;
}

/* The states of one caption, [tokens,width]. */
static int
states_of(struct sd_feed *f, const char *text, float *out)
{
	int64_t tokens = pipeline_tokens(f->p);
	size_t place = (size_t)intern_add(f->texts, text);
	int32_t *ids;
	bool was;

	sd_cache_grow(f->states, place + 1);
	if (sd_cache_get(f->states, place, out))
		return 0;
	ids = xcalloc((size_t)tokens, sizeof(*ids));
	if (ids_of(f, text, ids) < 0) {
		free(ids);
		return -1;
	}
	was = grads_set(false);
	scope_open();
	tensor_get(op_cast(clip_forward(&f->p->text,
	    tensor_from(I32, 2, (int64_t[]){ 1, tokens }, ids), NULL), F32), out);
	scope_close();
	grads_set(was);
	free(ids);
	sd_cache_put(f->states, place, out);
	return 0;
}

/* [n,T,width]: T tokens, or as many as the longest of the captions has. States know only what
 * stands before them, so that leaving off the end changes none of the rest. */
static struct tensor *
text_context(struct sd_feed *f, const struct sd_pick *p, size_t n)
{
	int64_t tokens = pipeline_tokens(f->p), width = f->p->cfg.text.width, most = 0;
	size_t each = sd_feed_state(f);
	int32_t *ids = xcalloc(n * (size_t)tokens, sizeof(*ids));
	float *v = f->train_text ? NULL : xmalloc(n * each * sizeof(*v));
	struct tensor *c = NULL;
	bool bad = false;

	for (size_t i = 0; i < n && !bad; i++) {
		const char *text = sd_data_caption(p[i].data, p[i].item, p[i].visit);
		int long_ = f->longest || f->train_text
		    ? ids_of(f, text, ids + i * (size_t)tokens) : (int)tokens;

		most = long_ > most ? long_ : most;
		bad = long_ < 0 || (v && states_of(f, text, v + i * each));
	}
	if (!bad) {
		c = v ? tensor_from(F32, 3, (int64_t[]){ (int64_t)n, tokens, width }, v)
		      : clip_forward(&f->p->text,
		            tensor_from(I32, 2, (int64_t[]){ (int64_t)n, tokens }, ids), NULL);
		if (f->longest && most < tokens)
			c = op_slice(c, 1, 0, most);
	}
	free(ids);
	free(v);
	return c;
}

static struct tensor *
class_context(const struct sd_feed *f, const struct sd_pick *p, size_t n)
{
	int32_t *ids = xcalloc(n, sizeof(*ids));
	struct tensor *c;

	for (size_t i = 0; i < n; i++)
		ids[i] = p[i].item->cls;
	c = class_embed_forward(&f->p->classes,
	    tensor_from(I32, 1, (int64_t[]){ (int64_t)n }, ids));
	free(ids);
	return c;
}

/* ---- batches --------------------------------------------------------------------------------- */

static int
time_of(const struct sd_feed *f, const struct sd_pick *p)
{
	struct rng r = draws(p, "timestep");

	if (f->even)
		return (int)(((double)p->index + 0.5) / (double)f->view.own->n * f->times);
	return (int)rng_below(&r, (uint64_t)f->times);
}

int
sd_feed_batch(struct sd_feed *f, const struct loader_batch *lb, uint64_t epoch, struct sd_batch *b)
{
	size_t entry = sd_feed_latent(f), each = entry / 2, n = lb->n;
	int64_t dim[] = { (int64_t)n, side(f), side(f), f->p->cfg.vae.latent };
	struct sd_pick *p = xmalloc(n * sizeof(*p));
	float *m = xmalloc(n * entry * sizeof(*m)), *x = xmalloc(3 * n * each * sizeof(*x));
	float *e = x + n * each, *s = e + n * each;
	int ret;

	f->t = xgrow(f->t, &f->cap, n, sizeof(*f->t));
	*b = (struct sd_batch){ .t = f->t };
	for (size_t i = 0; i < n; i++) {
		p[i] = sd_view_pick(&f->view, lb->item[i], epoch);
		b->prior += p[i].data != f->view.own;
		f->t[i] = time_of(f, &p[i]);
	}
	ret = moments(f, p, n, lb->data, m);
	for (size_t i = 0; i < n && ret == 0; i++) {
		latents(f, &p[i], m + i * entry, x + i * each);
		noise(f, &p[i], e + i * each, s + i * each);
	}
	if (ret == 0) {
		b->x = tensor_from(F32, 4, dim, x);
		b->noise = tensor_from(F32, 4, dim, e);
		if (f->perturbation > 0)
			b->shown = tensor_from(F32, 4, dim, s);
		b->context = f->p->has[SD_CLASSES] ? class_context(f, p, lb->n)
		    : text_context(f, p, lb->n);
		ret = b->context ? 0 : -1;
	}
	free(p);
	free(m);
	free(x);
	return ret;
}

void
sd_feed_release(struct sd_feed *f)
{
	free(f->t);
	f->t = NULL;
	f->cap = 0;
}
