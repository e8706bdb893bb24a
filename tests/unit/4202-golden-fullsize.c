/*
 * The nets of Stable Diffusion at full size against diffusers' (diffusers/fullsize of a golden
 * set): the weights come from a formula, so that nothing large has to be kept. One net at a time is
 * in memory (3.5 GB for the U-Net). FULLSIZE names the nets to run, "text vae unet" if it is not
 * set.
 */
#include "fullsize.h"
#include "gold.h"

#include "tensor/ops.h"

#include <stdbool.h>

static char *set; /* .../diffusers/fullsize */

static void
compare(const char *what, struct tensor *y, const struct safetensors *st, const char *name)
{
	float *want = gold_f32(st, name, NULL), *got = xmalloc((size_t)y->n * sizeof(*got));

	tensor_get(y->ndim == 4 ? op_permute(y, (const int[]){ 0, 3, 1, 2 }) : y, got);
	gold_check(what, gold_rel_l2(got, want, (size_t)y->n), 2e-5);
	free(want);
	free(got);
}

/* ---- the nets -------------------------------------------------------------------------------- */

/* observed: 1.3e-6 */
static void
text(const struct sd_config *c)
{
	struct safetensors st;
	const struct st_tensor *t;
	struct clip m;
	float *f;
	int32_t *ids;

	gold_read(&st, set, "text.safetensors");
	clip_init(&m, &c->text, F32, false);
	fullsize_fill(&m.ps, "text_encoder");
	f = gold_f32(&st, "input_ids", &t);
	ids = xmalloc((size_t)t->n * sizeof(*ids));
	for (int64_t i = 0; i < t->n; i++)
		ids[i] = (int32_t)f[i];
	scope_open();
	compare("text states", clip_forward(&m, tensor_from(I32, t->ndim, t->dim, ids), NULL), &st,
	    "last_hidden_state");
	scope_close();
	gold_done("full-size text encoder");
	free(f);
	free(ids);
	clip_release(&m);
	st_close(&st);
}

/* observed: 2.7e-6, 3.1e-6 and 3.9e-6 */
static void
vae(const struct sd_config *c)
{
	struct safetensors st;
	const struct st_tensor *t;
	struct tensor *mean, *logvar;
	struct vae m;

	gold_read(&st, set, "vae.safetensors");
	vae_init(&m, &c->vae, F32, false);
	fullsize_fill(&m.ps, "vae");
	scope_open();
	t = st_find(&st, "mean");
	vae_encode(&m, fullsize_input("input.pixels", 4,
	    (int64_t[]){ t->dim[0], 3, 8 * t->dim[2], 8 * t->dim[3] }, 1), &mean, &logvar);
	compare("mean", mean, &st, "mean");
	compare("logvar", logvar, &st, "logvar");
	t = st_find(&st, "decoded");
	compare("decoded", vae_decode(&m, fullsize_input("input.latents", 4,
	    (int64_t[]){ t->dim[0], 4, t->dim[2] / 8, t->dim[3] / 8 }, sqrt(3))), &st, "decoded");
	scope_close();
	gold_done("full-size autoencoder");
	vae_release(&m);
	st_close(&st);
}

/* observed: 3.5e-6 to 4.4e-6 */
static void
unet(const struct sd_config *c)
{
	/* sizes and times as the set's README states them */
	static const struct {
		const char *name;
		double t[2];
	} cases[] = { { "a", { 500, 500 } }, { "b", { 981, 20 } }, { "c", { 261, 261 } } };
	struct safetensors st;
	struct unet m;

	gold_read(&st, set, "unet.safetensors");
	unet_init(&m, &c->unet, F32, false);
	fullsize_fill(&m.ps, "unet");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char out[32], sample[32], context[32], word[64];
		const struct st_tensor *t;

		snprintf(out, sizeof(out), "%s.out", cases[i].name);
		snprintf(sample, sizeof(sample), "input.%s.sample", cases[i].name);
		snprintf(context, sizeof(context), "input.%s.context", cases[i].name);
		snprintf(word, sizeof(word), "U-Net, case %s", cases[i].name);
		if (!(t = st_find(&st, out)))
			continue;
		scope_open();
		compare(word,
		    unet_forward(&m, fullsize_input(sample, 4, t->dim, sqrt(3)), cases[i].t,
		        fullsize_input(context, 3, (int64_t[]){ t->dim[0], 77, c->unet.context },
		            sqrt(3))),
		    &st, out);
		scope_close();
	}
	gold_done("full-size U-Net");
	unet_release(&m);
	st_close(&st);
}

int
main(void)
{
	const char *want = getenv("FULLSIZE") ? getenv("FULLSIZE") : "text vae unet";
	struct sd_config c;

	if (!(set = gold_open("diffusers/fullsize")))
		return 0;
	gpu_open(NULL);
	grads_set(false);
	if (fullsize_config(&c, set))
		die("%s", errmsg());
	if (strstr(want, "text") && fullsize_has(set, "text.safetensors"))
		text(&c);
	if (strstr(want, "vae") && fullsize_has(set, "vae.safetensors"))
		vae(&c);
	if (strstr(want, "unet") && fullsize_has(set, "unet.safetensors"))
		unet(&c);
	sd_config_release(&c);
	free(set);
	return gold_end();
}
