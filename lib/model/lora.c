#include "model/lora.h"

#include "base/err.h"
#include "nn/init.h"

#include <stdlib.h>
#include <string.h>

/* ---- making ---------------------------------------------------------------------------------- */

static size_t
stem_len(const char *weight)
{
	return strlen(weight) - strlen(".weight");
}

/* Is the weight one of the targets? hit: marks which. */
static bool
wanted(const struct param *p, const char *const *targets, int n, bool *hit)
{
	bool found = false;

	if (!p->adapter)
		return false;
	for (int i = 0; i < n; i++) {
		size_t len = stem_len(p->name), k = strlen(targets[i]);

		if (len < k || memcmp(p->name + len - k, targets[i], k) != 0 ||
		    (len > k && p->name[len - k - 1] != '.'))
			continue;
		hit[i] = found = true;
	}
	return found;
}

/* Announces a pair; the array that holds it has its final place. */
static void
add_pair(struct lora *l, struct param *weight, int rank, double alpha)
{
	struct lora_pair *p = &l->pair[l->n++];
	int64_t a[4] = { rank, weight->dim[1], 1, 1 }, b[4] = { weight->dim[0], rank, 1, 1 };

	if (weight->ndim == 4) {
		a[2] = weight->dim[2];
		a[3] = weight->dim[3];
	}
	*p = (struct lora_pair){ .target = xstrndup(weight->name, stem_len(weight->name)),
		.rank = rank, .alpha = alpha, .weight = weight,
			.adapter = { .scale = alpha / rank } };
	p->a = params_add(&l->ps, &p->adapter.a, weight->kind, weight->ndim, a, "%s.lora_A.weight",
	    p->target);
	/* a 1 x 1 convolution where W is one of any size */
	p->b = params_add(&l->ps, &p->adapter.b, weight->ndim == 4 ? PARAM_MATRIX : PARAM_PLAIN,
	    weight->ndim, b, "%s.lora_B.weight", p->target);
}

static void
attach(struct lora *l)
{
	params_ready(&l->ps);
	for (int i = 0; i < l->n; i++)
		*l->pair[i].weight->adapter = &l->pair[i].adapter;
}

int
lora_init(struct lora *l, struct params *network, const char *const *targets, int ntargets,
    int rank, double alpha, uint64_t seed)
{
	bool *hit = xcalloc((size_t)ntargets + 1, sizeof(*hit));
	int ret = 0;

	*l = (struct lora){ .pair = xcalloc((size_t)network->n + 1, sizeof(*l->pair)) };
	params_init(&l->ps, F32, true);
	for (int i = 0; i < network->n; i++)
		if (wanted(network->p[i], targets, ntargets, hit))
			add_pair(l, network->p[i], rank, alpha);
	for (int i = 0; i < ntargets && ret == 0; i++)
		if (!hit[i])
			ret = err("lora: no weight of this network ends in '%s'", targets[i]);
	free(hit);
	if (ret) {
		lora_release(l);
		return ret;
	}
	attach(l);
	for (int i = 0; i < l->n; i++)
		init_param(l->pair[i].a, INIT_NORMAL, 1.0 / rank, seed);
	return 0;
}

int
lora_load(struct lora *l, struct params *network, const struct lora_file *f, enum sd_net net)
{
	const struct lora_entry **from = xcalloc(f->n + 1, sizeof(*from));

	*l = (struct lora){ .pair = xcalloc(f->n + 1, sizeof(*l->pair)) };
	params_init(&l->ps, F32, true);
	for (size_t i = 0; i < f->n; i++) {
		char *name = xasprintf("%s.weight", f->e[i].target);
		struct param *w = f->e[i].net == net ? params_find(network, name) : NULL;

		free(name);
		if (!w || !w->adapter)
			continue;
		from[l->n] = &f->e[i];
		add_pair(l, w, f->e[i].rank, f->e[i].alpha);
	}
	if (l->n) {
		attach(l);
		for (int i = 0; i < l->n; i++) {
			params_put(l->pair[i].a, from[i]->down);
			params_put(l->pair[i].b, from[i]->up);
		}
	}
	free(from);
	if (l->n)
		return 0;
	lora_release(l);
	return err("%s: nothing for the %s", f->path, sd_net_name(net));
}

