/*
 * Attention. Queries, keys and values are brought into an order in which invocations side by side
 * read side by side (attention_pack.comp), whatever type, head size and width they have;
 * attention.comp then makes the output in one pass over keys and values, and of each query the
 * logarithm of its sum of exponentials, from which the backward pass makes the weights again.
 */
#include "base/err.h"
#include "tensor/columns.h"
#include "tensor/gemm.h"
#include "tensor/ops.h"

#include <math.h>

/* One call's sizes. */
struct plan {
	int64_t n, heads, d;             /* d: of a head */
	uint32_t local, block;           /* invocations of a workgroup, rows of a packed block */
	uint32_t used, quads;            /* of a head; of it packed */
	uint32_t slice, stage;           /* quads of a workgroup; at a time */
	double scale;
	bool causal;
};

static bool
shuffles(void)
{
	return gpu_info()->texel && gpu_info()->shuffle;
}

static struct plan
make_plan(int64_t n, int64_t heads, int64_t d, double scale, bool causal)
{
	struct plan p = { .n = n, .heads = heads, .d = d, .scale = scale, .causal = causal };
	/* sums of a slice live in registers, and each slice makes the scores again. Few sizes: each
	 * is a pipeline of its own, and they take long to compile */
	static const uint32_t sizes[2][5] = { { 8, 16 }, { 5, 10, 16, 20 } };
	const uint32_t *size = sizes[shuffles()];
	uint32_t best = UINT32_MAX;

	p.local = shuffles() ? gpu_info()->subgroup : 64;
	p.block = shuffles() ? p.local : 32;
	p.stage = shuffles() ? 1 : 4;
	p.used = ((uint32_t)(d + 3) / 4 + p.stage - 1) / p.stage * p.stage;
	for (; *size; size++) {
		uint32_t slices = (p.used + *size - 1) / *size;

		if (slices * (p.used + *size) < best) {
			best = slices * (p.used + *size);
			p.slice = *size;
			p.quads = slices * *size;
		}
	}
	return p;
}

static uint32_t
blocks(const struct plan *p, int64_t rows)
{
	return (uint32_t)((rows + p->block - 1) / p->block);
}

/* x [n, rows, heads d] -> packed, or with `unpack` x from packed. */
static void
pack(const struct plan *p, struct tensor *x, struct tensor *packed, int64_t rows, bool unpack)
{
	static const enum kernel k[2][3][3] = { KERNELS_BY_ACCESS(ATTENTION_PACK),
		KERNELS_BY_ACCESS(ATTENTION_UNPACK) };
	enum access a = access_of(p->d);
	uint32_t unit = a == ACCESS_S ? 1 : 4, local = 256;
	struct {
		struct fastdiv quads;
		uint32_t blocks, rows, row, head, d;
	} push = { fastdiv(p->quads), blocks(p, rows), (uint32_t)rows,
		(uint32_t)(p->heads * p->d) / unit, (uint32_t)p->d / unit, (uint32_t)p->d };

	gpu_run(&(struct gpu_call){ .kernel = k[unpack][x->dtype][a],
	    .arg = { tensor_arg(unpack ? packed : x), tensor_arg(unpack ? x : packed) }, .nargs = 2,
	    .spec = { local, p->block }, .nspec = 2, .push = &push, .npush = sizeof(push),
	    .groups = { (push.blocks * p->quads * p->block + local - 1) / local, (uint32_t)p->heads,
	        (uint32_t)p->n },
	    .bytes = (double)packed->n * 4 + (double)x->n * (double)dtype_size(x->dtype) });
}

static struct tensor *
packed_of(const struct plan *p, int64_t rows)
{
	return tensor_empty(F32, p->n * p->heads, blocks(p, rows), p->quads, p->block, 4);
}

static struct tensor *
packed_from(const struct plan *p, struct tensor *x)
{
	struct tensor *t = packed_of(p, x->dim[1]);

	pack(p, x, t, x->dim[1], false);
	return t;
}

