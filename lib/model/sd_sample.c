#include "model/sd_sample.h"

#include "base/err.h"
#include "model/sd_room.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	TEXTS = 256,      /* states kept */
	MANY_TEXTS = 16,  /* for fewer the text encoder is not brought back time and again */
	LITTLE = 16 << 20 /* bytes in the pool that stay */
};

struct text_state {
	char *text;
	float *v; /* [tokens, width] */
};

void
sd_sample_init(struct sd_sample *s, struct pipeline *p)
{
	*s = (struct sd_sample){ .p = p, .tile = -1 };
	s->text = xcalloc(TEXTS, sizeof(*s->text));
}

static void
forget_texts(struct sd_sample *s)
{
	for (size_t i = 0; i < s->ntext; i++) {
		free(s->text[i].text);
		free(s->text[i].v);
	}
	s->ntext = s->next = 0;
}

void
sd_sample_release(struct sd_sample *s)
{
	forget_texts(s);
	free(s->text);
	*s = (struct sd_sample){ 0 };
}

static bool
guided(const struct sd_job *j)
{
	return j->guidance != 1;
}

/* Steps left out at the beginning of a job that starts from an image. */
static int
skipped(const struct sd_job *j)
{
	int made = (int)(j->steps * j->strength);

	return j->init ? j->steps - (made < j->steps ? made : j->steps) : 0;
}

int
sd_job_check(const struct sd_sample *s, const struct sd_job *j)
{
	int f = vae_factor(&s->p->vae);
	struct sampler probe;

	if (j->width < f || j->height < f || j->width % f || j->height % f)
		return err("%d x %d pixels: sides must be multiples of %d", j->width, j->height, f);
	if ((int64_t)j->width * j->height > IMAGE_MAX_PIXELS)
		return err("%d x %d pixels are too many", j->width, j->height);
	if (sampler_init(&probe, &s->p->noise, j->sampler, j->steps, 1))
		return -1;
	sampler_release(&probe);
	if (s->p->has[SD_CLASSES] && guided(j))
		return err("guidance_scale %g: a model of classes knows no guidance (1)",
		    j->guidance);
	if (!s->p->has[SD_CLASSES] && !j->text)
		return err("no text");
	if (skipped(j) >= j->steps)
		return err("strength %g leaves none of %d steps", j->strength, j->steps);
	return 0;
}

bool
sd_job_alike(const struct sd_job *a, const struct sd_job *b)
{
	return a->width == b->width && a->height == b->height && a->steps == b->steps &&
	    a->sampler == b->sampler && guided(a) == guided(b) && skipped(a) == skipped(b);
}

/* Bytes that may be used: nine tenths, less what lies unused in the blocks that small buffers are
 * cut from. */
static uint64_t
room(void)
{
	const uint64_t most = gpu_info()->memory / 10 * 9, blocks = (uint64_t)32 << 20;

	return most > blocks ? most - blocks : 0;
}

/* What is known of a job's size. */
static struct sd_fit *
fit_of(struct sd_sample *s, const struct sd_job *j)
{
	struct sd_fit *f = &s->fit;

	if (f->width != j->width || f->height != j->height || f->guided != guided(j))
		*f = (struct sd_fit){ j->width, j->height, 0, -1, guided(j) };
	return f;
}

int
sd_sample_batch(struct sd_sample *s, const struct sd_job *j)
{
	int factor = vae_factor(&s->p->vae), halves = guided(j) ? 2 : 1, n, most = 64;
	int64_t h = j->height / factor, w = j->width / factor;
	int64_t busy = gpu_info()->cpu ? 2048 : 65536; /* latent pixels that keep the device busy */
	struct sd_fit *fit = fit_of(s, j);

	if (fit->batch)
		return fit->batch;
	n = (int)(busy / (h * w * halves) < most ? busy / (h * w * halves) : most);
	while (n > 1) {
		uint64_t bytes = sd_room_unet(s->p, (int64_t)n * halves, h, w);
		int less = (int)((double)n * (double)room() / (double)bytes);

		if (bytes <= room())
			break;
		n = less < n ? less : n - 1;
	}
	return fit->batch = n < 1 ? 1 : n;
}

