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

/* One side's rows of a subset; caller frees. */
static int64_t *
rows_of(const struct json *j, int list, int64_t most)
{
	int64_t *pick = xmalloc(((size_t)j->v[list].size + 1) * sizeof(*pick));

	for (int i = 0; i < j->v[list].size; i++)
		if (json_int(j, json_at(j, list, i), &pick[i]) || pick[i] < 0 || pick[i] >= most)
			die("kid_subset_indices: a row that is not there");
	return pick;
}

/* kid_N_subsets_of_M_given_indices */
static void
subsets(const struct json *j, int want, const struct st_tensor *a, const struct st_tensor *b)
{
	const int list = json_get(j, 0, "kid_subset_indices"), n = list < 0 ? 0 : j->v[list].size;
	double sum = 0, squares = 0, v;

	if (!n)
		die("expected.json: no kid_subset_indices");
	for (int s = 0; s < n; s++) {
		const int pair = json_at(j, list, s), x = json_at(j, pair, 0),
		          y = json_at(j, pair, 1);
		int64_t *px = rows_of(j, x, a->dim[0]), *py = rows_of(j, y, b->dim[0]);

		if (j->v[x].size != j->v[y].size)
			die("kid_subset_indices: subset %d has sides of two sizes", s);
		v = kid_of(a->data, px, b->data, py, j->v[x].size, a->dim[1]);
		sum += v;
		squares += v * v;
		free(px);
		free(py);
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
score(const struct json *j, const char *key, int want, const struct st_tensor *t, int64_t splits)
{
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
	struct arena mem = { 0 };
	struct json j;
	struct kid k;

	if (!dir)
		return 0;
	gold_json(&j, &text, dir, "expected.json");
	a = matrix(dir, "folderA_pool3.npy");
	b = matrix(dir, "folderB_pool3.npy");
	la = matrix(dir, "folderA_logits_unbiased.npy");
	lb = matrix(dir, "folderB_logits_unbiased.npy");
	kid(a.data, a.dim[0], b.data, b.dim[0], a.dim[1], 100, INT32_MAX, 0, &k);
	gold_check("KID of all rows", fabs(k.value - gold_num(&j, 0, "kid_full_set_manual")),
	    bound);
	for (int i = 0, at = 1; i < j.v[0].size; i++, at = j.v[at + 1].next) {
		const char *key = json_str(&j, at, &mem);

		if (!strncmp(key, "kid_", 4) && strstr(key, "_given_indices"))
			subsets(&j, at + 1, &a, &b);
	}
	gold_done("KID");
	for (int i = 0, at = 1; i < j.v[0].size; i++, at = j.v[at + 1].next) {
		const char *key = json_str(&j, at, &mem);
		int splits;
		char side;

		if (sscanf(key, "is_%c_splits%d", &side, &splits) == 2)
			score(&j, key, at + 1, side == 'A' ? &la : &lb, splits);
	}
	gold_done("Inception Score");
	arena_release(&mem);
	free((void *)a.data);
	free((void *)b.data);
	free((void *)la.data);
	free((void *)lb.data);
	json_release(&j);
	free(text);
	free(dir);
	return gold_end();
}
