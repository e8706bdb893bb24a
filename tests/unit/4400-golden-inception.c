/*
 * Inception's features, logits and resizing against pytorch-fid's, clean-fid's and
 * torch-fidelity's.
 */
#include "recipe.h"

#include "gpu/gpu.h"
#include "model/embed_prep.h"
#include "model/embedder.h"

#include <unistd.h>

enum { PICTURES = 8 };

static const char *set;

static void
read_picture(struct image *im, int i)
{
	char *path = xasprintf("%s/images/img%d.png", set, i);

	if (image_read(im, path, 3, 8))
		die("%s", errmsg());
	free(path);
}

/* The resized pictures at [:, ::13, ::11]. */
static void
check_resize(const struct safetensors *want, enum embed_prep p, const char *name, double bound)
{
	const int side = 299;
	float *out = xmalloc((size_t)side * (size_t)side * 3 * sizeof(*out));
	double worst = 0;

	for (int i = 0; i < PICTURES; i++) {
		char *key = xasprintf("%s_img%d", name, i);
		struct image im = { 0 };
		const struct st_tensor *t;
		float *w = gold_f32(want, key, &t);
		int64_t at = 0;

		read_picture(&im, i);
		embed_resize_fid(p, side, &im, out);
		for (int c = 0; c < 3; c++)
			for (int y = 0; y < side; y += 13)
				for (int x = 0; x < side; x += 11)
					worst = fmax(worst,
					    fabs((double)out[(c * side + y) * side + x] - w[at++]));
		if (at != t->n)
			die("%s: %lld values, not %lld", key, (long long)t->n, (long long)at);
		image_release(&im);
		free(w);
		free(key);
	}
	gold_check(name, worst, bound);
	free(out);
}

/* All pictures through one network; logits too where asked for. */
static void
check_features(const struct safetensors *want, const char *weights, const char *network,
    const char *prep, const char *name, const char *logits, double bound)
{
	struct image im[PICTURES] = { { 0 } };
	struct embedder *e;
	const struct st_tensor *t;
	float *f, *l, *w;
	size_t n;

	if (embedder_open(&e, network, weights, prep, 0))
		die("%s", errmsg());
	n = (size_t)embedder_dim(e) * PICTURES;
	f = xmalloc(n * sizeof(*f));
	l = xmalloc(PICTURES * 1008 * sizeof(*l));
	for (int i = 0; i < PICTURES; i++)
		read_picture(&im[i], i);
	if (embedder_run(e, im, PICTURES, f, logits ? l : NULL))
		die("%s", errmsg());
	w = gold_f32(want, name, &t);
	if ((size_t)t->n != n)
		die("%s: %lld values, not %zu", name, (long long)t->n, n);
	gold_check(name, gold_rel_l2(f, w, n), bound);
	free(w);
	if (logits) {
		w = gold_f32(want, logits, &t);
		gold_check(logits, gold_rel_l2(l, w, (size_t)t->n), bound);
		free(w);
	}
	for (int i = 0; i < PICTURES; i++)
		image_release(&im[i]);
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
	/* relative L2; seen 2e-6 at most */
	check_features(&want, path, "inception", NULL, "pool3_2048", "logits_unbiased_1008", 1e-4);
	check_features(&want, path, "inception:64", NULL, "block0_64", NULL, 1e-4);
	check_features(&want, path, "inception:192", NULL, "block1_192", NULL, 1e-4);
	check_features(&want, path, "inception:768", NULL, "block2_768", NULL, 1e-4);
	check_features(&want, path, "inception:logits", NULL, "logits_1008", NULL, 1e-4);
	check_features(&want, path, "inception", "clean-fid", "cleanfid_clean_2048", NULL, 1e-4);
	check_features(&want, path, "inception", "torch-fidelity", "torchfidelity_2048",
	    "torchfidelity_logits_unbiased", 1e-4);
	gold_done("Inception's features and logits");
	st_close(&want);
	st_close(&stored);
	unlink(path);
	gpu_close();
	return gold_end();
}
