#include "tensor/colnorm.h"

#include "tensor/columns.h"

static const enum kernel stat_kernel[3][3] = KERNELS_BY_ACCESS(NORM_STAT);
static const enum kernel apply_kernel[3][3] = KERNELS_BY_ACCESS(NORM_APPLY);
static const enum kernel dsum_kernel[3][3] = KERNELS_BY_ACCESS(NORM_DSUM);
static const enum kernel dx_kernel[3][3] = KERNELS_BY_ACCESS(NORM_DX);

enum {
	REDUCE_STEPS = 512,
	APPLY_STEPS = 32
};

static void
want_vector(const char *op, const char *what, const struct tensor *t, int64_t channels)
{
	if (t && (t->n != channels || t->dtype != F32))
		op_die(op, "%s is %s, wanted [%lld] f32", what, tensor_shape(t),
		    (long long)channels);
}

void
colnorm_check(const struct colnorm *c, const struct tensor *x, const struct tensor *w,
    const struct tensor *b)
{
	want_float(c->op, x);
	want_vector(c->op, "weight", w, c->channels);
	want_vector(c->op, "bias", b, c->channels);
	want_vector(c->op, "running mean", c->running_mean, c->channels);
	want_vector(c->op, "running variance", c->running_var, c->channels);
	if (c->groups < 1 || c->channels % c->groups)
		op_die(c->op, "%lld groups of %s", (long long)c->groups, tensor_shape(x));
	if (c->act != ACT_NONE && c->act != ACT_RELU && c->act != ACT_SILU)
		op_die(c->op, "activation %d is not one of those fused with it", (int)c->act);
	if (c->train && c->rows * (c->channels / c->groups) < (c->running_mean ? 2 : 1))
		op_die(c->op, "%s: one value a channel has no variance", tensor_shape(x));
}

/* Rows of a partial sum: few, as its rounding error grows with them, but so many that a workgroup
 * can go over the sums of a group twice. */
static uint32_t
reduce_steps(const struct colnorm *c)
{
	int64_t width = c->channels / c->groups, lanes = group_sum_local();
	uint32_t steps = REDUCE_STEPS;

	while (steps < MAX_LOOP / 2 && 2 * width * (c->rows / steps / lanes + 1) > MAX_LOOP / 2)
		steps *= 2;
	if (2 * width * (c->rows / steps / lanes + 1) > MAX_LOOP)
		op_die(c->op, "groups of %lld rows and %lld channels: too large",
		    (long long)c->rows, (long long)width);
	return steps;
}

/* The coefficients of x's own statistics; moves the running ones. */
static void
finish(const struct colnorm *c, const struct columns *cut, struct tensor *part, struct tensor *w,
    struct tensor *b, struct tensor *coef, struct tensor *stat)
{
	struct {
		struct fastdiv width, fold;
		uint32_t channels, groups, parts, rows, steps, has_w, has_b;
		float eps, momentum;
	} push = { fastdiv((uint32_t)(c->channels / c->groups)), fastdiv(cut->push.fold),
		(uint32_t)c->channels, (uint32_t)c->groups, cut->parts, cut->push.rows,
		cut->push.steps, w != NULL, b != NULL, (float)c->eps, (float)c->momentum };
	bool texel = group_sum_texel(), run = c->running_mean && !checkpoint_again();
	struct gpu_call call = {
		.kernel = run ? (texel ? K_NORM_FINISH_RUN_T : K_NORM_FINISH_RUN_V)
		    : (texel ? K_NORM_FINISH_T : K_NORM_FINISH_V),
		.arg = { tensor_arg(part), tensor_arg(w ? w : part), tensor_arg(b ? b : part),
		    tensor_arg(coef), tensor_arg(stat) },
		.nargs = run ? 7 : 5, .spec = { group_sum_local() }, .nspec = 1, .push = &push,
		.npush = sizeof(push), .groups = { (uint32_t)c->groups, (uint32_t)c->n },
		.flops = 10. * (double)part->n, .bytes = 8. * (double)part->n };

	if (run) {
		call.arg[5] = tensor_arg(c->running_mean);
		call.arg[6] = tensor_arg(c->running_var);
		c->running_mean->version++;
		c->running_var->version++;
	}
	gpu_run(&call);
}

static void
by_running(const struct colnorm *c, struct tensor *w, struct tensor *b, struct tensor *coef,
    struct tensor *stat)
{
	struct {
		uint32_t channels, has_w, has_b;
		float eps;
	} push = { (uint32_t)c->channels, w != NULL, b != NULL, (float)c->eps };
	struct tensor *mean = c->running_mean, *var = c->running_var;

