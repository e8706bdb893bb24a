#include "model/sd_init.h"

#include "base/err.h"
#include "nn/init.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool
ends(const char *s, const char *with)
{
	size_t n = strlen(s), k = strlen(with);

	return n >= k && strcmp(s + n - k, with) == 0;
}

/* The standard deviation of a text encoder's matrix. */
static double
clip_deviation(const struct clip_config *c, const char *name)
{
	double in = pow(c->width, -0.5) * pow(2.0 * c->layers, -0.5);

	if (strstr(name, "embeddings"))
		return 0.02;
	if (ends(name, "out_proj.weight"))
		return pow(c->width, -0.5);
	if (ends(name, "fc1.weight"))
		return pow(2.0 * c->width, -0.5);
	return in; /* q, k, v and fc2 */
}

static void
first_values(const struct sd_outline *o, const struct sd_config *c, const struct param *p,
    uint64_t seed, float *v)
{
	char name[512];
	const struct param *weight;
	double fan_in = 1;

	if (p->ndim > 1 && o->net == SD_TEXT) {
		init_values(p, INIT_NORMAL, clip_deviation(&c->text, p->name), seed, v);
		return;
	}
	if (p->ndim > 1 && o->net == SD_CLASSES) {
		init_values(p, INIT_NORMAL, 1, seed, v); /* nn.Embedding's */
		return;
	}
	if (p->ndim > 1) {
		init_values(p, INIT_TORCH, 0, seed, v);
		return;
	}
	/* a bias goes with its weight: a norm's is a vector too */
	if (ends(p->name, ".weight")) {
		init_values(p, INIT_CONSTANT, 1, seed, v);
		return;
	}
	strcpy(name, p->name);
	strcpy(name + strlen(name) - strlen("bias"), "weight");
	weight = params_find(o->ps, name);
	if (!weight)
		die("init: %s has no weight", p->name);
	if (weight->ndim == 1 || o->net == SD_TEXT) {
		init_values(p, INIT_CONSTANT, 0, seed, v);
		return;
	}
	for (int i = 1; i < weight->ndim; i++)
		fan_in *= (double)weight->dim[i];
	init_values(p, INIT_UNIFORM, 1 / sqrt(fan_in), seed, v);
}

void
sd_init_net(struct weights *w, const char *path, const struct sd_config *c, enum sd_net net,
    uint64_t seed)
{
	struct sd_outline o;

	sd_outline_init(&o, c, net);
	weights_init(w, path);
	for (int i = 0; i < o.ps->n; i++) {
		const struct param *p = o.ps->p[i];
		struct st_tensor t = { .dtype = ST_F32, .ndim = p->ndim, .n = p->n };
		float *v = weights_alloc(w, (size_t)p->n * sizeof(*v));

		memcpy(t.dim, p->dim, (size_t)p->ndim * sizeof(*p->dim));
		first_values(&o, c, p, seed, v);
		t.data = v;
		weights_add(w, p->name, &t);
	}
	sd_outline_release(&o);
}
