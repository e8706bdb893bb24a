#include "model/seg_loss.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/opt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const seg_loss_name[SEG_LOSSES] = { "dice", "jaccard", "tversky", "focal", "bce", "ce",
	"lovasz", "mcc" };

enum { OVER_PIXELS = 1 << 0 | 1 << 1 | 1 << 2 }; /* of [N,H,W,C] */

/* ---- parts ----------------------------------------------------------------------------------- */

/* The target as [N,H,W,C], zero where it is ignored. */
static struct tensor *
dense_target(const struct seg_target *t, int classes)
{
	struct tensor *y = t->dense ? t->dense : op_one_hot(t->labels, classes);

	return t->valid ? op_mul(y, t->valid) : y;
}

static struct tensor *
probabilities(enum seg_mode mode, const struct seg_term *l, struct tensor *x)
{
	if (l->from_probs)
		return x;
	return mode == SEG_MULTICLASS ? op_softmax(x) : op_sigmoid(x);
}

static struct tensor *
at_least(struct tensor *x, double lo)
{
	return op_clamp(x, lo, 1e30);
}

/* [C] of 0 and 1 for a set of classes. */
static struct tensor *
class_mask(uint64_t classes, int64_t c, double *count)
{
	float *v = xcalloc((size_t)c, sizeof(*v));
	struct tensor *t;

	*count = 0;
	for (int64_t i = 0; i < c && i < 64; i++)
		*count += v[i] = (float)(classes >> i & 1);
	t = tensor_from(F32, 1, &c, v);
	free(v);
	return t;
}

/* One number from a loss for each class [C]. */
static struct tensor *
over_classes(struct tensor *loss, const struct seg_term *l, const struct seg_target *t)
{
	double count = (double)loss->n;

	if (l->classes)
		loss = op_mul(loss, class_mask(l->classes, loss->n, &count));
	if (t->weight)
		return op_div(op_sum_all(op_mul(loss, t->weight)), op_sum_all(t->weight));
	return op_affine(op_sum_all(loss), 1 / count, 0);
}

/* ---- regions: dice, jaccard, tversky --------------------------------------------------------- */

static struct tensor *
region(enum seg_mode mode, const struct seg_term *l, struct tensor *x, const struct seg_target *t)
{
	struct tensor *y = dense_target(t, (int)x->dim[3]), *p = probabilities(mode, l, x);
	struct tensor *both, *sp, *sy, *under, *over, *score, *loss;

	if (t->valid)
		p = op_mul(p, t->valid);
	both = op_sum(op_mul(p, y), OVER_PIXELS, false);
	sp = op_sum(p, OVER_PIXELS, false);
	sy = op_sum(y, OVER_PIXELS, false);
	over = op_affine(both, l->kind == SEG_DICE ? 2 : 1, l->smooth);
	if (l->kind == SEG_DICE) {
		under = op_add(sp, sy);
	} else if (l->kind == SEG_JACCARD) {
		under = op_sub(op_add(sp, sy), both);
	} else {
		struct tensor *fp = op_affine(op_sub(sp, both), l->alpha, 0);

		under = op_add(op_add(both, fp), op_affine(op_sub(sy, both), l->beta, 0));
	}
	score = op_div(over, at_least(op_affine(under, 1, l->smooth), l->eps));
	loss = l->log ? op_neg(op_log(at_least(score, l->eps))) : op_affine(score, -1, 1);
	loss = over_classes(op_mul(loss, op_greater_s(sy, 0)), l, t);
	return l->kind == SEG_TVERSKY && l->gamma != 1 ? op_pow(loss, l->gamma) : loss;
}

/* ---- by pixel: focal, bce, ce ---------------------------------------------------------------- */

/* max(x,0) - xy + log(1+exp(-|x|)) for each element: -log pt. */
static struct tensor *
bce_each(struct tensor *x, struct tensor *y)
{
	return op_sub(op_softplus(x), op_mul(x, y));
}

/* The number of pixels that count. */
static struct tensor *
valid_pixels(struct tensor *x, const struct seg_target *t)
{
	return t->valid ? op_sum_all(t->valid) : tensor_scalar((double)(x->n / x->dim[3]));
}

