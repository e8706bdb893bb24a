/*
 * One backward pass of the U-Net of SD 1.5 or 2.1 at full size against diffusers'
 * (diffusers/fullsize of a golden set: train.safetensors, train_grads.json): loss, prediction, some
 * gradients in full, the norm of every one. It takes 8 GB and most of a minute; FULLSIZE without
 * the word train leaves it out. Observed: prediction 3.2e-6, loss 8.5e-8, gradients 6.2e-6, norms
 * 1.5e-6, norm of the whole 6.7e-7.
 */
#include "fullsize.h"
#include "gold.h"

#include "base/progress.h"
#include "model/sd_loss.h"

#include <stdbool.h>

static char *set; /* .../diffusers/fullsize */

/* Against a golden gradient: whole, or a few of its first rows. */
static double
against(const struct params *ps, const struct st_tensor *t)
{
	char *name = xstrdup(t->name + strlen("grad.")), *rows = strstr(name, ".row");
	const struct param *p;
	float *g, *want = xmalloc((size_t)t->n * sizeof(*want));
	double e;

	if (rows)
		*rows = 0;
	p = params_find(ps, name);
	if (!p || p->n < t->n)
		die("%s: no such parameter", t->name);
	g = xmalloc((size_t)p->n * sizeof(*g));
	params_get_grad(p, g);
	st_get_f32(t, want);
	e = gold_rel_l2(g, want, (size_t)t->n);
	free(name);
	free(g);
	free(want);
	return e;
}

static void
gradients(const struct unet *m, const struct safetensors *st, const struct json *j)
{
	int list = json_get(j, 0, "per_tensor_norm_and_sum");
	double worst = 0, worst_norm = 0, all = 0, want;

	for (int i = 0; i < st->n; i++)
		if (strncmp(st->t[i].name, "grad.", 5) == 0)
			worst = fmax(worst, against(&m->ps, &st->t[i]));
	for (int i = 0; i < m->ps.n; i++) {
		const struct param *p = m->ps.p[i];
		float *g = xmalloc((size_t)p->n * sizeof(*g));
		double sum = 0;

		params_get_grad(p, g);
		for (int64_t k = 0; k < p->n; k++)
			sum += (double)g[k] * g[k];
		if (json_num(j, json_at(j, json_get(j, list, p->name), 0), &want))
			die("%s: %s", p->name, errmsg());
		worst_norm = fmax(worst_norm, fabs(sqrt(sum) / want - 1));
		all += sum;
		free(g);
	}
	gold_check("gradients given in full, worst", worst, 1e-4);
	gold_check("norms of all gradients, worst", worst_norm, 1e-4);
	gold_check("norm of the whole", fabs(sqrt(all) / gold_num(j, 0, "grad_norm_total") - 1),
	    1e-4);
}

static void
run(const struct sd_config *c, const struct json *j)
{
	struct safetensors st;
	const struct st_tensor *t;
	struct tensor *pred, *loss;
	struct unet m;
	float *want, *got;
	double start;

	gold_read(&st, set, "train.safetensors");
	want = gold_f32(&st, "pred", &t);
	got = xmalloc((size_t)t->n * sizeof(*got));
	unet_init(&m, &c->unet, F32, true);
	fullsize_fill(&m.ps, "unet");
	scope_open();
	params_zero_grad(&m.ps);
	start = now_s();
	pred = unet_forward(&m, fullsize_input("input.t.sample", 4, t->dim, sqrt(3)),
	    (const double[]){ 333 },
	    fullsize_input("input.t.context", 3, (int64_t[]){ 1, 77, c->unet.context }, sqrt(3)));
	loss = op_mean_all(sd_errors(pred, fullsize_input("input.t.target", 4, t->dim, sqrt(3))));
	backward(loss);
	gpu_wait();
	printf("# forward and backward, cold: %.1f s\n", now_s() - start);
	tensor_get(op_permute(pred, (const int[]){ 0, 3, 1, 2 }), got);
	gold_check("prediction", gold_rel_l2(got, want, (size_t)t->n), 2e-5);
	gold_check("loss", fabs(tensor_item(loss) / gold_num(j, 0, "loss") - 1), 1e-5);
	gradients(&m, &st, j);
	scope_close();
	gold_done("full-size U-Net, one backward pass");
	unet_release(&m);
	st_close(&st);
	free(want);
	free(got);
}

int
main(void)
{
	const char *which = getenv("FULLSIZE");
	struct sd_config c;
	struct json j;
	char *text, *path;

	if (which && !strstr(which, "train")) {
		printf("1..0 # SKIP not asked for\n");
		return 0;
	}
	if (!(set = gold_open("diffusers/fullsize")))
		return 0;
	if (!fullsize_has(set, "train_grads.json") || !fullsize_has(set, "train.safetensors")) {
		printf("1..0 # SKIP no backward pass in this set\n");
		return 0;
	}
	path = path_join(set, "train_grads.json");
	if (json_read_file(&j, &text, path))
		die("%s", errmsg());
	gpu_open(NULL);
	if (fullsize_config(&c, set))
		die("%s", errmsg());
	run(&c, &j);
	sd_config_release(&c);
	json_release(&j);
	free(text);
	free(path);
	free(set);
	return gold_end();
}
