/*
 * Functions of one value. Each has a fused gradient, a code of binary.comp, which is what backward
 * runs; where the gradient itself is to be differentiated it is composed of ops instead, unless the
 * function is piecewise linear: then the fused form's own derivative is the fused form.
 */
#include "tensor/elementwise.h"

struct tensor *
unary_run(const char *op, uint32_t code, struct tensor *x, double a, double b)
{
	static const enum kernel k[3][2] = KERNELS_BY_DTYPE(UNARY);
	struct tensor *y;
	struct {
		uint32_t groups;
		float a, b;
	} p = { (uint32_t)((x->n + 3) / 4), (float)a, (float)b };

	want_float(op, x);
	if (x->n >= (int64_t)1 << 32)
		op_die(op, "%s is too large", tensor_shape(x));
	y = tensor_like(x);
	gpu_run(&(struct gpu_call){ .kernel = kernel_for(op, k, x->dtype),
	    .arg = { tensor_arg(x), tensor_arg(y) }, .nargs = 2, .spec = { code }, .nspec = 1,
	    .push = &p, .npush = sizeof(p), .groups = { gpu_groups(p.groups, FLAT_STEP) },
	    .flops = (double)x->n, .bytes = 2 * (double)x->n * (double)dtype_size(x->dtype) });
	return y;
}

static void unary_back(struct node *, struct tensor *, struct tensor **);

/* i: code, code of the gradient; f: a, b; save: input or output. */
static struct tensor *
unary(const char *op, uint32_t code, uint32_t gcode, bool save_output, struct tensor *x, double a,
    double b)
{
	struct tensor *y = unary_run(op, code, x, a, b);
	struct node *n = op_done(op, y, &x, 1, unary_back);

	if (n) {
		node_save(n, save_output ? y : x);
		n->i[0] = code;
		n->i[1] = gcode;
		n->f[0] = a;
		n->f[1] = b;
	}
	return y;
}

/* Of gx = gy f'(x) with f piecewise linear: the same function of the gradient's gradient. */
static struct tensor *linear_gradient(const struct node *, struct tensor *gy);

static void
linear_gradient_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	g[0] = linear_gradient(n, gy);
}

static struct tensor *
linear_gradient(const struct node *n, struct tensor *gy)
{
	struct tensor *gx = binary_run(n->op, (uint32_t)n->i[1], gy, n->save[0], n->f[0], n->f[1]);
	struct node *m = op_done(n->op, gx, &gy, 1, linear_gradient_back);

	if (m) {
		node_save(m, n->save[0]);
		m->i[1] = n->i[1];
		m->f[0] = n->f[0];
		m->f[1] = n->f[1];
	}
	return gx;
}

static void cdf_back(struct node *, struct tensor *, struct tensor **);

/* The standard normal distribution and its density. */
static struct tensor *
cdf(struct tensor *x)
{
	struct tensor *y = unary_run("normal distribution", U_CDF, x, 0, 0);
	struct node *n = op_done("normal distribution", y, &x, 1, cdf_back);

	if (n)
		node_save(n, x);
	return y;
}

static struct tensor *
density(struct tensor *x)
{
	return op_affine(op_exp(op_affine(op_square(x), -0.5, 0)), 0.3989422804014327, 0);
}

static void
cdf_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	g[0] = op_mul(gy, density(n->save[0]));
}

/* s (1 + a x (1 - s)), s = sigmoid(a x): the derivative of x sigmoid(a x) */
static struct tensor *
swish_slope(struct tensor *x, double a)
{
	struct tensor *s = op_sigmoid(op_affine(x, a, 0));

	return op_mul(s, op_affine(op_mul(op_affine(x, a, 0), op_affine(s, -1, 1)), 1, 1));
}

/* f'(x) by ops; v is the saved input or output. */
static struct tensor *
slope(const struct node *n, struct tensor *v)
{
	switch (n->i[0]) {
	case U_SIGMOID:
		return op_sub(v, op_square(v));
	case U_TANH:
		return op_affine(op_square(v), -1, 1);
	case U_SOFTPLUS:
		return op_sigmoid(v);
	case U_SILU:
		return swish_slope(v, 1);
	case U_QUICK_GELU:
		return swish_slope(v, 1.702);
	case U_GELU:
		return op_add(cdf(v), op_mul(v, density(v)));
	case U_SQUARE:
		return op_affine(v, 2, 0);
	case U_SQRT:
		return op_affine(op_pow(v, -1), 0.5, 0);
	case U_RSQRT:
		return op_affine(op_mul(v, op_square(v)), -0.5, 0);
	case U_SIN:
		return op_cos(v);
	case U_COS:
		return op_neg(op_sin(v));
	case U_POW:
		return op_affine(op_pow(v, n->f[0] - 1), n->f[0], 0);
	}
	op_die(n->op, "cannot be differentiated twice");
}

