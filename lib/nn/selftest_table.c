#include "nn/selftest_table.h"

#include "tensor/ops.h"

#include <math.h>

int64_t
selftest_count(const struct selftest_in *in)
{
	int64_t n = 1;

	for (int i = 0; i < in->ndim; i++)
		n *= in->dim[i];
	return n;
}

/* ---- elementwise ----------------------------------------------------------------------------- */

enum { EXP, LOG, SQRT, RSQRT, SIN, COS, TANH, SIGMOID, SOFTPLUS, RELU, LRELU, SILU, GELU,
    QUICK_GELU,
	ABS, SQUARE, CLAMP, AFFINE, POW };

static double
unary(int f, double x)
{
	double s = 1 / (1 + exp(-x));

	switch (f) {
	case EXP:
		return exp(x);
	case LOG:
		return log(x);
	case SQRT:
		return sqrt(x);
	case RSQRT:
		return 1 / sqrt(x);
	case SIN:
		return sin(x);
	case COS:
		return cos(x);
	case TANH:
		return tanh(x);
	case SIGMOID:
		return s;
	case SOFTPLUS:
		return log1p(exp(x));
	case RELU:
		return x > 0 ? x : 0;
	case LRELU:
		return x > 0 ? x : 0.2 * x;
	case SILU:
		return x * s;
	case GELU:
		return 0.5 * x * erfc(-x * 0.70710678118654752);
	case QUICK_GELU:
		return x / (1 + exp(-1.702 * x));
	case ABS:
		return fabs(x);
	case SQUARE:
		return x * x;
	case CLAMP:
		return x < -0.5 ? -0.5 : x > 0.5 ? 0.5 : x;
	case AFFINE:
		return 3 * x - 1;
	default:
		return pow(x, 1.5);
	}
}

static void
ref_unary(const struct selftest_check *c, double *const *in, double *out)
{
	for (int64_t i = 0; i < selftest_count(&c->in[0]); i++)
		out[i] = unary(c->variant, in[0][i]);
}

#define UNARY(name, call) \
	static struct tensor * \
	run_##name(struct tensor **in) \
	{ \
		return call; \
	}
UNARY(exp, op_exp(in[0]))
UNARY(log, op_log(in[0]))
UNARY(sqrt, op_sqrt(in[0]))
UNARY(rsqrt, op_rsqrt(in[0]))
UNARY(sin, op_sin(in[0]))
UNARY(cos, op_cos(in[0]))
UNARY(tanh, op_tanh(in[0]))
UNARY(sigmoid, op_sigmoid(in[0]))
UNARY(softplus, op_softplus(in[0]))
UNARY(relu, op_relu(in[0]))
UNARY(lrelu, op_lrelu(in[0], 0.2))
UNARY(silu, op_silu(in[0]))
UNARY(gelu, op_gelu(in[0]))
UNARY(quick_gelu, op_quick_gelu(in[0]))
UNARY(abs, op_abs(in[0]))
UNARY(square, op_square(in[0]))
UNARY(clamp, op_clamp(in[0], -0.5, 0.5))
UNARY(affine, op_affine(in[0], 3, -1))
UNARY(pow, op_pow(in[0], 1.5))
UNARY(add, op_add(in[0], in[1]))
UNARY(sub, op_sub(in[0], in[1]))
UNARY(mul, op_mul(in[0], in[1]))
UNARY(div, op_div(in[0], in[1]))
UNARY(maximum, op_maximum(in[0], in[1]))
UNARY(minimum, op_minimum(in[0], in[1]))

/* x [a,b,c] with y [a,b,c], [c] or [b,1] by NumPy's rule */
static void
ref_binary(const struct selftest_check *c, double *const *in, double *out)
{
	const int64_t *d = c->in[0].dim;
	const struct selftest_in *y = &c->in[1];

	for (int64_t i = 0; i < selftest_count(&c->in[0]); i++) {
		int64_t at = y->ndim == 3 ? i : y->ndim == 1 ? i % d[2] : i / d[2] % d[1];
		double p = in[0][i], q = in[1][at];
		const double r[] = { p + q, p - q, p * q, p / q, p > q ? p : q, p < q ? p : q };

		out[i] = r[c->variant];
	}
}

/* ---- reductions and shape -------------------------------------------------------------------- */

