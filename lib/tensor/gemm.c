/* Chooses tiles and splits for products, and records them. */
#include "tensor/gemm.h"

#include "tensor/op.h"

#include <string.h>
#include <unistd.h>

enum { LOCAL = 64, GPU_TILE = 64, CHUNK = 2 << 20 };

int64_t gemm_most_bytes = INT32_MAX - 256;

bool
gemm_on_cpu(void)
{
	const struct gpu_info *g = gpu_info();

	return g->cpu && g->texel && g->shuffle && g->subgroup >= 4 && g->subgroup <= 64;
}

int64_t
gemm_busy(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	return gpu_info()->cpu ? 4 * (cores > 0 ? cores : 1) : 256;
}

/* Rows that a lane of a thin tile takes: with the columns, accumulators enough to keep busy. */
static int64_t
thin_rows(int64_t rows, uint32_t cols)
{
	return rows <= (int64_t)gpu_info()->subgroup ? 1 : cols <= 16 ? 8 : 4;
}

static int64_t
tile_rows(int64_t rows, const struct panel *q)
{
	if (!gemm_on_cpu())
		return GPU_TILE;
	if (q->nc == 1)
		return thin_rows(rows, q->lanes) * (int64_t)gpu_info()->subgroup;
	return rows <= 4 ? 4 : rows <= 16 ? 16 : 32;
}

static int64_t
ceil_div(int64_t a, int64_t b)
{
	return (a + b - 1) / b;
}

/* Adds up the parts x [parts, quads of y] in order, then bias and activation. */
static void
sum_parts(const struct tensor *x, int64_t parts, const struct tensor *bias, int64_t cols,
    double slope, struct tensor *y)
{
	static const enum kernel k[3][2] = KERNELS_BY_DTYPE(PARTIAL_SUM);
	const int64_t quads = y->n / 4;
	const struct {
		uint32_t count, parts, cols, bias;
		float slope;
	} p = { (uint32_t)quads, (uint32_t)parts, (uint32_t)(cols / 4), bias != NULL,
	    (float)slope };

	gpu_run(&(struct gpu_call){ .kernel = kernel_for("sum of parts", k, y->dtype),
	    .arg = { tensor_arg(x), tensor_arg(bias ? bias : x), tensor_arg(y) }, .nargs = 3,
	    .spec = { LOCAL }, .nspec = 1, .push = &p, .npush = sizeof(p),
	    .groups = { gpu_groups((uint64_t)quads, LOCAL) }, .flops = (double)x->n,
	    .bytes = (double)x->n * 4 + (double)y->n * (double)dtype_size(y->dtype) });
}

/* Whether products of values of dtype d go through cooperative matrices. */
static bool
on_coopmat(enum dtype d)
{
	return !gemm_on_cpu() && gpu_info()->coopmat && d == F16;
}

/* The constants of their kernels: invocations of a workgroup, sizes. */
static void
coop_spec(struct gpu_call *c)
{
	c->spec[0] = 4 * gpu_info()->subgroup;
	memcpy(c->spec + 1, gpu_info()->coop, sizeof(gpu_info()->coop));
	c->nspec = 4;
}

struct gemm_push {
	uint32_t m, down, across, nq, q0, qend, k, ksplit, splits, ow, oh;
	int32_t stride, dil, top, left;
	uint32_t ih, iw, c, cs, c0, kw, on, oy, ox, o0, abatch, bbatch, ybatch, psplit, bias;
	float slope;
	int32_t wnext;
};

static enum kernel
kernel_of(const struct packed *w, const struct panel *q, bool part, enum dtype a)
{
	static const enum kernel cpu[3][2] = { { K_GEMM_CPU_F32, K_GEMM_CPU_F32 },
		{ K_GEMM_CPU_F16, K_GEMM_CPU_F16_PART },
		    { K_GEMM_CPU_BF16, K_GEMM_CPU_BF16_PART } };
	static const enum kernel thin[3][2] = { { K_GEMM_THIN_F32, K_GEMM_THIN_F32 },
		{ K_GEMM_THIN_F16, K_GEMM_THIN_F16_PART },
		    { K_GEMM_THIN_BF16, K_GEMM_THIN_BF16_PART } };
	static const enum kernel gpu[3][2] = { { K_GEMM_GPU_F32, K_GEMM_GPU_F32 },
		{ K_GEMM_GPU_F16, K_GEMM_GPU_F16_PART },
		    { K_GEMM_GPU_BF16, K_GEMM_GPU_BF16_PART } };

	static const enum kernel coop[2] = { K_GEMM_COOP_F16, K_GEMM_COOP_F16_PART };
	static const enum kernel along_k[3][2] = { { K_GEMM_CPU_F32_K, K_GEMM_CPU_F32_K },
		{ K_GEMM_CPU_F16_K, K_GEMM_CPU_F16_K_PART },
		    { K_GEMM_CPU_BF16_K, K_GEMM_CPU_BF16_K_PART } };
	static const enum kernel along_n[3][2] = { { K_GEMM_CPU_F32_N, K_GEMM_CPU_F32_N },
		{ K_GEMM_CPU_F16_N, K_GEMM_CPU_F16_N_PART },
		    { K_GEMM_CPU_BF16_N, K_GEMM_CPU_BF16_N_PART } };

	if (w->dtype != a)
		return K_GEMM_CPU_F32_HALVES;
	if (w->how != PACKED)
		return (w->how == ALONG_K ? along_k : along_n)[w->dtype][part];
	if (on_coopmat(a))
		return coop[part];
	return (!gemm_on_cpu() ? gpu : q->nc == 1 ? thin : cpu)[w->dtype][part];
}

