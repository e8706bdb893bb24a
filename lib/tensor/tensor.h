/*
 * Tensors on the device, and the tape that differentiates what was done with them.
 *
 *	scope_open();
 *	struct tensor *y = op_relu(op_linear(x, w, b));
 *	struct tensor *loss = op_mean_all(op_square(op_sub(y, target)));
 *	backward(loss);                                  w->grad, b->grad are there now
 *	printf("%g\n", tensor_item(loss));               waits; nothing before it did
 *	scope_close();                                   all made since scope_open() is gone
 *
 * A tensor is contiguous, row-major, of up to 6 dimensions. Images are [N,H,W,C] (channels last),
 * conv weights [O,KH,KW,I/groups], linear weights [out,in], sequences [N,T,C].
 *
 * Ownership: an op returns a tensor that belongs to the innermost open scope. Closing a scope drops
 * its tensors' handles, save those handed on by scope_keep; the memory itself goes back to the pool
 * when neither a handle nor the tape needs it, so an inference that opens a scope for each block
 * holds only what is live. tensor_hold() takes a tensor out of all scopes (parameters, running
 * statistics): it lives until tensor_drop().
 *
 * With no scope open a new tensor is nobody's until it is held.
 *
 * The tape records an op if grads are on and one of its inputs requires them. Backward functions
 * are made of the same ops, so with `create_graph` their results can be differentiated again.
 *
 * Wrong shapes are bugs of the caller: the program ends naming op and shapes.
 */
#ifndef TENSOR_TENSOR_H
#define TENSOR_TENSOR_H

#include "gpu/gpu.h"

#include <stdbool.h>
#include <stdint.h>

enum dtype { F32, F16, BF16, I32, U8 };
enum { TENSOR_MAXDIM = 6 };

struct node;

struct tensor {
	int ndim;                      /* 0: a scalar, one element */
	int64_t dim[TENSOR_MAXDIM];
	int64_t n;                     /* elements */
	enum dtype dtype;
	struct gbuf *buf;
	size_t off;                    /* bytes from the buffer's start; a multiple of 256 */
	bool requires_grad;
	struct node *node;             /* what made it; NULL for leaves and without grads */
	struct tensor *grad;           /* of leaves, after backward(); held */
	bool stale;                /* of a gradient: it counts as 0, and the next one replaces it */
	const char *name;              /* of parameters, for messages; borrowed; may be NULL */
	int refs;
	uint64_t version;              /* counts in-place changes (an optimiser step): packed copies
	                                * of a weight are remade when it moves */
	void *packed;                  /* cache of packed copies, owned by the ops that made them */
	void (*packed_free)(void *);   /* called with it when the tensor goes */
	int64_t slot;                  /* its place in the scopes' list; negative: in none */
};

size_t dtype_size(enum dtype);
const char *dtype_name(enum dtype);

/* New tensors of the innermost scope. dims are int64_t. */
struct tensor *tensor_new(enum dtype, int ndim, const int64_t *dim);        /* contents undefined */
struct tensor *tensor_new_for(enum gpu_mem, enum dtype, int ndim, const int64_t *dim);
#define tensor_empty(dtype, ...) \
	tensor_new((dtype), (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), \
	    (int64_t[]){ __VA_ARGS__ })
struct tensor *tensor_full(enum dtype, int ndim, const int64_t *dim, double value);
struct tensor *tensor_scalar(double value);                                   /* F32, ndim 0 */
/* From host memory: f32 values are converted to the dtype; I32 from int32_t, U8 from uint8_t. */
struct tensor *tensor_from(enum dtype, int ndim, const int64_t *dim, const void *host);
/* To host memory: float for F32/F16/BF16, int32_t for I32, uint8_t for U8. Waits. */
void tensor_get(const struct tensor *, void *host);
void tensor_set(struct tensor *, const void *host); /* in place; bumps version */
double tensor_item(const struct tensor *);          /* of one element; waits */
/* The same memory under another shape of as many elements; one dim may be -1. Differentiable. */
struct tensor *op_reshape(struct tensor *, int ndim, const int64_t *dim);
#define op_view(x, ...) \
	op_reshape((x), (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), \
	    (int64_t[]){ __VA_ARGS__ })
/* A part of a held slab as a tensor of its own (parameters in one buffer): off in bytes,
 * 256-aligned. */
struct tensor *tensor_in_slab(struct gbuf *slab, size_t off, enum dtype, int ndim,
    const int64_t *dim);
/* A weight without values of its own, for op_linear ([out,in]) or op_conv2d ([O,KH,KW,I], one
 * group) at inference, and the values put into it in the only form that these read. */
struct tensor *tensor_shell(enum dtype, int ndim, const int64_t *dim);
/* Can this device's products of F32 read an F16 shell of so many outputs and inputs? They compute
 * what its values as F32 would give. */
