/*
 * The operators. x, y are of dtype F32, F16 or BF16 (both inputs the same unless stated); sums are
 * kept in f32. All are differentiable in their floating-point inputs unless stated; "twice" marks
 * those whose gradient can be differentiated again (create_graph); the others die when asked to.
 * Images are [N,H,W,C].
 */
#ifndef TENSOR_OPS_H
#define TENSOR_OPS_H

#include "tensor/tensor.h"

/* ---- elementwise (elementwise.c), twice ------------------------------------------------------ */
/* Two inputs broadcast against each other by NumPy's rule (aligned at the last dim). */
struct tensor *op_add(struct tensor *x, struct tensor *y);
struct tensor *op_sub(struct tensor *x, struct tensor *y);
struct tensor *op_mul(struct tensor *x, struct tensor *y);
struct tensor *op_div(struct tensor *x, struct tensor *y);
struct tensor *op_maximum(struct tensor *x, struct tensor *y);   /* ties: gradient to x */
struct tensor *op_minimum(struct tensor *x, struct tensor *y);
struct tensor *op_affine(struct tensor *x, double a, double b);  /* a x + b */
struct tensor *op_pow(struct tensor *x, double p);
struct tensor *op_neg(struct tensor *x);
struct tensor *op_square(struct tensor *x);
struct tensor *op_sqrt(struct tensor *x);
struct tensor *op_rsqrt(struct tensor *x);
struct tensor *op_exp(struct tensor *x);
struct tensor *op_log(struct tensor *x);
struct tensor *op_abs(struct tensor *x);
struct tensor *op_sin(struct tensor *x);
struct tensor *op_cos(struct tensor *x);
struct tensor *op_tanh(struct tensor *x);
struct tensor *op_sigmoid(struct tensor *x);
struct tensor *op_softplus(struct tensor *x);                    /* log(1 + e^x), stable */
struct tensor *op_relu(struct tensor *x);
struct tensor *op_lrelu(struct tensor *x, double slope);
struct tensor *op_silu(struct tensor *x);                        /* x sigmoid(x) */
struct tensor *op_gelu(struct tensor *x);                        /* exact, by erf */
struct tensor *op_quick_gelu(struct tensor *x);                  /* x sigmoid(1.702 x) */
struct tensor *op_clamp(struct tensor *x, double lo, double hi); /* gradient 0 outside */
/* 1 where true, 0 elsewhere; no gradient. */
struct tensor *op_greater(struct tensor *x, struct tensor *y);
struct tensor *op_greater_s(struct tensor *x, double s);
struct tensor *op_equal_s(struct tensor *x, double s);
struct tensor *op_cast(struct tensor *x, enum dtype);        /* differentiable among F32/F16/BF16 */
/* Keeps with probability 1-p and scales by 1/(1-p); the mask is Philox of (seed, element). */
struct tensor *op_dropout(struct tensor *x, double p, uint64_t seed);
/* x + y * s with s one per sample ([N] or NULL): residual with drop-connect. */
struct tensor *op_uniform(int ndim, const int64_t *dim, uint64_t seed); /* F32 [0,1), no gradient */
struct tensor *op_normal(int ndim, const int64_t *dim, uint64_t seed);  /* F32, no gradient */

/* ---- reductions and shape (reduce.c, shape.c), twice ----------------------------------------- */
/* Over the axes whose bit is set; keepdim leaves them as 1. axes 0: all. */
struct tensor *op_sum(struct tensor *x, unsigned axes, bool keepdim);
struct tensor *op_mean(struct tensor *x, unsigned axes, bool keepdim);
struct tensor *op_sum_all(struct tensor *x);                     /* ndim 0, F32 */
struct tensor *op_mean_all(struct tensor *x);
struct tensor *op_max(struct tensor *x, int axis, bool keepdim); /* gradient to the first maximum */
struct tensor *op_argmax(struct tensor *x, int axis);            /* I32, no gradient */
struct tensor *op_broadcast(struct tensor *x, int ndim, const int64_t *dim);
struct tensor *op_permute(struct tensor *x, const int *perm);    /* copies */
struct tensor *op_concat(struct tensor *const *x, int n, int axis);
struct tensor *op_slice(struct tensor *x, int axis, int64_t start, int64_t len);
/* Zero padding (or cropping, where negative) of an image: [N,H,W,C]. */
struct tensor *op_pad2d(struct tensor *x, int left, int right, int top, int bottom);
/* embedding: [V,C],[..] I32 -> [..,C] */
struct tensor *op_gather_rows(struct tensor *table, struct tensor *ids);
struct tensor *op_flip(struct tensor *x, int axis);

/* ---- softmax and losses (softmax.c, loss.c) -------------------------------------------------- */
struct tensor *op_softmax(struct tensor *x);                     /* over the last dim; twice */
struct tensor *op_log_softmax(struct tensor *x);                 /* over the last dim; twice */
/* Mean over the rows whose label is not `ignore` of weight[label] * -log softmax(x)[label], divided
 * by the sum of those weights (torch.nn.CrossEntropyLoss). x [..,C], labels [..] I32, weight [C]
 * F32 or NULL. */
struct tensor *op_cross_entropy(struct tensor *x, struct tensor *labels, struct tensor *weight,
    int ignore);