static void
run_panel(const struct gemm *g, const struct panel *q, struct gemm_push *p, const struct tensor *y,
    int64_t rows, int64_t batch)
{
	const struct packed *w = g->w;
	const int64_t tm = tile_rows(rows, q), down = ceil_div(rows, tm);
	const int64_t across = ceil_div(q->cols, (int64_t)q->lanes * q->nc);
	const bool thin = q->nc == 1;
	const double k = (double)(w->p.th * w->p.tw * w->p.ch),
	             part = (double)q->cols / (double)w->p.cols;
	const double out = (double)(rows * q->cols * batch);

	p->down = (uint32_t)down;
	p->across = (uint32_t)across;
	p->q0 = (uint32_t)(q->col / 4);
	p->bbatch = (uint32_t)q->batch;
	if (w->how == ALONG_K) {
		p->wnext = (int32_t)(w->p.sn / gemm_unit(w->dtype));
	} else if (w->how == ALONG_N) {
		p->bbatch = (uint32_t)(w->p.base / 4);
		p->abatch = (uint32_t)(w->p.sy / 4);
		p->ybatch = (uint32_t)(w->p.sx / 4);
		p->wnext = (int32_t)(w->p.sc / 4);
	}
	struct gpu_call call = { .kernel = kernel_of(w, q, p->splits > 1, g->a->dtype),
		.arg = { tensor_arg(g->a), { w->buf, (size_t)q->off, (size_t)q->bytes },
		    tensor_arg(g->bias ? g->bias : g->a), tensor_arg(y) }, .nargs = 4,
		.spec = { gpu_info()->subgroup, (uint32_t)(thin ? thin_rows(rows, q->lanes) : tm),
		    q->lanes / 4 }, .nspec = !gemm_on_cpu() ? 0 : thin ? 3 : 2, .push = p,
		.npush = sizeof(*p),
		.groups = { gpu_groups((uint64_t)(down * across), 1), (uint32_t)batch * p->splits },
		.flops = 2 * out * k, .bytes = (double)g->a->n * (double)dtype_size(w->dtype) *
		    part + (double)q->bytes + out * (double)dtype_size(y->dtype) };

	if (on_coopmat(g->a->dtype))
		coop_spec(&call);
	gpu_run(&call);
}

static int64_t samples = 1;

int64_t
op_samples(int64_t n)
{
	int64_t was = samples;

	samples = n > 0 ? n : 1;
	return was;
}

/* Splits of k for products too small to keep the device busy, and for loops that would be too
 * long. */
static int64_t
choose_splits(int64_t workgroups, int64_t iterations, bool allowed)
{
	int64_t least = ceil_div(iterations, MAX_LOOP), s = 1;

	if (allowed && workgroups < gemm_busy() / 2 && iterations >= 64) {
		s = gemm_busy() / 2 / workgroups;
		if (s > iterations / 32)
			s = iterations / 32;
	}
	return s > least ? s : least;
}

/* Images (or rows of a matrix) that one call may take of x, whose images have n values each. */
static int64_t
images_within(const struct tensor *x, int64_t images)
{
	const size_t range = gpu_info()->max_range;
	const int64_t most = range < (size_t)gemm_most_bytes ? (int64_t)range : gemm_most_bytes;

	return most / (x->n / images * (int64_t)dtype_size(x->dtype));
}

/* Images from `first` on of x, which has `images`. */
static struct tensor *
some_images(const struct tensor *x, int64_t images, int64_t first, int64_t count)
{
	struct tensor *t = tensor_view(x, 2, (int64_t[]){ images, x->n / images });

	t->off += (size_t)(first * t->dim[1]) * dtype_size(x->dtype);
	t->dim[0] = count;
	t->n = count * t->dim[1];
	return t;
}