static struct tensor *
focal(enum seg_mode mode, const struct seg_term *l, struct tensor *x, const struct seg_target *t)
{
	struct tensor *y = dense_target(t, (int)x->dim[3]), *nll = bce_each(x, y), *miss, *f, *loss;

	/* 1 - pt; rounding must not make it negative */
	miss = op_relu(op_affine(op_exp(op_neg(nll)), -1, 1));
	f = l->gamma == 2 ? op_square(miss) : op_pow(miss, l->gamma);
	loss = op_mul(f, nll);
	if (l->has_alpha)
		loss = op_mul(loss, op_affine(y, 2 * l->alpha - 1, 1 - l->alpha));
	if (t->valid) {
		loss = op_mul(loss, t->valid);
		f = op_mul(f, t->valid);
	}
	/* binary and multilabel nets have one mean over all, multiclass ones a mean for each
	 * class */
	if (mode == SEG_MULTICLASS) {
		loss = op_sum(loss, OVER_PIXELS, false);
		if (l->normalized)
			loss = op_div(loss, at_least(op_sum(f, OVER_PIXELS, false), 1e-6));
		if (t->weight)
			loss = op_mul(loss, t->weight);
		return op_div(op_sum_all(loss), valid_pixels(x, t));
	}
	if (t->weight)
		loss = op_mul(loss, t->weight);
	if (l->normalized)
		loss = op_div(loss, at_least(op_sum_all(f), 1e-6));
	return op_div(op_sum_all(loss), op_affine(valid_pixels(x, t), (double)x->dim[3], 0));
}

static struct tensor *
bce(const struct seg_term *l, struct tensor *x, const struct seg_target *t)
{
	struct tensor *y = t->dense, *loss;

	if (l->smooth > 0)
		y = op_affine(y, 1 - 2 * l->smooth, l->smooth);
	if (!t->valid && !t->weight)
		return op_bce_with_logits(x, y, NULL);
	loss = bce_each(x, y);
	if (t->valid)
		loss = op_mul(loss, t->valid);
	if (t->weight)
		loss = op_mul(loss, t->weight);
	return op_mean_all(loss);
}

/* A label that no class has, for op_cross_entropy to leave out. */
enum { NO_LABEL = 255 };

static struct tensor *
ce(const struct seg_term *l, struct tensor *x, const struct seg_target *t)
{
	double rows = (double)(x->n / x->dim[3]);
	struct tensor *y, *logp, *nll, *spread;

	if (t->labels && l->smooth == 0)
		return op_cross_entropy(x, t->labels, t->weight, NO_LABEL);
	y = dense_target(t, (int)x->dim[3]);
	if (t->weight)
		y = op_mul(y, t->weight);
	logp = op_log_softmax(x);
	nll = op_affine(op_sum_all(op_mul(y, logp)), -1 / rows, 0);
	if (l->smooth == 0)
		return nll;
	spread = op_affine(op_sum_all(t->valid ? op_mul(logp, t->valid) : logp), -1 / rows, 0);
	return op_add(op_affine(nll, 1 - l->smooth, 0),
	    op_affine(spread, l->smooth / (double)x->dim[3], 0));
}

/* ---- lovasz ---------------------------------------------------------------------------------- */

struct sorted {
	float error;
	uint32_t at;
};

static int
falling(const void *a, const void *b)
{
	const struct sorted *p = a, *q = b;

	if (p->error != q->error)
		return p->error < q->error ? 1 : -1;
	return p->at < q->at ? -1 : p->at > q->at; /* a stable order */
}

/* The gradient of the Jaccard loss along the errors sorted downwards, at their own places: errors
 * and truth (0 or 1) at [i * stride], n of them; count: which count (NULL: all). Scaled by
 * `scale`. */
static void
lovasz_gradient(const float *error, const float *truth, const float *count, size_t n, size_t stride,
    double scale, float *grad)
{
	struct sorted *s = xmalloc((n + 1) * sizeof(*s));
	double positives = 0, hit = 0, miss = 0, last = 0;
	size_t m = 0;

	for (size_t i = 0; i < n; i++)
		if (!count || count[i] > 0) {
			s[m++] = (struct sorted){ error[i * stride], (uint32_t)i };
			positives += truth[i * stride];
		}
	qsort(s, m, sizeof(*s), falling);
	for (size_t i = 0; i < m; i++) {
		double t = truth[s[i].at * stride], jaccard;

		hit += t;
		miss += 1 - t;
		jaccard = 1 - (positives - hit) / (positives + miss);
		grad[s[i].at * stride] = (float)(scale * (jaccard - last));
		last = jaccard;
	}
	free(s);
}