/* Mean of max(x,0) - x y + log(1+exp(-|x|)); pos_weight [C] F32 (last dim) or NULL. twice */
struct tensor *op_bce_with_logits(struct tensor *x, struct tensor *y, struct tensor *pos_weight);
struct tensor *op_mse(struct tensor *x, struct tensor *y);       /* mean of squares; twice */
/* I32 [..] -> F32 [..,C]; ids outside: zeros */
struct tensor *op_one_hot(struct tensor *labels, int classes);

/* ---- matrix products (matmul.c), twice ------------------------------------------------------- */
/* From here on what ops are given holds n samples (1 at first). Long sums are split to keep the
 * device busy, as for one sample alone: so the result of a sample does not depend, to the bit, on
 * how many stand beside it. Returns what it was. */
int64_t op_samples(int64_t n);
/* [..,M,K] x [..,K,N] -> [..,M,N]; ta: x is [..,K,M]; tb: y is [..,N,K]. Leading dims equal, or one
 * of the inputs has none (it is shared by all). */
struct tensor *op_matmul(struct tensor *x, struct tensor *y, bool ta, bool tb);
enum act { ACT_NONE, ACT_RELU, ACT_SILU, ACT_GELU, ACT_QUICK_GELU, ACT_SIGMOID, ACT_LRELU };
struct tensor *op_act(struct tensor *x, enum act); /* ACT_LRELU's slope is 0.2 */
/* x [..,in], w [out,in], b [out] or NULL -> act(x w^T + b) [..,out]; in one kernel. */
struct tensor *op_linear(struct tensor *x, struct tensor *w, struct tensor *b);
struct tensor *op_linear_act(struct tensor *x, struct tensor *w, struct tensor *b, enum act);

/* ---- convolution (conv*.c), twice ------------------------------------------------------------ */
struct conv {
	int stride;                     /* 0 counts as 1 */
	int left, right, top, bottom;   /* zero padding */
	int dilation;                   /* 0 counts as 1 */
	int groups;                     /* 0 counts as 1 */
};
#define CONV_SAME(k) \
	(struct conv){ .left = (k) / 2, .right = (k) / 2, .top = (k) / 2, .bottom = (k) / 2 }
/* x [N,H,W,I], w [O,KH,KW,I/groups], b [O] or NULL -> [N,H',W',O]. */
struct tensor *op_conv2d(struct tensor *x, struct tensor *w, struct tensor *b, struct conv);
struct tensor *op_conv2d_act(struct tensor *x, struct tensor *w, struct tensor *b, struct conv,
    enum act);
/* x [N,H,W,I] twice as large by nearest neighbours, then by w [O,3,3,I] with padding 1:
 * [N,2H,2W,O]. */
struct tensor *op_up2_conv2d(struct tensor *x, struct tensor *w, struct tensor *b);
/* The transpose: x [N,H,W,O], w [O,KH,KW,I/groups] ->
 * [N,(H-1)s+d(KH-1)+1-top-bottom+extra_h,..,I]. */
struct tensor *op_conv_transpose2d(struct tensor *x, struct tensor *w, struct tensor *b,
    struct conv, int extra_h, int extra_w);

/* ---- pooling and resizing (pool.c, resize.c), twice ------------------------------------------ */
struct tensor *op_max_pool2d(struct tensor *x, int k, int stride, int pad);
struct tensor *op_avg_pool2d(struct tensor *x, int k, int stride, int pad, bool count_pad);
struct tensor *op_global_avg_pool(struct tensor *x);                       /* [N,H,W,C] -> [N,C] */
struct tensor *op_resize_nearest(struct tensor *x, int h, int w);    /* src = floor(dst * in/out) */
struct tensor *op_resize_bilinear(struct tensor *x, int h, int w, bool align_corners);

/* ---- normalisation (norm.c) ------------------------------------------------------------------ */
/* w, b: [C] F32 or NULL. Second order by the composed form (twice). */
struct tensor *op_group_norm(struct tensor *x, int groups, struct tensor *w, struct tensor *b,
    double eps, enum act); /* ACT_NONE or ACT_SILU, fused */
struct tensor *op_layer_norm(struct tensor *x, struct tensor *w, struct tensor *b, double eps);
struct tensor *op_instance_norm(struct tensor *x, struct tensor *w, struct tensor *b, double eps);
/* Normalises by the batch's biased variance when `train` and moves running_mean/var (F32 [C], in
 * place, unbiased variance) by momentum; by the running statistics otherwise. Over all but the last
 * dim. act ACT_NONE, ACT_RELU or ACT_SILU, fused. */
struct tensor *op_batch_norm(struct tensor *x, struct tensor *w, struct tensor *b,
    struct tensor *running_mean, struct tensor *running_var, double momentum, double eps,
    bool train, enum act);

/* ---- attention (attention.c) ----------------------------------------------------------------- */
/* q [N,T,C], k, v [N,S,C], split into heads along C; softmax(q k^T * scale) v without the score
 * matrix; scale 0: 1/sqrt(C/heads); causal: t attends to s <= t. */
struct tensor *op_attention(struct tensor *q, struct tensor *k, struct tensor *v, int heads,
    double scale, bool causal);

#endif