static void
run_part(const struct gemm *g)
{
	const struct grid *d = &g->grid;
	const struct packed *w = g->w;
	const enum dtype dt = g->a->dtype;
	const int64_t u = gemm_unit(dt), rows = d->n * d->oh * d->ow, batch =
	    w->p.batch ? w->p.batch : 1;
	const bool plain = !g->on && !g->oy && !g->ox;
	const int64_t k = w->p.th * w->p.tw * ceil_div(w->p.ch, u), step = dt == F32 ? 2 : 1;
	int64_t groups = 0, splits, ksplit;
	struct tensor *y = g->y;

	/* as for one sample alone: its sums do not depend on what stands beside it then */
	for (int i = 0; i < w->npanel; i++)
		groups += ceil_div(ceil_div(rows, samples),
		              tile_rows(ceil_div(rows, samples), &w->panel[i])) *
		    ceil_div(w->panel[i].cols, (int64_t)w->panel[i].lanes * w->panel[i].nc) * batch;
	splits = choose_splits(groups, ceil_div(k, step), plain && batch == 1);
	if ((splits > 1 && !(plain && batch == 1)) || rows >= INT32_MAX / 2)
		op_die(g->op, "%s is too large", tensor_shape(g->a));
	ksplit = splits > 1 ? round_up(ceil_div(k, splits), step) : k;
	if (splits > 1)
		splits = ceil_div(k, ksplit);
	struct gemm_push p = { .m = (uint32_t)rows, .nq = (uint32_t)(g->ycols / 4),
		.qend = (uint32_t)(round_up(w->p.cols, 4) / 4), .k = (uint32_t)k,
		.ksplit = (uint32_t)ksplit, .splits = (uint32_t)splits, .ow = (uint32_t)d->ow,
		.oh = (uint32_t)d->oh, .stride = (int32_t)d->stride, .dil = (int32_t)d->dil,
		.top = (int32_t)d->top, .left = (int32_t)d->left, .ih = (uint32_t)d->ih,
		.iw = (uint32_t)d->iw, .c = (uint32_t)ceil_div(w->p.ch, u),
		.cs = (uint32_t)(g->cs / u), .kw = (uint32_t)(d->kw ? d->kw : 1),
		.on = (uint32_t)(plain ? d->oh * d->ow : g->on),
		.oy = (uint32_t)(plain ? d->ow : g->oy), .ox = (uint32_t)(plain ? 1 : g->ox),
		.o0 = (uint32_t)g->o0, .abatch = (uint32_t)(g->abatch / u),
		.ybatch = (uint32_t)(g->ybatch / 4), .psplit = (uint32_t)rows,
		.bias = g->bias && splits == 1, .slope = splits == 1 ? (float)g->slope : 1 };

	scope_open();
	if (splits > 1)
		y = tensor_empty(F32, splits, rows, g->ycols);
	for (int i = 0; i < w->npanel; i++)
		run_panel(g, &w->panel[i], &p, y, rows, batch);
	if (splits > 1)
		sum_parts(y, splits, g->bias, g->ycols, g->slope, g->y);
	scope_close();
}

void
gemm_run(const struct gemm *g)
{
	const int64_t n = g->grid.n, na = images_within(g->a, n), ny = images_within(g->y, n);
	const int64_t step = na < ny ? na : ny;
	struct gemm part = *g;

	if (n <= step) {
		run_part(g);
		return;
	}
	/* batches that interleave within an image go along; those of whole matrices do not */
	if (!step || (g->w->p.batch > 1 && g->abatch >= g->cs))
		op_die(g->op, "%s is too large", tensor_shape(step == na ? g->a : g->y));
	scope_open();
	for (int64_t at = 0; at < n; at += step) {
		part.grid.n = n - at < step ? n - at : step;
		part.a = some_images(g->a, n, at, part.grid.n);
		part.y = some_images(g->y, n, at, part.grid.n);
		run_part(&part);
	}
	scope_close();
}

