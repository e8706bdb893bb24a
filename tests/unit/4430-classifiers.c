/*
 * Narrow classifiers of each build and layout against PyTorch: what their last layer sees and what
 * they say, at two sizes. Weights and pictures are made by the recipe, so only results are stored
 * (tests/golden/classifiers).
 */
#include "recipe.h"

#include "gpu/gpu.h"
#include "model/classifier.h"
#include "model/embedder.h"

#include <unistd.h>

enum { SEED = 7, PICTURES = 2, CLASSES = 5 };

static struct safetensors want;

/* ---- weights ------------------------------------------------------------------------------ */

struct made {
	struct params ps;
	struct classifier c; /* what the announced tensors belong to */
	struct linear_layer head;
};

static void
announce_densenet(struct made *m)
{
	const struct densenet_config c = { .stem = 8, .growth = 4, .neck = 2,
		.layers = { 3, 4, 6, 3 } };

	densenet_announce(&m->ps, &c);
	linear_layer_init(&m->head, &m->ps, densenet_dim(&c), CLASSES, true, "classifier");
}

static void
announce_effnet(struct made *m, enum effnet_layout layout)
{
	struct effnet_config c = { .stem = 8, .head = 64, .repeats = { 1, 2, 2, 2, 2, 3, 1 },
		.out = { 8, 12, 16, 24, 32, 40, 48 }, .image_size = 224, .layout = layout };

	/* that layout is known by its number of blocks: b0's */
	if (layout == EFFNET_ORIGINAL)
		c.repeats[3] = c.repeats[4] = 3, c.repeats[5] = 4;
	effnet_init(&m->c.effnet, &m->ps, "", &c, 3);
	linear_layer_init(&m->head, &m->ps, c.head, CLASSES, true, "%s", effnet_head_name(&c));
}

static void
announce_resnet(struct made *m, const struct resnet_config *c)
{
	int channels[5];

	resnet_init(&m->c.resnet, &m->ps, "", c, 3);
	resnet_channels(c, channels);
	linear_layer_init(&m->head, &m->ps, channels[4], CLASSES, true, "fc");
}

static void
announce_mobilenet(struct made *m)
{
	static const int out[MOBILENET_BLOCKS] =
	    { 8, 12, 12, 16, 16, 16, 20, 20, 24, 24, 28, 28, 28, 32, 32, 32, 40 };
	struct mobilenet_config c = { .stem = 8, .head = 48 };

	memcpy(c.out, out, sizeof(out));
	mobilenet_announce(&m->ps, &c);
	linear_layer_init(&m->head, &m->ps, c.head, CLASSES, true, "classifier.1");
}

static void
announce_vgg(struct made *m, const char *name)
{
	struct vgg_config c;

	if (vgg_config_named(&c, name))
		die("%s", errmsg());
	for (int i = 0; i < c.n; i++)
		c.out[i] /= 16;
	c.hidden = 40;
	vgg_announce(&m->ps, &c);
	linear_layer_init(&m->head, &m->ps, c.hidden, CLASSES, true, "classifier.6");
}

static void
fill(const struct param *p, float *v)
{
	const char *end = strrchr(p->name, '.') + 1;
	double fan = 1, a = 0.2, b = 0.9;

	for (int i = 1; i < p->ndim; i++)
		fan *= (double)p->dim[i];
	if (strcmp(end, "running_mean") == 0 || strcmp(end, "bias") == 0)
		a = 0.1, b = 0;
	else if (strcmp(end, "running_var") == 0)
		a = 0.3, b = 1;
	else if (p->ndim > 1)
		a = sqrt(6 / fan), b = 0;
	recipe(p->name, SEED, (float)a, (float)b, v, p->n);
}

/* Writes all but the counters, under the names that `old` gives them. */
static void
write_weights(const struct made *m, const char *path, char *(*old)(const char *))
{
	struct st_tensor *t = xcalloc((size_t)m->ps.n, sizeof(*t));
	struct arena mem = { 0 };
	int n = 0;

	for (int i = 0; i < m->ps.n; i++) {
		const struct param *p = m->ps.p[i];
		float *v;

		if (p->kind == PARAM_COUNT)
			continue;
		v = arena_alloc(&mem, (size_t)p->n * sizeof(*v));
		fill(p, v);
		t[n] = (struct st_tensor){ .name = old ? old(p->name) : p->name, .dtype = ST_F32,
			.ndim = p->ndim, .n = p->n, .data = v };
		memcpy(t[n++].dim, p->dim, (size_t)p->ndim * sizeof(*p->dim));
	}
	if (st_write(path, t, n, NULL))
		die("%s", errmsg());
	for (int i = 0; old && i < n; i++)
		free((char *)t[i].name);
	arena_release(&mem);
	free(t);
}

/* denselayer1.norm1.weight as older files have it: denselayer1.norm.1.weight */
static char *
old_name(const char *name)
{
	const char *at = strstr(name, ".denselayer");
	size_t n;

	if (!at)
		return xstrdup(name);
	at = strrchr(name, '.');
	n = (size_t)(at - name) - 1;
	return xasprintf("%.*s.%s", (int)n, name, name + n);
}

/* ---- comparing ---------------------------------------------------------------------------- */

static void
picture(struct image *im, int i, int side)
{
	size_t n = (size_t)side * (size_t)side * 3;
	float *v = xmalloc(n * sizeof(*v));
	char name[32];

	snprintf(name, sizeof(name), "picture%d", i);
	recipe(name, (uint64_t)side, 128, 128, v, (int64_t)n);
	image_alloc(im, side, side, 3, 8);
	for (size_t k = 0; k < n; k++)
		((uint8_t *)im->data)[k] = (uint8_t)fmin(fmax(floor(v[k]), 0), 255);
	free(v);
}