/* The same for every class of n pixels, [n][c]: the mean over the classes, of multiclass nets over
 * those that are there. */
static void
lovasz_group(enum seg_mode mode, const float *error, const float *truth, const float *valid,
    size_t n, size_t c, double scale, float *grad)
{
	size_t present = 0;

	for (size_t pass = 0; pass < 2; pass++)
		for (size_t k = 0; k < c; k++) {
			bool some = mode != SEG_MULTICLASS;

			for (size_t i = 0; i < n && !some; i++)
				some = truth[i * c + k] > 0;
			if (some && pass == 0)
				present++;
			else if (some)
				lovasz_gradient(error + k, truth + k, valid, n, c,
				    scale / (double)present, grad + k);
		}
}

/* The order of the errors is found on the host: the loss waits for the device. */
static struct tensor *
lovasz(enum seg_mode mode, const struct seg_term *l, struct tensor *x, const struct seg_target *t)
{
	size_t c = (size_t)x->dim[3], n = (size_t)x->n / c, groups =
	    l->per_image ? (size_t)x->dim[0] : 1;
	struct tensor *y = dense_target(t, (int)c), *e, *g;
	float *error = xmalloc((size_t)x->n * sizeof(float)),
	      *truth = xmalloc((size_t)x->n * sizeof(float));
	float *grad = xcalloc((size_t)x->n, sizeof(float)), *valid = NULL;

	if (mode == SEG_MULTICLASS)
		e = op_abs(op_sub(y, probabilities(mode, l, x)));
	else
		e = op_affine(op_mul(x, op_affine(y, 2, -1)), -1, 1);
	tensor_get(e, error);
	tensor_get(y, truth);
	if (t->valid) {
		valid = xmalloc(n * sizeof(float));
		tensor_get(t->valid, valid);
	}
	n /= groups;
	for (size_t i = 0; i < groups; i++)
		lovasz_group(mode, error + i * n * c, truth + i * n * c,
		    valid ? valid + i * n : NULL, n, c, 1.0 / (double)groups, grad + i * n * c);
	g = tensor_from(F32, x->ndim, x->dim, grad);
	free(error);
	free(truth);
	free(grad);
	free(valid);
	return op_sum_all(op_mul(mode == SEG_MULTICLASS ? e : op_relu(e), g));
}

/* ---- mcc ------------------------------------------------------------------------------------- */

static struct tensor *
mcc(enum seg_mode mode, const struct seg_term *l, struct tensor *x, const struct seg_target *t)
{
	struct tensor *y = t->dense, *p = probabilities(mode, l, x), *tp, *tn, *fp, *fn, *under;
	struct tensor *no = op_affine(y, -1, 1), *q = op_affine(p, -1, 1);

	if (t->valid) {
		p = op_mul(p, t->valid);
		q = op_mul(q, t->valid);
	}
	tp = op_affine(op_sum_all(op_mul(p, y)), 1, l->eps);
	tn = op_affine(op_sum_all(op_mul(q, no)), 1, l->eps);
	fp = op_affine(op_sum_all(op_mul(p, no)), 1, l->eps);
	fn = op_affine(op_sum_all(op_mul(q, y)), 1, l->eps);
	/* the square root of each factor: their product would leave float's range on large
	 * batches */
	under = op_mul(op_mul(op_sqrt(op_add(tp, fp)), op_sqrt(op_add(tp, fn))),
	    op_mul(op_sqrt(op_add(tn, fp)), op_sqrt(op_add(tn, fn))));
	return op_affine(op_div(op_sub(op_mul(tp, tn), op_mul(fp, fn)), under), -1, 1);
}

/* ---- sums ------------------------------------------------------------------------------------ */

struct tensor *
seg_loss_of(const struct seg_loss *loss, struct tensor *x, const struct seg_target *t)
{
	struct tensor *sum = NULL;

	for (int i = 0; i < loss->n; i++) {
		const struct seg_term *l = &loss->term[i];
		struct tensor *v;

		switch (l->kind) {
		case SEG_FOCAL:
			v = focal(loss->mode, l, x, t);
			break;
		case SEG_BCE:
			v = bce(l, x, t);
			break;
		case SEG_CE:
			v = ce(l, x, t);
			break;
		case SEG_LOVASZ:
			v = lovasz(loss->mode, l, x, t);
			break;
		case SEG_MCC:
			v = mcc(loss->mode, l, x, t);
			break;
		default:
			v = region(loss->mode, l, x, t);
		}
		if (l->scale != 1)
			v = op_affine(v, l->scale, 0);
		sum = sum ? op_add(sum, v) : v;
	}
	return sum;
}

