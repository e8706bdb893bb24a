/*
 * Scores of masks against segmentation_models_pytorch 0.3.3. Reads segmentation/metrics below the
 * folder of reference sets given as argument or in $GOLDEN; without one, the copy in tests/golden.
 */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "data/json.h"
#include "data/safetensors.h"
#include "metric/seg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* |a - b| <= BOUND * (1 + |b|): the reference divides in f32. Observed: 6.3e-8. */
enum { MOST = 4096 }; /* images times classes */
static const double bound = 1e-6;
static int tests, failures;

static void
report(bool good, const char *what, double error)
{
	printf("%sok %d - %s: largest error %.2g, bound %.2g\n", good ? "" : "not ", ++tests, what,
	    error, bound);
	failures += !good;
}

static double
relative(double got, double want)
{
	if (got == want)
		return 0; /* infinite ratios, too */
	return isfinite(got) && isfinite(want) ? fabs(got - want) / (1 + fabs(want)) : INFINITY;
}

/* What is not finite is written as a string. */
static double
number(const struct json *j, int v)
{
	struct arena mem = { 0 };
	double x = NAN;
	const char *s;

	if (v >= 0 && j->v[v].type == JSON_STRING) {
		s = json_str(j, v, &mem);
		if (!strcmp(s, "inf") || !strcmp(s, "-inf"))
			x = s[0] == '-' ? -INFINITY : INFINITY;
		arena_release(&mem);
		return x;
	}
	if (v < 0 || json_num(j, v, &x))
		die("no number in expected.json: %s", v < 0 ? "absent" : errmsg());
	return x;
}

/* Reads [[..], ..] under key; returns its rows, *c its columns. */
static int
matrix(const struct json *j, int object, const char *key, int64_t *out, int *c)
{
	int array = json_get(j, object, key), rows;

	if (array < 0 || !j->v[array].size)
		die("no %s in expected.json", key);
	rows = j->v[array].size;
	*c = j->v[json_at(j, array, 0)].size;
	if (*c < 1 || rows > MOST / *c)
		die("%s is too large", key);
	for (int i = 0; i < rows * *c; i++)
		out[i] = (int64_t)number(j, json_at(j, json_at(j, array, i / *c), i % *c));
	return rows;
}

static void
check_counts(const struct json *j, int group, const struct seg_stats *s, const char *name)
{
	static const char *const key[] = { "tp", "fp", "fn", "tn" };
	const int64_t *have[] = { s->tp, s->fp, s->fn, s->tn };
	char *what = xasprintf("%s counts", name);
	int64_t want[MOST], worst = 0;
	int c, n = 0;

	for (int k = 0; k < 4; k++) {
		n = matrix(j, group, key[k], want, &c);
		if ((size_t)n != s->n || c != s->c)
			die("%s: %d images of %d classes", name, n, c);
		for (int i = 0; i < n * c; i++)
			if (llabs(have[k][i] - want[i]) > worst)
				worst = llabs(have[k][i] - want[i]);
	}
	report(!worst, what, (double)worst);
	free(what);
}

/* One function's object: {"micro": x, ..., "none": [[..]], "macro_zero_division_0": x}. */
static double
check_metric(const struct json *j, int object, enum seg_metric m, const struct seg_stats *s,
    const double *weights)
{
	double worst = 0;
	int v = object + 1;
	struct arena mem = { 0 };

	for (int i = 0; i < j->v[object].size; i++, v = j->v[v + 1].next) {
		const char *key = json_str(j, v, &mem);
		double e = 0;

		if (!strcmp(key, "none")) {
			for (size_t k = 0; k < s->n * (size_t)s->c; k++) {
				size_t c = (size_t)s->c;
				int row = json_at(j, v + 1, (int)(k / c));

				e = fmax(e, relative(seg_score_at(m, s, k / c, (int)(k % c), 1),
				    number(j, json_at(j, row, (int)(k % c)))));
			}
		} else if (!strcmp(key, "macro_zero_division_0")) {
			e = relative(seg_score(m, s, SEG_MACRO, NULL, 0), number(j, v + 1));
		} else {
			int r = seg_reduction_find(key);

			if (r < 0)
				die("%s", errmsg());
			e = relative(seg_score(m, s, (enum seg_reduction)r,
			    strstr(key, "weighted") ? weights : NULL, 1), number(j, v + 1));
		}
		worst = fmax(worst, e);
	}
	arena_release(&mem);
	return worst;
}

