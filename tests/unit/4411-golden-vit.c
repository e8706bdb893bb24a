/*
 * Vision transformers, their positions and their preprocessing against the original DINO, DINOv2
 * and transformers' ViTModel.
 */
#include "recipe.h"

#include "gpu/gpu.h"
#include "model/embed_prep.h"
#include "model/vit.h"

static const char *set;
static struct safetensors want;
static struct image *pictures;
static int npictures;

static void
open_pictures(void)
{
	size_t cap = 0;

	for (;;) {
		char *path = xasprintf("%s/images/img%d.png", set, npictures);
		bool there = file_exists(path);

		pictures = xgrow(pictures, &cap, (size_t)npictures + 1, sizeof(*pictures));
		pictures[npictures] = (struct image){ 0 };
		if (there && image_read(&pictures[npictures], path, 0, 0))
			die("%s", errmsg());
		free(path);
		if (!there)
			break;
		npictures++;
	}
	if (!npictures)
		die("%s: no images/img0.png", set);
}

static void
open_net(struct vit *m, const struct safetensors *st, const char *json)
{
	struct vit_config c;

	if (vit_config_from(&c, st, json) || vit_load(m, &c, st))
		die("%s", errmsg());
}

/* By the rule of the set (an absolute error) and more closely by the relative L2. Observed: 4e-6
 * and 1e-6. */
static void
check_tokens(const char *name, const float *got, size_t n)
{
	const struct st_tensor *t;
	float *w = gold_f32(&want, name, &t);
	char *most = xasprintf("%s, largest", name);

	if ((size_t)t->n != n)
		die("%s: %lld values, not %zu", name, (long long)t->n, n);
	gold_check(name, gold_rel_l2(got, w, n), 1e-4);
	gold_check(most, gold_max_abs(got, w, n), 2e-4);
	free(most);
	free(w);
}

/* ---- inputs ---------------------------------------------------------------------------------- */

/* What the literal program feeds: already shares of 1, divided by 255 once more. */
static void
literal(float *in, size_t n)
{
	static const double mean[] = { 0.485, 0.456, 0.406 }, std[] = { 0.229, 0.224, 0.225 };

	for (size_t i = 0; i < n; i++) {
		const double share = in[i] * std[i % 3] + mean[i % 3];

		in[i] = (float)((share / 255 - mean[i % 3]) / std[i % 3]);
	}
}

/* The first n pictures [n][side][side][3]; caller frees. */
static float *
prepared(enum embed_prep p, int side, int64_t n, bool twice)
{
	size_t size = (size_t)side * (size_t)side * 3;
	float *in;

	if (n < 1 || n > npictures)
		die("%s: not %lld pictures", set, (long long)n);
	in = xmalloc((size_t)n * size * sizeof(*in));
	for (int64_t i = 0; i < n; i++)
		if (embed_prepare(p, side, &pictures[i], in + (size_t)i * size))
			die("%s", errmsg());
	if (twice)
		literal(in, (size_t)n * size);
	return in;
}

/* The first n whole pictures stretched to w x h by Pillow's bicubic filter, less mean over
 * deviation. */
static float *
stretched(int w, int h, int64_t n)
{
	static const float mean[] = { 0.485f, 0.456f, 0.406f }, std[] = { 0.229f, 0.224f, 0.225f };
	size_t size = (size_t)w * (size_t)h * 3;
	float *in = xmalloc((size_t)n * size * sizeof(*in));

	if (n < 1 || n > npictures)
		die("%s: not %lld pictures", set, (long long)n);
	for (int64_t i = 0; i < n; i++) {
		struct image rgb = { 0 }, sized = { 0 };

		image_copy(&rgb, &pictures[i]);
		image_convert(&rgb, 3, 8);
		image_resize(&sized, &rgb, w, h, FILTER_BICUBIC);
		for (size_t k = 0; k < size; k++)
			in[(size_t)i * size + k] =
			    (((uint8_t *)sized.data)[k] / 255.0f - mean[k % 3]) / std[k % 3];
		image_release(&rgb);
		image_release(&sized);
	}
	return in;
}

/* in [n][h][w][3] against t [n][3][..][..] (or [3][..][..] for n = 1), every stride-th pixel. */
static void
check_input(const char *name, const struct st_tensor *t, const float *in, int64_t n, int h, int w,
    int stride)
{
	float *v = xmalloc((size_t)t->n * sizeof(*v));
	double worst = 0;
	int64_t at = 0, rows = (h + stride - 1) / stride, columns = (w + stride - 1) / stride;

	if (t->n != n * 3 * rows * columns)
		die("%s: %lld values", name, (long long)t->n);
	st_get_f32(t, v);
	for (int64_t i = 0; i < n; i++)
		for (int c = 0; c < 3; c++)
			for (int y = 0; y < h; y += stride)
				for (int x = 0; x < w; x += stride) {
					double e = fabs((double)v[at++] -
					    in[((i * h + y) * w + x) * 3 + c]);

					if (!(e <= worst))
						worst = e;
				}
	gold_check(name, worst, 1e-5); /* observed: 2.4e-7 */
	free(v);
}

