/* k-means, principal components and measures of clusterings against scikit-learn's and s_dbw's. */
#include "gold.h"

#include "gpu/gpu.h"
#include "metric/cluster_score.h"
#include "metric/kmeans.h"

static struct safetensors st;
static struct json expected;

/* A number of expected.json, by the names that lead to it. */
static double
number(const char *a, const char *b)
{
	int v = json_get(&expected, 0, a);

	return gold_num(&expected, b ? v : 0, b ? b : a);
}

static int64_t
differing(const int32_t *label, const char *name)
{
	const struct st_tensor *t = st_find(&st, name);
	const int64_t *want = t->data;
	int64_t n = 0;

	for (int64_t i = 0; i < t->n; i++)
		n += label[i] != want[i];
	return n;
}

static void
check_given(const char *data, const char *init, const char *labels, double inertia,
    double iterations)
{
	const struct st_tensor *t, *c;
	float *x = gold_f32(&st, data, &t), *first = gold_f32(&st, init, &c);
	struct kmeans m;

	if (kmeans_fit(&m, x, t->dim[0], t->dim[1],
	    &(struct kmeans_opts){ .k = c->dim[0], .iterations = 300, .tolerance = 1e-4,
	    .first = first }))
		die("%s", errmsg());
	printf("# %s from %s\n", data, init);
	gold_check("labels that differ", (double)differing(m.label, labels), 0);
	gold_check("inertia, relative", fabs(m.inertia / inertia - 1), 1e-6);
	gold_check("iterations", fabs((double)m.iterations - iterations), 0);
	kmeans_release(&m);
	free(x);
	free(first);
}

/* From k-means++: as low as the best of many seeds. */
static void
check_runs(double least)
{
	const struct st_tensor *t;
	float *x = gold_f32(&st, "X", &t);
	double worst = 0;

	for (uint64_t seed = 0; seed < 5; seed++) {
		struct kmeans m;

		if (kmeans_fit(&m, x, t->dim[0], t->dim[1],
		    &(struct kmeans_opts){ .k = 6, .runs = 10, .iterations = 300, .tolerance = 1e-4,
		    .seed = seed * 1000 }))
			die("%s", errmsg());
		worst = fmax(worst, m.inertia / least - 1);
		kmeans_release(&m);
	}
	gold_check("inertia of ten runs over the least", worst, 1e-6);
	worst = 0;
	for (uint64_t seed = 0; seed < 5; seed++) {
		struct kmeans m;

		if (kmeans_fit(&m, x, t->dim[0], t->dim[1],
		    &(struct kmeans_opts){ .k = 6, .runs = 3, .iterations = 100, .tolerance = 1e-4,
		    .batch = 64, .seed = seed * 1000 }))
			die("%s", errmsg());
		worst = fmax(worst, m.inertia / least - 1);
		kmeans_release(&m);
	}
	gold_check("of mini-batches of 64", worst, 2e-3);
	free(x);
}

static int32_t *
labels(const char *name)
{
	const struct st_tensor *t = st_find(&st, name);
	const int64_t *v = t->data;
	int32_t *l = xmalloc((size_t)t->n * sizeof(*l));

	for (int64_t i = 0; i < t->n; i++)
		l[i] = (int32_t)v[i];
	return l;
}

static void
check_scores(void)
{
	const struct st_tensor *t, *p;
	float *x = gold_f32(&st, "X", &t), *want = gold_f32(&st, "pca_transformed_f64", &p);
	int64_t n = t->dim[0], d = t->dim[1];
	int32_t *l = labels("kmeans_labels"), *low = labels("lowdim_labels");
	int list = json_get(&expected, 0, "mep_prompt_compactness_on_kmeans_labels");
	double s, worst = 0, *map = xmalloc((size_t)(2 * n) * sizeof(*map)), *two;
	float *plane = xmalloc((size_t)(2 * n) * sizeof(*plane));
	struct compactness c[6];

	s = score_silhouette(x, n, d, l, 6, 0, 0);
	gold_check("silhouette", fabs(s / number("scores_on_kmeans_labels", "silhouette_mean") - 1),
	    1e-6);
	if (score_sdbw(x, n, d, l, 6, &s))
		die("%s", errmsg());
	gold_check("S_Dbw", fabs(s / number("scores_on_kmeans_labels", "s_dbw_Tong") - 1), 1e-5);
	for (int64_t i = 0; i < n; i++)
		memcpy(plane + 2 * i, x + d * i, 2 * sizeof(*plane));
	if (score_sdbw(plane, n, 2, low, 4, &s))
		die("%s", errmsg());
	gold_check("S_Dbw of two features",
	    fabs(s / number("lowdim_first2cols_k4", "s_dbw_Tong") - 1), 1e-5);
	score_compactness(x, n, d, l, 6, c);
	for (int i = 0; i < 6; i++) {
		int v = json_at(&expected, list, i);

		worst = fmax(worst,
		    fabs(c[i].mean_variance / gold_num(&expected, v, "mean_var_through_N") - 1));
		worst = fmax(worst,
		    fabs(c[i].max_distance2 / gold_num(&expected, v, "max_sqrd_dist_to_center") -
		        1));
	}
	gold_check("compactness", worst, 1e-5);
	if (map_rows(x, n, d, 0, 0, map))
		die("%s", errmsg());
	worst = 0;
	two = map;
	for (int64_t i = 0; i < n; i++, two += 2)
		worst = fmax(worst,
		    fmax(fabs(two[0] - want[p->dim[1] * i]),
		        fabs(two[1] - want[p->dim[1] * i + 1])));
	gold_check("two principal components", worst, 2e-6);
	gold_done("silhouette, S_Dbw, compactness, principal components");
	free(x);
	free(want);
	free(l);
	free(low);
	free(map);
	free(plane);
}

int
main(void)
{
	char *set = gold_open("cluster"), *path, *text;

	if (!set)
		return 0;
	path = path_join(set, "expected.json");
	if (json_read_file(&expected, &text, path))
		die("%s", errmsg());
	gold_read(&st, set, "data.safetensors");
	gpu_open(NULL);
	check_given("X", "init_centroids", "kmeans_labels",
	    number("kmeans_given_init", "inertia_float64"),
	    number("kmeans_given_init", "n_iter_sklearn"));
	check_given("hard_X", "hard_init", "hard_labels", number("hard", "inertia_float64"),
	    number("hard", "n_iter"));
	/* the inertia that is given there was summed in single precision */
	check_given("X", "init_empty", "kmeans_empty_labels",
	    number("kmeans_empty_cluster_init", "inertia"),
	    number("kmeans_empty_cluster_init", "n_iter"));
	gold_done("k-means from given means");
	check_runs(number("kmeanspp_inertia_20_seeds_n_init10", "min"));
	gold_done("k-means++");
	check_scores();
	gpu_close();
	return gold_end();
}