static struct tensor *
unpacked(const struct plan *p, struct tensor *packed, const struct tensor *like)
{
	struct tensor *x = tensor_like(like);

	pack(p, x, packed, like->dim[1], true);
	return x;
}

enum mode { FORWARD, DV, DQ, DK };

/* Rounds of an invocation's loops for each block of the other side, s quads at a time. */
static int64_t
rounds(const struct plan *p, uint32_t s, bool two_products)
{
	const int64_t products = round_up(p->used, s) / s * (two_products ? 2 : 1);
	const int64_t fetch = shuffles() ? 0 : (s * p->block + p->local - 1) / p->local + 1;

	return products * (1 + fetch) + p->slice / s * fetch + 2;
}

/* Quads at a time: more than the plan's where a software device's loops would be too many. */
static uint32_t
stage_for(const struct plan *p, int64_t other_rows, bool two_products)
{
	for (uint32_t s = p->stage; s <= p->slice; s++)
		if (p->slice % s == 0 && round_up(p->used, s) <= p->quads &&
		    (!gpu_info()->cpu ||
		        blocks(p, other_rows) * rounds(p, s, two_products) <= MAX_LOOP))
			return s;
	op_die("attention", "%lld keys of %lld values: too many", (long long)other_rows,
	    (long long)p->d);
}

/* own, other, value and so on as attention.comp has them; own2, other2, delta for DQ and DK. */
static void
run(const struct plan *p, enum mode mode, int64_t own_rows, int64_t other_rows, struct tensor *own,
    struct tensor *other, struct tensor *value, struct tensor *sum, struct tensor *lse,
    struct tensor *own2, struct tensor *other2, struct tensor *delta)
{
	static const enum kernel k[4][2] = { { K_ATTENTION_FORWARD_V, K_ATTENTION_FORWARD_T },
		{ K_ATTENTION_DV_V, K_ATTENTION_DV_T }, { K_ATTENTION_DQ_V, K_ATTENTION_DQ_T },
		{ K_ATTENTION_DK_V, K_ATTENTION_DK_T } };
	const bool two = mode == DQ || mode == DK;
	const uint32_t stage = stage_for(p, other_rows, two);
	struct {
		uint32_t own_blocks, other_rows, other_blocks, quads, used, causal;
		float factor, scale;
	} push = { blocks(p, own_rows), (uint32_t)other_rows, blocks(p, other_rows), p->quads,
		(uint32_t)round_up(p->used, stage), p->causal,
		(float)(p->scale * 1.4426950408889634), (float)p->scale };
	/* rows of an invocation: shuffles are shared by them */
	uint32_t each = !shuffles() ? 1 : two || p->slice > 10 ? 2 : 4, rows;
	double pairs = (double)(p->n * p->heads) * (double)own_rows * (double)other_rows;
	struct gpu_call c = { .kernel = k[mode][shuffles()],
		.arg = { tensor_arg(own), tensor_arg(other), tensor_arg(value), tensor_arg(sum),
		    tensor_arg(lse) },
		.nargs = 5, .nspec = 5, .push = &push, .npush = sizeof(push) };

	if (two) {
		c.arg[5] = tensor_arg(own2);
		c.arg[6] = tensor_arg(other2);
		c.arg[7] = tensor_arg(delta);
		c.nargs = 8;
	}
	rows = p->local * each;
	c.spec[0] = p->local;
	c.spec[1] = p->block;
	c.spec[2] = each;
	c.spec[3] = p->slice;
	c.spec[4] = stage;
	c.groups[0] = (push.own_blocks * p->block + rows - 1) / rows;
	c.groups[1] = (uint32_t)(p->n * p->heads);
	c.groups[2] = p->quads / p->slice;
	c.flops = pairs * (double)p->d * (two ? 6 : 4) * (p->causal ? 0.5 : 1);
	c.bytes = 4. * (double)(own->n + other->n + value->n + sum->n);
	gpu_run(&c);
}

