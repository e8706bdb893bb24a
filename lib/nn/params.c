#include "nn/params.h"

#include "base/err.h"
#include "gpu/gpu.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLAB_MAX = 512 << 20, SLAB_ALIGN = 256 };

static bool outlines;
static unsigned packing;

bool
params_outline(bool on)
{
	bool was = outlines;

	outlines = on;
	return was;
}

unsigned
params_packing(unsigned how)
{
	unsigned was = packing;

	packing = how;
	return was;
}

void
params_init(struct params *ps, enum dtype dtype, bool grads)
{
	if (grads && dtype != F32)
		die("params: gradients want F32 values");
	*ps = (struct params){ .dtype = dtype, .grads = grads, .outline = outlines,
		.packing = grads ? 0 : packing };
}

void
params_release(struct params *ps)
{
	for (int i = 0; i < ps->n; i++) {
		struct tensor *t = ps->p[i]->t;

		if (t) {
			t->grad = tensor_drop(t->grad);
			tensor_drop(t);
		}
	}
	for (int i = 0; i < ps->nslab; i++) {
		gbuf_unref(ps->slab[i].value);
		gbuf_unref(ps->slab[i].grad);
	}
	free(ps->slab);
	free(ps->p);
	free(ps->range);
	arena_release(&ps->mem);
	*ps = (struct params){ 0 };
}

static bool
trained(const struct param *p)
{
	return p->kind != PARAM_BUFFER && p->kind != PARAM_COUNT;
}

struct param *
params_add(struct params *ps, struct tensor **slot, enum param_kind kind, int ndim,
    const int64_t *dim, const char *fmt, ...)
{
	char name[512];
	struct param *p = arena_alloc(&ps->mem, sizeof(*p));
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= sizeof(name) || ps->ready || ndim > TENSOR_MAXDIM)
		die("params: cannot add %s", name);
	*p = (struct param){ .name = arena_strndup(&ps->mem, name, (size_t)len), .kind = kind,
		.ndim = ndim, .n = 1, .slot = slot };
	for (int i = 0; i < ndim; i++) {
		if (dim[i] <= 0)
			die("params: %s: a side of %lld", name, (long long)dim[i]);
		p->dim[i] = dim[i];
		p->n *= dim[i];
	}
	ps->p = xgrow(ps->p, &ps->cap, (size_t)ps->n + 1, sizeof(*ps->p));
	ps->p[ps->n++] = p;
	return p;
}

/* The engine's dims; returns how many. */
static int
engine_dims(const struct param *p, int64_t *d)
{
	switch (p->kind) {
	case PARAM_CONV:
	case PARAM_CONV_T:
		d[0] = p->dim[0];
		d[1] = p->dim[2];
		d[2] = p->dim[3];
		d[3] = p->dim[1];
		return 4;
	case PARAM_MATRIX:
		d[0] = p->dim[0];
		d[1] = p->dim[1];
		return 2;
	default:
		memcpy(d, p->dim, (size_t)p->ndim * sizeof(*d));
		return p->ndim;
	}
}

/* Does it lie on the device only as products read it? */
static bool
is_packed(const struct params *ps, const struct param *p)
{
	const bool whole =
	    p->whole || (p->up2 && (!(ps->packing & PARAMS_DOUBLING) || ps->dtype == BF16));

	return (ps->packing & PARAMS_PACKED) && !whole &&
	    (p->kind == PARAM_CONV || p->kind == PARAM_MATRIX);
}

/* Norms and biases are few, and sums want them whole. */
static enum dtype
storage(const struct params *ps, const struct param *p)
{
	if (!trained(p) || p->ndim < 2)
		return F32;
	if (ps->dtype == F16 && (ps->packing & PARAMS_WIDENED) &&
	    !(is_packed(ps, p) && op_widens(p->dim[0], p->dim[1])))
		return F32;
	return ps->dtype;
}

