/* Handles: making them, counting references, and moving values between host and device. */
#include "tensor/tensor.h"

#include "base/err.h"
#include "base/mem.h"
#include "data/safetensors.h"
#include "tensor/op.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	size_t size;
	const char *name;
} dtypes[] = { [F32] = { 4, "f32" }, [F16] = { 2, "f16" }, [BF16] = { 2, "bf16" },
	[I32] = { 4, "i32" }, [U8] = { 1, "u8" } };

size_t
dtype_size(enum dtype d)
{
	return dtypes[d].size;
}

const char *
dtype_name(enum dtype d)
{
	return dtypes[d].name;
}

const char *
tensor_shape(const struct tensor *t)
{
	static char text[8][160];
	static unsigned turn;
	char *s = text[turn++ % 8];
	size_t at = 0;

	if (!t)
		return "none";
	for (int i = 0; i < t->ndim; i++)
		at += (size_t)snprintf(s + at, 160 - at, "%s%lld", i ? "," : "[",
		    (long long)t->dim[i]);
	snprintf(s + at, 160 - at, "%s %s%s%.40s", t->ndim ? "]" : "[]", dtypes[t->dtype].name,
	    t->name ? " " : "", t->name ? t->name : "");
	return s;
}

void
op_die(const char *op, const char *fmt, ...)
{
	va_list ap;
	char what[512];

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	die("%s: %s", op, what);
}

/* A handle without memory, of the innermost scope. */
static struct tensor *
handle(enum dtype dtype, int ndim, const int64_t *dim)
{
	struct tensor *t = xcalloc(1, sizeof(*t));
	size_t n = 1;

	if (ndim < 0 || ndim > TENSOR_MAXDIM)
		die("tensor of %d dimensions", ndim);
	t->ndim = ndim;
	t->dtype = dtype;
	for (int i = 0; i < ndim; i++) {
		t->dim[i] = dim[i];
		if (dim[i] <= 0 || !mul_size(n, (size_t)dim[i], &n) || n > (size_t)1 << 40)
			die("tensor of shape %s", tensor_shape(t));
	}
	t->n = (int64_t)n;
	t->refs = 1;
	scope_add(t);
	return t;
}

static size_t
bytes_of(const struct tensor *t)
{
	return (size_t)t->n * dtypes[t->dtype].size;
}

struct tensor *
tensor_new_for(enum gpu_mem kind, enum dtype dtype, int ndim, const int64_t *dim)
{
	struct tensor *t = handle(dtype, ndim, dim);

	t->buf = gbuf_new(bytes_of(t), kind);
	return t;
}

struct tensor *
tensor_new(enum dtype dtype, int ndim, const int64_t *dim)
{
	return tensor_new_for(MEM_ACT, dtype, ndim, dim);
}

struct tensor *
tensor_in_slab(struct gbuf *slab, size_t off, enum dtype dtype, int ndim, const int64_t *dim)
{
	struct tensor *t = handle(dtype, ndim, dim);

	if (off % 256 || off > gbuf_size(slab) || bytes_of(t) > gbuf_size(slab) - off)
		die("tensor_in_slab: %s at %zu of %zu bytes", tensor_shape(t), off,
		    gbuf_size(slab));
	t->buf = gbuf_ref(slab);
	t->off = off;
	return t;
}

struct tensor *
tensor_shell(enum dtype dtype, int ndim, const int64_t *dim)
{
	return handle(dtype, ndim, dim);
}

struct tensor *
tensor_view(const struct tensor *x, int ndim, const int64_t *dim)
{
	struct tensor *t = handle(x->dtype, ndim, dim);

	t->buf = gbuf_ref(x->buf);
	t->off = x->off;
	return t;
}

struct tensor *
tensor_detach(struct tensor *x)
{
	return tensor_view(x, x->ndim, x->dim);
}

struct tensor *
tensor_alias(struct tensor *x)
{
	struct tensor *t = tensor_view(x, x->ndim, x->dim);

	t->requires_grad = x->requires_grad;
	t->node = x->node;
	if (t->node)
		t->node->refs++;
	return t;
}

struct tensor *
tensor_ref(struct tensor *t)
{
	t->refs++;
	return t;
}

void
tensor_unref(struct tensor *t)
{
	if (!t || --t->refs > 0)
		return;
	gbuf_unref(t->buf);
	if (t->packed && t->packed_free)
		t->packed_free(t->packed);
	if (t->grad)
		tensor_drop(t->grad);
	node_unref(t->node);
	free(t);
}

