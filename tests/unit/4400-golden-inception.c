/*
 * Inception's features, logits and resizing against pytorch-fid's, clean-fid's and
 * torch-fidelity's.
 */
#include "recipe.h"

#include "gpu/gpu.h"
#include "model/embed_prep.h"
#include "model/embedder.h"

#include <unistd.h>

static const char *set;
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
		if (there && image_read(&pictures[npictures], path, 3, 8))
			die("%s", errmsg());
		free(path);
		if (!there)
			break;
		npictures++;
	}
	if (!npictures)
		die("%s: no images/img0.png", set);
}

/* The resized pictures at [:, ::13, ::11]. */
static void
check_resize(const struct safetensors *want, enum embed_prep p, const char *name, double bound)
{
	const int side = 299;
	float *out = xmalloc((size_t)side * (size_t)side * 3 * sizeof(*out));
	double worst = 0;

	for (int i = 0; i < npictures; i++) {
		char *key = xasprintf("%s_img%d", name, i);
		const struct st_tensor *t;
		float *w = gold_f32(want, key, &t);
		int64_t at = 0;

		if (t->n != 3 * 23 * 28)
			die("%s: %lld values", key, (long long)t->n);
		embed_resize_fid(p, side, &pictures[i], out);
		for (int c = 0; c < 3; c++)
			for (int y = 0; y < side; y += 13)
				for (int x = 0; x < side; x += 11)
					worst = fmax(worst,
					    fabs((double)out[(c * side + y) * side + x] - w[at++]));
		free(w);
		free(key);
	}
	gold_check(name, worst, bound);
	free(out);
}

/* By the rule of the set (an absolute error, 0: none is given) and by the relative L2. */
static void
compare(const struct safetensors *want, const char *name, const float *got, int64_t n, double most)
{
	const struct st_tensor *t;
	float *w = gold_f32(want, name, &t);
	char *label = xasprintf("%s, largest", name);

	if (t->n != n)
		die("%s: %lld values, not %lld", name, (long long)t->n, (long long)n);
	gold_check(name, gold_rel_l2(got, w, (size_t)n), 1e-4);
	if (most > 0)
		gold_check(label, gold_max_abs(got, w, (size_t)n), most);
	free(label);
	free(w);
}

/* All pictures through one network; logits, and the features in double precision, where asked
 * for. */
static void
check_features(const struct safetensors *want, const char *weights, const char *network,
    const char *prep, const char *name, const char *logits, double most)
{
	char *exact = xasprintf("%s_f64", name);
	struct embedder *e;
	float *f, *l;
	int64_t n;

	if (embedder_open(&e, network, weights, prep, 0))
		die("%s", errmsg());
	n = (int64_t)embedder_dim(e) * npictures;
	f = xmalloc((size_t)n * sizeof(*f));
	l = xmalloc((size_t)npictures * 1008 * sizeof(*l));
	if (embedder_run(e, pictures, npictures, f, logits ? l : NULL))
		die("%s", errmsg());
	compare(want, name, f, n, most);
	if (st_find(want, exact))
		compare(want, exact, f, n, most);
	if (logits)
		compare(want, logits, l, (int64_t)npictures * 1008, 0);
	free(exact);
	free(f);
	free(l);
	embedder_close(e);
}

int
main(void)
{
	struct safetensors stored, st, want;
	char path[] = "/tmp/phantom-inception-XXXXXX";

	set = gold_open("inception");
	if (!set)
		return 0;
	open_pictures();
	gold_read(&want, set, "resize8.safetensors");
	/* seen 1.2e-7, 0, 0 */
	check_resize(&want, PREP_PYTORCH_FID, "pytorchfid", 1e-6);
	check_resize(&want, PREP_CLEAN_FID, "cleanfid", 1e-4);
	check_resize(&want, PREP_TORCH_FIDELITY, "torchfidelity", 1e-4);
	gold_done("pictures are resized as pytorch-fid, clean-fid and torch-fidelity do");
	st_close(&want);

	gpu_open(NULL);
	gold_read(&stored, set, "bn_stats.safetensors");
	recipe_read(&st, set, "recipe_manifest.json", &stored);
	recipe_write(path, &st);
	gold_read(&want, set, "features8.safetensors");
	/* relative L2, seen 2e-6 at most; largest, seen 3e-5 */
	check_features(&want, path, "inception", NULL, "pool3_2048", "logits_unbiased_1008", 1e-3);
	check_features(&want, path, "inception:64", NULL, "block0_64", NULL, 2e-4);
	check_features(&want, path, "inception:192", NULL, "block1_192", NULL, 2e-4);
	check_features(&want, path, "inception:768", NULL, "block2_768", NULL, 2e-4);
	check_features(&want, path, "inception:logits", NULL, "logits_1008", NULL, 0);
	check_features(&want, path, "inception", "clean-fid", "cleanfid_clean_2048", NULL, 1e-3);
	check_features(&want, path, "inception", "torch-fidelity", "torchfidelity_2048",
	    "torchfidelity_logits_unbiased", 1e-3);
	gold_done("Inception's features and logits");
	printf("# stage_probes.json: inside of the net, not compared\n");
	st_close(&want);
	st_close(&stored);
	unlink(path);
	gpu_close();
	return gold_end();
}
