/* k-means, principal components and measures of clusterings against scikit-learn's and s_dbw's. */
#include "gold.h"

#include "gpu/gpu.h"
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
check_given(const char *data, const char *init, const char *labels, double inertia, double iterations)
{
	const struct st_tensor *t, *c;
	float *x = gold_f32(&st, data, &t), *first = gold_f32(&st, init, &c);
	struct kmeans m;

	if (kmeans_fit(&m, x, t->dim[0], t->dim[1], &(struct kmeans_opts){ .k = c->dim[0], .iterations = 300,
	    .tolerance = 1e-4, .first = first }))
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

		if (kmeans_fit(&m, x, t->dim[0], t->dim[1], &(struct kmeans_opts){ .k = 6, .runs = 10,
		    .iterations = 300, .tolerance = 1e-4, .seed = seed * 1000 }))
			die("%s", errmsg());
		worst = fmax(worst, m.inertia / least - 1);
		kmeans_release(&m);
	}
	gold_check("inertia of ten runs over the least", worst, 1e-6);
	worst = 0;
	for (uint64_t seed = 0; seed < 5; seed++) {
		struct kmeans m;

		if (kmeans_fit(&m, x, t->dim[0], t->dim[1], &(struct kmeans_opts){ .k = 6, .runs = 3,
		    .iterations = 100, .tolerance = 1e-4, .batch = 64, .seed = seed * 1000 }))
			die("%s", errmsg());
		worst = fmax(worst, m.inertia / least - 1);
		kmeans_release(&m);
	}
	gold_check("of mini-batches of 64", worst, 2e-3);
	free(x);
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
	check_given("X", "init_centroids", "kmeans_labels", number("kmeans_given_init", "inertia_float64"),
	    number("kmeans_given_init", "n_iter_sklearn"));
	check_given("hard_X", "hard_init", "hard_labels", number("hard", "inertia_float64"),
	    number("hard", "n_iter"));
	/* the inertia that is given there was summed in single precision */
	check_given("X", "init_empty", "kmeans_empty_labels", number("kmeans_empty_cluster_init", "inertia"),
	    number("kmeans_empty_cluster_init", "n_iter"));
	gold_done("k-means from given means");
	check_runs(number("kmeanspp_inertia_20_seeds_n_init10", "min"));
	gold_done("k-means++");
	gpu_close();
	return gold_end();
}