	gpu_run(&(struct gpu_call){ .kernel = K_NORM_EVAL,
	    .arg = { tensor_arg(mean), tensor_arg(var), tensor_arg(w ? w : mean),
	        tensor_arg(b ? b : mean), tensor_arg(coef), tensor_arg(stat) },
	    .nargs = 6, .spec = { 64 }, .nspec = 1, .push = &push, .npush = sizeof(push),
	    .groups = { gpu_groups((uint64_t)c->channels, 64) }, .flops = 4. * (double)c->channels,
	    .bytes = 36. * (double)c->channels });
}

struct tensor *
colnorm_forward(const struct colnorm *c, struct tensor *x, struct tensor *w, struct tensor *b,
    struct tensor **coef, struct tensor **stat)
{
	struct columns cut = columns_cut(c->op, c->n, c->rows, c->channels, reduce_steps(c));
	struct tensor *y = tensor_new(x->dtype, x->ndim, x->dim);
	double bytes = (double)(x->n * (int64_t)dtype_size(x->dtype));

	*coef = tensor_empty(F32, c->n, 3, c->channels);
	*stat = tensor_empty(F32, c->n, c->groups, 2);
	if (c->train) {
		struct tensor *part = tensor_empty(F32, c->n, cut.parts, 2, c->channels);

		gpu_run(&(struct gpu_call){ .kernel = stat_kernel[x->dtype][cut.access],
		    .arg = { tensor_arg(x), tensor_arg(part) }, .nargs = 2,
		    .spec = { cut.local, cut.wide }, .nspec = 2, .push = &cut.push,
		    .npush = sizeof(cut.push),
		    .groups = { cut.groups[0], cut.groups[1], cut.groups[2] },
		    .flops = 4. * (double)x->n, .bytes = bytes });
		finish(c, &cut, part, w, b, *coef, *stat);
	} else {
		by_running(c, w, b, *coef, *stat);
	}
	cut = columns_cut(c->op, c->n, c->rows, c->channels, APPLY_STEPS);
	gpu_run(&(struct gpu_call){ .kernel = apply_kernel[x->dtype][cut.access],
	    .arg = { tensor_arg(x), tensor_arg(*coef), tensor_arg(y) }, .nargs = 3,
	    .spec = { cut.local, cut.wide, c->act }, .nspec = 3, .push = &cut.push,
	    .npush = sizeof(cut.push),
	    .groups = { cut.groups[0], cut.groups[1], cut.groups[2] }, .flops = 3. * (double)x->n,
	    .bytes = 2 * bytes });
	return y;
}

void
colnorm_backward(const struct colnorm *c, struct tensor *x, struct tensor *w, struct tensor *coef,
    struct tensor *stat, struct tensor *gy, const bool *need, struct tensor **gx)
{
	struct columns cut = columns_cut(c->op, c->n, c->rows, c->channels, reduce_steps(c));
	struct tensor *part = tensor_empty(F32, c->n, cut.parts, 2, c->channels);
	struct tensor *dcoef = tensor_empty(F32, c->n, 2, c->channels);
	struct tensor *dw = tensor_empty(F32, c->n, c->channels);
	struct tensor *db = tensor_empty(F32, c->n, c->channels);
	struct {
		uint32_t channels, groups, parts, rows, has_w, train;
	} push = { (uint32_t)c->channels, (uint32_t)c->groups, cut.parts, cut.push.rows, w != NULL,
		c->train };
	double bytes = (double)(x->n * (int64_t)dtype_size(x->dtype));

	gpu_run(&(struct gpu_call){ .kernel = dsum_kernel[x->dtype][cut.access],
	    .arg = { tensor_arg(x), tensor_arg(gy), tensor_arg(coef), tensor_arg(part) },
	    .nargs = 4, .spec = { cut.local, cut.wide, c->act }, .nspec = 3, .push = &cut.push,
	    .npush = sizeof(cut.push),
	    .groups = { cut.groups[0], cut.groups[1], cut.groups[2] }, .flops = 4. * (double)x->n,
	    .bytes = 2 * bytes });
	gpu_run(&(struct gpu_call){ .kernel = group_sum_texel() ? K_NORM_DFINISH_T
	    : K_NORM_DFINISH_V,
	    .arg = { tensor_arg(part), tensor_arg(w ? w : part), tensor_arg(stat),
	    tensor_arg(dcoef),
	        tensor_arg(dw), tensor_arg(db) },
	    .nargs = 6, .spec = { group_sum_local() }, .nspec = 1, .push = &push,
	    .npush = sizeof(push), .groups = { (uint32_t)c->groups, (uint32_t)c->n },
	    .flops = 2. * (double)part->n, .bytes = 4. * (double)part->n });
	if (need[0]) {
		gx[0] = tensor_new(x->dtype, x->ndim, x->dim);
		cut = columns_cut(c->op, c->n, c->rows, c->channels, APPLY_STEPS);
		gpu_run(&(struct gpu_call){ .kernel = dx_kernel[x->dtype][cut.access],
		    .arg = { tensor_arg(x), tensor_arg(gy), tensor_arg(coef), tensor_arg(dcoef),
		        tensor_arg(gx[0]) },
		    .nargs = 5, .spec = { cut.local, cut.wide, c->act }, .nspec = 3,
		    .push = &cut.push, .npush = sizeof(cut.push),
		    .groups = { cut.groups[0], cut.groups[1], cut.groups[2] },
		    .flops = 6. * (double)x->n, .bytes = 3 * bytes });
	}
	if (need[1])
		gx[1] = c->n > 1 ? op_sum(dw, 1, false) : op_view(dw, c->channels);
	if (need[2])
		gx[2] = c->n > 1 ? op_sum(db, 1, false) : op_view(db, c->channels);
}

