/* What classifiers' last layer sees, and what they say, against torchvision; full nets by the
 * recipe. */
#include "recipe.h"

#include "gpu/gpu.h"
#include "model/embedder.h"

#include <unistd.h>

static void
check(const char *dir, const char *name)
{
	char *manifest = xasprintf("%s_manifest.json", name),
	     *file = xasprintf("%s.safetensors", name);
	char path[] = "/tmp/phantom-resnet-XXXXXX";
	struct safetensors st, want;
	struct image im[8] = { { 0 } };
	const struct st_tensor *pics, *t;
	float *features, *logits, *f, *l;
	struct embedder *e;
	int n;

	recipe_read(&st, dir, manifest, NULL);
	gold_read(&want, dir, file);
	recipe_write(path, &st);
	pics = st_find(&want, "images_u8_nhwc");
	n = (int)pics->dim[0];
	/* at their own size: nothing is resized */
	if (n > 8 || embedder_open(&e, name, path, "hf", (int)pics->dim[1]))
		die("%s", errmsg());
	features = gold_f32(&want, "eval_head_input_features", &t);
	logits = gold_f32(&want, "eval_logits", NULL);
	f = xmalloc((size_t)t->n * sizeof(*f));
	l = xmalloc((size_t)(n * embedder_classes(e)) * sizeof(*l));
	for (int i = 0; i < n; i++) {
		size_t size = (size_t)(pics->n / n);

		image_alloc(&im[i], (int)pics->dim[2], (int)pics->dim[1], 3, 8);
		memcpy(im[i].data, (const char *)pics->data + (size_t)i * size, size);
	}
	if (embedder_run(e, im, n, f, l))
		die("%s", errmsg());
	gold_check("features", gold_rel_l2(f, features, (size_t)t->n), 1e-4);
	gold_check("logits", gold_rel_l2(l, logits, (size_t)(n * embedder_classes(e))), 1e-4);
	gold_done(name);
	for (int i = 0; i < n; i++)
		image_release(&im[i]);
	unlink(path);
	embedder_close(e);
	free(f);
	free(l);
	free(features);
	free(logits);
	free(manifest);
	free(file);
	st_close(&want);
}

int
main(void)
{
	char *set = gold_open("classifier"), *dir;

	if (!set)
		return 0;
	gpu_open(NULL);
	dir = path_join(set, "full_by_recipe");
	/* relative L2; seen 9.6e-7 at most */
	check(dir, "resnet18");
	check(dir, "resnet50");
	check(dir, "densenet121");
	gpu_close();
	return gold_end();
}
