/* Operands in the layout that the product kernels read, and copies that change the length of rows. */
#include "tensor/gemm.h"

#include "base/mem.h"
#include "tensor/op.h"
#include "tensor/ops.h"

#include <stdlib.h>
#include <string.h>

enum { LOCAL = 64, GPU_LANES = 64 };

int64_t
gemm_unit(enum dtype d)
{
	return d == F32 ? 4 : 8;
}

struct grid
grid_rows(int64_t rows)
{
	return (struct grid){ .n = rows, .oh = 1, .ow = 1, .ih = 1, .iw = 1, .kh = 1, .kw = 1, .stride = 1,
		.dil = 1 };
}

/* Few kinds of tiles: each is a program of its own that the device compiles. */
static uint32_t
thin_columns(int64_t cols)
{
	return cols <= 4 ? 4 : cols <= 8 ? 8 : cols <= 16 ? 16 : cols <= 24 ? 24 : 32;
}

/* A software device's lane takes four columns while that fills tiles; what is left over, if it is
 * little, goes to a tile of its own width whose lanes take rows. */
static void
split_columns(struct packed *w)
{
	const int64_t cols = w->p.cols, lanes = gemm_on_cpu() ? (int64_t)gpu_info()->subgroup : GPU_LANES / 4;
	const int64_t rest = cols % (4 * lanes);
	int64_t at = 0, col = 0;

	if (!gemm_on_cpu()) {
		w->panel[w->npanel++] = (struct panel){ .cols = cols, .lanes = GPU_LANES, .nc = 1 };
	} else {
		if (rest && rest <= 32 && rest <= 2 * lanes)
			col = cols - rest;
		else
			col = cols;
		if (col)
			w->panel[w->npanel++] = (struct panel){ .cols = col, .lanes = (uint32_t)lanes, .nc = 4 };
		if (col < cols)
			w->panel[w->npanel++] = (struct panel){ .col = col, .cols = cols - col,
				.lanes = thin_columns(cols - col), .nc = 1 };
	}
	for (int i = 0; i < w->npanel; i++) {
		struct panel *p = &w->panel[i];
		int64_t tile = (int64_t)p->lanes * p->nc;

		p->batch = round_up(p->cols, tile) * w->groups;
		p->off = at;
		p->bytes = 16 * p->batch * (w->p.batch ? w->p.batch : 1);
		at += round_up(p->bytes, 256);
	}
	w->buf = gbuf_new(at ? (size_t)at : 16, MEM_PACK);
}

static void
pack_panel(const struct tensor *x, const struct packed *w, const struct panel *q)
{
	static const enum kernel k[3][2] = KERNELS_BY_DTYPE(PACK);
	const struct pack *p = &w->p;
	const int64_t kt = gemm_unit(x->dtype), batch = p->batch ? p->batch : 1;
	const int64_t count = round_up(q->cols, 4) / 4 * w->groups * batch;
	const bool four = (p->base | p->sy | p->sx | p->xbatch) % 4 == 0;
	const struct {
		uint32_t count, cols, lanes, nc, groups, cg, ch, taps, tw;
		int32_t base, sy, sx, sc, sn;
		uint32_t xbatch, ybatch;
	} push = { (uint32_t)count, (uint32_t)q->cols, q->lanes, q->nc, (uint32_t)w->groups,
		(uint32_t)((p->ch + kt - 1) / kt), (uint32_t)p->ch, (uint32_t)(p->th * p->tw),
		(uint32_t)(p->tw ? p->tw : 1), (int32_t)(p->base + q->col * p->sn), (int32_t)p->sy,
		(int32_t)p->sx, (int32_t)p->sc, (int32_t)p->sn, (uint32_t)p->xbatch, (uint32_t)q->batch };
	uint32_t how = 0;

	if (four && p->sc == 1 && p->ch % 4 == 0 && p->sn % 4 == 0)
		how = 1;
	else if (four && p->sn == 1 && q->cols % 4 == 0 && p->sc % 4 == 0)
		how = 2;
	if (!p->th || !p->tw)
		return;
	gpu_run(&(struct gpu_call){ .kernel = kernel_for("pack", k, x->dtype),
	    .arg = { tensor_arg(x), { w->buf, (size_t)q->off, (size_t)q->bytes } }, .nargs = 2,
	    .spec = { LOCAL, how }, .nspec = 2, .push = &push, .npush = sizeof(push),
	    .groups = { gpu_groups((uint64_t)count, LOCAL) },
	    .bytes = (double)q->bytes * (kt == 4 ? 2 : 1.5) });
}

static void
packed_free(void *list)
{
	for (struct packed *w = list, *next; w; w = next) {
		next = w->next;
		gbuf_unref(w->buf);
		free(w);
	}
}