int
sd_sample_tile(struct sd_sample *s, const struct sd_job *j)
{
	int factor = vae_factor(&s->p->vae);
	struct sd_fit *fit = fit_of(s, j);

	if (s->tile >= 0)
		return s->tile;
	if (fit->tile >= 0)
		return fit->tile;
	fit->tile = 0;
	for (int tile = 128; tile > 8 &&
	     sd_room_decode(s->p, j->height / factor, j->width / factor, fit->tile) > room();)
		fit->tile = tile /= 2;
	return fit->tile;
}

/* ---- what the batch is told: text states or classes ------------------------------------------ */

static int64_t
state_size(const struct pipeline *p, int64_t *tokens)
{
	*tokens = p->has[SD_CLASSES] ? p->cfg.classes.tokens : pipeline_tokens(p);
	return *tokens * p->cfg.unet.context;
}

static const float *
known(const struct sd_sample *s, const char *text)
{
	for (size_t i = 0; i < s->ntext; i++)
		if (strcmp(s->text[i].text, text) == 0)
			return s->text[i].v;
	return NULL;
}

/* A part of the model that is wanted now. */
static void
want(int ret)
{
	if (ret)
		die("%s", errmsg());
}

/* Each text by itself, so that its states do not depend on its neighbours. */
static const float *
text_states(struct sd_sample *s, const char *text)
{
	struct pipeline *p = s->p;
	int64_t tokens, n = state_size(p, &tokens);
	const float *v = known(s, text);
	struct text_state *t;
	int32_t *ids;

	if (v)
		return v;
	ids = xcalloc((size_t)tokens, sizeof(*ids));
	if (pipeline_encode(p, text, ids) < 0) {
		free(ids);
		return NULL;
	}
	want(pipeline_want(p, SD_TEXT));
	s->made++;
	t = &s->text[s->next];
	if (s->next < s->ntext) {
		free(t->text);
		free(t->v);
	} else {
		s->ntext++;
	}
	s->next = (s->next + 1) % TEXTS;
	*t = (struct text_state){ xstrdup(text), xcalloc((size_t)n, sizeof(float)) };
	scope_open();
	tensor_get(op_cast(clip_forward(&p->text,
	    tensor_from(I32, 2, (int64_t[]){ 1, tokens }, ids), NULL), F32), t->v);
	scope_close();
	free(ids);
	return t->v;
}

static const char *
negative(const struct sd_job *j)
{
	return j->negative ? j->negative : "";
}

bool
sd_sample_knows(const struct sd_sample *s, const struct sd_job *j)
{
	if (s->p->has[SD_CLASSES] || s->p->there[SD_TEXT])
		return true;
	return known(s, j->text) && (!guided(j) || known(s, negative(j)));
}

/* The text encoder goes when it has done its work; one that comes back for little stays. */
static void
texts_done(struct sd_sample *s)
{
	if (!s->made)
		return;
	if (s->rounds++ && s->made < MANY_TEXTS)
		s->stays = true;
	s->made = 0;
	if (!s->stays) {
		pipeline_leave(s->p, SD_TEXT);
		gpu_trim_to(LITTLE);
	}
	s->fit = (struct sd_fit){ 0 };
}

void
sd_sample_texts(struct sd_sample *s, const struct sd_job *const *j, size_t n)
{
	bool was = grads_set(false);

	/* what one cannot have is told when it is made */
	for (size_t i = 0; i < n && i < TEXTS / 2; i++)
		if (text_states(s, j[i]->text) && guided(j[i]))
			text_states(s, negative(j[i]));
	texts_done(s);
	grads_set(was);
}