/* Every imgN_strideK and imgN_full. */
static void
check_preprocess(void)
{
	const int side = embed_prep_side(PREP_DINO);
	struct safetensors st;

	gold_read(&st, set, "preprocess.safetensors");
	for (int i = 0; i < st.n; i++) {
		const char *name = st.t[i].name;
		int k = -1, stride = 1, used = 0;
		float *in;

		if (sscanf(name, "img%d_stride%d%n", &k, &stride, &used) < 2)
			sscanf(name, "img%d_full%n", &k, &used);
		if (k < 0 || k >= npictures || stride < 1 || !used || name[used]) {
			gold_unknown(name);
			continue;
		}
		in = xmalloc((size_t)side * (size_t)side * 3 * sizeof(*in));
		if (embed_prepare(PREP_DINO, side, &pictures[k], in))
			die("%s", errmsg());
		check_input(name, &st.t[i], in, 1, side, side, stride);
		free(in);
	}
	st_close(&st);
}

/* ---- nets ------------------------------------------------------------------------------------ */

/* Class tokens, or the patches' means, of in [n][h][w][3]. */
static void
check_run(struct vit *m, const char *name, const float *in, int64_t n, int h, int w, bool mean)
{
	struct tensor *x, *y;
	float *got;

	scope_open();
	x = tensor_from(F32, 4, (int64_t[]){ n, h, w, 3 }, in);
	y = mean ? vit_patch_mean(m, x) : vit_class(m, x);
	got = xmalloc((size_t)y->n * sizeof(*got));
	tensor_get(y, got);
	check_tokens(name, got, (size_t)y->n);
	free(got);
	scope_close();
}

/* Of prepared pictures, as many as the set has. */
static void
check_class(struct vit *m, enum embed_prep p, const char *name, int side, bool twice)
{
	const int64_t n = st_find(&want, name)->dim[0];
	float *in = prepared(p, side, n, twice);

	check_run(m, name, in, n, side, side, false);
	free(in);
}

/* nonsq_HxW_{inputS,posembed,cls}: other grids. */
static void
check_grid(struct vit *m, const char *name, int h, int w, const char *what)
{
	const struct st_tensor *t = st_find(&want, name);
	int stride = 1;
	float *in;

	if (strcmp(what, "posembed") == 0) {
		const int rows = h / m->cfg.patch, columns = w / m->cfg.patch;
		size_t n = (size_t)(rows * columns * m->cfg.width);
		float *got = xmalloc(n * sizeof(*got)), *v = gold_f32(&want, name, NULL);

		vit_positions(&m->cfg, m->pos, rows, columns, got);
		if ((size_t)t->n != n + (size_t)m->cfg.width)
			die("%s: %lld values", name, (long long)t->n);
		/* observed: 9e-7 */
		gold_check(name, gold_max_abs(got, v + m->cfg.width, n), 1e-5);
		free(got);
		free(v);
		return;
	}
	in = stretched(w, h, t->dim[0]);
	if (strcmp(what, "cls") == 0)
		check_run(m, name, in, t->dim[0], h, w, false);
	else if (sscanf(what, "input_stride%d", &stride) == 1 && stride > 0)
		check_input(name, t, in, t->dim[0], h, w, stride);
	else
		gold_unknown(name);
	free(in);
}

/* NAME_cls_SIDE of DINO's own names, whose weights are NAME.safetensors or by
 * NAME_recipe_manifest.json. Heads, which no shape says, are of 64 in nets of a published width and
 * else of 16. */
static void
open_dino(struct vit *m, struct safetensors *st, const char *net)
{
	char *file = xasprintf("%s.safetensors", net), *path = path_join(set, file), *json = NULL;

	if (file_exists(path)) {
		gold_read(st, set, file);
	} else {
		char *manifest = xasprintf("%s_recipe_manifest.json", net);
		const struct st_tensor *t;
		int64_t width;

		recipe_read(st, set, manifest, NULL);
		free(manifest);
		t = st_find(st, "cls_token");
		width = t ? t->dim[t->ndim - 1] : 0;
		json = xasprintf("{\"num_attention_heads\":%lld,\"layer_norm_eps\":1e-6}",
		    (long long)(width % 64 ? width / 16 : width < 192 ? width / 16 : width / 64));
	}
	open_net(m, st, json);
	printf("# %s: patch %d, width %d, depth %d, heads %d\n", net, m->cfg.patch, m->cfg.width,
	    m->cfg.depth, m->cfg.heads);
	free(json);
	free(file);
	free(path);
}

static void
open_hf(struct vit *m, struct safetensors *st, const char *net)
{
	char *file = xasprintf("%s_hf.safetensors", net), *json,
	     *config = xasprintf("%s/%s_hf_config.json", set, net);
	size_t len;

	if (file_read(config, 1 << 20, &json, &len))
		die("%s", errmsg());
	gold_read(st, set, file);
	open_net(m, st, json);
	free(json);
	free(file);
	free(config);
}

/* ---- the set's values ------------------------------------------------------------------------ */