/* The entry of w's cache for p, made if it is not there; *fresh: its contents are. */
static struct packed *
entry(struct tensor *x, const struct pack *p, bool *fresh)
{
	struct packed *w;

	for (w = x->packed; w; w = w->next)
		if (memcmp(&w->p, p, sizeof(*p)) == 0)
			break;
	*fresh = w && w->version == x->version;
	if (!w) {
		w = xcalloc(1, sizeof(*w));
		w->p = *p;
		w->dtype = x->dtype;
		w->next = x->packed;
		x->packed = w;
		x->packed_free = packed_free;
	}
	w->version = x->version;
	return w;
}

const struct packed *
pack_of(struct tensor *x, const struct pack *p)
{
	bool fresh;
	struct packed *w = entry(x, p, &fresh);
	const int64_t kt = gemm_unit(x->dtype);

	if (x->n >= INT32_MAX)
		op_die("pack", "%s is too large", tensor_shape(x));
	if (!w->buf) {
		/* an F32 iteration takes two groups */
		w->groups = round_up(p->th * p->tw * ((p->ch + kt - 1) / kt), x->dtype == F32 ? 2 : 1);
		split_columns(w);
	}
	for (int i = 0; i < w->npanel && !fresh; i++)
		pack_panel(x, w, &w->panel[i]);
	return w;
}

void
pack_done(struct tensor *x)
{
	if (x->slot < 0 && !x->requires_grad)
		return;
	packed_free(x->packed);
	x->packed = NULL;
}

struct gpu_arg
pack_depthwise(struct tensor *x)
{
	const int64_t c = x->dim[0], taps = x->dim[1] * x->dim[2], wide = depthwise_taps(taps);
	const struct pack key = { .cols = taps, .ch = c, .th = 1, .tw = 1, .sc = taps, .sn = 1 };
	bool fresh, was;
	struct packed *w = entry(x, &key, &fresh);

	if (!fresh) {
		gbuf_unref(w->buf);
		w->groups = (c + 3) / 4;
		w->panel[0] = (struct panel){ .cols = taps, .lanes = (uint32_t)wide, .nc = 1,
			.batch = wide * w->groups, .bytes = 16 * wide * w->groups };
		w->buf = gbuf_new((size_t)w->panel[0].bytes, MEM_PACK);
		was = grads_set(false);
		scope_open();
		pack_panel(op_cast(tensor_detach(x), F32), w, &w->panel[0]);
		scope_close();
		grads_set(was);
	}
	return (struct gpu_arg){ w->buf, 0, (size_t)w->panel[0].bytes };
}

/* y [batch * rows, to] from x, whose value (b, r, c) is b each + r sr + c sc; zeros from c = from on. */
static struct tensor *
copy_rows(const struct tensor *x, int64_t batch, int64_t rows, int64_t from, int64_t to, int64_t sr,
    int64_t sc)
{
	static const enum kernel k[3][2] = KERNELS_BY_DTYPE(COPY_ROWS);
	struct tensor *y = tensor_empty(x->dtype, batch * rows, to);
	const struct {
		uint32_t count, from, to, rows, each, sr, sc, last;
	} p = { (uint32_t)y->n, (uint32_t)from, (uint32_t)to, (uint32_t)rows, (uint32_t)(x->n / batch),
		(uint32_t)sr, (uint32_t)sc, (uint32_t)(x->n - 1) };

	if (y->n >= UINT32_MAX || x->n >= UINT32_MAX)
		op_die("copy", "%s is too large", tensor_shape(x));
	gpu_run(&(struct gpu_call){ .kernel = kernel_for("copy", k, x->dtype),
	    .arg = { tensor_arg(x), tensor_arg(y) }, .nargs = 2, .spec = { LOCAL }, .nspec = 1, .push = &p,
	    .npush = sizeof(p), .groups = { gpu_groups((uint64_t)(y->n + 3) / 4, LOCAL) },
	    .bytes = (double)(x->n + y->n) * (double)dtype_size(x->dtype) });
	return y;
}

struct tensor *
rows_resize(const struct tensor *x, int64_t from, int64_t to)
{
	return copy_rows(x, 1, x->n / from, from, to, from, 1);
}

struct tensor *
rows_transpose(const struct tensor *x, int64_t batch, int64_t rows, int64_t cols)
{
	return copy_rows(x, batch, cols, rows, rows, 1, cols);
}

struct tensor *
bias_wide(struct tensor *b, int64_t groups, int64_t width)
{
	bool was;

	if (!b)
		return NULL;
	was = grads_set(false);
	if (b->dtype != F32)
		b = op_cast(b, F32);
	if (groups * width != b->n)
		b = rows_resize(b, b->n / groups, width);
	grads_set(was);
	return b;
}
