/*
 * Products of matrices and of image grids, below the ops: what matmul.c and conv*.c are made of.
 *
 * gemm_run: y = act(a w + bias), rows of a taken from an image grid (shaders/gemm.glsl);
 * wgrad_run: y = a^T b over the pixels of a grid (shaders/wgrad.glsl). Operands are read in groups
 * of
 * 16 bytes, so channels must come in multiples of gemm_unit(): rows_resize() makes them so.
 */
#ifndef TENSOR_GEMM_H
#define TENSOR_GEMM_H

#include "tensor/ops.h"

/* The grid that rows (or pixels) count through, and the taps taken around each of its points. */
struct grid {
	int64_t n, oh, ow;               /* images; the grid in each */
	int64_t ih, iw;                  /* of the input */
	int64_t kh, kw, stride, dil, top, left;
};
/* A matrix of `rows` rows as a grid: each row an image of one pixel. */
struct grid grid_rows(int64_t rows);

/* Channels of a 16-byte group: 4 in F32, else 8. */
int64_t gemm_unit(enum dtype);
static inline int64_t
round_up(int64_t n, int64_t to)
{
	return (n + to - 1) / to * to;
}

/* ---- pack.c ---------------------------------------------------------------------------------- */

/* What is packed as w[k, column], k counting taps, then channels: element (ty, tx, ch, column) of
 * the source is base + ty sy + tx sx + ch sc + column sn; the next batch is xbatch further. */
struct pack {
	int64_t cols, ch, th, tw;   /* columns, channels of a tap, taps down and across (0: none) */
	int64_t base, sy, sx, sc, sn;    /* elements */
	int64_t batch, xbatch;           /* batch 0 counts as 1 */
	int64_t tag;                 /* not 0: of values made from the tensor's, told apart by it */
};

/* Columns that one kind of tile covers. */
struct panel {
	int64_t col, cols;               /* first; how many */
	uint32_t lanes, nc;              /* a tile has lanes * nc */
	int64_t off, bytes, batch;       /* bytes: place, and whole size; groups of one batch */
};

/* Or where it lies unpacked: as in the tensor, along k or along the columns (gemm_cpu.comp). */
enum packing { PACKED, ALONG_K, ALONG_N };

struct packed {
	struct pack p;
	struct gbuf *buf;
	int npanel;
	struct panel panel[2];
	int64_t groups;                  /* of k, of four or eight, as padded */
	uint64_t version;
	enum dtype dtype;
	enum packing how;
	struct packed *next;
};

/* How a linear weight [out,in] or that of a convolution [groups O,KH,KW,I] is packed for its
 * forward. */
struct pack pack_weight(const struct tensor *w, int64_t groups);
/* The packed copy of w for a product with so many rows, borrowed until pack_done(w). Copies of a
 * tensor that is held and wants no gradient (a parameter at inference) stay with it until its
 * version moves; others would take memory for long and be stale at the next step. Of those, what
 * few rows want is not copied at all. */
const struct packed *pack_of(struct tensor *w, const struct pack *, int64_t rows);
void pack_done(struct tensor *w);
/* A depthwise weight [C,KH,KW,1] as F32 [C / 4, depthwise_taps(KH KW), 4], zeros after the last
 * channel; borrowed likewise. */
static inline int64_t
depthwise_taps(int64_t taps)
{
	return round_up(taps, 4);
}
/* Of a 3x3 weight [O,3,3,I] the 2x2 convolution that makes the pixels (2y + ry, 2x + rx) of an
 * image twice as large: nearest neighbours, of which several taps see the same. Borrowed
 * likewise. */
const struct packed *pack_up2(struct tensor *w, int64_t ry, int64_t rx);
struct gpu_arg pack_depthwise(struct tensor *w);
/* Rows of `to` values from rows of `from`: cut off or filled up with zeros. x has a multiple of
 * `from` elements; the result is [rows, to]. Off the tape. */
struct tensor *rows_resize(const struct tensor *x, int64_t from, int64_t to);
/* The transposes of `batch` matrices [rows, cols]. Off the tape. */
struct tensor *rows_transpose(const struct tensor *x, int64_t batch, int64_t rows, int64_t cols);
/* A bias as F32 [groups, width], zeros after the values of each group; NULL if b is. Off the
 * tape. */
struct tensor *bias_wide(struct tensor *b, int64_t groups, int64_t width);

/* ---- gemm.c ---------------------------------------------------------------------------------- */

struct gemm {
	const char *op;
	struct grid grid;
	const struct tensor *a;          /* pixels of cs channels */
	int64_t cs, abatch;              /* multiples of gemm_unit(); elements */
	const struct packed *w;
	const struct tensor *bias;       /* F32, bias_wide() of the batches and columns, or NULL */
	struct tensor *y;                /* pixels of ycols values */
	int64_t ycols, ybatch;           /* multiples of 4; elements */
	int64_t on, oy, ox,
	    o0;          /* grid point (n, py, px) is pixel n on + py oy + px ox + o0 of y;
	                                  * all 0: y is the grid */
	double slope;                 /* y below zero is multiplied by it: 1 leaves it, 0 is ReLU */
};
void gemm_run(const struct gemm *);

struct wgrad {
	const char *op;
	struct grid grid;
	const struct tensor *a;          /* [grid, as]: row of pixels; columns are the rows of y */
	int64_t as, rows;                /* as a multiple of 4 */
	const struct tensor *b;          /* input pixels of cs channels, c of which are used */
	int64_t cs, c;                   /* multiples of 4 */
	int64_t batch, abatch, bbatch;   /* elements */
};
/* [batch, rows, kh, kw, c] of a's dtype. */
struct tensor *wgrad_run(const struct wgrad *);

/* ---- matmul.c -------------------------------------------------------------------------------- */

/* Whether a product's epilogue can do act with *slope; not when one of the inputs is recorded,
 * whose backward wants the op of its own. */
bool act_fuses(enum act, struct tensor *const *in, int n, double *slope);

/* Whether the kernels for software devices serve this one. (PHANTOM_DISABLE=subgroup: those for
 * GPUs.) */
bool gemm_on_cpu(void);
/* Of an operand in one call; what is larger is done in parts. Tests lower it. */
extern int64_t gemm_most_bytes;
/* How many workgroups keep the device busy. */
int64_t gemm_busy(void);

#endif
