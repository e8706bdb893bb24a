#include "model/gen_ask.h"

#include "base/err.h"
#include "base/rng.h"

#include <inttypes.h>

/* A whole number of the record in [min, max], or what the options say. */
static int
number(struct rec *r, const char *key, int64_t min, int64_t max, int64_t *out)
{
	int got = rec_int(r, key, out);

	if (got < 0)
		return -1;
	return got && (*out < min || *out > max) ? err("%s: %" PRId64 " is not in %" PRId64 "..%"
	    PRId64, key, *out, min, max) : 0;
}

static int
real(struct rec *r, const char *key, double min, double max, double *out)
{
	int got = rec_num(r, key, out);

	if (got < 0)
		return -1;
	return got && (*out < min || *out > max) ? err("%s: %g is not in %g..%g", key, *out, min,
	    max) : 0;
}

/* Where neither record nor options give a size: the initial image's, as far as the model can. */
static int
default_size(const struct gen_item *it, const struct pipeline *p, int64_t *w, int64_t *h)
{
	int f = vae_factor(&p->vae);
	struct image im = { 0 };

	if (it->init && (!*w || !*h)) {
		if (image_header(&im, it->init))
			return -1;
		*w = *w ? *w : im.w / f * f;
		*h = *h ? *h : im.h / f * f;
	}
	*w = *w ? *w : (int64_t)p->cfg.unet.sample_size * f;
	*h = *h ? *h : (int64_t)p->cfg.unet.sample_size * f;
	return 0;
}

static int
class_of(struct rec *r, const struct pipeline *p, const char *field, int *cls)
{
	const char *label = rec_text(r, field);

	if (!label)
		return err("no %s, which would name the class", field);
	*cls = class_config_find(&p->cfg.classes, label);
	return *cls < 0 ? err("%s: '%s' is no class of this model", field, label) : 0;
}

/* The record's seed, or one of the run's and its id. */
static int
seed_of(struct rec *r, const char *id, uint64_t run, uint64_t *seed)
{
	int64_t n = 0;
	struct rng g;
	int got = rec_int(r, "seed", &n);

	if (got < 0 || (got && n < 0))
		return err("seed: want a whole number from 0");
	rng_init(&g, run, rng_stream("image", id));
	*seed = got ? (uint64_t)n : rng_u64(&g) >> 12; /* it and those after it stay below 2^53 */
	return 0;
}

int
gen_ask(struct gen_item *it, const struct gen_defaults *d, const struct sd_sample *s,
    struct sd_job *j, int64_t *n)
{
	struct rec *r = &it->r;
	int64_t steps = d->steps, w = d->width, h = d->height;

	*j = (struct sd_job){ .text = rec_str(r, "text"), .negative = rec_str(r, "negative_text"),
		.guidance = d->guidance, .rescale = d->rescale, .strength = d->strength,
		.sampler = d->sampler };
	*n = d->images;
	if (!j->negative)
		j->negative = d->negative;
	if (!it->init && rec_get(r, "init_image")) {
		const char *path = rec_path(r, "init_image");

		if (!path)
			return -1;
		it->init = xstrdup(path);
	}
	if (number(r, "num_images", 1, 1000000, n) || number(r, "steps", 1, 1000, &steps) ||
	    number(r, "width", 1, 65536, &w) || number(r, "height", 1, 65536, &h) ||
	    real(r, "guidance_scale", 0, 100, &j->guidance) ||
	    real(r, "strength", 0, 1, &j->strength) || default_size(it, s->p, &w, &h) ||
	    seed_of(r, it->id, d->seed, &j->seed) ||
	    (s->p->has[SD_CLASSES] && class_of(r, s->p, d->label_field, &j->cls)))
		return -1;
	j->steps = (int)steps;
	j->width = (int)w;
	j->height = (int)h;
	/* stands in for the image until it is read */
	if (it->init)
		j->init = &j->out;
	return sd_job_check(s, j);
}
