/*
 * The parameters and buffers of a network, by the names that its safetensors file gives them.
 *
 *	struct params ps;
 *	params_init(&ps, F32, true);
 *	params_add(&ps, &w, PARAM_CONV, 4, (int64_t[]){ 64, 3, 7, 7 }, "%s.conv1.weight", prefix);
 *	...
 *	params_ready(&ps);                 slabs are there, w points to its tensor
 *	...
 *	params_zero_grad(&ps);
 *	backward(loss);                    gradients add up in ps' gradient slabs
 *
 * Values lie in slabs, each with a gradient slab of the same layout, so that optimiser, clipping
 * and norm are few dispatches over ranges. A tensor starts at a multiple of 256 bytes; what lies
 * between two is 0 in both slabs and stays so. No slab is larger than 512 MiB (or than its one
 * tensor). Buffers (running statistics) have slabs without gradients; counters live on the host.
 *
 * Layouts: a file has OIHW convolution weights, the engine [O,KH,KW,I]; the kind says how they
 * differ. Loading, saving, params_get and params_put speak the file's layout.
 */
#ifndef NN_PARAMS_H
#define NN_PARAMS_H

#include "base/mem.h"
#include "data/safetensors.h"
#include "tensor/tensor.h"

#include <stdbool.h>
#include <stdint.h>

enum param_kind {
	PARAM_PLAIN,  /* as in the file: biases, scales, embeddings */
	PARAM_CONV,   /* file [O,I,KH,KW] -> engine [O,KH,KW,I] */
	PARAM_MATRIX, /* file [O,I] or [O,I,1,1] -> engine [O,I], for op_linear */
	PARAM_CONV_T, /* a transposed convolution's: file [I,O,KH,KW] -> engine [I,KH,KW,O] */
	PARAM_BUFFER, /* plain, without gradient: running statistics */
	PARAM_COUNT   /* int64 scalar on the host (num_batches_tracked); optional in files */
};

/* A low-rank change of a weight W while it stays as it is (LoRA, Hu et al., 2021): W + scale * b a.
 * Both are F32, or of the values' dtype, and belong to whoever made them. */
struct adapter {
	struct tensor *a; /* [rank,in], of a convolution [rank,KH,KW,in] */
	struct tensor *b; /* [out,rank] */
	double scale;     /* alpha / rank, times what strength is asked for */
};

struct prange {
	int slab;
	size_t off, len; /* bytes, multiples of 256, in both value and grad */
};

struct param {
	const char *name;
	enum param_kind kind;
	int ndim;
	int64_t dim[TENSOR_MAXDIM]; /* as in the file */
	int64_t n;
	struct tensor *t;           /* engine's layout; NULL for PARAM_COUNT */
	int64_t count;              /* PARAM_COUNT's value */
	bool whole;         /* its values stay where those of its like are packed */
	bool up2;           /* op_up2_conv2d wants it (params_up2) */
	bool frozen;                /* no gradient, left alone by the optimiser */
	int slab;
	size_t off;                 /* bytes into the slab */
	uint64_t grad_mark;         /* version of t->grad after the last params_zero_grad */
	struct tensor **slot;       /* where the layer wants the tensor */
	/* where the layer looks for a change of it; NULL: it knows none */
	struct adapter **adapter;
};

struct slab {
	struct gbuf *value, *grad;  /* grad NULL: buffers, or a net that is not trained */
	size_t bytes;
	bool buffers;
};

struct params {
	struct param **p;           /* in the order they were added */
	int n;
	size_t cap;
	struct slab *slab;
	int nslab;
	enum dtype dtype;           /* of values; gradients are F32 */
	bool grads, ready, outline;
	unsigned packing;
	struct prange *range;       /* params_ranges's answer */
	struct arena mem;
};

/* dtype: storage of the values; buffers and tensors of one dimension (norms, biases) are always
 * F32. grads: make gradient slabs, F32 only. */