static void
check_values(const struct json *j, int group, const struct seg_stats *s, const double *weights,
    const char *name)
{
	int values = json_get(j, group, "values"), v = values + 1;
	struct arena mem = { 0 };

	for (int i = 0; i < j->v[values].size; i++, v = j->v[v + 1].next) {
		const char *key = json_str(j, v, &mem), *cut = strrchr(key, '_');
		char *what = xasprintf("%s %s", name, key);
		double e;

		if (!strcmp(key, "fbeta2")) {
			e = fmax(relative(seg_fbeta(2, s, SEG_MICRO, NULL, 1),
			    number(j, json_get(j, v + 1, "micro"))),
			    relative(seg_fbeta(2, s, SEG_MACRO, NULL, 1),
			    number(j, json_get(j, v + 1, "macro"))));
		} else if (j->v[v + 1].type == JSON_OBJECT) {
			int m = seg_metric_find(key);

			if (m < 0)
				die("%s", errmsg());
			e = check_metric(j, v + 1, (enum seg_metric)m, s, weights);
		} else { /* metric_reduction, as one name */
			int r = strstr(key, "_micro_imagewise") ? SEG_MICRO_IMAGEWISE
			    : seg_reduction_find(cut + 1), m;
			char *metric = xstrndup(key, r == SEG_MICRO_IMAGEWISE
			    ? (size_t)(strstr(key, "_micro_") - key) : (size_t)(cut - key));

			m = seg_metric_find(metric);
			if (r < 0 || m < 0)
				die("%s: %s", key, errmsg());
			e = relative(
			    seg_score((enum seg_metric)m, s, (enum seg_reduction)r, NULL, 1),
			    number(j, v + 1));
			free(metric);
		}
		report(e <= bound, what, e);
		free(what);
	}
	arena_release(&mem);
}

/* All elements of a tensor as doubles, its dimensions in n; caller frees. */
static double *
tensor(const struct safetensors *st, const char *name, int64_t *n)
{
	const struct st_tensor *t = st_find(st, name);
	double *out;

	if (!t || !t->n)
		die("no tensor %s", name);
	out = xmalloc((size_t)t->n * sizeof(*out));
	st_get_f64(t, out);
	memcpy(n, t->dim, sizeof(t->dim));
	return out;
}

/* One list of weights serves all weighted reductions of groups that have none of their own. */
static void
class_weights(const struct json *j, int group, int c, double *out)
{
	int list = json_get(j, group, "class_weights");

	if (list < 0)
		list = json_get(j, json_get(j, 0, "given_counts"), "class_weights");
	if (list < 0 || j->v[list].size != c)
		die("expected.json: no class_weights for %d classes", c);
	for (int k = 0; k < j->v[list].size; k++)
		out[k] = number(j, json_at(j, list, k));
}

static void
check_multiclass(const struct safetensors *st, const struct json *j, int group, int ignore)
{
	char *target = xasprintf("multiclass_target_ignore%d", ignore);
	int64_t d[ST_MAXDIM], unused[MOST];
	double *p = tensor(st, "multiclass_pred", d),
	       *t = tensor(st, target, d);
	size_t pixels = (size_t)(d[1] * d[2]);
	int32_t *a = xmalloc(pixels * sizeof(*a)), *b = xmalloc(pixels * sizeof(*b));
	double weights[MOST];
	struct seg_stats s;
	int c;

	matrix(j, group, "tp", unused, &c);
	seg_stats_init(&s, c);
	for (int64_t i = 0; i < d[0]; i++) {
		for (size_t k = 0; k < pixels; k++) {
			a[k] = (int32_t)p[(size_t)i * pixels + k];
			b[k] = (int32_t)t[(size_t)i * pixels + k];
		}
		seg_add_multiclass(&s, a, b, pixels, ignore);
	}
	check_counts(j, group, &s, "multiclass");
	class_weights(j, group, c, weights);
	check_values(j, group, &s, weights, "multiclass");
	seg_stats_release(&s);
	free(target);
	free(p);
	free(t);
	free(a);
	free(b);
}

