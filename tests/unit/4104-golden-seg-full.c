/* Segmentation nets of full size, with weights by the recipe, against the reference: every net of
 * full_by_recipe. */
#include "seg_case.h"

#include "base/order.h"

/*
 * Norms of all gradients against float32's of the reference. Normalisation over eight values and
 * rectifiers with inputs near zero make them jump: a rounding of the input moves the worst of some
 * 360 tensors by up to 2e-2, ours and the reference's alike, and the reference's own float32 and
 * float64 runs are as far apart. So the middle one has the bound that tensors of the small nets
 * have, and the worst one twice what three such roundings do to it; where that is not enough the
 * input is rounded anew, a few times more, and the least error of each tensor counts. Observed: the
 * middle one 1.7e-5 to 8.2e-5, the worst 4e-5 to 8e-3, without more roundings.
 */
enum { ROUNDINGS = 3, MOST_ROUNDINGS = 23 };

static void
check_float32_norms(struct fixture *f, const struct json *j, int obj, double bound)
{
	size_t n = (size_t)j->v[obj].size, m;
	double *d = xmalloc(n * sizeof(*d)), *e = xmalloc(n * sizeof(*e)), moved = 0,
	       *least = xmalloc(n * sizeof(*least)), *sorted = xmalloc(n * sizeof(*sorted));
	struct tensor *x = f->x;
	int seed = 0;

	m = norm_differences(f, j, obj, 1e-6, d);
	for (size_t i = 0; i < m; i++)
		least[i] = fabs(d[i]);
	for (;;) {
		memcpy(sorted, least, m * sizeof(*least));
		qsort(sorted, m, sizeof(*sorted), order_doubles);
		if (seed == MOST_ROUNDINGS || (seed >= ROUNDINGS && m && sorted[m / 2] <= bound &&
		    sorted[m - 1] <= fmax(bound, 2 * moved)))
			break;
		scope_open();
		f->x = rounded_anew(x, (uint64_t)++seed);
		params_zero_grad(&f->net.ps);
		backward(seg_loss_of(&f->loss, forward(f, true, NULL), &f->target));
		norm_differences(f, j, obj, 1e-6, e);
		tensor_drop(f->x);
		scope_close();
		for (size_t i = 0; i < m; i++) {
			moved = fmax(moved, fabs(e[i] - d[i]));
			if (seed > ROUNDINGS)
				least[i] = fmin(least[i], fabs(e[i]));
		}
	}
	f->x = x;
	if (seed > ROUNDINGS)
		printf("#   gradient norms: the least errors of %d roundings of the input\n", seed);
	gold_check("gradient norms, relative, the middle one", m ? sorted[m / 2] : NAN, bound);
	gold_check("gradient norms, relative, the worst", m ? sorted[m - 1] : NAN,
	    fmax(bound, 2 * moved));
	free(d);
	free(e);
	free(least);
	free(sorted);
}

static void
one_full(const char *dir, const char *name)
{
	struct fixture f = { .name = name };
	char *manifest = xasprintf("%s_manifest.json", name), *text;
	char *expected = xasprintf("%s/%s_expected.json", dir, name);
	char *file = xasprintf("%s.safetensors", name);
	struct safetensors st, weights;
	struct json e;
	struct tensor *y, *loss;
	double want;

	if (json_read_file(&e, &text, expected))
		die("%s", errmsg());
	gold_read(&st, dir, file);
	recipe_read(&weights, dir, manifest, &st);
	scope_open();
	fixture_net(&f, weights.t, weights.n);
	load_init(&f, &weights);
	f.x = upload(&st, "input");
	fixture_target(&f, &st);
	gold_check("number of parameters, differing",
	    fabs((double)params_elements(&f.net.ps) - gold_num(&e, 0, "n_params")), 0);
	grads_set(false);
	scope_open();
	check_output("output, evaluation mode", forward(&f, false, NULL), &st, "eval_out", 2e-4);
	scope_close();
	grads_set(true);
	params_zero_grad(&f.net.ps);
	y = forward(&f, true, NULL);
	check_output("output, training mode", y, &st, "train_out", 2e-4);
	check_output("the same against float64", y, &st, "train_out_f64", 2e-4);
	loss = seg_loss_of(&f.loss, y, &f.target);
	want = gold_num(&e, 0, "loss_train");
	gold_check("loss, relative", fabs(tensor_item(loss) - want) / want, 1e-6);
	backward(loss);
	check_float32_norms(&f, &e, json_get(&e, 0, "grad_norm"), 1e-3);
	scope_close();
	gold_done(name);
	fixture_release(&f);
	st_close(&st);
	free(weights.t);
	json_release(&e);
	free(text);
	free(manifest);
	free(expected);
	free(file);
}

int
main(int argc, char **argv)
{
	char *set, *full, **name;
	struct arena mem = { 0 };
	size_t n;

	set = seg_set_open(argc, argv);
	if (!set)
		return 0;
	full = path_join(set, "full_by_recipe");
	if (dir_names(full, &mem, &name, &n))
		die("%s", errmsg());
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(name[i]), tail = strlen("_manifest.json");

		if (len > tail && !strcmp(name[i] + len - tail, "_manifest.json"))
			one_full(full, xstrndup(name[i], len - tail));
		else if (strstr(name[i], "padding"))
			printf("# %s: not compared, but by what its net makes\n", name[i]);
	}
	return gold_end();
}