struct gpu_arg
tensor_arg(const struct tensor *t)
{
	if (!t->buf)
		die("%s %s: its values are not there", t->name ? t->name : "backward:",
		    tensor_shape(t));
	return (struct gpu_arg){ t->buf, t->off, bytes_of(t) };
}

/* ---- values ---------------------------------------------------------------------------------- */

/* The word that fills memory with value. */
static uint32_t
pattern(enum dtype dtype, double value)
{
	float f = (float)value;
	uint32_t u;

	switch (dtype) {
	case F16:
		return f32_to_f16(f) * 0x10001u;
	case BF16:
		return f32_to_bf16(f) * 0x10001u;
	case I32:
		return (uint32_t)(int32_t)value;
	case U8:
		return (uint8_t)value * 0x1010101u;
	default:
		memcpy(&u, &f, 4);
		return u;
	}
}

struct tensor *
tensor_full(enum dtype dtype, int ndim, const int64_t *dim, double value)
{
	struct tensor *t = tensor_new(dtype, ndim, dim);

	gpu_fill(t->buf, 0, (bytes_of(t) + 3) & ~(size_t)3, pattern(dtype, value));
	return t;
}

struct tensor *
tensor_scalar(double value)
{
	return tensor_full(F32, 0, NULL, value);
}

static void
put(struct tensor *t, const void *host)
{
	const float *f = host;
	uint16_t *h;

	if (t->dtype != F16 && t->dtype != BF16) {
		gpu_write(t->buf, t->off, host, bytes_of(t));
		return;
	}
	h = xmalloc(bytes_of(t));
	for (int64_t i = 0; i < t->n; i++)
		h[i] = t->dtype == F16 ? f32_to_f16(f[i]) : f32_to_bf16(f[i]);
	gpu_write(t->buf, t->off, h, bytes_of(t));
	free(h);
}

struct tensor *
tensor_from(enum dtype dtype, int ndim, const int64_t *dim, const void *host)
{
	struct tensor *t = tensor_new(dtype, ndim, dim);

	put(t, host);
	return t;
}

void
tensor_set(struct tensor *t, const void *host)
{
	put(t, host);
	t->version++;
}

void
tensor_get(const struct tensor *t, void *host)
{
	float *f = host;
	uint16_t *h;

	if (t->dtype != F16 && t->dtype != BF16) {
		gpu_read(t->buf, t->off, host, bytes_of(t));
		return;
	}
	h = xmalloc(bytes_of(t));
	gpu_read(t->buf, t->off, h, bytes_of(t));
	for (int64_t i = 0; i < t->n; i++)
		f[i] = t->dtype == F16 ? f16_to_f32(h[i]) : bf16_to_f32(h[i]);
	free(h);
}

double
tensor_item(const struct tensor *t)
{
	union {
		float f;
		int32_t i;
		uint8_t u;
	} v;

	if (t->n != 1)
		op_die("tensor_item", "of %s", tensor_shape(t));
	tensor_get(t, &v);
	return t->dtype == I32 ? v.i : t->dtype == U8 ? v.u : (double)v.f;
}

/* y[i] = or += x[i] (the device copies where it can, which is five times as fast as a kernel on
 * lavapipe); whatever lies past y's end is left alone (it may be a slab's next parameter). */
void
tensor_accumulate(struct tensor *y, const struct tensor *x, bool set)
{
	static const enum kernel k[3][2] = KERNELS_BY_DTYPE(ACCUMULATE);
	uint32_t n = (uint32_t)x->n;
	uint64_t quads = ((uint64_t)x->n + 3) / 4;

	if (y->dtype != F32 || y->n != x->n || x->n >= (int64_t)1 << 32)
		op_die("tensor_accumulate", "%s and %s", tensor_shape(y), tensor_shape(x));
	if (set && x->dtype == F32) {
		gpu_copy(y->buf, y->off, x->buf, x->off, (size_t)x->n * 4);
		y->version++;
		return;
	}
	gpu_run(&(struct gpu_call){ .kernel = kernel_for("tensor_accumulate", k, x->dtype),
	    .arg = { tensor_arg(x), tensor_arg(y) }, .nargs = 2, .spec = { set }, .nspec = 1,
	    .push = &n, .npush = sizeof(n), .groups = { gpu_groups(quads, FLAT_STEP) },
	    .bytes = (double)x->n * (double)(dtype_size(x->dtype) + (set ? 4 : 8)) });
	y->version++;
}