/* "..._thr05": one digit before the point; 0.5 without. */
static float
threshold_in(const char *name)
{
	const char *s = strstr(name, "_thr");
	double v = s ? strtod(s + 4, NULL) : 0.5;

	for (size_t n = s ? strspn(s + 4, "0123456789") : 1; n > 1; n--)
		v /= 10;
	return (float)v;
}

static void
check_binary(const struct safetensors *st, const struct json *j, int group, float threshold)
{
	int64_t d[ST_MAXDIM];
	double *p = tensor(st, "binary_probs", d), *t = tensor(st, "binary_target", d);
	size_t pixels = (size_t)(d[2] * d[3]), n = pixels * (size_t)d[1];
	float *a = xmalloc(n * sizeof(*a));
	uint8_t *b = xmalloc(n);
	struct seg_stats s;

	seg_stats_init(&s, (int)d[1]);
	for (int64_t i = 0; i < d[0]; i++) {
		for (size_t k = 0; k < n; k++) {
			a[k] = (float)p[(size_t)i * n + k];
			b[k] = t[(size_t)i * n + k] != 0;
		}
		seg_add_multilabel(&s, a, b, pixels, threshold);
	}
	check_counts(j, group, &s, "binary channels");
	check_values(j, group, &s, NULL, "binary channels");
	seg_stats_release(&s);
	free(p);
	free(t);
	free(a);
	free(b);
}

static void
check_given(const struct json *j, int group)
{
	int64_t tp[MOST], fp[MOST], fn[MOST], tn[MOST];
	int c, n = matrix(j, group, "tp", tp, &c);
	double weights[MOST];
	struct seg_stats s;

	matrix(j, group, "fp", fp, &c);
	matrix(j, group, "fn", fn, &c);
	matrix(j, group, "tn", tn, &c);
	seg_stats_init(&s, c);
	for (int i = 0; i < n; i++)
		seg_add_counts(&s, tp + i * c, fp + i * c, fn + i * c, tn + i * c);
	class_weights(j, group, c, weights);
	check_values(j, group, &s, weights, "given counts");
	seg_stats_release(&s);
}

int
main(int argc, char **argv)
{
	const char *dir = argc > 1 ? argv[1] : getenv("GOLDEN");
	char *json = xasprintf("%s/segmentation/metrics/expected.json", dir ? dir : "tests/golden");
	char *inputs = xasprintf("%s/segmentation/metrics/inputs.safetensors",
	    dir ? dir : "tests/golden");
	struct safetensors st;
	struct json j;
	char *text;
	struct arena mem = { 0 };

	prog_init(argv[0]);
	if (!file_exists(json)) {
		printf("1..0 # SKIP no segmentation/metrics in %s\n", dir ? dir : "tests/golden");
		return 0;
	}
	if (json_read_file(&j, &text, json) || st_open(&st, inputs))
		die("%s", errmsg());
	for (int i = 0, k = 1; i < j.v[0].size; i++, k = j.v[k + 1].next) {
		const char *key = json_str(&j, k, &mem);

		if (!strncmp(key, "given_counts", 12))
			check_given(&j, k + 1);
		else if (!strncmp(key, "multiclass_ignore", 17))
			check_multiclass(&st, &j, k + 1, atoi(key + 17));
		else if (!strncmp(key, "isn_style_binary", 16))
			check_binary(&st, &j, k + 1, threshold_in(key));
		else
			report(false, key, INFINITY); /* of no kind that is known here */
	}
	printf("1..%d\n", tests);
	arena_release(&mem);
	st_close(&st);
	json_release(&j);
	free(text);
	free(json);
	free(inputs);
	return failures != 0;
}