/* [N or 2N, tokens, width], what is not wanted first. Held. NULL with a message. */
static struct tensor *
context(struct sd_sample *s, const struct sd_job *j, int n)
{
	struct pipeline *p = s->p;
	int64_t tokens, size = state_size(p, &tokens), halves = guided(j) ? 2 : 1;
	float *v = xcalloc((size_t)(halves * n * size), sizeof(*v));
	struct tensor *c = NULL;
	bool bad = false;

	scope_open();
	for (int i = 0; i < n && !bad; i++) {
		if (p->has[SD_CLASSES]) {
			struct tensor *id =
			    tensor_from(I32, 1, (int64_t[]){ 1 }, &(int32_t){ j[i].cls });

			want(pipeline_want(p, SD_CLASSES));
			tensor_get(op_cast(class_embed_forward(&p->classes, id), F32),
			    v + i * size);
			continue;
		}
		for (int64_t h = 0; h < halves && !bad; h++) {
			const float *t =
			    text_states(s, h + 1 < halves ? negative(&j[i]) : j[i].text);

			bad = !t;
			if (t)
				memcpy(v + (h * n + i) * size, t, (size_t)size * sizeof(*v));
		}
	}
	texts_done(s);
	if (!bad)
		c = tensor_hold(tensor_from(p->dtype[SD_UNET], 3,
		    (int64_t[]){ halves * n, tokens, p->cfg.unet.context }, v));
	scope_close();
	free(v);
	return c;
}

/* ---- latents --------------------------------------------------------------------------------- */

struct latents {
	int64_t c, h, w, n; /* n: c h w */
};

struct chain {
	struct sampler sampler;
	struct noise_rng rng;
	float *x, *in, *out; /* [c,h,w] */
};

/* [c][px] to [px][c] when `inward`, and back. */
static void
turn(float *to, const float *from, int64_t c, int64_t px, bool inward)
{
	for (int64_t k = 0; k < c; k++)
		for (int64_t i = 0; i < px; i++)
			if (inward)
				to[i * c + k] = from[k * px + i];
			else
				to[k * px + i] = from[i * c + k];
}

static bool
all_finite(const float *v, size_t n)
{
	bool ok = true;

	for (size_t i = 0; i < n; i++)
		ok &= isfinite(v[i]) != 0;
	return ok;
}

static void
draw_own(float *out, size_t n, void *ctx)
{
	noise_rng_normal(ctx, out, n);
}

/* The latents of an image, as diffusers: a sample of the autoencoder's normal. */
static int
encode_image(struct sd_sample *s, const struct sd_job *j, const struct latents *l,
    const float *noise, float *x)
{
	struct pipeline *p = s->p;
	const uint8_t *px = j->init->data;
	size_t np = (size_t)j->width * (size_t)j->height * 3;
	float *v = xmalloc((np > (size_t)l->n ? np : (size_t)l->n) * sizeof(*v)), *logvar;
	const struct vae *vae = pipeline_want_encoder(p);
	struct tensor *m, *lv;

	if (!vae)
		die("%s", errmsg());
	logvar = xmalloc((size_t)l->n * sizeof(*logvar));
	for (size_t i = 0; i < np; i++)
		v[i] = (float)px[i] / 127.5f - 1;
	scope_open();
	vae_encode(vae,
	    tensor_from(vae->compute, 4, (int64_t[]){ 1, j->height, j->width, 3 }, v), &m, &lv);
	tensor_get(op_cast(m, F32), v);
	turn(x, v, l->c, l->h * l->w, false);
	tensor_get(op_cast(lv, F32), v);
	turn(logvar, v, l->c, l->h * l->w, false);
	scope_close();
	for (int64_t i = 0; i < l->n; i++)
		x[i] = (float)p->cfg.vae.scaling * (x[i] + expf(0.5f * logvar[i]) * noise[i]);
	free(v);
	free(logvar);
	return all_finite(x, (size_t)l->n) ? 0 : -1;
}

/* The first latents. -1: numbers that are none. */
static int
begin(struct sd_sample *s, struct chain *ch, const struct sd_job *j, const struct latents *l)
{
	sampler_noise_fn *draw = s->draw ? s->draw : draw_own;
	void *ctx = s->draw ? s->ctx : &ch->rng;
	int ret = 0;

	if (!j->init) {
		draw(ch->x, (size_t)l->n, ctx);
		for (int64_t i = 0; i < l->n; i++)
			ch->x[i] = (float)(ch->x[i] * ch->sampler.init_sigma);
		return 0;
	}
	sampler_begin(&ch->sampler, skipped(j));
	draw(ch->out, (size_t)l->n, ctx);
	ret = encode_image(s, j, l, ch->out, ch->in);
	draw(ch->out, (size_t)l->n, ctx);
	sampler_add_noise(&ch->sampler, ch->in, ch->out, ch->x);
	return ret;
}