UNARY(sum_last, op_sum(in[0], 1u << 2, false))
UNARY(sum_first, op_sum(in[0], 1u << 0, false))
UNARY(mean_all, op_mean_all(in[0]))
UNARY(max_last, op_max(in[0], 2, false))
UNARY(softmax, op_softmax(in[0]))
UNARY(log_softmax, op_log_softmax(in[0]))
UNARY(permute, op_permute(in[0], (const int[]){ 2, 0, 1 }))
UNARY(slice, op_slice(in[0], 1, 2, 3))
UNARY(concat, op_concat(in, 2, 2))
UNARY(gather, op_gather_rows(in[0], in[1]))
UNARY(flip, op_flip(in[0], 1))
UNARY(pad, op_pad2d(in[0], 1, 2, 0, 3))

static void
ref_reduce(const struct selftest_check *c, double *const *in, double *out)
{
	const int64_t *d = c->in[0].dim;
	int64_t n = selftest_count(&c->in[0]);

	if (c->variant == 0) { /* sum over the last */
		for (int64_t i = 0; i < n; i++)
			out[i / d[2]] = i % d[2] ? out[i / d[2]] + in[0][i] : in[0][i];
	} else if (c->variant == 1) { /* over the first */
		for (int64_t i = 0; i < n; i++) {
			int64_t at = i % (d[1] * d[2]);

			out[at] = i == at ? in[0][i] : out[at] + in[0][i];
		}
	} else if (c->variant == 2) {
		out[0] = 0;
		for (int64_t i = 0; i < n; i++)
			out[0] += in[0][i] / (double)n;
	} else {
		for (int64_t i = 0; i < n; i++)
			if (i % d[2] == 0 || in[0][i] > out[i / d[2]])
				out[i / d[2]] = in[0][i];
	}
}

static void
ref_softmax(const struct selftest_check *c, double *const *in, double *out)
{
	int64_t w = c->in[0].dim[2];

	for (int64_t r = 0; r < selftest_count(&c->in[0]); r += w) {
		double max = -HUGE_VAL, sum = 0;

		for (int64_t i = 0; i < w; i++)
			max = fmax(max, in[0][r + i]);
		for (int64_t i = 0; i < w; i++)
			sum += exp(in[0][r + i] - max);
		for (int64_t i = 0; i < w; i++)
			out[r + i] = c->variant ? in[0][r + i] - max - log(sum)
			    : exp(in[0][r + i] - max) / sum;
	}
}

static void
ref_shape(const struct selftest_check *c, double *const *in, double *out)
{
	const int64_t *d = c->in[0].dim;
	int64_t at = 0;

	switch (c->variant) {
	case 0: /* permute 2,0,1 */
		for (int64_t k = 0; k < d[2]; k++)
			for (int64_t i = 0; i < d[0] * d[1]; i++)
				out[at++] = in[0][i * d[2] + k];
		break;
	case 1: /* slice of axis 1: 2..4 */
		for (int64_t i = 0; i < d[0]; i++)
			for (int64_t j = 2; j < 5; j++)
				for (int64_t k = 0; k < d[2]; k++)
					out[at++] = in[0][(i * d[1] + j) * d[2] + k];
		break;
	case 2: /* concat along the last axis */
		for (int64_t i = 0; i < d[0] * d[1]; i++) {
			for (int64_t k = 0; k < d[2]; k++)
				out[at++] = in[0][i * d[2] + k];
			for (int64_t k = 0; k < c->in[1].dim[2]; k++)
				out[at++] = in[1][i * c->in[1].dim[2] + k];
		}
		break;
	case 3: /* rows by number */
		for (int64_t i = 0; i < c->in[1].dim[0]; i++)
			for (int64_t k = 0; k < d[1]; k++)
				out[at++] = in[0][(int64_t)in[1][i] * d[1] + k];
		break;
	case 4: /* flip of axis 1 */
		for (int64_t i = 0; i < d[0]; i++)
			for (int64_t j = d[1] - 1; j >= 0; j--)
				for (int64_t k = 0; k < d[2]; k++)
					out[at++] = in[0][(i * d[1] + j) * d[2] + k];
		break;
	default: /* zero padding 1, 2, 0, 3 of [N,H,W,C] */
		for (int64_t n = 0; n < d[0]; n++)
			for (int64_t y = 0; y < d[1] + 3; y++)
				for (int64_t x = -1; x < d[2] + 2; x++)
					for (int64_t k = 0; k < d[3]; k++)
						out[at++] = y < d[1] && x >= 0 && x < d[2]
						    ? in[0][((n * d[1] + y) * d[2] + x) * d[3] + k]
						    : 0;
	}
}