bool op_widens(int64_t out, int64_t in);
void tensor_pack(struct tensor *shell, const struct tensor *values);
/* The same for op_up2_conv2d alone. */
void tensor_pack_up2(struct tensor *shell, struct tensor *values);
/* The same values, cut off from the tape. */
struct tensor *tensor_detach(struct tensor *);

struct tensor *tensor_hold(struct tensor *); /* out of all scopes; returns it */
struct tensor *tensor_drop(struct tensor *); /* ends a hold; returns NULL; NULL is fine */
/* "[2,64,64,3] f32", for messages; a few at a time */
const char *tensor_shape(const struct tensor *);

void scope_open(void);
void scope_close(void);
/* Closes the innermost scope but hands t on to the one around it; returns t. */
struct tensor *scope_keep(struct tensor *t);
void scope_keep_all(struct tensor **t, int n); /* the same for several */

/* Turns PHANTOM_CHECK on or off from here on: an op that makes a NaN ends the program, named. */
void tensor_check(bool on);

/* ---- the tape -------------------------------------------------------------------------------- */

bool grads_on(void);
bool grads_set(bool on); /* returns what it was */

/* Adds d loss / d leaf to the grad of every leaf that requires it. loss has one element. Frees the
 * graph as it goes. seed: gradient of loss itself (NULL: 1; a loss scale otherwise). */
void backward(struct tensor *loss);
void backward_scaled(struct tensor *loss, double seed);
/* Gradients of y (any shape; gy its incoming gradient, NULL: ones) with respect to x[0..n): into
 * gx[0..n), tensors of the innermost scope, NULL where y does not depend on x[i]. create_graph: the
 * results are themselves on the tape. The graph is kept when create_graph, freed otherwise. */
void grad_of(struct tensor *y, struct tensor *gy, struct tensor *const *x, int n, bool create_graph,
    struct tensor **gx);
/* Runs fn(ctx, in, n) without saving its activations; backward() runs it again (grad_of does not
 * pass through it). fn must be a function of `in` and of held parameters only (dropout by seed is
 * fine), and ctx must live until then; n <= NODE_MAXIN. */
struct tensor *checkpoint(struct tensor *(*fn)(void *ctx, struct tensor **in, int n), void *ctx,
    struct tensor **in, int n);
/* In the second run of a checkpoint's fn: running statistics have been moved already. */
bool checkpoint_again(void);

/* ---- for writers of ops ---------------------------------------------------------------------- */

enum { NODE_MAXIN = 10, NODE_MAXSAVE = 12 };

/* An entry of the tape. back() reads gy and what was saved, and sets gx[i] for every input with
 * need[i] (leaving NULL means zero), by ops: under create_graph those are recorded in turn. in[i]
 * has shape, type and place on the tape, but no values unless it is a leaf: those that back() wants
 * are to be saved. */
struct node {
	const char *op;
	void (*back)(struct node *, struct tensor *gy, struct tensor **gx);
	struct tensor *in[NODE_MAXIN];
	bool need[NODE_MAXIN];
	int nin;
	struct tensor *save[NODE_MAXSAVE]; /* inputs and outputs that back() wants; references */
	int nsave;
	uint32_t save_out;                 /* bit i: save[i] is this op's own output */
	int64_t i[24];                     /* the op's own numbers: strides, axes, seeds */
	double f[8];
	uint64_t order;                    /* position on the tape */
	int refs;
	uint64_t mark;                     /* the walk that saw it last */
	struct node *next;                 /* among those about to be freed */
};

/* Ends an op: names it, checks for NaN under PHANTOM_CHECK, and, when grads are on and an input
 * requires them, hangs a node on `out` and returns it so that back's needs can be filled in.
 * Returns NULL when nothing is to be recorded. inputs may hold NULLs (absent bias). */
struct node *op_done(const char *op, struct tensor *out, struct tensor *const *in, int nin,
    void (*back)(struct node *, struct tensor *gy, struct tensor **gx));
void node_save(struct node *, struct tensor *); /* takes a reference; NULL keeps the place empty */
_Noreturn void op_die(const char *op, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A gpu_arg that covers a tensor. */
struct gpu_arg tensor_arg(const struct tensor *);
struct tensor *tensor_ref(struct tensor *);
void tensor_unref(struct tensor *); /* NULL is fine */
/* Another handle of the same memory, on the tape as t is; of the innermost scope. */
struct tensor *tensor_alias(struct tensor *t);
/* y += x, or y = x when `set`, elementwise in place: y F32, x any float type, as many elements.
 * Bumps y's version. */
void tensor_accumulate(struct tensor *y, const struct tensor *x, bool set);

#endif