static void
compare(const char *name, int side, const char *what, const float *got, size_t n)
{
	char *key = xasprintf("%s/%d/%s", name, side, what);
	const struct st_tensor *t;
	float *w = gold_f32(&want, key, &t);

	if ((size_t)t->n != n)
		die("%s: %lld values, not %zu", key, (long long)t->n, n);
	gold_check(key, gold_rel_l2(got, w, n), 1e-5);
	free(w);
	free(key);
}

/* name: of the stored results; config: text of the config.json beside the weights, or NULL */
static void
check(struct made *m, const char *name, const char *network, char *(*old)(const char *),
    const char *config)
{
	char dir[] = "/tmp/phantom-classifier-XXXXXX", *path, *beside;
	char *logits_of = xasprintf("%s:logits", network);

	if (!mkdtemp(dir))
		die("%s:", dir);
	path = path_join(dir, "model.safetensors");
	beside = path_join(dir, "config.json");
	write_weights(m, path, old);
	if (config && file_write(beside, config, strlen(config)))
		die("%s", errmsg());
	for (int side = 64; side <= 97; side += 33) {
		struct image im[PICTURES] = { { 0 } };
		struct embedder *e, *said;
		float *f, *l, *only;

		/* at their own size: nothing is resized */
		if (embedder_open(&e, network, dir, "hf", side) ||
		    embedder_open(&said, logits_of, path, "hf", side))
			die("%s", errmsg());
		f = xmalloc((size_t)(PICTURES * embedder_dim(e)) * sizeof(*f));
		l = xmalloc(PICTURES * CLASSES * sizeof(*l));
		only = xmalloc(PICTURES * CLASSES * sizeof(*only));
		for (int i = 0; i < PICTURES; i++)
			picture(&im[i], i, side);
		if (embedder_run(e, im, PICTURES, f, l) ||
		    embedder_run(said, im, PICTURES, only, NULL))
			die("%s", errmsg());
		compare(name, side, "features", f, (size_t)(PICTURES * embedder_dim(e)));
		compare(name, side, "logits", l, PICTURES * CLASSES);
		gold_check(":logits", gold_max_abs(only, l, PICTURES * CLASSES), 0);
		for (int i = 0; i < PICTURES; i++)
			image_release(&im[i]);
		embedder_close(e);
		embedder_close(said);
		free(f);
		free(l);
		free(only);
	}
	gold_done(old ? "densenet, older names" : config ? "efficientnet, by its config.json"
	    : name);
	unlink(beside);
	unlink(path);
	rmdir(dir);
	free(path);
	free(beside);
	free(logits_of);
	params_release(&m->ps);
	classifier_release(&m->c);
}

static struct made
begin(void)
{
	struct made m = { 0 };

	params_init(&m.ps, F32, false);
	return m;
}

int
main(void)
{
	static const struct resnet_config res[] = {
		{ { 1, 1, 2, 1 }, 8, { 8, 16, 32, 64 }, 2, 4, false },
		{ { 1, 2, 1, 1 }, 8, { 16, 32, 64, 128 }, 1, 8, false },
		{ { 1, 1, 2, 1 }, 8, { 8, 16, 32, 64 }, 2, 1, false },
	};
	static const char *const res_name[] = { "resnext", "resnext-64x4d", "wide_resnet" };
	static const char tf[] = "{\"architecture\": \"tf_efficientnet_b0\"}";
	static const struct {
		const char *name, *network;
		enum effnet_layout layout;
		const char *config;
	} eff[] = {
		{ "efficientnet", "efficientnet", EFFNET_TORCHVISION, NULL },
		{ "efficientnet-timm", "efficientnet", EFFNET_TIMM, NULL },
		{ "efficientnet-tf", "tf-efficientnet", EFFNET_TIMM, NULL },
		{ "efficientnet-tf", "efficientnet", EFFNET_TIMM, tf },
		{ "efficientnet-original", "efficientnet", EFFNET_ORIGINAL, NULL },
	};
	struct made m;

	gold_read(&want, "tests/golden/classifiers", "expected.safetensors");
	gpu_open(NULL);
	/* relative L2; seen 1.1e-6 at most */
	for (int i = 0; i < 2; i++) {
		params_outline(true);
		m = begin();
		announce_densenet(&m);
		params_outline(false);
		check(&m, "densenet", "densenet", i ? old_name : NULL, NULL);
	}
	for (size_t i = 0; i < sizeof(eff) / sizeof(*eff); i++) {
		params_outline(true);
		m = begin();
		announce_effnet(&m, eff[i].layout);
		params_outline(false);
		check(&m, eff[i].name, eff[i].network, NULL, eff[i].config);
	}
	for (size_t i = 0; i < sizeof(res) / sizeof(*res); i++) {
		params_outline(true);
		m = begin();
		announce_resnet(&m, &res[i]);
		params_outline(false);
		check(&m, res_name[i], "resnet", NULL, NULL);
	}
	for (int i = 0; i < 3; i++) {
		static const char *const name[] = { "mobilenet_v2", "vgg11", "vgg13_bn" };
		static const char *const family[] = { "mobilenet", "vgg11", "vgg13_bn" };

		params_outline(true);
		m = begin();
		if (i)
			announce_vgg(&m, name[i]);
		else
			announce_mobilenet(&m);
		params_outline(false);
		check(&m, name[i], family[i], NULL, NULL);
	}
	st_close(&want);
	gpu_close();
	return gold_end();
}