void
params_keep(struct params *ps, struct tensor *const *slot)
{
	for (int i = 0; i < ps->n; i++)
		if (ps->p[i]->slot == slot)
			ps->p[i]->whole = true;
}

void
params_up2(struct params *ps, struct tensor *const *slot)
{
	for (int i = 0; i < ps->n; i++)
		if (ps->p[i]->slot == slot)
			ps->p[i]->up2 = true;
}

static int
by_name(const void *a, const void *b)
{
	const struct param *const *p = a, *const *q = b;

	return strcmp((*p)->name, (*q)->name);
}

static void
check_names(const struct params *ps)
{
	struct param **s = xmalloc(((size_t)ps->n + 1) * sizeof(struct param *));

	if (ps->n)
		memcpy(s, ps->p, (size_t)ps->n * sizeof(*s));
	qsort(s, (size_t)ps->n, sizeof(struct param *), by_name);
	for (int i = 1; i < ps->n; i++)
		if (!strcmp(s[i - 1]->name, s[i]->name))
			die("params: %s is there twice", s[i]->name);
	free(s);
}

/* Gives each tensor its place. */
static void
lay_out(struct params *ps)
{
	int open[2] = { -1, -1 }; /* the slab being filled: parameters, buffers */

	for (int i = 0; i < ps->n; i++) {
		struct param *p = ps->p[i];
		bool buffer = !trained(p);
		size_t size = dtype_size(storage(ps, p)), bytes;
		struct slab *s = open[buffer] >= 0 ? &ps->slab[open[buffer]] : NULL;

		if (p->kind == PARAM_COUNT || is_packed(ps, p))
			continue;
		if (!mul_size((size_t)p->n, size, &bytes) ||
		    !add_size(bytes, SLAB_ALIGN - 1, &bytes))
			die("params: %s: too large", p->name);
		bytes &= ~(size_t)(SLAB_ALIGN - 1);
		if (!s || s->bytes + bytes > SLAB_MAX) {
			ps->slab = xrealloc(ps->slab, ((size_t)ps->nslab + 1) * sizeof(*ps->slab));
			open[buffer] = ps->nslab;
			s = &ps->slab[ps->nslab++];
			*s = (struct slab){ .buffers = buffer };
		}
		p->slab = open[buffer];
		p->off = s->bytes;
		s->bytes += bytes;
	}
}

void
params_ready(struct params *ps)
{
	check_names(ps);
	ps->ready = true;
	if (ps->outline)
		return;
	lay_out(ps);
	for (int i = 0; i < ps->nslab; i++) {
		struct slab *s = &ps->slab[i];

		s->value = gbuf_new(s->bytes, MEM_PARAM);
		gpu_fill(s->value, 0, s->bytes, 0);
		if (ps->grads && !s->buffers) {
			s->grad = gbuf_new(s->bytes, MEM_GRAD);
			gpu_fill(s->grad, 0, s->bytes, 0);
		}
	}
	for (int i = 0; i < ps->n; i++) {
		struct param *p = ps->p[i];
		struct slab *s;
		int64_t d[TENSOR_MAXDIM];
		int nd = engine_dims(p, d);

		if (p->kind == PARAM_COUNT)
			continue;
		s = is_packed(ps, p) ? NULL : &ps->slab[p->slab];
		p->t = tensor_hold(s ? tensor_in_slab(s->value, p->off, storage(ps, p), nd, d)
		                     : tensor_shell(storage(ps, p), nd, d));
		p->t->name = p->name;
		if (s && s->grad) {
			p->t->requires_grad = true;
			p->t->grad = tensor_hold(tensor_in_slab(s->grad, p->off, F32, nd, d));
			p->grad_mark = p->t->grad->version;
		}
		if (p->slot)
			*p->slot = p->t;
	}
}

struct param *
params_find(const struct params *ps, const char *name)
{
	for (int i = 0; i < ps->n; i++)
		if (!strcmp(ps->p[i]->name, name))
			return ps->p[i];
	return NULL;
}

