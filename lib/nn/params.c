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

bool
params_outline(bool on)
{
	bool was = outlines;

	outlines = on;
	return was;
}

void
params_init(struct params *ps, enum dtype dtype, bool grads)
{
	if (grads && dtype != F32)
		die("params: gradients want F32 values");
	*ps = (struct params){ .dtype = dtype, .grads = grads, .outline = outlines };
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

/* Norms and biases are few, and sums want them whole. */
static enum dtype
storage(const struct params *ps, const struct param *p)
{
	return trained(p) && p->ndim > 1 ? ps->dtype : F32;
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

		if (p->kind == PARAM_COUNT)
			continue;
		if (!mul_size((size_t)p->n, size, &bytes) || !add_size(bytes, SLAB_ALIGN - 1, &bytes))
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
		s = &ps->slab[p->slab];
		p->t = tensor_hold(tensor_in_slab(s->value, p->off, storage(ps, p), nd, d));
		p->t->name = p->name;
		if (s->grad) {
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

/* ---- the file's layout and the engine's -------------------------------------------------------- */

/* [a,b,c] -> [a,c,b]: OIHW to OHWI with c = H*W, and back. */
static void
swap_inner(float *out, const float *in, int64_t a, int64_t b, int64_t c)
{
	for (int64_t i = 0; i < a; i++)
		for (int64_t j = 0; j < b; j++)
			for (int64_t k = 0; k < c; k++)
				out[(i * c + k) * b + j] = in[(i * b + j) * c + k];
}

static bool
permuted(const struct param *p)
{
	return (p->kind == PARAM_CONV || p->kind == PARAM_CONV_T) && p->dim[1] > 1 &&
	    p->dim[2] * p->dim[3] > 1;
}

static void
get_as_file(const struct param *p, const struct tensor *t, float *out)
{
	float *tmp;

	if (!permuted(p)) {
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
	get_as_file(p, p->t->grad, out);
}

void
params_put(struct param *p, const float *in)
{
	float *tmp;

	if (!permuted(p)) {
		tensor_set(p->t, in);
		return;
	}
	tmp = xmalloc((size_t)p->n * sizeof(*tmp));
	swap_inner(tmp, in, p->dim[0], p->dim[1], p->dim[2] * p->dim[3]);
	tensor_set(p->t, tmp);
	free(tmp);
}

/* ---- files -------------------------------------------------------------------------------------- */

static bool
same_shape(const struct param *p, const struct st_tensor *s)
{
	if (p->ndim != s->ndim)
		return false;
	for (int i = 0; i < p->ndim; i++)
		if (p->dim[i] != s->dim[i])
			return false;
	return true;
}

/* Words whose exponent bits are all set are infinities or no numbers. */
static bool
words_finite(const char *p, int64_t n, size_t size, uint32_t exponent)
{
	uint32_t bad = 0;

	for (int64_t i = 0; i < n && !bad; i += 4096) {
		int64_t end = i + 4096 < n ? i + 4096 : n;

		if (size == 4) {
			for (int64_t k = i; k < end; k++) {
				uint32_t w;

				memcpy(&w, p + 4 * k, 4);
				bad |= (w & exponent) == exponent;
			}
			continue;
		}
		for (int64_t k = i; k < end; k++) {
			uint16_t w;

			memcpy(&w, p + 2 * k, 2);
			bad |= (w & exponent) == exponent;
		}
	}
	return !bad;
}

static bool
all_finite(const struct st_tensor *s)
{
	float *v;
	bool ok = true;

	switch (s->dtype) {
	case ST_F32:
		return words_finite(s->data, s->n, 4, 0x7f800000);
	case ST_F16:
		return words_finite(s->data, s->n, 2, 0x7c00);
	case ST_BF16:
		return words_finite(s->data, s->n, 2, 0x7f80);
	default:
		break;
	}
	v = xmalloc((size_t)s->n * sizeof(*v));
	st_get_f32(s, v);
	for (int64_t i = 0; i < s->n && ok; i++)
		ok = isfinite(v[i]);
	free(v);
	return ok;
}

static void
put_shape(struct sb *sb, int ndim, const int64_t *dim)
{
	sb_putc(sb, '[');
	for (int i = 0; i < ndim; i++)
		sb_printf(sb, "%s%lld", i ? "," : "", (long long)dim[i]);
	sb_putc(sb, ']');
}

/* What does not fit: the first few in the message, or each on stderr. */
struct misfits {
	struct sb sb;
	const char *path;
	int n;
	bool list;
};

static void
complain(struct misfits *m, const char *word, const char *name, const struct param *p,
    const struct st_tensor *s)
{
	struct sb sb = { 0 };

	sb_printf(&sb, "%s %s", word, name);
	if (p) {
		sb_putc(&sb, ' ');
		put_shape(&sb, s->ndim, s->dim);
		sb_puts(&sb, ", not ");
		put_shape(&sb, p->ndim, p->dim);
	}
	if (m->list)
		warn("%s: %s", m->path, sb.s);
	else if (m->n < 8)
		sb_printf(&m->sb, "%s%s", m->n ? "; " : ": ", sb.s);
	m->n++;
	sb_release(&sb);
}

int
params_check(const struct params *ps, const struct safetensors *st, const char *prefix, int flags)
{
	struct misfits m = { .path = st->path, .list = flags & PARAMS_LIST };
	size_t plen = strlen(prefix);

	for (int i = 0; i < ps->n; i++) {
		const struct param *p = ps->p[i];
		const struct st_tensor *s;

		if (strncmp(p->name, prefix, plen))
			continue;
		s = st_find(st, p->name + plen);
		if (!s) {
			if (!(flags & PARAMS_MISSING) && p->kind != PARAM_COUNT)
				complain(&m, "missing", p->name + plen, NULL, NULL);
		} else if (!same_shape(p, s)) {
			complain(&m, "misshapen", s->name, p, s);
		} else if (p->kind != PARAM_COUNT && !all_finite(s)) {
			complain(&m, "not finite:", s->name, NULL, NULL);
		}
	}
	for (int i = 0; i < st->n && !(flags & PARAMS_EXTRA); i++) {
		char *full = xasprintf("%s%s", prefix, st->t[i].name);

		if (!params_find(ps, full))
			complain(&m, "unknown", st->t[i].name, NULL, NULL);
		free(full);
	}
	if (m.n > 8 && !m.list)
		sb_printf(&m.sb, "; and %d more", m.n - 8);
	if (m.list && m.n)
		sb_printf(&m.sb, " (%d tensors)", m.n);
	if (m.n)
		err("%s: does not fit this network%s", st->path, m.sb.s);
	sb_release(&m.sb);
	return m.n ? -1 : 0;
}

/* As bytes where the file has what the device wants; by way of floats otherwise. */
static void
load_one(struct param *p, const struct st_tensor *s)
{
	static const enum st_dtype same[] = { [F32] = ST_F32, [F16] = ST_F16, [BF16] = ST_BF16 };
	float *v;

	if (p->kind != PARAM_COUNT && !permuted(p) && same[p->t->dtype] == s->dtype) {
		gpu_write(p->t->buf, p->t->off, s->data, (size_t)s->n * dtype_size(p->t->dtype));
		p->t->version++;
		return;
	}
	v = xmalloc(((size_t)s->n + 1) * sizeof(*v));
	st_get_f32(s, v);
	if (p->kind == PARAM_COUNT)
		p->count = (int64_t)v[0];
	else
		params_put(p, v);
	free(v);
}

int
params_load(struct params *ps, const struct safetensors *st, const char *prefix, int flags)
{
	size_t plen = strlen(prefix);

	if (params_check(ps, st, prefix, flags))
		return -1;
	for (int i = 0; i < ps->n; i++) {
		struct param *p = ps->p[i];
		const struct st_tensor *s;

		if (strncmp(p->name, prefix, plen) == 0 && (s = st_find(st, p->name + plen)))
			load_one(p, s);
	}
	return 0;
}

int
params_load_file(struct params *ps, const char *path, int flags)
{
	struct safetensors st;
	int r;

	if (st_open(&st, path))
		return -1;
	r = params_load(ps, &st, "", flags);
	st_close(&st);
	return r;
}

int
params_save(const struct params *ps, const char *path, const char *const *meta)
{
	struct st_tensor *t = xcalloc((size_t)ps->n + 1, sizeof(*t));
	int r;

	for (int i = 0; i < ps->n; i++) {
		struct param *p = ps->p[i];
		float *v;

		t[i] = (struct st_tensor){ .name = p->name, .dtype = ST_F32, .ndim = p->ndim, .n = p->n };
		memcpy(t[i].dim, p->dim, (size_t)p->ndim * sizeof(*p->dim));
		if (p->kind == PARAM_COUNT) {
			t[i].dtype = ST_I64;
			t[i].data = &p->count;
			continue;
		}
		v = xmalloc((size_t)p->n * sizeof(*v));
		params_get(p, v);
		t[i].data = v;
	}
	r = st_write(path, t, ps->n, meta);
	for (int i = 0; i < ps->n; i++)
		if (ps->p[i]->kind != PARAM_COUNT)
			free((void *)t[i].data);
	free(t);
	return r;
}

/* ---- gradients ---------------------------------------------------------------------------------- */

void
params_zero_grad(struct params *ps)
{
	for (int i = 0; i < ps->nslab; i++)
		if (ps->slab[i].grad)
			gpu_fill(ps->slab[i].grad, 0, ps->slab[i].bytes, 0);
	for (int i = 0; i < ps->n; i++)
		if (ps->p[i]->t && ps->p[i]->t->grad)
			ps->p[i]->grad_mark = ps->p[i]->t->grad->version;
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
