/*
 * The images of a golden set (diffusers/train_images) as they come to a trainer, against
 * torchvision's transforms: resized, cropped at the centre, mirrored, as numbers; and their latents
 * (train/batches). Observed: pixels equal, numbers equal, latents 2.4e-6.
 */
#include "gold.h"

#include "model/sd_feed.h"

#include <stdbool.h>

static char *root; /* .../diffusers */

static struct sd_data data;

static int
add(struct rec *r, void *ctx)
{
	(void)ctx;
	return sd_data_add(&data, r);
}

/* Pixels that differ from a golden image [3,h,w]. */
static double
differ(const struct safetensors *st, const char *name, const uint8_t *px)
{
	const struct st_tensor *t;
	float *want = gold_f32(st, name, &t);
	int64_t n = t->dim[1] * t->dim[2];
	double bad = 0;

	for (int64_t i = 0; i < n; i++)
		for (int64_t c = 0; c < 3; c++)
			bad += (float)px[3 * i + c] != want[c * n + i];
	free(want);
	return bad;
}

static void
images(const struct safetensors *st)
{
	int res = data.conf.resolution;
	uint8_t *px = xmalloc((size_t)res * (size_t)res * 3);
	double resized = 0, cropped = 0;

	for (size_t i = 0; i < data.n; i++) {
		struct image im = { 0 };
		char name[64];

		snprintf(name, sizeof(name), "resized.%zu", i);
		if (!st_find(st, name) || sd_data_decode(&data.conf, &data.item[i], &im) ||
		    sd_data_pixels(&data, &data.item[i], 0, px))
			die("%s: %s", name, errmsg());
		resized += differ(st, name, im.data);
		snprintf(name, sizeof(name), "cropped.%zu", i);
		cropped += differ(st, name, px);
		image_release(&im);
	}
	gold_check("resized: values that differ", resized, 0);
	gold_check("cropped: values that differ", cropped, 0);
	gold_done("images");
	free(px);
}

/* A visit in which the item is mirrored, or not. */
static uint64_t
visit(const struct sd_item *it, bool flipped)
{
	uint64_t v = 0;

	while (sd_data_flipped(&data, it, v) != flipped)
		v++;
	return v;
}

static void
numbers(const struct safetensors *st)
{
	size_t res = (size_t)data.conf.resolution, n = res * res;
	uint8_t *px = xmalloc(n * 3);
	float *got = xmalloc(n * 3 * sizeof(*got));

	for (int flipped = 0; flipped < 2; flipped++) {
		const char *name = flipped ? "pixel_values_flipped.0" : "pixel_values.0";
		float *want = gold_f32(st, name, NULL), *turned = gold_swap(want, 1, 3, n);

		if (sd_data_pixels(&data, &data.item[0], visit(&data.item[0], flipped), px))
			die("%s", errmsg());
		sd_data_normalize(px, n * 3, got);
		gold_check(name, gold_max_abs(got, turned, n * 3), 0);
		free(want);
		free(turned);
	}
	gold_done("numbers");
	free(px);
	free(got);
}

/* The latents of the first batches, from the images that they name. */
static void
latents(const struct safetensors *st)
{
	struct pipeline p;
	char *model = path_join(root, "model");
	const struct st_tensor *t;
	float *index = gold_f32(st, "image_index", NULL), *flip = gold_f32(st, "flip", NULL);
	float *noise = gold_f32(st, "vae_noise", NULL), *want = gold_f32(st, "latents", &t);
	int64_t n = t->dim[1], c = t->dim[2], px = t->dim[3] * t->dim[4];
	size_t res = (size_t)data.conf.resolution;
	uint8_t *bytes = xmalloc(res * res * 3);
	float *v = xmalloc(res * res * 3 * sizeof(*v)),
	      *m = xmalloc((size_t)(2 * c * px) * sizeof(*m));
	double worst = 0;

	if (pipeline_open(&p, model, &(struct pipeline_opts){ .parts = 1 << SD_VAE }))
		die("%s", errmsg());
	for (int64_t i = 0; i < n; i++) {
		const struct sd_item *it = &data.item[(size_t)index[i]];
		struct tensor *mean, *logvar;
		float *x = xmalloc((size_t)(c * px) * sizeof(*x)),
		      *e = gold_swap(noise + i * c * px, 1, (size_t)c, (size_t)px),
		      *w = gold_swap(want + i * c * px, 1, (size_t)c, (size_t)px);
		double d;

		if (sd_data_pixels(&data, it, visit(it, flip[i] != 0), bytes))
			die("%s", errmsg());
		sd_data_normalize(bytes, res * res * 3, v);
		scope_open();
		vae_encode(&p.vae,
		    tensor_from(F32, 4, (int64_t[]){ 1, (int64_t)res, (int64_t)res, 3 }, v), &mean,
		    &logvar);
		tensor_get(mean, m);
		tensor_get(logvar, m + c * px);
		scope_close();
		for (int64_t k = 0; k < c * px; k++)
			x[k] =
			    (float)p.cfg.vae.scaling * (m[k] + expf(0.5f * m[c * px + k]) * e[k]);
		d = gold_rel_l2(x, w, (size_t)(c * px));
		worst = d <= worst ? worst : d;
		free(x);
		free(e);
		free(w);
	}
	gold_check("latents", worst, 2e-5);
	gold_done("latents");
	pipeline_close(&p);
	free(model);
	free(index);
	free(flip);
	free(noise);
	free(want);
	free(bytes);
	free(v);
	free(m);
}

int
main(void)
{
	struct rec_opts ro = { .jobs = 1, .quiet = true, .what = "records" };
	struct safetensors images_st, batches;
	const struct st_tensor *t;
	char *records, *dir;

	if (!(root = gold_open("diffusers")) || !gold_has(root, "train/images.safetensors"))
		return 0;
	dir = path_join(root, "train");
	gold_read(&images_st, dir, "images.safetensors");
	gold_read(&batches, dir, "batches.safetensors");
	t = st_find(&images_st, "cropped.0");
	if (!t)
		die("%s: no cropped.0", images_st.path);
	sd_data_init(&data, &(struct sd_data_conf){ .resolution = (int)t->dim[1], .channels = 3,
	    .center_crop = true, .image_key = "file_name", .caption_key = "text",
	    .label_key = "label" }, 0);
	records = path_join(root, "train_images/metadata.jsonl");
	if (rec_each(&ro, (const char *const[]){ records }, 1, NULL, add, NULL))
		die("%s: %s", records, errmsg());
	gpu_open(NULL);
	grads_set(false);
	images(&images_st);
	data.conf.flip = true;
	numbers(&images_st);
	latents(&batches);
	st_close(&images_st);
	st_close(&batches);
	sd_data_release(&data);
	free(records);
	free(dir);
	return gold_end();
}
