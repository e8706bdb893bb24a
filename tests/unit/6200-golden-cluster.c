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

/* The object of expected.json whose name begins so; *key: the whole name. */
static int
object(const char *start, char **key)
{
	static struct arena mem;
	int at = 1;

	for (int i = 0; i < expected.v[0].size; i++, at = expected.v[at + 1].next) {
		*key = json_str(&expected, at, &mem);
		if (!strncmp(*key, start, strlen(start)))
			return at + 1;
	}
	die("expected.json: no %s...", start);
}

static int32_t *
labels(const char *name, int64_t n, int64_t *k)
{
	const struct st_tensor *t = st_find(&st, name);
	int64_t *v;
	int32_t *l = xmalloc((size_t)n * sizeof(*l));

	if (!t || t->dtype != ST_I64 || t->n != n)
		die("%s: no %s of %lld labels", st.path, name, (long long)n);
	v = xmalloc((size_t)n * sizeof(*v));
	memcpy(v, t->data, (size_t)n * sizeof(*v));
	*k = 0;
	for (int64_t i = 0; i < n; i++) {
		l[i] = (int32_t)v[i];
		if (*k <= l[i])
			*k = l[i] + 1;
	}
	free(v);
	return l;
}

static int64_t
differing(const int32_t *label, int64_t n, const char *name)
{
	int64_t k, differ = 0;
	int32_t *want = labels(name, n, &k);

	for (int64_t i = 0; i < n; i++)
		differ += label[i] != want[i];
	free(want);
	return differ;
}

static void
check_given(const char *data, const char *init, const char *truth, double inertia,
    double inertia_bound, double iterations)
{
	const struct st_tensor *t, *c;
	float *x = gold_f32(&st, data, &t), *first = gold_f32(&st, init, &c);
	struct kmeans m;

	if (kmeans_fit(&m, x, t->dim[0], t->dim[1],
	    &(struct kmeans_opts){ .k = c->dim[0], .iterations = 300, .tolerance = 1e-4,
	    .first = first }))
		die("%s", errmsg());
	printf("# %s from %s\n", data, init);
	gold_check("labels that differ", (double)differing(m.label, m.n, truth), 0);
	gold_check("inertia, relative", fabs(m.inertia / inertia - 1), inertia_bound);
	gold_check("iterations", fabs((double)m.iterations - iterations), 0);
	kmeans_release(&m);
	free(x);
	free(first);
}

/* The adjusted Rand index of two clusterings (Hubert and Arabie, 1985). */
static double
rand_index(const int32_t *a, int64_t ka, const int32_t *b, int64_t kb, int64_t n)
{
	double *m = xcalloc((size_t)(ka * kb), sizeof(*m)), *ra = xcalloc((size_t)ka, sizeof(*ra)),
	       *rb = xcalloc((size_t)kb, sizeof(*rb)), both = 0, sa = 0, sb = 0, chance, ret;

	for (int64_t i = 0; i < n; i++) {
		m[a[i] * kb + b[i]]++;
		ra[a[i]]++;
		rb[b[i]]++;
	}
	for (int64_t i = 0; i < ka * kb; i++)
		both += m[i] * (m[i] - 1) / 2;
	for (int64_t i = 0; i < ka; i++)
		sa += ra[i] * (ra[i] - 1) / 2;
	for (int64_t i = 0; i < kb; i++)
		sb += rb[i] * (rb[i] - 1) / 2;
	chance = sa * sb / ((double)n * (double)(n - 1) / 2);
	ret = (both - chance) / ((sa + sb) / 2 - chance);
	free(m);
	free(ra);
	free(rb);
	return ret;
}

/* The least and the largest inertia of some seeds; *index: the Rand index of the least one with the
 * labels that the set has for it. */
static void
run_seeds(const float *x, int64_t n, int64_t d, struct kmeans_opts o, double *least, double *most,
    double *index)
{
	*least = INFINITY;
	*most = 0;
	for (uint64_t seed = 0; seed < 5; seed++) {
		struct kmeans m;
		int64_t k;
		int32_t *l;

		o.seed = seed * 1000;
		if (kmeans_fit(&m, x, n, d, &o))
			die("%s", errmsg());
		if (m.inertia < *least) {
			*least = m.inertia;
			l = labels("mep_labels", n, &k);
			*index = rand_index(m.label, m.k, l, k, n);
			free(l);
		}
		*most = fmax(*most, m.inertia);
		kmeans_release(&m);
	}
}