static struct tensor *
wgrad_part(const struct wgrad *g)
{
	static const enum kernel cpu[3] = { K_WGRAD_CPU_F32, K_WGRAD_CPU_F16, K_WGRAD_CPU_BF16 };
	static const enum kernel gpu[3] = { K_WGRAD_GPU_F32, K_WGRAD_GPU_F16, K_WGRAD_GPU_BF16 };
	const struct grid rows = { 1, 1, g->grid.n, 1, g->grid.n, 1, 1, 1, 1, 0, 0 };
	/* the rows of a matrix are as good as one line */
	const bool matrix =
	    g->grid.ih == 1 && g->grid.iw == 1 && g->grid.ow == 1 && g->grid.oh == 1;
	const struct grid *d = matrix && g->grid.kh == 1 && g->grid.kw == 1 ? &rows : &g->grid;
	const enum dtype dt = g->a->dtype;
	const int64_t pixels = d->n * d->oh * d->ow, nq = d->kh * d->kw * g->c / 4;
	const int64_t lanes = gemm_on_cpu() ? (int64_t)gpu_info()->subgroup : GPU_TILE / 4;
	const int64_t tm = !gemm_on_cpu() ? GPU_TILE : g->rows <= 4 ? 4 : g->rows <= 16 ? 16 : 32;
	const uint32_t lines = d == &rows || d->ow % (lanes < 8 ? lanes : 8) == 0;
	const int64_t tiles = ceil_div(nq, lanes) * ceil_div(g->rows, tm) * g->batch;
	int64_t splits = choose_splits(tiles, ceil_div(pixels, lanes < 8 ? lanes : 8), true),
	    psplit;
	struct tensor *part, *y;

	/* what one part reads should stay in the cache while all tiles go over it */
	if (gemm_on_cpu() && pixels / splits > CHUNK / (4 * (g->cs + g->as)))
		splits = ceil_div(pixels, CHUNK / (4 * (g->cs + g->as)) + 512);
	psplit = round_up(ceil_div(pixels, splits), 8);
	splits = ceil_div(pixels, psplit);
	if (splits * g->batch > (int64_t)gpu_info()->max_groups || pixels >= INT32_MAX / 2)
		op_die(g->op, "%s is too large", tensor_shape(g->b));
	const struct {
		uint32_t pixels, psplit, splits, m, as, a0, nq, c, cs, c0, ow, oh;
		int32_t stride, dil, top, left;
		uint32_t ih, iw, kw, abatch, bbatch;
	} p = { (uint32_t)pixels, (uint32_t)psplit, (uint32_t)splits, (uint32_t)g->rows,
		(uint32_t)(g->as / 4), 0, (uint32_t)nq, (uint32_t)(g->c / 4), (uint32_t)(g->cs / 4),
		0, (uint32_t)d->ow, (uint32_t)d->oh, (int32_t)d->stride, (int32_t)d->dil,
		(int32_t)d->top, (int32_t)d->left, (uint32_t)d->ih, (uint32_t)d->iw,
		(uint32_t)d->kw, (uint32_t)(g->abatch / 4), (uint32_t)(g->bbatch / 4) };

	scope_open();
	part = tensor_empty(F32, splits, g->batch, g->rows, d->kh, d->kw * g->c);
	struct gpu_call call = { .kernel = on_coopmat(dt) ? K_WGRAD_COOP_F16 :
		    (gemm_on_cpu() ? cpu : gpu)[dt],
		.arg = { tensor_arg(g->a), tensor_arg(g->b), tensor_arg(part) }, .nargs = 3,
		.spec = { (uint32_t)lanes, (uint32_t)tm, lines }, .nspec = gemm_on_cpu() ? 3 : 0,
		.push = &p, .npush = sizeof(p), .groups = { (uint32_t)ceil_div(nq, lanes),
		    (uint32_t)ceil_div(g->rows, tm), (uint32_t)(g->batch * splits) },
		.flops = 8 * (double)(g->batch * g->rows * nq) * (double)pixels,
		.bytes = (double)(g->a->n + g->b->n) * (double)dtype_size(dt) +
		    (double)part->n * 4 };

	if (on_coopmat(dt))
		coop_spec(&call);
	gpu_run(&call);
	if (splits == 1 && dt == F32) {
		y = tensor_view(part, 5, (int64_t[]){ g->batch, g->rows, d->kh, d->kw, g->c });
	} else {
		y = tensor_empty(dt, g->batch, g->rows, d->kh, d->kw, g->c);
		sum_parts(part, splits, NULL, 4, 1, y);
	}
	return scope_keep(y);
}

struct tensor *
wgrad_run(const struct wgrad *g)
{
	const int64_t n = g->grid.n, na = images_within(g->a, n), nb = images_within(g->b, n);
	const int64_t step = na < nb ? na : nb;
	struct wgrad part = *g;
	struct tensor *y = NULL, *t;

	if (n <= step)
		return wgrad_part(g);
	if (!step || (g->batch > 1 && g->abatch >= g->as))
		op_die(g->op, "%s is too large", tensor_shape(step == na ? g->a : g->b));
	scope_open();
	for (int64_t at = 0; at < n; at += step) {
		part.grid.n = n - at < step ? n - at : step;
		part.a = some_images(g->a, n, at, part.grid.n);
		part.b = some_images(g->b, n, at, part.grid.n);
		t = wgrad_part(&part);
		y = y ? op_add(y, t) : t;
	}
	return scope_keep(y);
}