/* ---- products -------------------------------------------------------------------------------- */

UNARY(matmul, op_matmul(in[0], in[1], false, false))
UNARY(matmul_t, op_matmul(in[0], in[1], true, true))
UNARY(linear, op_linear(in[0], in[1], in[2]))
UNARY(attention, op_attention(in[0], in[1], in[2], 2, 0, false))

static struct conv
conv_params(int v)
{
	int p = selftest_convs[v].p;

	return (struct conv){ selftest_convs[v].s, p, p, p, p, 1, selftest_convs[v].g };
}

#define CONV(v) UNARY(conv##v, op_conv2d(in[0], in[1], in[2], conv_params(v)))
CONV(0) CONV(1) CONV(2) CONV(3) CONV(4) CONV(5) CONV(6)
UNARY(conv_t, op_conv_transpose2d(in[0], in[1], NULL, conv_params(1), 1, 1))

/* ---- pooling, resizing, norms ---------------------------------------------------------------- */

UNARY(max_pool, op_max_pool2d(in[0], 3, 2, 1))
UNARY(avg_pool, op_avg_pool2d(in[0], 2, 2, 0, true))
UNARY(global_pool, op_global_avg_pool(in[0]))
UNARY(nearest, op_resize_nearest(in[0], 12, 10))
UNARY(nearest_any, op_resize_nearest(in[0], 9, 7))
UNARY(bilinear, op_resize_bilinear(in[0], 9, 7, false))
UNARY(group_norm, op_group_norm(in[0], 4, in[1], in[2], 1e-5, ACT_SILU))
UNARY(layer_norm, op_layer_norm(in[0], in[1], in[2], 1e-5))
UNARY(instance_norm, op_instance_norm(in[0], in[1], in[2], 1e-5))

static struct tensor *
run_batch_norm(struct tensor **in)
{
	int64_t c[] = { in[0]->dim[3] };
	struct tensor *m = tensor_full(F32, 1, c, 0), *v = tensor_full(F32, 1, c, 1);

	return op_batch_norm(in[0], in[1], in[2], m, v, 0.1, 1e-5, true, ACT_NONE);
}

/* Normalised by what was seen before: mean 0.25, variance 2. */
static struct tensor *
run_batch_norm_seen(struct tensor **in)
{
	int64_t c[] = { in[0]->dim[3] };
	struct tensor *m = tensor_full(F32, 1, c, 0.25), *v = tensor_full(F32, 1, c, 2);

	return op_batch_norm(in[0], in[1], in[2], m, v, 0.1, 1e-5, false, ACT_NONE);
}

static void
ref_norm_seen(const struct selftest_check *c, double *const *in, double *out)
{
	int64_t C = c->in[0].dim[3];

	for (int64_t i = 0; i < selftest_count(&c->in[0]); i++)
		out[i] = (in[0][i] - 0.25) / sqrt(2 + 1e-5) * in[1][i % C] + in[2][i % C];
}

static double
pixel(const struct selftest_check *c, double *const *in, int64_t n, int64_t y, int64_t x, int64_t k)
{
	const int64_t *d = c->in[0].dim;

	return in[0][((n * d[1] + y) * d[2] + x) * d[3] + k];
}

/* Half-pixel source coordinate of a bilinear resize, clamped below: (o + 0.5) in/out - 0.5. */
static double
source(int64_t o, int64_t from, int64_t to)
{
	double s = ((double)o + 0.5) * (double)from / (double)to - 0.5;

	return s < 0 ? 0 : s;
}