static double
deviation(const float *v, int64_t n)
{
	double sum = 0, square = 0, mean;

	for (int64_t i = 0; i < n; i++)
		sum += v[i];
	mean = sum / (double)n;
	for (int64_t i = 0; i < n; i++)
		square += (v[i] - mean) * (v[i] - mean);
	return sqrt(square / (double)(n > 1 ? n - 1 : 1));
}

/* out = u + s (c - u), and its spread part of the way back to that of c. */
static void
guide(const struct sd_job *j, const float *u, const float *c, float *out, int64_t n)
{
	double k;

	for (int64_t i = 0; i < n; i++)
		out[i] = u[i] + (float)j->guidance * (c[i] - u[i]);
	if (j->rescale <= 0)
		return;
	k = j->rescale * deviation(c, n) / deviation(out, n) + (1 - j->rescale);
	for (int64_t i = 0; i < n; i++)
		out[i] = (float)(out[i] * k);
}

/* The U-Net on the whole batch, once: from each chain's `in` to its `out`. */
static int
predict(struct sd_sample *s, const struct sd_job *j, int n, struct chain *ch,
    const struct latents *l, int call, struct tensor *cond)
{
	struct pipeline *p = s->p;
	int halves = guided(j) ? 2 : 1, b = halves * n;
	double *t = xcalloc((size_t)b, sizeof(*t));
	float *v = xcalloc((size_t)(b * l->n), sizeof(*v)),
	      *o = xcalloc((size_t)(b * l->n), sizeof(*o));
	struct tensor *y;
	bool ok;

	for (int i = 0; i < b; i++) {
		t[i] = ch[0].sampler.t[call];
		turn(v + i * l->n, ch[i % n].in, l->c, l->h * l->w, true);
	}
	scope_open();
	op_samples(b);
	y = tensor_from(p->dtype[SD_UNET], 4, (int64_t[]){ b, l->h, l->w, l->c }, v);
	tensor_get(op_cast(unet_forward(&p->unet, y, t, cond), F32), o);
	op_samples(1);
	scope_close();
	for (int i = 0; i < b; i++)
		turn(v + i * l->n, o + i * l->n, l->c, l->h * l->w, false);
	ok = all_finite(v, (size_t)(b * l->n));
	for (int i = 0; i < n && ok; i++) {
		if (halves == 2)
			guide(&j[i], v + i * l->n, v + (n + i) * l->n, ch[i].out, l->n);
		else
			memcpy(ch[i].out, v + i * l->n, (size_t)l->n * sizeof(*v));
	}
	free(t);
	free(v);
	free(o);
	return ok ? 0 : -1;
}

static int
decode(struct sd_sample *s, struct sd_job *j, const float *x, const struct latents *l)
{
	struct pipeline *p = s->p;
	int64_t c = p->cfg.vae.out_channels, n = (int64_t)j->width * j->height * c;
	float *v = xmalloc((size_t)(n > l->n ? n : l->n) * sizeof(*v));
	struct tensor *z;
	uint8_t *px;
	bool ok;

	want(pipeline_want(p, SD_VAE));
	turn(v, x, l->c, l->h * l->w, true);
	for (int64_t i = 0; i < l->n; i++)
		v[i] = (float)(v[i] / p->cfg.vae.scaling);
	scope_open();
	z = tensor_from(p->vae.compute, 4, (int64_t[]){ 1, l->h, l->w, l->c }, v);
	tensor_get(op_cast(vae_decode_tiled(&p->vae, z, sd_sample_tile(s, j)), F32), v);
	scope_close();
	ok = all_finite(v, (size_t)n);
	if (ok) {
		image_release(&j->out);
		image_alloc(&j->out, j->width, j->height, c == 1 ? 1 : 3, 8);
		px = j->out.data;
		for (int64_t i = 0; i < n; i++)
			px[i] = (uint8_t)rintf(fminf(fmaxf(v[i] / 2 + 0.5f, 0), 1) * 255);
	}
	free(v);
	return ok ? 0 : -1;
}