/* From k-means++: as low as the best of many seeds, and never higher than the reference's. */
static void
check_runs(void)
{
	const struct st_tensor *t;
	float *x = gold_f32(&st, "X", &t);
	char *key, *size;
	int batch = object("minibatch_kmeans_bs", &key), runs;
	struct kmeans_opts o = { .k = st_find(&st, "init_centroids")->dim[0], .iterations = 300,
		.tolerance = 1e-4, .runs = 10 };
	double least, most, min, max, mep, index;

	size = key + strlen("minibatch_kmeans_bs");
	runs = object("kmeanspp_inertia_20_seeds_n_init10", &key);
	min = gold_num(&expected, runs, "min");
	max = gold_num(&expected, runs, "max");
	mep = number("mep_seed_18021999_n_init10", "inertia");
	run_seeds(x, t->dim[0], t->dim[1], o, &least, &most, &index);
	gold_check("inertia of ten runs over the least", least / min - 1, 1e-5);
	gold_check("the worst seed over the reference's worst", most / max - 1, 1e-5);
	gold_check("the least over the one of seed 18021999", least / mep - 1, 1e-5);
	if (fabs(least / mep - 1) <= 1e-5)
		gold_check("Rand index with its labels, from 1", fabs(1 - index), 0);
	/* as many runs: one alone ends in another minimum every other time */
	o.iterations = 100;
	o.batch = strtoll(size, NULL, 10);
	run_seeds(x, t->dim[0], t->dim[1], o, &least, &most, &index);
	printf("# mini-batches of %d: %.7g to %.7g\n", (int)o.batch, least, most);
	gold_check("mini-batches' worst over the reference's worst",
	    most / gold_num(&expected, batch, "max") - 1, 1e-5);
	free(x);
}

static void
check_compactness(const float *x, int64_t n, int64_t d, const int32_t *l, int64_t k)
{
	int list = json_get(&expected, 0, "mep_prompt_compactness_on_kmeans_labels");
	struct compactness *c = xmalloc((size_t)k * sizeof(*c));
	double worst = 0;

	if (list < 0 || expected.v[list].size != k)
		die("expected.json: not one compactness for each of %d clusters", (int)k);
	score_compactness(x, n, d, l, k, c);
	for (int i = 0; i < k; i++) {
		int v = json_at(&expected, list, i);
		const struct compactness *o = &c[(int)gold_num(&expected, v, "prompt_idx")];

		worst = fmax(worst,
		    fabs(o->mean_variance / gold_num(&expected, v, "mean_var_through_N") - 1));
		worst = fmax(worst,
		    fabs(o->max_distance2 / gold_num(&expected, v, "max_sqrd_dist_to_center") - 1));
	}
	gold_check("compactness", worst, 1e-5);
	free(c);
}

/* The first two of the set's components. */
static void
check_components(const float *x, int64_t n, int64_t d)
{
	const struct st_tensor *p = st_find(&st, "pca_transformed_f64");
	double worst = 0, *map = xmalloc((size_t)(2 * n) * sizeof(*map)), *want;

	if (!p || p->dim[0] != n)
		die("%s: no pca_transformed_f64 of %lld rows", st.path, (long long)n);
	want = xmalloc((size_t)p->n * sizeof(*want));
	st_get_f64(p, want);
	if (map_rows(x, n, d, 0, 0, map))
		die("%s", errmsg());
	for (int64_t i = 0; i < n; i++)
		for (int64_t k = 0; k < 2; k++)
			worst = fmax(worst, fabs(map[2 * i + k] - want[p->dim[1] * i + k]));
	gold_check("two principal components", worst, 1e-6);
	free(map);
	free(want);
}

static void
check_scores(void)
{
	const struct st_tensor *t;
	float *x = gold_f32(&st, "X", &t), *plane;
	int64_t n = t->dim[0], d = t->dim[1], k, few;
	int32_t *l = labels("kmeans_labels", n, &k), *low = labels("lowdim_labels", n, &few);
	char *key;
	double s;

	s = score_silhouette(x, n, d, l, k, 0, 0);
	gold_check("silhouette", fabs(s / number("scores_on_kmeans_labels", "silhouette_mean") - 1),
	    1e-6);
	if (score_sdbw(x, n, d, l, k, &s))
		die("%s", errmsg());
	gold_check("S_Dbw", fabs(s / number("scores_on_kmeans_labels", "s_dbw_Tong") - 1), 1e-5);
	plane = xmalloc((size_t)(2 * n) * sizeof(*plane));
	for (int64_t i = 0; i < n; i++)
		memcpy(plane + 2 * i, x + d * i, 2 * sizeof(*plane));
	if (score_sdbw(plane, n, 2, low, few, &s))
		die("%s", errmsg());
	gold_check("S_Dbw of two features",
	    fabs(s / gold_num(&expected, object("lowdim_first2cols_k", &key), "s_dbw_Tong") - 1),
	    1e-5);
	check_compactness(x, n, d, l, k);
	check_components(x, n, d);
	gold_done("silhouette, S_Dbw, compactness, principal components");
	printf("# not compared, having no counterpart here: linkage and fcluster, components\n"
	       "# after the second, scaled data, other scores (Davies-Bouldin, Calinski-Harabasz,\n"
	       "# NMI, other forms of S_Dbw)\n");
	free(x);
	free(l);
	free(low);
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
	    number("kmeans_given_init", "inertia_float64"), 1e-6,
	    number("kmeans_given_init", "n_iter_sklearn"));
	check_given("hard_X", "hard_init", "hard_labels", number("hard", "inertia_float64"),
	    1e-6, number("hard", "n_iter"));
	/* the inertia that is given there was summed in single precision */
	check_given("X", "init_empty", "kmeans_empty_labels",
	    number("kmeans_empty_cluster_init", "inertia"), 1e-5,
	    number("kmeans_empty_cluster_init", "n_iter"));
	gold_done("k-means from given means");
	check_runs();
	gold_done("k-means++");
	check_scores();
	gpu_close();
	return gold_end();
}
