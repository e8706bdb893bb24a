/* For conformance tests of segmentation nets: a case of the set (encoder, decoder, classes and loss
 * are read from its tensors and its name), its net on the device, and what both tests compare. */
#ifndef TESTS_SEG_CASE_H
#define TESTS_SEG_CASE_H

#include "recipe.h"

#include "gpu/gpu.h"
#include "model/seg_loss.h"
#include "model/segnet.h"
#include "nn/optim.h"

#include <inttypes.h>

struct fixture {
	const char *name;
	struct segnet net;
	struct seg_loss loss;
	struct tensor *x;          /* [N,H,W,3]; held */
	struct seg_target target;  /* held */
};

/* The loss that goes with a case. */
static inline const char *
loss_of(const char *name, int classes)
{
	if (strstr(name, "sigmoid_ce") || strstr(name, "isn"))
		return "ce";
	if (strstr(name, "focal"))
		return "focal:alpha=0.25:gamma=2+jaccard";
	return classes > 1 ? "ce+dice" : "bce+dice";
}

/* [N,C,H,W] -> [N,H,W,C], held. */
static inline struct tensor *
upload(const struct safetensors *st, const char *name)
{
	const struct st_tensor *t;
	float *v = gold_f32(st, name, &t);
	float *p =
	    gold_swap(v, (size_t)t->dim[0], (size_t)t->dim[1], (size_t)(t->dim[2] * t->dim[3]));
	struct tensor *x;

	x = tensor_from(F32, 4, (int64_t[]){ t->dim[0], t->dim[2], t->dim[3], t->dim[1] }, p);
	free(v);
	free(p);
	return tensor_hold(x);
}

static inline void
fixture_target(struct fixture *f, const struct safetensors *st)
{
	const struct st_tensor *t = st_find(st, "target");
	float *v;
	int32_t *l;

	if (!t)
		die("%s: no target", st->path);
	if (t->ndim == 4) {
		f->target.dense = upload(st, "target");
		return;
	}
	v = gold_f32(st, "target", NULL);
	l = xmalloc((size_t)t->n * sizeof(*l));
	for (int64_t i = 0; i < t->n; i++)
		l[i] = (int32_t)v[i];
	f->target.labels = tensor_hold(tensor_from(I32, 3, t->dim, l));
	free(v);
	free(l);
}

/* Makes the net of tensors t[0..n) and its loss; drop-connect is off in the sets. */
static inline void
fixture_net(struct fixture *f, const struct st_tensor *t, int n)
{
	struct segnet_config c;
	bool multi;

	if (segnet_config_from(&c, t, n, f->name))
		die("%s: %s", f->name, errmsg());
	multi = c.classes > 1;
	if (multi && strstr(f->name, "isn"))
		c.activation = SEG_SIGMOID;
	c.eff.drop_connect = 0;
	printf("# %s: %s over %s, %d classes, decoder %d..%d%s\n", f->name,
	    c.plusplus ? "U-Net++" : "U-Net", c.encoder, c.classes, c.decoder[0],
	    c.decoder[c.depth - 1], c.scse ? ", scse" : "");
	if (segnet_init(&f->net, &c, true) ||
	    seg_loss_parse(&f->loss, multi ? SEG_MULTICLASS : SEG_BINARY,
	    loss_of(f->name, c.classes)))
		die("%s: %s", f->name, errmsg());
}

static inline void
fixture_release(struct fixture *f)
{
	tensor_drop(f->x);
	tensor_drop(f->target.labels);
	tensor_drop(f->target.dense);
	segnet_release(&f->net);
}

/* The largest error of the net's output against [N,C,H,W] of the file. */
static inline double
output_error(const struct tensor *y, const struct safetensors *st, const char *name)
{
	const struct st_tensor *t;
	float *want = gold_f32(st, name, &t), *got = xmalloc((size_t)y->n * sizeof(*got)), *p;
	double error;

	if (t->n != y->n)
		die("%s: %s has %lld values, the output %lld", st->path, name, (long long)t->n,
		    (long long)y->n);
	tensor_get(y, got);
	p = gold_swap(got, (size_t)y->dim[0], (size_t)(y->dim[1] * y->dim[2]), (size_t)y->dim[3]);
	error = gold_max_abs(p, want, (size_t)t->n);
	free(want);
	free(got);
	free(p);
	return error;
}

static inline void
check_output(const char *what, const struct tensor *y, const struct safetensors *st,
    const char *name, double bound)
{
	gold_check(what, output_error(y, st, name), bound);
}

static inline struct tensor *
forward(struct fixture *f, bool train, struct tensor **features)
{
	return segnet_forward(&f->net, f->x, train, 0, features);
}

/* The input with every value off by at most one rounding, [N,H,W,C], held. */
static inline struct tensor *
rounded_anew(const struct tensor *x, uint64_t seed)
{
	struct rng r;
	float *v = xmalloc((size_t)x->n * sizeof(*v));
	struct tensor *y;

	rng_init(&r, seed, rng_stream("rounding", ""));
	tensor_get(x, v);
	for (int64_t i = 0; i < x->n; i++)
		v[i] *= 1 + 0x1p-23f * (2 * rng_float(&r) - 1);
	y = tensor_hold(tensor_from(F32, 4, x->dim, v));
	free(v);
	return y;
}

static inline void
load_init(struct fixture *f, const struct safetensors *init)
{
	if (params_load(&f->net.ps, init, "", 0))
		die("%s", errmsg());
}

/* The largest of an object of norms. */
static inline double
largest_norm(const struct json *j, int obj)
{
	double largest = 0, x;

	for (int i = 0, k = obj + 1; i < j->v[obj].size; i++, k = j->v[k + 1].next)
		if (!json_num(j, k + 1, &x))
			largest = fmax(largest, x);
	return largest;
}

/* Relative differences of all gradients' norms from a JSON object of them, in its order; those
 * below `noise` of the largest are left out. out: at least as many as the object has; returns their
 * number. */
static inline size_t
norm_differences(struct fixture *f, const struct json *j, int obj, double noise, double *out)
{
	struct arena mem = { 0 };
	double floor = noise * largest_norm(j, obj);
	size_t n = 0;

	for (int i = 0, k = obj + 1; i < j->v[obj].size; i++, k = j->v[k + 1].next) {
		struct param *p = params_find(&f->net.ps, json_str(j, k, &mem));
		double want;
		float *g, *none;

		if (!p || json_num(j, k + 1, &want))
			die("a gradient's norm cannot be read");
		if (want < floor)
			continue;
		g = xmalloc((size_t)p->n * sizeof(*g));
		none = xcalloc((size_t)p->n, sizeof(*none));
		params_get_grad(p, g);
		out[n++] = (gold_rel_l2(g, none, (size_t)p->n) - want) / want;
		free(g);
		free(none);
	}
	arena_release(&mem);
	return n;
}

/* The set's folder, and a device; NULL with the skip said. */
static inline char *
seg_set_open(int argc, char **argv)
{
	char *set;

	(void)argc;
	prog_init(argv[0]);
	set = gold_open("segmentation");
	if (set)
		gpu_open(NULL);
	return set;
}

#endif
