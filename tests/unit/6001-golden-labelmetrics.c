/*
 * Scores of a phase classifier: confusion matrices, precision and F1 of the normalised matrix, ROC
 * and PR areas one against the rest, as scikit-learn 1.2 computes them. Reads
 * classifier/nsw_metrics.json below the folder of reference sets given as argument or in $GOLDEN;
 * without one, the copy in tests/golden. And areas with ties, worked out by hand.
 */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "data/json.h"
#include "metric/confusion.h"
#include "metric/roc.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Observed: 2.3e-16; sums in another order. */
static const double bound = 1e-12;
static int tests, failures;

static void
report(double error, const char *what)
{
	bool good = error <= bound;

	printf("%sok %d - %s: largest error %.2g, bound %.2g\n", good ? "" : "not ", ++tests, what,
	    error, bound);
	failures += !good;
}

static double
number(const struct json *j, int v)
{
	double x;

	if (v < 0 || json_num(j, v, &x))
		die("nsw_metrics.json: %s", v < 0 ? "a value is absent" : errmsg());
	return x;
}

static double
at(const struct json *j, int array, size_t i)
{
	return number(j, json_at(j, array, (int)i));
}

/* |got - want|, where what is not defined is written as the string "nan"; INFINITY where only one
 * is defined. */
static double
apart(double got, const struct json *j, int v)
{
	struct arena mem = { 0 };
	bool none = v >= 0 && j->v[v].type == JSON_STRING && !strcmp(json_str(j, v, &mem), "nan");

	arena_release(&mem);
	if (none || isnan(got))
		return none && isnan(got) ? 0 : INFINITY;
	return fabs(got - number(j, v));
}

/* The largest |x - expected[key][k]| over classes. */
static void
compare(const struct json *j, int expected, const char *key, const double *x, int c)
{
	int array = json_get(j, expected, key);
	double worst = 0;

	if (array < 0 || j->v[array].size != c)
		die("nsw_metrics.json: %s is not of %d classes", key, c);
	for (int k = 0; k < c; k++)
		worst = fmax(worst, apart(x[k], j, json_at(j, array, k)));
	report(worst, key);
}

static void
matrices(const struct json *j, int expected, const struct confusion *m)
{
	int counts = json_get(j, expected, "conf_mat"),
	    shares = json_get(j, expected, "norm_conf_mat");
	double a = 0, b = 0;

	for (int i = 0; i < m->c * m->c; i++) {
		int row = json_at(j, counts, i / m->c), share = json_at(j, shares, i / m->c);

		a = fmax(a, fabs((double)m->n[i] - at(j, row, (size_t)(i % m->c))));
		b = fmax(b, apart(confusion_share(m, i / m->c, i % m->c), j,
		    json_at(j, share, i % m->c)));
	}
	report(a, "conf_mat");
	report(b, "norm_conf_mat");
}

static void
run(const struct json *j)
{
	int c = (int)number(j, json_get(j, 0, "n_classes")), expected = json_get(j, 0, "expected");
	int truth = json_get(j, 0, "true"), pred = json_get(j, 0, "pred"),
	    prob = json_get(j, 0, "prob");
	size_t n = truth < 0 ? 0 : (size_t)j->v[truth].size;
	double *x = xmalloc(5 * (size_t)c * sizeof(*x)), *score = xmalloc((n + 1) * sizeof(*score));
	uint8_t *one = xmalloc(n + 1);
	struct confusion m;
	double balanced;

	confusion_init(&m, c);
	for (size_t i = 0; i < n; i++)
		confusion_add(&m, (int)at(j, truth, i), (int)at(j, pred, i));
	for (int k = 0; k < c; k++) {
		struct confusion_scores s = confusion_scores(&m, k, 1);
		struct roc_areas a;

		for (size_t i = 0; i < n; i++) {
			score[i] = at(j, json_at(j, prob, (int)i), (size_t)k);
			one[i] = at(j, truth, i) == k;
		}
		a = roc_areas(score, one, n);
		x[k] = s.precision;
		x[c + k] = s.recall;
		x[2 * c + k] = s.f1;
		x[3 * c + k] = a.roc_auc;
		x[4 * c + k] = a.pr_auc;
	}
	matrices(j, expected, &m);
	balanced = confusion_balanced_accuracy(&m);
	report(apart(balanced, j, json_get(j, expected, "acc_balanced")), "acc_balanced");
	compare(j, expected, "precision_per_class_on_normalised_matrix", x, c);
	compare(j, expected, "recall", x + c, c);
	compare(j, expected, "f1", x + 2 * c, c);
	compare(j, expected, "roc_auc_ovr", x + 3 * c, c);
	compare(j, expected, "pr_auc", x + 4 * c, c);
	confusion_release(&m);
	free(x);
	free(score);
	free(one);
}

