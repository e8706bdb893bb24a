/*
 * Vision transformers, their positions and their preprocessing against the original DINO, DINOv2
 * and transformers' ViTModel.
 */
#include "recipe.h"

#include "gpu/gpu.h"
#include "model/embed_prep.h"
#include "model/vit.h"

enum { PICTURES = 4 };

static const char *set;
static struct safetensors want, prep;

static void
open_net(struct vit *m, const struct safetensors *st, const char *json)
{
	struct vit_config c;

	if (vit_config_from(&c, st, json) || vit_load(m, &c, st))
		die("%s", errmsg());
}

static void
check_tensor(const char *name, const char *what, const float *got, size_t n, double bound)
{
	const struct st_tensor *t;
	float *w = gold_f32(&want, name, &t);

	if ((size_t)t->n != n)
		die("%s: %lld values, not %zu", name, (long long)t->n, n);
	gold_check(what, gold_rel_l2(got, w, n), bound);
	free(w);
}

static struct tensor *
prepared(enum embed_prep p, int pictures)
{
	int side = embed_prep_side(p);
	size_t n = (size_t)side * (size_t)side * 3;
	float *in = xmalloc((size_t)pictures * n * sizeof(*in));
	struct tensor *x;

	for (int i = 0; i < pictures; i++) {
		char *path = xasprintf("%s/images/img%d.png", set, i);
		struct image im = { 0 };

		if (image_read(&im, path, 0, 0) || embed_prepare(p, side, &im, in + (size_t)i * n))
			die("%s", errmsg());
		image_release(&im);
		free(path);
	}
	x = tensor_from(F32, 4, (int64_t[]){ pictures, side, side, 3 }, in);
	free(in);
	return x;
}

/* [n][side][side][3] at [:, ::7, ::7], or all of the last picture. */
static void
check_prepared(const struct safetensors *st, enum embed_prep p, const char *fmt, int pictures,
    double bound)
{
	int side = embed_prep_side(p);
	size_t n = (size_t)side * (size_t)side * 3;
	float *in = xmalloc((size_t)pictures * n * sizeof(*in));
	double worst = 0;

	scope_open();
	tensor_get(prepared(p, pictures), in);
	scope_close();
	for (int i = 0; i < pictures; i++) {
		bool each = strchr(fmt, '%') != NULL;
		char *name = each ? xasprintf("img%d_stride7", i) : xstrdup(fmt);
		const struct st_tensor *t;
		float *w = gold_f32(st, name, &t), *at = w + (each ? 0 : t->n / pictures * i);

		for (int c = 0; c < 3; c++)
			for (int y = 0; y < side; y += 7)
				for (int x = 0; x < side; x += 7)
					worst = fmax(worst,
					    fabs(in[(size_t)i * n +
					             (size_t)((y * side + x) * 3 + c)] -
					        *at++));
		free(w);
		free(name);
	}
	gold_check(fmt, worst, bound);
	free(in);
}

/* Class tokens of the prepared pictures. */
static void
check_class(struct vit *m, enum embed_prep p, int pictures, const char *name, double bound)
{
	struct tensor *y;
	float *got;

	scope_open();
	y = vit_class(m, prepared(p, pictures));
	got = xmalloc((size_t)y->n * sizeof(*got));
	tensor_get(y, got);
	check_tensor(name, name, got, (size_t)y->n, bound);
	free(got);
	scope_close();
}

static void
check_tiny(void)
{
	static const int size[3][2] = { { 160, 256 }, { 240, 224 }, { 96, 96 } };
	struct safetensors st;
	struct vit m;

	gold_read(&st, set, "tiny16.safetensors");
	open_net(&m, &st, NULL);
	check_class(&m, PREP_DINO, PICTURES, "tiny16_cls_224", 1e-4);
	for (int i = 0; i < 3; i++) {
		char *name = xasprintf("nonsq_%dx%d_posembed", size[i][0], size[i][1]);
		const struct st_tensor *t = st_find(&want, name);
		int rows = size[i][0] / 16, columns = size[i][1] / 16;
		size_t n = (size_t)(rows * columns * m.cfg.width);
		float *got = xmalloc(n * sizeof(*got)), *w = gold_f32(&want, name, &t);

		vit_positions(&m.cfg, m.pos, rows, columns, got);
		if ((size_t)t->n != n + (size_t)m.cfg.width)
			die("%s: %lld values", name, (long long)t->n);
		gold_check(name, gold_max_abs(got, w + m.cfg.width, n), 1e-5);
		free(got);
		free(w);
		free(name);
	}
	vit_release(&m);
	st_close(&st);
	gold_done("DINO: class tokens, positions of other grids");
}