static void
unary_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	struct tensor *v = n->save[0];

	switch (n->i[0]) {
	case U_RELU:
	case U_LRELU:
	case U_ABS:
	case U_CLAMP:
		g[0] = linear_gradient(n, gy);
		break;
	default:
		g[0] = grads_on() ? op_mul(gy, slope(n, v))
		                  : binary_run(n->op, (uint32_t)n->i[1], gy, v, n->f[0], n->f[1]);
	}
}

static void
affine_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	g[0] = op_affine(gy, n->f[0], 0);
}

struct tensor *
op_affine(struct tensor *x, double a, double b)
{
	struct tensor *y = unary_run("op_affine", U_AFFINE, x, a, b);
	struct node *n = op_done("op_affine", y, &x, 1, affine_back);

	if (n)
		n->f[0] = a;
	return y;
}

struct tensor *
op_neg(struct tensor *x)
{
	return op_affine(x, -1, 0);
}

static void
exp_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	g[0] = op_mul(gy, n->save[0]);
}

struct tensor *
op_exp(struct tensor *x)
{
	struct tensor *y = unary_run("op_exp", U_EXP, x, 0, 0);
	struct node *n = op_done("op_exp", y, &x, 1, exp_back);

	if (n)
		node_save(n, y);
	return y;
}

static void
log_back(struct node *n, struct tensor *gy, struct tensor **g)
{
	g[0] = op_div(gy, n->save[0]);
}

struct tensor *
op_log(struct tensor *x)
{
	struct tensor *y = unary_run("op_log", U_LOG, x, 0, 0);
	struct node *n = op_done("op_log", y, &x, 1, log_back);

	if (n)
		node_save(n, x);
	return y;
}

struct tensor *
op_pow(struct tensor *x, double p)
{
	return unary("op_pow", U_POW, B_POW_G, false, x, p, 0);
}

struct tensor *
op_square(struct tensor *x)
{
	return unary("op_square", U_SQUARE, B_SQUARE_G, false, x, 0, 0);
}

struct tensor *
op_sqrt(struct tensor *x)
{
	return unary("op_sqrt", U_SQRT, B_SQRT_G, true, x, 0, 0);
}

struct tensor *
op_rsqrt(struct tensor *x)
{
	return unary("op_rsqrt", U_RSQRT, B_RSQRT_G, true, x, 0, 0);
}

struct tensor *
op_abs(struct tensor *x)
{
	return unary("op_abs", U_ABS, B_ABS_G, false, x, 0, 0);
}

struct tensor *
op_sin(struct tensor *x)
{
	return unary("op_sin", U_SIN, B_SIN_G, false, x, 0, 0);
}

struct tensor *
op_cos(struct tensor *x)
{
	return unary("op_cos", U_COS, B_COS_G, false, x, 0, 0);
}

struct tensor *
op_tanh(struct tensor *x)
{
	return unary("op_tanh", U_TANH, B_TANH_G, true, x, 0, 0);
}

struct tensor *
op_sigmoid(struct tensor *x)
{
	return unary("op_sigmoid", U_SIGMOID, B_SIGMOID_G, true, x, 0, 0);
}

struct tensor *
op_softplus(struct tensor *x)
{
	return unary("op_softplus", U_SOFTPLUS, B_SOFTPLUS_G, false, x, 0, 0);
}

/* The sign of relu's output is that of its positive inputs, so the output serves backward. */
struct tensor *
op_relu(struct tensor *x)
{
	return unary("op_relu", U_RELU, B_RELU_G, true, x, 0, 0);
}

/* A slope above 0 keeps the sign: the output serves; otherwise the input must. */
struct tensor *
op_lrelu(struct tensor *x, double slope_below)
{
	return unary("op_lrelu", U_LRELU, B_LRELU_G, slope_below > 0, x, slope_below, 0);
}

struct tensor *
op_silu(struct tensor *x)
{
	return unary("op_silu", U_SILU, B_SILU_G, false, x, 0, 0);
}

struct tensor *
op_gelu(struct tensor *x)
{
	return unary("op_gelu", U_GELU, B_GELU_G, false, x, 0, 0);
}

struct tensor *
op_quick_gelu(struct tensor *x)
{
	return unary("op_quick_gelu", U_QUICK_GELU, B_QUICK_GELU_G, false, x, 0, 0);
}

struct tensor *
op_clamp(struct tensor *x, double lo, double hi)
{
	return unary("op_clamp", U_CLAMP, B_CLAMP_G, false, x, lo, hi);
}

struct tensor *
op_greater_s(struct tensor *x, double s)
{
	return unary_run("op_greater_s", U_GREATER, x, s, 0);
}

struct tensor *
op_equal_s(struct tensor *x, double s)
{
	return unary_run("op_equal_s", U_EQUAL, x, s, 0);
}