void
lora_strength(struct lora *l, double s)
{
	for (int i = 0; i < l->n; i++) {
		struct lora_pair *p = &l->pair[i];

		p->adapter.scale = s * p->alpha / p->rank;
		*p->weight->adapter = s == 0 ? NULL : &p->adapter;
	}
}

void
lora_release(struct lora *l)
{
	for (int i = 0; i < l->n; i++) {
		if (*l->pair[i].weight->adapter == &l->pair[i].adapter)
			*l->pair[i].weight->adapter = NULL;
		free(l->pair[i].target);
	}
	params_release(&l->ps);
	free(l->pair);
	*l = (struct lora){ 0 };
}

/* ---- writing --------------------------------------------------------------------------------- */

/* The key of one part of a pair: 0 down, 1 up, 2 alpha. */
static char *
key_of(const struct lora_pair *p, enum sd_net net, enum lora_form form, int part)
{
	static const char *const peft[] = { "lora_A.weight", "lora_B.weight" };
	static const char *const unet[] = { "lora.down.weight", "lora.up.weight" };
	static const char *const text[] =
	    { "lora_linear_layer.down.weight", "lora_linear_layer.up.weight" };
	static const char *const kohya[] = { "lora_down.weight", "lora_up.weight", "alpha" };
	char *key;
	size_t at;

	if (form != LORA_KOHYA)
		return xasprintf("%s.%s.%s", sd_net_name(net), p->target,
		    (form == LORA_PEFT ? peft : net == SD_TEXT ? text : unet)[part]);
	key = xasprintf("%s%s.%s", net == SD_TEXT ? "lora_te_" : "lora_unet_", p->target,
	    kohya[part]);
	at = strlen(key) - strlen(kohya[part]) - 1;
	for (size_t i = 0; i < at; i++)
		if (key[i] == '.')
			key[i] = '_';
	return key;
}

static void
put_part(struct weights *w, const struct lora_pair *p, enum sd_net net, enum lora_form form,
    int part)
{
	const struct param *q = part ? p->b : p->a;
	struct st_tensor t = { .dtype = ST_F32, .ndim = q->ndim, .n = q->n };
	char *key = key_of(p, net, form, part);
	float *v = weights_alloc(w, (size_t)q->n * sizeof(*v));

	memcpy(t.dim, q->dim, (size_t)q->ndim * sizeof(*q->dim));
	params_get(q, v);
	for (int64_t i = 0; i < q->n && part && form != LORA_KOHYA; i++)
		v[i] = (float)(v[i] * (p->alpha / p->rank));
	t.data = v;
	weights_add(w, key, &t);
	free(key);
}

static void
put_alpha(struct weights *w, const struct lora_pair *p, enum sd_net net)
{
	char *key = key_of(p, net, LORA_KOHYA, 2);
	float *v = weights_alloc(w, sizeof(*v));

	*v = (float)p->alpha;
	weights_add(w, key, &(struct st_tensor){ .dtype = ST_F32, .n = 1, .data = v });
	free(key);
}

int
lora_save(const struct lora *const net[SD_NETS], enum lora_form form, const char *path,
    const char *const *meta)
{
	struct weights w;
	int ret;

	weights_init(&w, path);
	for (int i = 0; i < SD_NETS; i++)
		for (int k = 0; net[i] && k < net[i]->n; k++) {
			const struct lora_pair *p = &net[i]->pair[k];

			put_part(&w, p, (enum sd_net)i, form, 0);
			put_part(&w, p, (enum sd_net)i, form, 1);
			if (form == LORA_KOHYA)
				put_alpha(&w, p, (enum sd_net)i);
		}
	ret = st_write(path, w.st.t, w.st.n, meta);
	weights_close(&w);
	return ret;
}
