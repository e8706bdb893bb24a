/* Parameters and safetensors files: what fits, reading, writing. */
#include "base/err.h"
#include "gpu/gpu.h"
#include "nn/params.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* values that are under way at once; more where one row of a weight has more */
enum { PIECE = 1 << 18 };

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

/* n values of s, which has them in memory, from the at-th on. */
static struct st_tensor
piece_of(const struct st_tensor *s, int64_t at, int64_t n)
{
	struct st_tensor t = *s;

	t.n = n;
	t.data = (const char *)s->data + (size_t)at * st_dtype_size(s->dtype);
	return t;
}

/* Words whose exponent bits are all set are infinities or no numbers: then the exponent's lowest
 * bit, added to the exponent, carries into the sign's place. Four or two of them at a time. */
static bool
words_finite(const char *p, int64_t n, size_t size, uint64_t exponent)
{
	const uint64_t every = size == 4 ? 0x100000001 : 0x1000100010001,
	    low = exponent & -exponent;
	const uint64_t e = exponent * every, add = low * every,
	               sign = ((exponent + low) & ~exponent) * every;
	size_t bytes = (size_t)n * size, whole = bytes / 8 * 8;
	uint64_t bad = 0, w = 0;

	for (size_t i = 0; i < whole; i += 8) {
		memcpy(&w, p + i, 8);
		bad |= ((w & e) + add) & sign;
	}
	w = 0;
	memcpy(&w, p + whole, bytes - whole);
	bad |= ((w & e) + add) & sign;
	return !bad;
}

static bool
piece_finite(const struct st_tensor *s)
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
	v = xmalloc((size_t)s->n * sizeof(*v) + 1);
	st_get_f32(s, v);
	for (int64_t i = 0; i < s->n && ok; i++)
		ok = isfinite(v[i]);
	free(v);
	return ok;
}

static bool
all_finite(const struct st_tensor *s)
{
	if (s->get)
		return piece_finite(s);
	for (int64_t at = 0; at < s->n; at += PIECE) {
		struct st_tensor t = piece_of(s, at, s->n - at < PIECE ? s->n - at : PIECE);

		if (!piece_finite(&t))
			return false;
	}
	return true;
}

/* ---- what does not fit ----------------------------------------------------------------------- */

static void
put_shape(struct sb *sb, int ndim, const int64_t *dim)
{
	sb_putc(sb, '[');
	for (int i = 0; i < ndim; i++)
		sb_printf(sb, "%s%lld", i ? "," : "", (long long)dim[i]);
	sb_putc(sb, ']');
}

/* The first few in the message, or each on stderr: not a thousand of them, when it is another net's
 * file. */
enum { TOLD = 8, LISTED = 40 };
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
	if (m->list && m->n < LISTED)
		warn("%s: %s", m->path, sb.s);
	else if (!m->list && m->n < TOLD)
		sb_printf(&m->sb, "%s%s", m->n ? "; " : ": ", sb.s);
	m->n++;
	sb_release(&sb);
}

/* Ends the list: 0, or -1 with a message. */
static int
verdict(struct misfits *m)
{
	if (m->n > TOLD && !m->list)
		sb_printf(&m->sb, "; and %d more", m->n - TOLD);
	if (m->list && m->n)
		sb_printf(&m->sb, " (%d tensors%s)", m->n,
		    m->n > LISTED ? ", of which the first are named" : "");
	if (m->n)
		err("%s: does not fit this network%s", m->path, m->sb.s);
	sb_release(&m->sb);
	return m->n ? -1 : 0;
}