static bool
starts(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

/* The first net with stored weights is the one that other grids and transformers' names are of. */
static char *
stored_net(void)
{
	struct arena mem = { 0 };
	char **name, *net = NULL;
	size_t n;

	if (dir_names(set, &mem, &name, &n))
		die("%s", errmsg());
	for (size_t i = 0; i < n && !net; i++) {
		const char *tail = strstr(name[i], "_hf.safetensors");

		if (tail)
			net = xstrndup(name[i], (size_t)(tail - name[i]));
	}
	if (!net)
		die("%s: no *_hf.safetensors", set);
	arena_release(&mem);
	return net;
}

static void
check_hf(const char *net)
{
	const int side = embed_prep_side(PREP_HF);
	struct safetensors st;
	struct vit m;

	open_hf(&m, &st, net);
	for (int i = 0; i < want.n; i++) {
		const struct st_tensor *t = &want.t[i];
		const char *name = t->name, *k = strstr(name, "_stride");
		bool twice = starts(name, "mep_literal");

		if (starts(name, "hf_proc") || twice) {
			if (k) {
				float *in = prepared(PREP_HF, side, t->dim[0], twice);

				check_input(name, t, in, t->dim[0], side, side, atoi(k + 7));
				free(in);
			} else {
				check_class(&m, PREP_HF, name, side, twice);
			}
		} else if (starts(name, "hf_")) {
			check_class(&m, PREP_DINO, name, atoi(strrchr(name, '_') + 1), false);
		}
	}
	vit_release(&m);
	st_close(&st);
	gold_done("the same in transformers' names and preprocessing");
}

/* Square and not, class token and the patches' mean, of every dinov2_VARIANT.safetensors. */
static void
check_dinov2(void)
{
	struct arena mem = { 0 };
	char **file;
	size_t n;
	int done = 0, there = 0;

	if (dir_names(set, &mem, &file, &n))
		die("%s", errmsg());
	for (int i = 0; i < want.n; i++)
		there += starts(want.t[i].name, "dinov2_") && !strstr(want.t[i].name, "_input");
	for (size_t f = 0; f < n; f++) {
		const char *tail = strstr(file[f], ".safetensors");
		struct safetensors st;
		struct vit m;
		char *net;
		size_t len;

		if (!starts(file[f], "dinov2_") || !tail)
			continue;
		net = xstrndup(file[f], (size_t)(tail - file[f]));
		len = strlen(net);
		gold_read(&st, set, file[f]);
		open_net(&m, &st, NULL);
		for (int i = 0; i < want.n; i++) {
			const char *name = want.t[i].name;
			int h, w, used = 0;
			const struct st_tensor *t;
			char *input;
			float *v, *in;

			if (strncmp(name, net, len) ||
			    sscanf(name + len, "_%dx%d_%n", &h, &w, &used) < 2 || !used)
				continue;
			input = xasprintf("dinov2_%dx%d_input", h, w);
			v = gold_f32(&want, input, &t);
			in = gold_swap(v, (size_t)t->dim[0], 3, (size_t)(h * w));
			check_run(&m, name, in, t->dim[0], h, w,
			    strcmp(name + len + used, "patchmean") == 0);
			done++;
			free(input);
			free(v);
			free(in);
		}
		vit_release(&m);
		st_close(&st);
		free(net);
	}
	gold_check("values of DINOv2 that no net here made", there - done, 0);
	gold_done("DINOv2: layer scale, registers, SwiGLU, other grids");
	arena_release(&mem);
}

/* The rest: class tokens of DINO's nets, and other grids for the stored one. */
static void
check_dino(const char *stored)
{
	for (int i = 0; i < want.n; i++) {
		const char *name = want.t[i].name, *cls = strstr(name, "_cls_");
		struct safetensors st;
		struct vit m;
		int h, w, used = 0;

		if (starts(name, "hf_") || starts(name, "mep_literal") || starts(name, "dinov2_"))
			continue;
		if (sscanf(name, "nonsq_%dx%d_%n", &h, &w, &used) == 2 && used) {
			open_dino(&m, &st, stored);
			check_grid(&m, name, h, w, name + used);
		} else if (cls && atoi(cls + 5) > 0) {
			char *net = xstrndup(name, (size_t)(cls - name));

			open_dino(&m, &st, net);
			check_class(&m, PREP_DINO, name, atoi(cls + 5), false);
			free(net);
		} else if (strstr(name, "_img0_")) {
			printf("# %s: inside of the net, not compared\n", name);
			continue;
		} else {
			gold_unknown(name);
			continue;
		}
		vit_release(&m);
	}
	gold_done("DINO: class tokens, positions of other grids, patches of other sizes");
}

int
main(void)
{
	char *stored;

	set = gold_open("dino");
	if (!set)
		return 0;
	gpu_open(NULL);
	open_pictures();
	gold_read(&want, set, "expected.safetensors");
	check_preprocess();
	gold_done("pictures are prepared as DINO does");
	stored = stored_net();
	check_dino(stored);
	check_hf(stored);
	check_dinov2();
	free(stored);
	gpu_close();
	return gold_end();
}