static void
back(struct node *nd, struct tensor *gy, struct tensor **gx)
{
	struct tensor *q = nd->save[0], *k = nd->save[1], *v = nd->save[2];
	int64_t t = q->dim[1], s = k->dim[1];
	struct plan p = make_plan(q->dim[0], nd->i[0], nd->i[1], nd->f[0], nd->i[2] != 0);
	struct tensor *pq, *pk, *pv, *po, *pg, *sum, *lse = nd->save[4], *delta;
	struct {
		uint32_t rows, quads;
	} push = { (uint32_t)lse->n, p.quads };

	if (grads_on())
		op_die("attention", "gradients of its gradient are not to be had");
	pq = packed_from(&p, q);
	pk = packed_from(&p, k);
	pg = packed_from(&p, gy);
	if (nd->need[2]) {
		sum = packed_of(&p, s);
		run(&p, DV, s, t, pk, pq, pg, sum, lse, NULL, NULL, NULL);
		gx[2] = unpacked(&p, sum, v);
	}
	if (!nd->need[0] && !nd->need[1])
		return;
	pv = packed_from(&p, v);
	po = packed_from(&p, nd->save[3]);
	delta = tensor_like(lse);
	gpu_run(&(struct gpu_call){ .kernel = K_ATTENTION_DELTA,
	    .arg = { tensor_arg(pg), tensor_arg(po), tensor_arg(delta) }, .nargs = 3,
	    .spec = { 64, p.block }, .nspec = 2, .push = &push, .npush = sizeof(push),
	    .groups = { gpu_groups(push.rows, 64) }, .flops = 2. * (double)pg->n,
	    .bytes = 8. * (double)pg->n });
	if (nd->need[0]) {
		sum = packed_of(&p, t);
		run(&p, DQ, t, s, pq, pk, pk, sum, lse, pg, pv, delta);
		gx[0] = unpacked(&p, sum, q);
	}
	if (nd->need[1]) {
		sum = packed_of(&p, s);
		run(&p, DK, s, t, pk, pq, pq, sum, lse, pv, pg, delta);
		gx[1] = unpacked(&p, sum, k);
	}
}

struct tensor *
op_attention(struct tensor *q, struct tensor *k, struct tensor *v, int heads, double scale,
    bool causal)
{
	const char *op = "attention";
	struct tensor *packed, *y, *lse;
	struct plan p;
	struct node *nd;

	want_same_dtype(op, q, k);
	want_same_dtype(op, q, v);
	if (q->ndim != 3 || k->ndim != 3 || !same_shape(k, v) || k->dim[0] != q->dim[0] ||
	    k->dim[2] != q->dim[2] || heads < 1 || q->dim[2] % heads || q->n == 0 || k->n == 0)
		op_die(op, "%s, %s, %s in %d heads", tensor_shape(q), tensor_shape(k),
		    tensor_shape(v), heads);
	p = make_plan(q->dim[0], heads, q->dim[2] / heads,
	    scale != 0 ? scale : 1 / sqrt((double)(q->dim[2] / heads)), causal);
	if (p.n > 65535 || p.n * heads > 65535)
		op_die(op, "%s in %d heads: too many", tensor_shape(q), heads);
	packed = packed_of(&p, q->dim[1]);
	lse = tensor_empty(F32, p.n * heads, (int64_t)blocks(&p, q->dim[1]) * p.block);
	run(&p, FORWARD, q->dim[1], k->dim[1], packed_from(&p, q), packed_from(&p, k),
	    packed_from(&p, v), packed, lse, NULL, NULL, NULL);
	y = unpacked(&p, packed, q);
	nd = op_done(op, y, (struct tensor *[]){ q, k, v }, 3, back);
	if (nd) {
		node_save(nd, q);
		node_save(nd, k);
		node_save(nd, v);
		node_save(nd, y);
		node_save(nd, lse);
		nd->i[0] = heads;
		nd->i[1] = p.d;
		nd->i[2] = causal;
		nd->f[0] = p.scale;
	}
	return y;
}