/* Names and shapes, and the numbers too if `values`. */
static void
look(const struct params *ps, const struct safetensors *st, const char *prefix, int flags,
    bool values, struct misfits *m)
{
	size_t plen = strlen(prefix);

	for (int i = 0; i < ps->n; i++) {
		const struct param *p = ps->p[i];
		const struct st_tensor *s;

		if (strncmp(p->name, prefix, plen))
			continue;
		s = st_find(st, p->name + plen);
		if (!s) {
			if (!(flags & PARAMS_MISSING) && p->kind != PARAM_COUNT)
				complain(m, "missing", p->name + plen, NULL, NULL);
		} else if (!same_shape(p, s)) {
			complain(m, "misshapen", s->name, p, s);
		} else if (values && p->kind != PARAM_COUNT) {
			if (!all_finite(s))
				complain(m, "not finite:", s->name, NULL, NULL);
			st_done(s);
		}
	}
	for (int i = 0; i < st->n && !(flags & PARAMS_EXTRA); i++) {
		char *full = xasprintf("%s%s", prefix, st->t[i].name);

		if (!params_find(ps, full))
			complain(m, "unknown", st->t[i].name, NULL, NULL);
		free(full);
	}
}

int
params_check(const struct params *ps, const struct safetensors *st, const char *prefix, int flags)
{
	struct misfits m = { .path = st->path, .list = flags & PARAMS_LIST };

	look(ps, st, prefix, flags, !(flags & PARAMS_NAMES), &m);
	return verdict(&m);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* [rows][b][c] to [rows][c][b] of words of 2 or 4 bytes. */
static void
turn_words(void *to, const void *from, int64_t rows, int64_t b, int64_t c, size_t size)
{
	size_t step = (size_t)c * size;
	char *out = to;

	for (int64_t r = 0; r < rows; r++)
		for (int64_t k = 0; k < c; k++) {
			const char *in = (const char *)from + (size_t)(r * b * c + k) * size;

			if (size == 2)
				for (int64_t i = 0; i < b; i++, in += step, out += 2)
					memcpy(out, in, 2);
			else
				for (int64_t i = 0; i < b; i++, in += step, out += 4)
					memcpy(out, in, 4);
		}
}

/* Room for a piece in the net's type, for it turned, and for values that are made as they are
 * wanted; on the device for a weight that is then packed. */
struct room {
	void *values, *turned, *whole;
	size_t cap[2];
	struct gbuf *weight;
};

/* Where the values of p are written: its own memory, or for a while the room's. */
static struct tensor *
values_tensor(struct param *p, struct room *room)
{
	size_t bytes = (size_t)p->n * dtype_size(p->t->dtype);

	if (p->t->buf)
		return tensor_alias(p->t);
	if (room->weight && gbuf_size(room->weight) < bytes) {
		gbuf_unref(room->weight);
		room->weight = NULL;
		gpu_trim();
	}
	if (!room->weight)
		room->weight = gbuf_new(bytes, MEM_WORK);
	if (gpu_info()->cpu)
		gpu_wait(); /* so that they are written in place */
	return tensor_in_slab(room->weight, 0, p->t->dtype, p->t->ndim, p->t->dim);
}

/* The piece as dtype: the file's own bytes where they are that already. */
static const void *
as_dtype(const struct st_tensor *s, enum dtype dtype, struct room *room)
{
	static const enum st_dtype same[] = { [F32] = ST_F32, [F16] = ST_F16, [BF16] = ST_BF16 };
	float *f;

	if (same[dtype] == s->dtype)
		return s->data;
	room->values = xgrow(room->values, &room->cap[0], (size_t)s->n, sizeof(float));
	f = room->values;
	st_get_f32(s, f);
	if (dtype == F32)
		return f;
	/* halves overwrite the floats that they came from */
	for (int64_t i = 0; i < s->n; i++) {
		uint16_t h = dtype == F16 ? f32_to_f16(f[i]) : f32_to_bf16(f[i]);

		memcpy((char *)room->values + 2 * i, &h, 2);
	}
	return room->values;
}

/* Piece by piece from the file to the device. False: a number that is none was among them. */
static bool
load_one(struct param *p, const struct st_tensor *s, struct room *room)
{
	bool turn = param_permuted(p), ok = true;
	int64_t row = turn ? s->n / p->dim[0] : 1, step = row < PIECE ? PIECE / row * row : row;
	struct st_tensor whole = *s;
	struct tensor *to;
	size_t size;
	float count;

	if (p->kind == PARAM_COUNT) {
		st_get_f32(s, &count);
		p->count = (int64_t)count;
		return true;
	}
	if (s->get) {
		whole.dtype = ST_F32;
		whole.get = NULL;
		whole.data = room->whole = xrealloc(room->whole, (size_t)s->n * sizeof(float));
		st_get_f32(s, room->whole);
		s = &whole;
	}
	size = dtype_size(p->t->dtype);
	scope_open();
	to = values_tensor(p, room);
	for (int64_t at = 0; at < s->n; at += step) {
		struct st_tensor t = piece_of(s, at, s->n - at < step ? s->n - at : step);
		const void *v;

		ok &= piece_finite(&t);
		v = as_dtype(&t, p->t->dtype, room);
		if (turn) {
			room->turned =
			    xgrow(room->turned, &room->cap[1], (size_t)t.n, sizeof(float));
			turn_words(room->turned, v, t.n / row, p->dim[1], p->dim[2] * p->dim[3],
			    size);
			v = room->turned;
		}
		gpu_write(to->buf, to->off + (size_t)at * size, v, (size_t)t.n * size);
	}
	if (p->t->buf)
		p->t->version++;
	else if (p->up2)
		tensor_pack_up2(p->t, to);
	else
		tensor_pack(p->t, to);
	scope_close();
	if (p->up2)
		gpu_trim(); /* that made copies on the way */
	return ok;
}

int
params_load(struct params *ps, const struct safetensors *st, const char *prefix, int flags)
{
	struct misfits m = { .path = st->path };
	size_t plen = strlen(prefix);
	struct room room = { 0 };

	look(ps, st, prefix, flags, false, &m);
	sb_release(&m.sb);
	if (m.n) /* once more, numbers too: all is to be told */
		return params_check(ps, st, prefix, flags & ~PARAMS_NAMES);
	m.list = flags & PARAMS_LIST;
	gpu_wait(); /* what lies still in host memory is written in place */
	for (int i = 0; i < ps->n; i++) {
		struct param *p = ps->p[i];
		const struct st_tensor *s;

		if (strncmp(p->name, prefix, plen) || !(s = st_find(st, p->name + plen)))
			continue;
		if (!load_one(p, s, &room))
			complain(&m, "not finite:", s->name, NULL, NULL);
		st_done(s);
	}
	/* what was mapped along with its neighbours leaves memory too */
	for (int i = 0; i < st->n; i++)
		st_done(&st->t[i]);
	free(room.values);
	free(room.turned);
	free(room.whole);
	if (room.weight) {
		gbuf_unref(room.weight);
		gpu_trim(); /* nothing else is so large */
	}
	return verdict(&m);
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

/* ---- writing --------------------------------------------------------------------------------- */

static void
values_of(const void *param, float *out)
{
	params_get(param, out);
}

void
param_as_tensor(const struct param *p, struct st_tensor *t)
{
	*t = (struct st_tensor){ .name = p->name, .dtype = ST_F32, .ndim = p->ndim, .n = p->n };
	memcpy(t->dim, p->dim, (size_t)p->ndim * sizeof(*p->dim));
	if (p->kind == PARAM_COUNT) {
		t->dtype = ST_I64;
		t->data = &p->count;
	} else {
		t->get = values_of;
		t->src = p;
	}
}

int
params_save(const struct params *ps, const char *path, const char *const *meta)
{
	struct st_tensor *t = xcalloc((size_t)ps->n + 1, sizeof(*t));
	int r;

	for (int i = 0; i < ps->n; i++)
		param_as_tensor(ps->p[i], &t[i]);
	r = st_write(path, t, ps->n, meta);
	free(t);
	return r;
}