/* Scores 3 2 2 1, truth 1 0 1 0: the tie is one step. ROC: (0,0) (0,.5) (.5,1) (1,1): 1 - .25/2 =
 * .875. PR: (0,1) (.5,1) (1,2/3) (1,1/2): .5 + .5 * 5/6; AP: .5 + .5 * 2/3. */
static void
ties(void)
{
	static const double a[] = { 3, 2, 2, 1 }, b[] = { 1, 2, 2, 3 };
	static const uint8_t t[] = { 1, 0, 1, 0 }, u[] = { 0, 1, 0, 1 }, none[4];
	struct roc_areas x = roc_areas(a, t, 4), y = roc_areas(b, u, 4), z = roc_areas(a, none, 4);

	report(fabs(x.roc_auc - 0.875), "a tie, ROC");
	report(fabs(x.pr_auc - (0.5 + 5.0 / 12)), "a tie, PR");
	report(fabs(x.average_precision - (0.5 + 1.0 / 3)), "a tie, average precision");
	report(fabs(x.roc_auc - y.roc_auc) + fabs(x.pr_auc - y.pr_auc), "whatever the order");
	report(isnan(z.roc_auc) && isnan(z.pr_auc) ? 0 : 1, "no positives: not defined");
	z = roc_areas(a, (const uint8_t[]){ 1, 1, 1, 1 }, 4);
	report(isnan(z.roc_auc) ? fabs(z.pr_auc - 1) : 1, "no negatives");
	x = roc_areas((const double[]){ 5, 5, 5, 5 }, t, 4);
	report(fabs(x.roc_auc - 0.5) + fabs(x.average_precision - 0.5), "all equal");
}

/* Truth 25 and 25, predicted 30 and 20, 35 of 50 right: expected .5, kappa (.7 - .5) / .5 = .4. */
static void
counts(void)
{
	static const int n[4] = { 20, 5, 10, 15 };
	struct confusion_scores s;
	struct confusion m;

	confusion_init(&m, 2);
	for (int i = 0; i < 4; i++)
		for (int k = 0; k < n[i]; k++)
			confusion_add(&m, i / 2, i % 2);
	report(fabs(confusion_accuracy(&m) - 0.7), "accuracy");
	report(fabs(confusion_kappa(&m) - 0.4), "kappa");
	s = confusion_scores(&m, 0, 0);
	report(fabs(s.precision - 20.0 / 30) + fabs(s.recall - 0.8) + fabs(s.f1 - 40.0 / 55),
	    "scores by counts");
	confusion_release(&m);
	confusion_init(&m, 2);
	confusion_add(&m, 0, 0);
	s = confusion_scores(&m, 1, 1);
	report(isnan(s.precision) && isnan(s.recall) && !s.support ? 0 : 1, "a class of nothing");
	report(fabs(confusion_balanced_accuracy(&m) - 1), "which has no recall");
	confusion_release(&m);
}

int
main(int argc, char **argv)
{
	const char *dir = argc > 1 ? argv[1] : getenv("GOLDEN");
	char *path = xasprintf("%s/classifier/nsw_metrics.json", dir ? dir : "tests/golden"), *text;
	struct json j;

	prog_init(argv[0]);
	if (!file_exists(path)) {
		printf("1..0 # SKIP no classifier/nsw_metrics.json in %s\n",
		    dir ? dir : "tests/golden");
		return 0;
	}
	if (json_read_file(&j, &text, path))
		die("%s", errmsg());
	run(&j);
	ties();
	counts();
	printf("1..%d\n", tests);
	json_release(&j);
	free(text);
	free(path);
	return failures != 0;
}