static void
ref_image(const struct selftest_check *c, double *const *in, double *out)
{
	const int64_t *d = c->in[0].dim;
	const int64_t oh[] = { (d[1] - 1) / 2 + 1, d[1] / 2, 1, 12, 9, 9 };
	const int64_t ow[] = { (d[2] - 1) / 2 + 1, d[2] / 2, 1, 10, 7, 7 };
	int64_t H = oh[c->variant], W = ow[c->variant];

	for (int64_t i = 0; i < d[0] * H * W * d[3]; i++) {
		int64_t k = i % d[3], x = i / d[3] % W, y = i / d[3] / W % H, n = i / d[3] / W / H;
		double v = 0;

		if (c->variant == 0) {
			v = -HUGE_VAL;
			for (int64_t t = 0; t < 9; t++) {
				int64_t iy = 2 * y + t / 3 - 1, ix = 2 * x + t % 3 - 1;

				if (iy >= 0 && iy < d[1] && ix >= 0 && ix < d[2])
					v = fmax(v, pixel(c, in, n, iy, ix, k));
			}
		} else if (c->variant == 1) {
			for (int64_t t = 0; t < 4; t++)
				v += 0.25 * pixel(c, in, n, 2 * y + t / 2, 2 * x + t % 2, k);
		} else if (c->variant == 2) {
			for (int64_t t = 0; t < d[1] * d[2]; t++)
				v += pixel(c, in, n, t / d[2], t % d[2], k) / (double)(d[1] * d[2]);
		} else if (c->variant == 3 || c->variant == 5) {
			v = pixel(c, in, n, y * d[1] / H, x * d[2] / W, k);
		} else {
			double sy = source(y, d[1], H), sx = source(x, d[2], W);
			int64_t y0 = (int64_t)sy, x0 = (int64_t)sx;
			int64_t y1 = y0 + (y0 < d[1] - 1), x1 = x0 + (x0 < d[2] - 1);
			double fy = sy - (double)y0, fx = sx - (double)x0;

			v = (1 - fy) *
			        ((1 - fx) * pixel(c, in, n, y0, x0, k) +
			            fx * pixel(c, in, n, y0, x1, k)) +
			    fy *
			        ((1 - fx) * pixel(c, in, n, y1, x0, k) +
			            fx * pixel(c, in, n, y1, x1, k));
		}
		out[i] = v;
	}
}

/* Members of the set that element i of x [N,H,W,C] (layer norm: [R,C]) is normalised with. */
static bool
same_set(const struct selftest_check *c, int64_t i, int64_t j)
{
	const struct selftest_in *x = &c->in[0];
	int64_t C = x->dim[x->ndim - 1], pixels = x->ndim == 4 ? x->dim[1] * x->dim[2] : 1;
	bool sample = i / C / pixels == j / C / pixels;

	switch (c->variant) {
	case 0: /* group norm, 4 groups */
		return sample && i % C / (C / 4) == j % C / (C / 4);
	case 1: /* layer norm */
		return i / C == j / C;
	case 2: /* instance norm */
		return sample && i % C == j % C;
	default: /* batch norm */
		return i % C == j % C;
	}
}

static void
ref_norm(const struct selftest_check *c, double *const *in, double *out)
{
	const struct selftest_in *x = &c->in[0];
	int64_t n = selftest_count(x), C = x->dim[x->ndim - 1];

	for (int64_t i = 0; i < n; i++) {
		double sum = 0, sq = 0, m = 0, v;

		for (int64_t j = 0; j < n; j++)
			if (same_set(c, i, j)) {
				sum += in[0][j];
				m++;
			}
		sum /= m;
		for (int64_t j = 0; j < n; j++)
			if (same_set(c, i, j))
				sq += (in[0][j] - sum) * (in[0][j] - sum);
		v = (in[0][i] - sum) / sqrt(sq / m + 1e-5) * in[1][i % C] + in[2][i % C];
		out[i] = c->variant == 0 ? unary(SILU, v) : v;
	}
}

/* ---- losses ---------------------------------------------------------------------------------- */

UNARY(cross_entropy, op_cross_entropy(in[0], in[1], NULL, -100))
UNARY(bce, op_bce_with_logits(in[0], op_sigmoid(in[1]), NULL))
UNARY(mse, op_mse(in[0], in[1]))

static void
ref_loss(const struct selftest_check *c, double *const *in, double *out)
{
	int64_t n = selftest_count(&c->in[0]), w = c->in[0].dim[c->in[0].ndim - 1];
	double sum = 0;

	for (int64_t i = 0; i < n && c->variant; i++) {
		double x = in[0][i], y = in[1][i];

		sum += (c->variant == 1 ? log1p(exp(x)) - x * unary(SIGMOID, y) : (x - y) *
		    (x - y)) / (double)n;
	}
	for (int64_t r = 0; r < n / w && !c->variant; r++) {
		double z = 0;

		for (int64_t i = 0; i < w; i++)
			z += exp(in[0][r * w + i]);
		sum += (log(z) - in[0][r * w + (int64_t)in[1][r]]) / (double)(n / w);
	}
	out[0] = sum;
}