static void
check_hf(void)
{
	char *path = path_join(set, "tiny16_hf_config.json"), *json;
	struct safetensors st;
	struct vit m;
	size_t len;

	if (file_read(path, 1 << 20, &json, &len))
		die("%s", errmsg());
	gold_read(&st, set, "tiny16_hf.safetensors");
	open_net(&m, &st, json);
	check_class(&m, PREP_DINO, PICTURES, "hf_tiny16_cls_224", 1e-4);
	check_class(&m, PREP_HF, PICTURES, "hf_proc_uint8_cls", 1e-4);
	vit_release(&m);
	st_close(&st);
	free(json);
	free(path);
	gold_done("the same in transformers' names and preprocessing");
}

static void
check_recipe(const char *manifest, int heads, int pictures, const char *name)
{
	char *json = xasprintf("{\"num_attention_heads\":%d,\"layer_norm_eps\":1e-6}", heads);
	struct safetensors st;
	struct vit m;

	recipe_read(&st, set, manifest, NULL);
	open_net(&m, &st, json);
	check_class(&m, PREP_DINO, pictures, name, 1e-4);
	vit_release(&m);
	free(json);
}

/* Square and not, class token and the patches' mean. */
static void
check_dinov2(const char *variant)
{
	static const int size[2][2] = { { 98, 98 }, { 112, 84 } };
	char *file = xasprintf("dinov2_%s.safetensors", variant);
	struct safetensors st;
	struct vit m;

	gold_read(&st, set, file);
	open_net(&m, &st, NULL);
	for (int i = 0; i < 2; i++) {
		int h = size[i][0], w = size[i][1];
		char *input = xasprintf("dinov2_%dx%d_input", h, w);
		char *cls = xasprintf("dinov2_%s_%dx%d_cls", variant, h, w);
		char *mean = xasprintf("dinov2_%s_%dx%d_patchmean", variant, h, w);
		float *v = gold_f32(&want, input, NULL), *in = gold_swap(v, 2, 3, (size_t)(h * w)),
		      *got;
		struct tensor *t;

		scope_open();
		t = tensor_from(F32, 4, (int64_t[]){ 2, h, w, 3 }, in);
		got = xmalloc((size_t)(2 * m.cfg.width) * sizeof(*got));
		tensor_get(vit_class(&m, t), got);
		check_tensor(cls, cls, got, (size_t)(2 * m.cfg.width), 1e-4);
		tensor_get(vit_patch_mean(&m, t), got);
		check_tensor(mean, mean, got, (size_t)(2 * m.cfg.width), 1e-4);
		scope_close();
		free(got);
		free(v);
		free(in);
		free(input);
		free(cls);
		free(mean);
	}
	vit_release(&m);
	st_close(&st);
	free(file);
}

int
main(void)
{
	set = gold_open("dino");
	if (!set)
		return 0;
	gpu_open(NULL);
	gold_read(&want, set, "expected.safetensors");
	gold_read(&prep, set, "preprocess.safetensors");
	/* seen 0 and 0 */
	check_prepared(&prep, PREP_DINO, "img%d_stride7", PICTURES, 1e-5);
	check_prepared(&want, PREP_HF, "hf_proc_uint8_stride7", PICTURES, 1e-5);
	gold_done("pictures are prepared as DINO and transformers do");
	/* relative L2, seen 1e-6 at most; positions absolute, seen 9e-7 */
	check_tiny();
	check_hf();
	check_recipe("tiny8_recipe_manifest.json", 2, PICTURES, "tiny8_cls_224");
	check_recipe("vits16_recipe_manifest.json", 6, 2, "vits16_cls_224");
	gold_done("patch 8; ViT-S/16 at its size");
	check_dinov2("mlp");
	check_dinov2("reg4");
	check_dinov2("swiglu");
	gold_done("DINOv2: layer scale, registers, SwiGLU, other grids");
	gpu_close();
	return gold_end();
}
