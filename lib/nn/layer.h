/*
 * Layers: small structs that hold their tensors. init announces the tensors as NAME.weight and so
 * on, NAME being made by fmt; they are there after params_ready, so a layer must not move in
 * between. Images are [N,H,W,C]. A forward returns a tensor of the innermost scope.
 *
 * Linear layers and convolutions compute in the type of x: weights of another type are cast for the
 * time of the op, differentiably. So F32 values (and their gradients) serve a net that works in
 * bf16 or f16. (Those that lie packed are read as they are.)
 */
#ifndef NN_LAYER_H
#define NN_LAYER_H

#include "nn/params.h"
#include "tensor/ops.h"

#include <stdarg.h>

/* The weight of a layer as its op reads it with x. */
struct tensor *layer_weight(struct tensor *w, const struct tensor *x);

struct conv_layer {
	struct tensor *w, *b; /* [O,KH,KW,I/groups], [O] or NULL */
	struct adapter *adapter; /* or NULL; of ungrouped convolutions */
	struct conv geo;
};
/* A k x k convolution. geo: stride, padding, groups. */
void conv_layer_init(struct conv_layer *, struct params *, int64_t in, int64_t out, int k,
    struct conv geo, bool bias, const char *fmt, ...) __attribute__((format(printf, 8, 9)));
struct tensor *conv_layer_forward(const struct conv_layer *, struct tensor *x);

struct bn_layer {
	struct tensor *w, *b, *mean, *var; /* [C] */
	struct param *count;
	double momentum, eps;
};
/* Batch normalisation; PyTorch's defaults are momentum 0.1 and eps 1e-5. */
void bn_layer_init(struct bn_layer *, struct params *, int64_t c, double momentum, double eps,
    const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* train: by the batch's statistics, which move the running ones. */
struct tensor *bn_layer_forward(const struct bn_layer *, struct tensor *x, bool train, enum act);

/* A convolution without bias and the norm after it. folded: the norm is in the convolution, which
 * has a bias then, and bn->w is NULL; such a net is not trained. */
void conv_bn_init(struct conv_layer *, struct bn_layer *, struct params *, int64_t in, int64_t out,
    int k, struct conv geo, bool folded, double momentum, double eps, const char *conv,
    const char *bn);
struct tensor *conv_bn_forward(const struct conv_layer *, const struct bn_layer *,
    struct tensor *x, bool train, enum act);

struct linear_layer {
	struct tensor *w, *b; /* [out,in], [out] or NULL */
	struct adapter *adapter; /* or NULL */
};
void linear_layer_init(struct linear_layer *, struct params *, int64_t in, int64_t out, bool bias,
    const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* The same from a 1x1 convolution's weight, [out,in,1,1] in the file. */
void linear_layer_init_1x1(struct linear_layer *, struct params *, int64_t in, int64_t out,
    bool bias, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
struct tensor *linear_layer_forward(const struct linear_layer *, struct tensor *x, enum act);

/* For layers of one's own: in an init whose last parameters are fmt and what it takes, declares
 * name and makes it. */
enum { LAYER_NAME = 400 };
void layer_name(char name[LAYER_NAME], const char *fmt, va_list);
#define LAYER_NAMED(name, fmt) \
	char name[LAYER_NAME]; \
	va_list ap; \
	va_start(ap, fmt); \
	layer_name(name, fmt, ap); \
	va_end(ap)

#endif