int64_t
params_elements(const struct params *ps)
{
	int64_t n = 0;

	for (int i = 0; i < ps->n; i++)
		if (trained(ps->p[i]))
			n += ps->p[i]->n;
	return n;
}

int
params_freeze(struct params *ps, const char *prefix, bool frozen)
{
	int n = 0;

	for (int i = 0; i < ps->n; i++) {
		struct param *p = ps->p[i];

		if (!trained(p) || strncmp(p->name, prefix, strlen(prefix)))
			continue;
		p->frozen = frozen;
		if (p->t && ps->grads)
			p->t->requires_grad = !frozen;
		n++;
	}
	return n;
}

/* ---- the file's layout and the engine's ------------------------------------------------------ */

/* [a,b,c] -> [a,c,b]: OIHW to OHWI with c = H*W, and back. */
static void
swap_inner(float *out, const float *in, int64_t a, int64_t b, int64_t c)
{
	for (int64_t i = 0; i < a; i++)
		for (int64_t j = 0; j < b; j++)
			for (int64_t k = 0; k < c; k++)
				out[(i * c + k) * b + j] = in[(i * b + j) * c + k];
}

bool
param_permuted(const struct param *p)
{
	return (p->kind == PARAM_CONV || p->kind == PARAM_CONV_T) && p->dim[1] > 1 &&
	    p->dim[2] * p->dim[3] > 1;
}

static void
get_as_file(const struct param *p, const struct tensor *t, float *out)
{
	float *tmp;

	if (!param_permuted(p)) {
		tensor_get(t, out);
		return;
	}
	tmp = xmalloc((size_t)p->n * sizeof(*tmp));
	tensor_get(t, tmp);
	swap_inner(out, tmp, p->dim[0], p->dim[2] * p->dim[3], p->dim[1]);
	free(tmp);
}

void
params_get(const struct param *p, float *out)
{
	get_as_file(p, p->t, out);
}

void
params_get_grad(const struct param *p, float *out)
{
	if (p->t->grad->stale && !param_has_grad(p))
		memset(out, 0, (size_t)p->n * sizeof(*out));
	else
		get_as_file(p, p->t->grad, out);
}

void
params_put(struct param *p, const float *in)
{
	float *tmp;

	if (!param_permuted(p)) {
		tensor_set(p->t, in);
		return;
	}
	tmp = xmalloc((size_t)p->n * sizeof(*tmp));
	swap_inner(tmp, in, p->dim[0], p->dim[1], p->dim[2] * p->dim[3]);
	tensor_set(p->t, tmp);
	free(tmp);
}

/* ---- gradients ------------------------------------------------------------------------------- */

/* Nothing is written: the first gradient takes the place of what is there, and nobody reads those
 * that got none. */
void
params_zero_grad(struct params *ps)
{
	for (int i = 0; i < ps->n; i++)
		if (ps->p[i]->t && ps->p[i]->t->grad) {
			ps->p[i]->grad_mark = ps->p[i]->t->grad->version;
			ps->p[i]->t->grad->stale = true;
		}
}

bool
param_has_grad(const struct param *p)
{
	return p->t && p->t->grad && p->t->grad->version != p->grad_mark;
}

int
params_ranges(struct params *ps, const struct prange **r)
{
	int n = 0;

	ps->range = xrealloc(ps->range, ((size_t)ps->n + 1) * sizeof(*ps->range));
	for (int i = 0; i < ps->n; i++) {
		struct param *p = ps->p[i];
		struct prange *last = n ? &ps->range[n - 1] : NULL;
		size_t len;

		if (!param_has_grad(p) || p->frozen)
			continue;
		len = ((size_t)p->n * sizeof(float) + SLAB_ALIGN - 1) & ~(size_t)(SLAB_ALIGN - 1);
		if (last && last->slab == p->slab && last->off + last->len == p->off)
			last->len += len;
		else
			ps->range[n++] = (struct prange){ p->slab, p->off, len };
	}
	*r = ps->range;
	return n;
}
