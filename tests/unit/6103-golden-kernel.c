/*
 * KID and the Inception Score of the features and logits of Inception's two folders:
 * inception/expected.json.
 */
#include "gold_set.h"

#include "data/npy.h"
#include "metric/kernel.h"

/* Absolute for KID, relative for IS. Observed: 1.1e-14 and 1.6e-15. */
static const double bound = 1e-12;

static struct st_tensor
matrix(const char *dir, const char *name)
{
	char *path = path_join(dir, name);
	struct st_tensor t;

	if (npy_read(&t, path) || t.dtype != ST_F32 || t.ndim != 2)
		die("%s: %s", name, errmsg());
	free(path);
	return t;
}

static void
subsets(const struct json *j, const float *x, const float *y, int64_t d)
{
	const int list = json_get(j, 0, "kid_subset_indices"), n = j->v[list].size,
	    want = json_get(j, 0, "kid_10_subsets_of_40_given_indices");
	double sum = 0, squares = 0, v;

	for (int s = 0; s < n; s++) {
		const int pair = json_at(j, list, s);
		int64_t pick[2][256], m = j->v[json_at(j, pair, 0)].size;

		for (int side = 0; side < 2; side++)
			for (int i = 0; i < m && i < 256; i++)
				if (json_int(j, json_at(j, json_at(j, pair, side), i),
				        &pick[side][i]))
					die("%s", errmsg());
		v = kid_of(x, pick[0], y, pick[1], m, d);
		sum += v;
		squares += v * v;
	}
	sum /= n;
	gold_check("KID of given subsets, mean",
	    fabs(sum - gold_num(j, want, "kernel_inception_distance_mean")), bound);
	gold_check("KID of given subsets, deviation",
	    fabs(
	        sqrt(squares / n - sum * sum) - gold_num(j, want, "kernel_inception_distance_std")),
	    bound);
}

static void
score(const struct json *j, const char *key, const struct st_tensor *t, int64_t splits)
{
	const int want = json_get(j, 0, key);
	double *p = xmalloc((size_t)t->n * sizeof(*p)), mean, std;

	softmax_rows(t->data, t->dim[0], t->dim[1], p);
	inception_score(p, t->dim[0], t->dim[1], splits, &mean, &std);
	gold_check(key, gold_rel(mean, gold_num(j, want, "inception_score_mean")), bound);
	gold_check("its deviation", fabs(std - gold_num(j, want, "inception_score_std")), bound);
	free(p);
}

int
main(void)
{
	char *dir = gold_open("inception"), *text;
	struct st_tensor a, b, la, lb;
	struct json j;
	struct kid k;

	if (!dir)
		return 0;
	gold_json(&j, &text, dir, "expected.json");
	a = matrix(dir, "folderA_pool3.npy");
	b = matrix(dir, "folderB_pool3.npy");
	la = matrix(dir, "folderA_logits_unbiased.npy");
	lb = matrix(dir, "folderB_logits_unbiased.npy");
	kid(a.data, a.dim[0], b.data, b.dim[0], a.dim[1], 100, 1000, 0, &k);
	gold_check("KID of all rows", fabs(k.value - gold_num(&j, 0, "kid_full_set_manual")),
	    bound);
	subsets(&j, a.data, b.data, a.dim[1]);
	gold_done("KID");
	score(&j, "is_A_splits1", &la, 1);
	score(&j, "is_A_splits4_noshuffle", &la, 4);
	score(&j, "is_B_splits1", &lb, 1);
	gold_done("Inception Score");
	free((void *)a.data);
	free((void *)b.data);
	free((void *)la.data);
	free((void *)lb.data);
	json_release(&j);
	free(text);
	free(dir);
	return gold_end();
}