/* ---- the batch ------------------------------------------------------------------------------- */

enum outcome { MADE, BAD, NO_NUMBER };

static enum outcome
denoise(struct sd_sample *s, struct sd_job *j, int n, struct chain *ch, const struct latents *l)
{
	struct tensor *cond = context(s, j, n);
	int bad = 0;

	if (!cond)
		return BAD;
	want(pipeline_want_unet(s->p, l->h, l->w));
	for (int i = 0; i < n && !bad; i++)
		bad = begin(s, &ch[i], &j[i], l);
	for (int k = ch[0].sampler.begin; k < ch[0].sampler.calls && !bad; k++) {
		for (int i = 0; i < n; i++)
			sampler_scale(&ch[i].sampler, k, ch[i].x, ch[i].in);
		bad = predict(s, j, n, ch, l, k, cond);
		for (int i = 0; i < n && !bad; i++) {
			sampler_step(&ch[i].sampler, k, ch[i].out, ch[i].x,
			    s->draw ? s->draw : draw_own, s->draw ? s->ctx : &ch[i].rng);
			if (s->trace)
				s->trace(s->ctx, i, k, ch[i].x, (size_t)l->n);
		}
	}
	tensor_drop(cond);
	/* what the U-Net leaves in the pool is of no size that the autoencoder wants, and the
	 * other way round */
	gpu_trim_to(LITTLE);
	for (int i = 0; i < n && !bad; i++)
		bad = decode(s, &j[i], ch[i].x, l);
	gpu_trim_to(LITTLE);
	return bad ? NO_NUMBER : MADE;
}

static enum outcome
run_once(struct sd_sample *s, struct sd_job *j, int n)
{
	struct pipeline *p = s->p;
	int f = vae_factor(&p->vae);
	struct latents l = { p->cfg.vae.latent, j->height / f, j->width / f, 0 };
	struct chain *ch = xcalloc((size_t)n, sizeof(*ch));
	enum outcome how = MADE;

	l.n = l.c * l.h * l.w;
	for (int i = 0; i < n; i++) {
		if (sampler_init(&ch[i].sampler, &p->noise, j->sampler, j->steps, (size_t)l.n))
			how = BAD;
		noise_rng_init(&ch[i].rng, s->rng, j[i].seed);
		ch[i].x = xcalloc((size_t)l.n, sizeof(float));
		ch[i].in = xcalloc((size_t)l.n, sizeof(float));
		ch[i].out = xcalloc((size_t)l.n, sizeof(float));
	}
	if (how == MADE)
		how = denoise(s, j, n, ch, &l);
	for (int i = 0; i < n; i++) {
		sampler_release(&ch[i].sampler);
		free(ch[i].x);
		free(ch[i].in);
		free(ch[i].out);
	}
	free(ch);
	return how;
}

int
sd_sample_run(struct sd_sample *s, struct sd_job *j, int n)
{
	bool was = grads_set(false);
	enum outcome how = run_once(s, j, n);

	if (how == NO_NUMBER && s->keep) {
		grads_set(was);
		return err("the model made numbers that are none");
	}
	if (how == NO_NUMBER) {
		int widened = pipeline_widen(s->p);

		if (widened < 0)
			die("%s", errmsg());
		if (widened)
			warn(
			    "a number grew beyond what 16 bits hold: the model is loaded as f32 "
			    "from here on");
		else
			tensor_check(true); /* this time the op is named */
		forget_texts(s);
		s->fit = (struct sd_fit){ 0 };
		how = run_once(s, j, n);
		if (how == NO_NUMBER && widened) {
			tensor_check(true);
			how = run_once(s, j, n);
		}
		if (how == NO_NUMBER)
			die("the model made numbers that are none");
	}
	grads_set(was);
	return how == MADE ? 0 : -1;
}