void
colnorm_backward_composed(const struct colnorm *c, struct tensor *x, struct tensor *w,
    struct tensor *b, struct tensor *gy, const bool *need, struct tensor **gx)
{
	const int64_t width = c->channels / c->groups;
	const unsigned over = 1u << 1 | 1u << 3; /* rows, and channels of a group */
	struct tensor *v = op_view(op_cast(x, F32), c->n, c->rows, c->groups, width);
	struct tensor *g = op_view(op_cast(gy, F32), c->n, c->rows, c->groups, width);
	struct tensor *w4 = w ? op_view(w, 1, 1, c->groups, width) : NULL;
	struct tensor *mean, *var, *inv, *h;

	if (c->train) {
		mean = op_mean(v, over, true);
		var = op_mean(op_square(op_sub(v, mean)), over, true);
	} else {
		mean = op_view(c->running_mean, 1, 1, c->groups, width);
		var = op_view(c->running_var, 1, 1, c->groups, width);
	}
	inv = op_rsqrt(op_affine(var, 1, c->eps));
	h = op_mul(op_sub(v, mean), inv);
	if (c->act != ACT_NONE) {
		struct tensor *z = w ? op_mul(h, w4) : h;

		if (b)
			z = op_add(z, op_view(b, 1, 1, c->groups, width));
		if (c->act == ACT_RELU) {
			g = op_mul(g, op_greater_s(z, 0));
		} else {
			struct tensor *s = op_sigmoid(z);

			/* s (1 + z (1 - s)) */
			s = op_mul(s, op_affine(op_mul(z, op_affine(s, -1, 1)), 1, 1));
			g = op_mul(g, s);
		}
	}
	if (need[1])
		gx[1] = op_reshape(op_sum(op_mul(g, h), 3, false), w->ndim, w->dim);
	if (need[2])
		gx[2] = op_reshape(op_sum(g, 3, false), b->ndim, b->dim);
	if (!need[0])
		return;
	if (w)
		g = op_mul(g, w4);
	if (c->train)
		g = op_sub(op_sub(g, op_mean(g, over, true)),
		    op_mul(h, op_mean(op_mul(g, h), over, true)));
	gx[0] = op_cast(op_reshape(op_mul(g, inv), x->ndim, x->dim), x->dtype);
}

static void
back(struct node *nd, struct tensor *gy, struct tensor **gx)
{
	struct tensor *x = nd->save[0], *w = nd->save[1], *b = nd->save[2];
	struct colnorm c = { .op = nd->op, .n = nd->i[0], .rows = nd->i[1], .channels = nd->i[2],
		.groups = nd->i[3], .act = (enum act)nd->i[4], .train = nd->i[5], .eps = nd->f[0],
		.running_mean = nd->save[5], .running_var = nd->save[6] };

	if (grads_on())
		colnorm_backward_composed(&c, x, w, b, gy, nd->need, gx);
	else
		colnorm_backward(&c, x, w, nd->save[3], nd->save[4], gy, nd->need, gx);
}

void
colnorm_record(const struct colnorm *c, struct tensor *y, struct tensor *x, struct tensor *w,
    struct tensor *b, struct tensor *coef, struct tensor *stat)
{
	struct node *nd = op_done(c->op, y, (struct tensor *[]){ x, w, b }, 3, back);

	if (!nd)
		return;
	node_save(nd, x);
	node_save(nd, w);
	node_save(nd, b);
	node_save(nd, coef);
	node_save(nd, stat);
	/* running statistics are read again only where they were used */
	node_save(nd, c->train ? NULL : c->running_mean);
	node_save(nd, c->train ? NULL : c->running_var);
	nd->i[0] = c->n;
	nd->i[1] = c->rows;
	nd->i[2] = c->channels;
	nd->i[3] = c->groups;
	nd->i[4] = c->act;
	nd->i[5] = c->train;
	nd->f[0] = c->eps;
}