void params_init(struct params *, enum dtype, bool grads);
/* Nets made while it is on are outlines: names and shapes without memory, which need no device.
 * Returns what it was. */
bool params_outline(bool on);
/* How nets that are made from here on are kept, which are then for inference alone. Returns what it
 * was. */
enum {
	/* weights of linear layers and convolutions lie on the device only in the form that
	 * products read, and cannot be fetched or changed; */
	PARAMS_PACKED = 1,
	/* images are only ever doubled: those of op_up2_conv2d lie as that reads them alone (not
	 * BF16, which it reads whole); */
	PARAMS_DOUBLING = 2,
	/* F16 nets work in F32: what its products cannot widen as they read it is F32 too
	 * (op_widens) */
	PARAMS_WIDENED = 4
};
unsigned params_packing(unsigned how);
void params_release(struct params *);
/* Announces a tensor of the file's shape. *slot (may be NULL) is filled by params_ready: the struct
 * that holds it must stay where it is. The same name twice ends the program. */
struct param *params_add(struct params *, struct tensor **slot, enum param_kind, int ndim,
    const int64_t *dim, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* The parameter of that slot keeps its values in any net: an op wants them in another form. */
void params_keep(struct params *, struct tensor *const *slot);
/* The parameter of that slot is for op_up2_conv2d: it keeps its values where images may be other
 * than doubled. */
void params_up2(struct params *, struct tensor *const *slot);
/* Makes the slabs (zeroed) and the tensors. No params_add after it. */
void params_ready(struct params *);

struct param *params_find(const struct params *, const char *name);
/* Elements of all parameters (not buffers), frozen ones included. */
int64_t params_elements(const struct params *);
/* Freezes (or frees) every parameter whose name starts with prefix; returns how many. */
int params_freeze(struct params *, const char *prefix, bool frozen);

/* Values in the file's layout, [p->n] floats. */
void params_get(const struct param *, float *out);
void params_get_grad(const struct param *, float *out);
void params_put(struct param *, const float *in);
/* Does the engine want [O,KH,KW,I] where the file has [O,I,KH,KW]? (Not where they are the same
 * bytes.) */
bool param_permuted(const struct param *);

enum {
	PARAMS_EXTRA = 1,   /* extra or */
	PARAMS_MISSING = 2, /* missing tensors are no errors */
	PARAMS_LIST = 4,    /* misfits are said on stderr, a line each (40 at most), and only
	                     * counted in the message */
	PARAMS_NAMES = 8    /* params_check looks at names and shapes, not at numbers */
};
/* Loads every parameter whose name starts with prefix ("" for all) from the tensor of that name
 * less the prefix; each is read once, a piece at a time, and kept in its own type where the values
 * have it. Tensors missing, left over, of another shape or not finite are all listed: -1 with a
 * message. Nothing is changed then, unless what was wrong were numbers that are none: these are
 * seen when the rest is in place. */
int params_load(struct params *, const struct safetensors *, const char *prefix, int flags);
/* Only the check. */
int params_check(const struct params *, const struct safetensors *, const char *prefix, int flags);
int params_load_file(struct params *, const char *path, int flags);
/* A parameter as a tensor of a file, whose values are fetched from the device when they are
 * wanted. */
void param_as_tensor(const struct param *, struct st_tensor *);
/* Writes all, F32 and I64, in the order they were added; one at a time is in host memory. meta as
 * st_write's. */
int params_save(const struct params *, const char *path, const char *const *meta);

/* ---- gradients ------------------------------------------------------------------------------- */

void params_zero_grad(struct params *);
/* Did a backward since the last params_zero_grad reach it? (As in PyTorch, what has no gradient is
 * left alone by the optimiser, weight decay included.) */
bool param_has_grad(const struct param *);

/* The runs of parameters that have gradients, neighbours joined; returns how many; *r is borrowed
 * until the next call for this params. */
int params_ranges(struct params *, const struct prange **r);

#endif
