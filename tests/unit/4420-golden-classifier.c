/* What classifiers' last layer sees, and what they say, against torchvision: every net of
 * full_by_recipe, and every narrow one with stored weights. */
#include "recipe.h"

#include "gpu/gpu.h"
#include "model/embedder.h"

#include <unistd.h>

/* Relative L2. Observed: 9.6e-7. */
static void
compare(const struct safetensors *st, const char *name, const float *got, int64_t n)
{
	const struct st_tensor *t;
	float *want = gold_f32(st, name, &t);

	if (t->n != n)
		die("%s: %s: %lld values, not %lld", st->path, name, (long long)t->n, (long long)n);
	gold_check(name, gold_rel_l2(got, want, (size_t)n), 1e-4);
	free(want);
}

/* Also by the rules of the sets: an absolute error of 2e-4, or of ten times what the reference's
 * own float32 run is off where that is more. Observed: 4.3e-6. */
static void
compare_logits(const struct safetensors *st, const char *name, const float *got, int64_t n)
{
	char *exact = xasprintf("%s_f64", name), *most = xasprintf("%s, largest", name);
	float *want = gold_f32(st, name, NULL), *f64 = NULL;
	double bound = 2e-4;

	compare(st, name, got, n);
	if (st_find(st, exact)) {
		compare(st, exact, got, n);
		f64 = gold_f32(st, exact, NULL);
		bound = fmax(bound, 10 * gold_max_abs(f64, want, (size_t)n) + 1e-6);
	}
	gold_check(most, gold_max_abs(got, want, (size_t)n), bound);
	free(exact);
	free(most);
	free(want);
	free(f64);
}

/* A net with the weights of a file: pictures [N,H,H,3] at their own size, so that nothing is
 * resized, to features (NULL: none in the set) and logits. */
static void
check(const char *net, const char *weights, const struct safetensors *batch,
    const struct safetensors *want, const char *features, const char *logits)
{
	const struct st_tensor *pics = st_find(batch, "images_u8_nhwc");
	struct embedder *e;
	struct image *im;
	float *f, *l;
	int n;

	if (!pics || pics->ndim != 4 || pics->dim[1] != pics->dim[2] || pics->dim[3] != 3)
		die("%s: no images_u8_nhwc of square pictures", batch->path);
	n = (int)pics->dim[0];
	if (embedder_open(&e, net, weights, "hf", (int)pics->dim[1]))
		die("%s", errmsg());
	im = xcalloc((size_t)n, sizeof(*im));
	f = xmalloc((size_t)(n * embedder_dim(e)) * sizeof(*f));
	l = xmalloc((size_t)(n * embedder_classes(e)) * sizeof(*l));
	for (int i = 0; i < n; i++) {
		size_t size = (size_t)(pics->n / n);

		image_alloc(&im[i], (int)pics->dim[2], (int)pics->dim[1], 3, 8);
		memcpy(im[i].data, (const char *)pics->data + (size_t)i * size, size);
	}
	if (embedder_run(e, im, n, f, l))
		die("%s", errmsg());
	if (features)
		compare(want, features, f, (int64_t)n * embedder_dim(e));
	compare_logits(want, logits, l, (int64_t)n * embedder_classes(e));
	for (int i = 0; i < n; i++)
		image_release(&im[i]);
	embedder_close(e);
	free(im);
	free(f);
	free(l);
}

static void
one_full(const char *dir, const char *name)
{
	char *manifest = xasprintf("%s_manifest.json", name),
	     *file = xasprintf("%s.safetensors", name);
	char path[] = "/tmp/phantom-resnet-XXXXXX";
	struct safetensors st, want;

	gold_read(&want, dir, file);
	recipe_read(&st, dir, manifest, &want);
	recipe_write(path, &st);
	check(name, path, &want, &want, "eval_head_input_features", "eval_logits");
	gold_done(name);
	unlink(path);
	free(manifest);
	free(file);
	st_close(&want);
}

static void
one_narrow(const char *dir, const char *name)
{
	struct safetensors batch, want;
	char *init = path_join(dir, "init.safetensors"), *net = xstrndup(name, strcspn(name, "_")),
	     *end = net + strcspn(net, "0123456789");

	*end = '\0'; /* the family: these have other widths than the nets they are named for */
	gold_read(&batch, dir, "batch.safetensors");
	gold_read(&want, dir, "outputs.safetensors");
	check(net, init, &batch, &want, NULL, "eval_logits_initial");
	printf("# %s: training is not compared, classifiers make features here\n", name);
	gold_done(name);
	free(init);
	free(net);
	st_close(&batch);
	st_close(&want);
}

int
main(void)
{
	char *set = gold_open("classifier"), *full, **name;
	struct arena mem = { 0 };
	size_t n;

	if (!set)
		return 0;
	gpu_open(NULL);
	full = path_join(set, "full_by_recipe");
	if (dir_names(full, &mem, &name, &n))
		die("%s", errmsg());
	for (size_t i = 0; i < n; i++) {
		const size_t len = strlen(name[i]), tail = strlen("_manifest.json");

		if (len > tail && !strcmp(name[i] + len - tail, "_manifest.json"))
			one_full(full, xstrndup(name[i], len - tail));
	}
	if (dir_names(set, &mem, &name, &n))
		die("%s", errmsg());
	for (size_t i = 0; i < n; i++) {
		char *dir = path_join(set, name[i]), *init = path_join(dir, "init.safetensors");

		if (file_exists(init))
			one_narrow(dir, name[i]);
	}
	gpu_close();
	return gold_end();
}