/* ---- the table ------------------------------------------------------------------------------- */

#define X3 { 3, { 3, 5, 20 }, NORMAL, 0 }
#define P3 { 3, { 3, 5, 20 }, POSITIVE, 0 }
#define X4 { 4, { 2, 6, 5, 8 }, NORMAL, 0 }
#define C8 { 1, { 8 }, PARAM, 0 }
/* sizes that no vector divides */
#define X3O { 3, { 3, 5, 7 }, NORMAL, 0 }
#define X4O { 4, { 2, 7, 5, 3 }, NORMAL, 0 }
#define C3 { 1, { 3 }, PARAM, 0 }
#define CVO(n, o, k, i) { "conv2d, odd", 3, { X4O, { 4, { o, k, k, i }, NORMAL, 0 }, \
	    { 1, { o }, PARAM, 0 } }, run_conv##n, selftest_conv, true, n }
#define U(name, in, v) { #name, 1, { in }, run_##name, ref_unary, true, v }
#define B(name, y, v) { #name, 2, { X3, y }, run_##name, ref_binary, true, v }
#define CV(n, o, k, i) \
	{ "conv2d", 3, { X4, { 4, { o, k, k, i }, NORMAL, 0 }, { 1, { o }, PARAM, 0 } }, \
	    run_conv##n, selftest_conv, true, n }

const struct selftest_check selftest_checks[] = {
	U(exp, X3, EXP),
	U(log, P3, LOG),
	U(sqrt, P3, SQRT),
	U(rsqrt, P3, RSQRT),
	U(sin, X3, SIN),
	U(cos, X3, COS),
	U(tanh, X3, TANH),
	U(sigmoid, X3, SIGMOID),
	U(softplus, X3, SOFTPLUS),
	U(relu, X3, RELU),
	U(lrelu, X3, LRELU),
	U(silu, X3, SILU),
	U(gelu, X3, GELU),
	U(quick_gelu, X3, QUICK_GELU),
	U(abs, X3, ABS),
	U(square, X3, SQUARE),
	U(clamp, X3, CLAMP),
	U(affine, X3, AFFINE),
	U(pow, P3, POW),
	B(add, X3, 0),
	B(sub, X3, 1),
	B(mul, X3, 2),
	B(div, P3, 3),
	B(maximum, X3, 4),
	B(minimum, X3, 5),
	{ "add row", 2, { X3, { 1, { 20 }, NORMAL, 0 } }, run_add, ref_binary, true, 0 },
	{ "mul column", 2, { X3, { 2, { 5, 1 }, NORMAL, 0 } }, run_mul, ref_binary, true, 2 },
	{ "sum", 1, { X3 }, run_sum_last, ref_reduce, true, 0 },
	{ "sum of rows", 1, { X3 }, run_sum_first, ref_reduce, true, 1 },
	{ "mean", 1, { X3 }, run_mean_all, ref_reduce, true, 2 },
	{ "max", 1, { X3 }, run_max_last, ref_reduce, true, 3 },
	{ "softmax", 1, { X3 }, run_softmax, ref_softmax, true, 0 },
	{ "log_softmax", 1, { X3 }, run_log_softmax, ref_softmax, true, 1 },
	{ "permute", 1, { X3 }, run_permute, ref_shape, true, 0 },
	{ "slice", 1, { X3 }, run_slice, ref_shape, true, 1 },
	{ "concat", 2, { X3, { 3, { 3, 5, 4 }, NORMAL, 0 } }, run_concat, ref_shape, true, 2 },
	{ "gather_rows", 2, { { 2, { 9, 12 }, NORMAL, 0 }, { 1, { 7 }, IDS, 9 } }, run_gather,
	    ref_shape, true, 3 },
	{ "flip", 1, { X3 }, run_flip, ref_shape, true, 4 },
	{ "pad2d", 1, { X4 }, run_pad, ref_shape, true, 5 },
	{ "matmul", 2, { { 2, { 37, 29 }, NORMAL, 0 }, { 2, { 29, 70 }, NORMAL, 0 } }, run_matmul,
	    selftest_matmul, true, 0 },
	{ "matmul transposed", 2, { { 2, { 29, 37 }, NORMAL, 0 }, { 2, { 70, 29 }, NORMAL, 0 } },
	    run_matmul_t, selftest_matmul, true, 1 },
	{ "linear", 3,
	    { { 2, { 5, 24 }, NORMAL, 0 }, { 2, { 36, 24 }, NORMAL, 0 }, { 1, { 36 }, PARAM, 0 } },
	    run_linear, selftest_linear, true, 0 },
	{ "attention", 3,
	    { { 3, { 2, 6, 16 }, NORMAL, 0 }, { 3, { 2, 9, 16 }, NORMAL, 0 },
	        { 3, { 2, 9, 16 }, NORMAL, 0 } },
	    run_attention, selftest_attention, true, 0 },
	CV(0, 12, 3, 8),
	CV(1, 12, 3, 8),
	CV(2, 12, 1, 8),
	CV(3, 8, 3, 1),
	CV(4, 12, 7, 8),
	CV(5, 8, 5, 1),
	CV(6, 12, 3, 4),
	{ "conv_transpose2d", 2, { X4, { 4, { 8, 3, 3, 12 }, NORMAL, 0 } }, run_conv_t,
	    selftest_conv_t, true, 0 },
	{ "max_pool2d", 1, { X4 }, run_max_pool, ref_image, true, 0 },
	{ "avg_pool2d", 1, { X4 }, run_avg_pool, ref_image, true, 1 },
	{ "global_avg_pool", 1, { X4 }, run_global_pool, ref_image, true, 2 },
	{ "resize_nearest", 1, { X4 }, run_nearest, ref_image, true, 3 },
	{ "resize_bilinear", 1, { X4 }, run_bilinear, ref_image, true, 4 },
	{ "group_norm", 3, { X4, C8, C8 }, run_group_norm, ref_norm, true, 0 },
	{ "layer_norm", 3,
	    { { 2, { 7, 20 }, NORMAL, 0 }, { 1, { 20 }, PARAM, 0 }, { 1, { 20 }, PARAM, 0 } },
	    run_layer_norm, ref_norm, true, 1 },
	{ "instance_norm", 3, { X4, C8, C8 }, run_instance_norm, ref_norm, true, 2 },
	{ "batch_norm", 3, { X4, C8, C8 }, run_batch_norm, ref_norm, true, 3 },
	{ "cross_entropy", 2, { { 2, { 11, 5 }, NORMAL, 0 }, { 1, { 11 }, IDS, 5 } },
	    run_cross_entropy, ref_loss, true, 0 },
	{ "silu, odd", 1, { X3O }, run_silu, ref_unary, true, SILU },
	{ "mul, odd", 2, { X3O, X3O }, run_mul, ref_binary, true, 2 },
	{ "add row, odd", 2, { X3O, { 1, { 7 }, NORMAL, 0 } }, run_add, ref_binary, true, 0 },
	{ "sum, odd", 1, { X3O }, run_sum_last, ref_reduce, true, 0 },
	{ "sum of rows, odd", 1, { X3O }, run_sum_first, ref_reduce, true, 1 },
	{ "max, odd", 1, { X3O }, run_max_last, ref_reduce, true, 3 },
	{ "softmax, odd", 1, { X3O }, run_softmax, ref_softmax, true, 0 },
	{ "log_softmax, odd", 1, { X3O }, run_log_softmax, ref_softmax, true, 1 },
	{ "permute, odd", 1, { X3O }, run_permute, ref_shape, true, 0 },
	{ "slice, odd", 1, { X3O }, run_slice, ref_shape, true, 1 },
	{ "concat, odd", 2, { X3O, { 3, { 3, 5, 2 }, NORMAL, 0 } }, run_concat, ref_shape, true,
	    2 },
	{ "gather_rows, odd", 2, { { 2, { 9, 11 }, NORMAL, 0 }, { 1, { 7 }, IDS, 9 } }, run_gather,
	    ref_shape, true, 3 },
	{ "pad2d, odd", 1, { X4O }, run_pad, ref_shape, true, 5 },
	CVO(0, 5, 3, 3),
	CVO(1, 6, 3, 3),
	CVO(2, 7, 1, 3),
	CVO(4, 5, 7, 3),
	{ "max_pool2d, odd", 1, { X4O }, run_max_pool, ref_image, true, 0 },
	{ "global_avg_pool, odd", 1, { X4O }, run_global_pool, ref_image, true, 2 },
	{ "resize_nearest, odd", 1, { X4O }, run_nearest, ref_image, true, 3 },
	{ "resize_bilinear, odd", 1, { X4O }, run_bilinear, ref_image, true, 4 },
	{ "layer_norm, odd", 3,
	    { { 2, { 7, 19 }, NORMAL, 0 }, { 1, { 19 }, PARAM, 0 }, { 1, { 19 }, PARAM, 0 } },
	    run_layer_norm, ref_norm, true, 1 },
	{ "instance_norm, odd", 3, { X4O, C3, C3 }, run_instance_norm, ref_norm, true, 2 },
	{ "batch_norm, odd", 3, { X4O, C3, C3 }, run_batch_norm, ref_norm, true, 3 },
	{ "attention, odd", 3,
	    { { 3, { 2, 6, 10 }, NORMAL, 0 }, { 3, { 2, 9, 10 }, NORMAL, 0 },
	        { 3, { 2, 9, 10 }, NORMAL, 0 } },
	    run_attention, selftest_attention, true, 0 },
	{ "matmul, long", 2, { { 2, { 5, 9000 }, NORMAL, 0 }, { 2, { 9000, 12 }, NORMAL, 0 } },
	    run_matmul, selftest_matmul, false, 0 },
	{ "matmul, long and wide", 2,
	    { { 2, { 5, 9000 }, NORMAL, 0 }, { 2, { 9000, 72 }, NORMAL, 0 } }, run_matmul,
	    selftest_matmul, false, 0 },
	/* the same where a subgroup has eight lanes, so that 72 columns are too many tiles */
	{ "matmul, 36 columns, long", 2,
	    { { 2, { 5, 9000 }, NORMAL, 0 }, { 2, { 9000, 36 }, NORMAL, 0 } }, run_matmul,
	    selftest_matmul, false, 0 },
	/* weights read where they lie */
	{ "matmul, 64 columns, long", 2,
	    { { 2, { 5, 4096 }, NORMAL, 0 }, { 2, { 4096, 64 }, NORMAL, 0 } }, run_matmul,
	    selftest_matmul, false, 0 },
	{ "linear, 64 columns", 3,
	    { { 2, { 5, 64 }, NORMAL, 0 }, { 2, { 64, 64 }, NORMAL, 0 }, { 1, { 64 }, PARAM, 0 } },
	    run_linear, selftest_linear, true, 0 },
	{ "linear, 64 columns, long", 3,
	    { { 2, { 5, 4096 }, NORMAL, 0 }, { 2, { 64, 4096 }, NORMAL, 0 },
	        { 1, { 64 }, PARAM, 0 } },
	    run_linear, selftest_linear, false, 0 },
	{ "matmul, one column, long", 2,
	    { { 2, { 40, 9000 }, NORMAL, 0 }, { 2, { 9000, 1 }, NORMAL, 0 } }, run_matmul,
	    selftest_matmul, false, 0 },
	{ "max_pool2d alone", 1, { X4 }, run_max_pool, ref_image, false, 0 },
	{ "max_pool2d alone, odd", 1, { X4O }, run_max_pool, ref_image, false, 0 },
	{ "avg_pool2d, odd", 1, { X4O }, run_avg_pool, ref_image, true, 1 },
	{ "resize_nearest, any", 1, { X4 }, run_nearest_any, ref_image, true, 5 },
	{ "resize_nearest, twice, odd", 1, { { 4, { 2, 6, 5, 3 }, NORMAL, 0 } }, run_nearest,
	    ref_image, true, 3 },
	{ "batch_norm, seen", 3, { X4, C8, C8 }, run_batch_norm_seen, ref_norm_seen, true, 0 },
	{ "bce_with_logits", 2, { X3, X3 }, run_bce, ref_loss, false, 1 },
	{ "mse", 2, { X3, X3 }, run_mse, ref_loss, true, 2 },
};

const size_t selftest_nchecks = sizeof(selftest_checks) / sizeof(selftest_checks[0]);