struct seg_term
seg_term_default(enum seg_loss_kind k)
{
	return (struct seg_term){ .kind = k, .scale = 1, .eps = k == SEG_MCC ? 1e-5 : 1e-7,
		.alpha = k == SEG_TVERSKY ? 0.5 : 0.25, .beta = 0.5, .gamma = k == SEG_TVERSKY ? 1
		: 2 };
}

static int
parse_classes(struct seg_term *l, const char *s)
{
	for (const char *p = s; *p; p++) {
		char *end;
		long k = strtol(p, &end, 10);

		if (end == p || k < 0 || k > 63 || (*end && *end != ','))
			return err("classes=%s: want numbers from 0 to 63 with commas between", s);
		l->classes |= (uint64_t)1 << k;
		p = end;
		if (!*p)
			break;
	}
	return 0;
}

/* "smooth=1", "log", ... */
static int
parse_option(struct seg_term *l, char *s)
{
	bool area = l->kind <= SEG_TVERSKY,
	     smooth = area || l->kind == SEG_BCE || l->kind == SEG_CE;
	const struct {
		const char *name;
		double *to;
		bool fits;
	} num[] = {
		{ "smooth", &l->smooth, smooth },
		{ "eps", &l->eps, area || l->kind == SEG_MCC },
		{ "alpha", &l->alpha, l->kind == SEG_TVERSKY || l->kind == SEG_FOCAL },
		{ "beta", &l->beta, l->kind == SEG_TVERSKY },
		{ "gamma", &l->gamma, l->kind == SEG_TVERSKY || l->kind == SEG_FOCAL },
	};
	char *value = strchr(s, '=');

	if (value)
		*value++ = 0;
	if (!strcmp(s, "log") && area && !value)
		return l->log = true, 0;
	if (!strcmp(s, "normalized") && l->kind == SEG_FOCAL && !value)
		return l->normalized = true, 0;
	if (!strcmp(s, "per-image") && l->kind == SEG_LOVASZ && !value)
		return l->per_image = true, 0;
	if (!strcmp(s, "classes") && area && value)
		return parse_classes(l, value);
	for (size_t i = 0; i < sizeof(num) / sizeof(num[0]); i++)
		if (!strcmp(s, num[i].name) && num[i].fits && value) {
			if (!strcmp(s, "alpha"))
				l->has_alpha = true;
			return parse_float(value, 0, 1e6, num[i].to);
		}
	return err("%s has no option \"%s\"", seg_loss_name[l->kind], s);
}

static int
parse_term(struct seg_term *l, enum seg_mode mode, char *s)
{
	char *star = strchr(s, '*'), *next = NULL, *opt;
	double scale = 1;
	int k = 0;

	if (star) {
		*star = 0;
		if (parse_float(s, 0, 1e6, &scale))
			return -1;
		s = star + 1;
	}
	opt = strtok_r(s, ":", &next);
	while (k < SEG_LOSSES && (!opt || strcmp(opt, seg_loss_name[k])))
		k++;
	if (k == SEG_LOSSES)
		return err("no such loss as \"%s\"", opt ? opt : "");
	if (mode == SEG_MULTICLASS ? k == SEG_BCE || k == SEG_MCC : k == SEG_CE)
		return err("%s is no loss for %s masks", seg_loss_name[k],
		    mode == SEG_MULTICLASS ? "multiclass" : "binary or multilabel");
	*l = seg_term_default((enum seg_loss_kind)k);
	l->scale = scale;
	while ((opt = strtok_r(NULL, ":", &next)))
		if (parse_option(l, opt))
			return -1;
	return 0;
}

int
seg_loss_parse(struct seg_loss *loss, enum seg_mode mode, const char *text)
{
	char *copy = xstrdup(text), *next = NULL;
	int r = 0;

	*loss = (struct seg_loss){ .mode = mode };
	for (char *s = strtok_r(copy, "+", &next); s && !r; s = strtok_r(NULL, "+", &next)) {
		if (loss->n == SEG_MAXTERMS)
			r = err("more than %d losses", SEG_MAXTERMS);
		else
			r = parse_term(&loss->term[loss->n++], mode, s);
	}
	if (!r && !loss->n)
		r = err("no loss is named");
	free(copy);
	return r;
}
