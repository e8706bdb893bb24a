/* Operands in the layout that the product kernels read, and copies that change the length of
 * rows. */
#include "tensor/gemm.h"

#include "base/mem.h"
#include "tensor/op.h"
#include "tensor/ops.h"

#include <stdlib.h>
#include <string.h>

enum {
	LOCAL = 64, GPU_LANES = 64,
	MOVES = 8,      /* EACH of pack_rows.comp */
	FEW_ROWS = 1024 /* of a product that does not make packing worth while */
};

int64_t
gemm_unit(enum dtype d)
{
	return d == F32 ? 4 : 8;
}

struct grid
grid_rows(int64_t rows)
{
	return (struct grid){ .n = rows, .oh = 1, .ow = 1, .ih = 1, .iw = 1, .kh = 1, .kw = 1,
	    .stride = 1,
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
split_columns(struct packed *w, enum gpu_mem kind)
{
	const int64_t cols = w->p.cols, lanes = gemm_on_cpu() ? (int64_t)gpu_info()->subgroup
	    : GPU_LANES / 4;
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
			w->panel[w->npanel++] = (struct panel){ .cols = col,
				.lanes = (uint32_t)lanes, .nc = 4 };
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
	w->buf = gbuf_new(at ? (size_t)at : 16, kind);
}

/* Groups as they lie in x. False: they do not lie so. */
static bool
move_panel(const struct tensor *x, const struct packed *w, const struct panel *q)
{
	static const enum kernel k[2] = { K_PACK_ROWS, K_PACK_ROWS_T };
	const struct pack *p = &w->p;
	const int64_t kt = gemm_unit(x->dtype), batch = p->batch ? p->batch : 1;
	const int64_t padded = round_up(q->cols, (int64_t)q->lanes * q->nc),
	              from = p->base + q->col * p->sn;
	const uint64_t down = (uint64_t)(w->groups + MOVES - 1) / MOVES;
	const struct {
		uint32_t cols, padded, lanes, nc, groups, cg, taps, tw;
		int32_t base, sy, sx, sn;
		uint32_t xbatch, ybatch;
	} push = { (uint32_t)q->cols, (uint32_t)padded, q->lanes, q->nc, (uint32_t)w->groups,
		(uint32_t)(p->ch / kt), (uint32_t)(p->th * p->tw), (uint32_t)p->tw,
		(int32_t)(from / kt), (int32_t)(p->sy / kt), (int32_t)(p->sx / kt),
		(int32_t)(p->sn / kt), (uint32_t)(p->xbatch / kt), (uint32_t)q->batch };

	if (p->sc != 1 || ((from | p->ch | p->sy | p->sx | p->sn | p->xbatch) & (kt - 1)) ||
	    down > gpu_info()->max_groups || (uint64_t)batch > gpu_info()->max_groups)
		return false;
	gpu_run(&(struct gpu_call){ .kernel = k[gpu_info()->texel],
	    .arg = { tensor_arg(x), { w->buf, (size_t)q->off, (size_t)q->bytes } }, .nargs = 2,
	    .spec = { LOCAL }, .nspec = 1, .push = &push, .npush = sizeof(push),
	    .groups = { (uint32_t)((padded + LOCAL - 1) / LOCAL), (uint32_t)down, (uint32_t)batch },
	    .bytes = 2 * (double)q->bytes });
	return true;
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
		(int32_t)p->sx, (int32_t)p->sc, (int32_t)p->sn, (uint32_t)p->xbatch,
		(uint32_t)q->batch };
	uint32_t how = 0;

	if (four && p->sc == 1 && p->ch % 4 == 0 && p->sn % 4 == 0)
		how = 1;
	else if (four && p->sn == 1 && q->cols % 4 == 0 && p->sc % 4 == 0)
		how = 2;
	if (!p->th || !p->tw || move_panel(x, w, q))
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

static struct packed *
find(const struct tensor *x, const struct pack *p)
{
	struct packed *w;

	for (w = x->packed; w; w = w->next)
		if (memcmp(&w->p, p, sizeof(*p)) == 0)
			break;
	return w;
}

static bool
is_fresh(const struct tensor *x, const struct packed *w)
{
	return w && w->version == x->version;
}

/* The entry of w's cache for p, made if it is not there; *fresh: its contents are. */
static struct packed *
entry(struct tensor *x, const struct pack *p, bool *fresh)
{
	struct packed *w = find(x, p);

	*fresh = is_fresh(x, w);
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

struct pack
pack_weight(const struct tensor *w, int64_t groups)
{
	const int64_t out = w->dim[0] / groups, in = w->dim[w->ndim - 1], each = w->n / w->dim[0];

	if (w->ndim == 2)
		return (struct pack){ .cols = out, .ch = in, .th = 1, .tw = 1, .sc = 1, .sn = in };
	return (struct pack){ .cols = out, .ch = in, .th = w->dim[1], .tw = w->dim[2],
	    .sy = w->dim[2] * in,
		.sx = in, .sc = 1, .sn = each, .batch = groups, .xbatch = out * each };
}

bool
op_widens(int64_t out, int64_t in)
{
	const int64_t rest = out % (4 * (int64_t)gpu_info()->subgroup);

	/* gemm_thin has no such form */
	return gemm_on_cpu() && in % gemm_unit(F16) == 0 && (!rest || rest > 32);
}

void
want_weight(const char *op, const struct tensor *x, const struct tensor *w)
{
	const bool widens = !w->buf && w->dtype == F16 && x->dtype == F32;

	if (!widens || !op_widens(w->dim[0], w->dim[w->ndim - 1]))
		want_same_dtype(op, x, w);
}

/* Can a software device read it where it lies, and does that pay? */
static enum packing
packing_for(const struct tensor *x, const struct pack *p, int64_t rows)
{
	const int64_t rest = p->cols % (4 * (int64_t)gpu_info()->subgroup),
	              kt = gemm_unit(x->dtype);

	/* a copy that stays is made once */
	if ((x->slot < 0 && !x->requires_grad) || !gemm_on_cpu() || rows > FEW_ROWS ||
	    p->batch > 1 || p->tag || p->ch % kt || p->cols % 4 || (rest && rest <= 32) || !p->th ||
	    !p->tw)
		return PACKED;
	if (p->sc == 1 && p->sn % kt == 0 && p->base == 0 &&
	    (p->th * p->tw == 1 || (p->sx == p->ch && p->sy == p->tw * p->ch)))
		return ALONG_K;
	if (p->sn == 1 && ((p->base | p->sy | p->sx | p->sc) & 3) == 0)
		return ALONG_N;
	return PACKED;
}

/* The copy of `values` as p says, kept with x. */
static const struct packed *
packed_from(struct tensor *x, const struct tensor *values, const struct pack *p)
{
	bool fresh;
	struct packed *w = entry(x, p, &fresh);
	const int64_t kt = gemm_unit(x->dtype);

	if (x->n >= INT32_MAX)
		op_die("pack", "%s is too large", tensor_shape(x));
	if (!w->buf) {
		/* an F32 iteration takes two groups */
		w->groups = round_up(p->th * p->tw * ((p->ch + kt - 1) / kt),
		    x->dtype == F32 ? 2 : 1);
		split_columns(w, x->buf ? MEM_PACK : MEM_PARAM);
	}
	for (int i = 0; i < w->npanel && !fresh && !gpu_counts(); i++)
		pack_panel(values, w, &w->panel[i]);
	return w;
}

const struct packed *
pack_of(struct tensor *x, const struct pack *p, int64_t rows)
{
	const enum packing how = packing_for(x, p, rows);
	struct packed *w;
	bool fresh;

	if (how == PACKED)
		return packed_from(x, x, p);
	w = entry(x, p, &fresh);
	if (!fresh) { /* a copy from when it wanted no gradient may be there, and be old */
		gbuf_unref(w->buf);
		w->buf = gbuf_ref(x->buf);
		w->how = how;
		w->npanel = 1;
		w->panel[0] = (struct panel){ .cols = p->cols,
			.lanes = (uint32_t)gpu_info()->subgroup, .nc = 4, .off = (int64_t)x->off,
			.bytes = x->n * (int64_t)dtype_size(x->dtype) };
	}
	return w;
}

/* [O,3,KW,I] -> [O,2,KW,I]: taps that fall on the same pixel of the smaller image, for output rows
 * 2y + r. */
static struct tensor *
fold_taps(struct tensor *w, int64_t r)
{
	struct tensor *first = op_slice(w, 1, 0, 1), *mid = op_slice(w, 1, 1, 1),
	              *last = op_slice(w, 1, 2, 1);

	return op_concat((struct tensor *[]){ r ? op_add(first, mid) : first,
	    r ? last : op_add(mid, last) }, 2, 1);
}

/* The copy of `values`, kept with w, which may be a shell. */
static const struct packed *
up2_from(struct tensor *w, struct tensor *values, int64_t ry, int64_t rx)
{
	const int64_t o = w->dim[0], i = w->dim[3];
	const struct pack p = { .cols = o, .ch = i, .th = 2, .tw = 2, .sy = 2 * i, .sx = i, .sc = 1,
		.sn = 4 * i, .tag = 1 + 2 * ry + rx };
	const bool was = grads_set(false);
	const struct packed *made;
	struct tensor *t = w;

	scope_open();
	/* a shell that is only counted has nothing to fold */
	if (!is_fresh(w, find(w, &p)) && values->buf) {
		t = op_view(fold_taps(values, ry), o * 2, 3, 1, i);
		t = op_view(fold_taps(t, rx), o, 2, 2, i);
	}
	made = packed_from(w, t, &p);
	scope_close();
	grads_set(was);
	return made;
}

const struct packed *
pack_up2(struct tensor *w, int64_t ry, int64_t rx)
{
	return up2_from(w, w, ry, rx);
}

void
tensor_pack(struct tensor *shell, const struct tensor *values)
{
	const struct pack p = pack_weight(shell, 1);

	shell->version++;
	packed_from(shell, values, &p);
}

void
tensor_pack_up2(struct tensor *shell, struct tensor *values)
{
	shell->version++;
	for (int r = 0; r < 4; r++)
		up2_from(shell, values, r / 2, r % 2);
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

/* y [batch * rows, to] from x, whose value (b, r, c) is b each + r sr + c sc; zeros from c = from
 * on. */
static struct tensor *
copy_rows(const struct tensor *x, int64_t batch, int64_t rows, int64_t from, int64_t to, int64_t sr,
    int64_t sc)
{
	static const enum kernel k[3][2] = KERNELS_BY_DTYPE(COPY_ROWS);
	struct tensor *y = tensor_empty(x->dtype, batch * rows, to);
	const struct {
		uint32_t count, from, to, rows, each, sr, sc, last;
	} p = { (uint32_t)y->n, (uint32_t)from, (uint32_t)to, (uint32_t)rows,
	    (uint32_t)(x->n / batch),
		(uint32_t)sr, (uint32_t)sc, (uint32_t)(x->n - 1) };

	if (y->n >= UINT32_MAX || x->n >= UINT32_MAX)
		op_die("copy", "%s is too large", tensor_shape(x));
	gpu_run(&(struct gpu_call){ .kernel = kernel_for("copy", k, x->dtype),
	    .arg = { tensor_arg(x), tensor_arg(y) }, .nargs = 2, .spec = { LOCAL }, .nspec = 1,
	    .push = &p, .npush = sizeof(p),
	    .groups = { gpu_groups((uint64_t)(y->n + 3) / 4, LOCAL) },
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
