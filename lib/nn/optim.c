#include "nn/optim.h"

#include "base/err.h"
#include "base/mem.h"
#include "data/safetensors.h"
#include "nn/slabs.h"
#include "tensor/op.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	BLOCK = 256,          /* values that share a scale */
	BLOCK_WORDS = 132,    /* of 8-bit state: see optim_adam8.comp */
	FLOAT_WORDS = 512,
	SMALL = 4096,         /* tensors below keep float state */
	NORM_GROUPS = 1024    /* partial sums of a piece of gradients */
};

static const char *const kind_names[] = { "sgd", "adam", "adamw", "adamw8bit" };

int
optim_kind_from(const char *name, enum optim_kind *k)
{
	for (int i = 0; i < 4; i++)
		if (!strcmp(name, kind_names[i])) {
			*k = (enum optim_kind)i;
			return 0;
		}
	return err("%s: not an optimiser: sgd, adam, adamw or adamw8bit", name);
}

/* ---- state ----------------------------------------------------------------------------------- */

static struct gbuf *
zeroed(size_t bytes)
{
	struct gbuf *b = gbuf_new(bytes, MEM_OPT);

	gpu_fill(b, 0, bytes, 0);
	return b;
}

/* Lists a slab's blocks: first quad, values, first word of state, 8-bit or not. */
static void
make_blocks(struct optim_slab *s)
{
	struct params *ps = s->params;
	size_t n = 0, words = 0;

	s->block = xcalloc((size_t)ps->n + 1, sizeof(*s->block));
	for (int i = 0; i < ps->n; i++) {
		s->block[i] = (uint32_t)n;
		if (ps->p[i]->t && ps->p[i]->t->grad && ps->p[i]->slab == s->slab)
			n += (size_t)(ps->p[i]->n + BLOCK - 1) / BLOCK;
	}
	s->block[ps->n] = (uint32_t)n;
	s->table = xcalloc(n + 1, sizeof(*s->table));
	for (int i = 0; i < ps->n; i++) {
		const struct param *p = ps->p[i];

		for (uint32_t b = s->block[i]; b < s->block[i + 1]; b++) {
			size_t at = (size_t)(b - s->block[i]) * BLOCK;
			size_t left = (size_t)p->n - at;

			s->table[b][0] = (uint32_t)((p->off / 4 + at) / 4);
			s->table[b][1] = (uint32_t)(left < BLOCK ? left : BLOCK);
			s->table[b][2] = (uint32_t)words;
			s->table[b][3] = p->n >= SMALL;
			words += p->n >= SMALL ? BLOCK_WORDS : FLOAT_WORDS;
		}
	}
	s->bytes = (words ? words : 1) * 4;
	s->m = zeroed(s->bytes);
	s->table_there = gbuf_new((n + 1) * sizeof(*s->table), MEM_OPT);
	gpu_write(s->table_there, 0, s->table, (n + 1) * sizeof(*s->table));
}

void
optim_init(struct optim *o, const struct optim_conf *conf, struct params *const *ps, int n)
{
	*o = (struct optim){ .conf = *conf, .nparams = n };
	o->params = xcalloc((size_t)n, sizeof(struct params *));
	memcpy(o->params, ps, (size_t)n * sizeof(*ps));
	o->factor = gbuf_new(4, MEM_OPT);
	gpu_write(o->factor, 0, &(float){ 1 }, 4);
	for (int i = 0; i < n; i++)
		for (int j = 0; j < ps[i]->nslab; j++) {
			struct optim_slab *s;

			if (!ps[i]->slab[j].grad)
				continue;
			o->slab = xrealloc(o->slab, ((size_t)o->nslab + 1) * sizeof(*o->slab));
			s = &o->slab[o->nslab++];
			*s = (struct optim_slab){ .params = ps[i], .slab = j,
				.bytes = ps[i]->slab[j].bytes };
			if (conf->kind == OPTIM_ADAMW8) {
				make_blocks(s);
				continue;
			}
			if (conf->kind != OPTIM_SGD || conf->momentum != 0)
				s->m = zeroed(s->bytes);
			if (conf->kind != OPTIM_SGD)
				s->v = zeroed(s->bytes);
		}
}

void
optim_release(struct optim *o)
{
	for (int i = 0; i < o->nslab; i++) {
		gbuf_unref(o->slab[i].m);
		gbuf_unref(o->slab[i].v);
		gbuf_unref(o->slab[i].table_there);
		free(o->slab[i].table);
		free(o->slab[i].block);
	}
	gbuf_unref(o->factor);
	free(o->slab);
	free(o->params);
	*o = (struct optim){ 0 };
}

/* ---- the gradients' norm --------------------------------------------------------------------- */

struct tensor *
optim_clip(struct optim *o, double max_norm, double scale)
{
	bool texel = gpu_info()->texel && gpu_info()->shuffle;
	uint32_t local = texel ? gpu_info()->subgroup : 128, count = 0;
	struct tensor *norm = tensor_new(F32, 0, NULL), *part;
	struct slab_piece piece;
	struct {
		uint32_t n;
		float max_norm, inverse_scale;
	} push = { 0, (float)max_norm, (float)(1 / scale) };

	for (struct slab_walk w = slab_walk(o->params, o->nparams); slab_next(&w, &piece);)
		count += NORM_GROUPS;
	part = tensor_empty(F32, count + 1);
	for (struct slab_walk w = slab_walk(o->params, o->nparams); slab_next(&w, &piece);) {
		struct {
			uint32_t n, each, first;
		} p = { (uint32_t)(piece.len / 16), 0, push.n };
		uint32_t groups;

		/* at least 64 rounds each, so that the partial sums are few beside the gradients */
		p.each = (p.n + NORM_GROUPS - 1) / NORM_GROUPS;
		if (p.each < 64 * local)
			p.each = 64 * local;
		groups = (p.n + p.each - 1) / p.each;
		gpu_run(&(struct gpu_call){ .kernel = texel ? K_OPTIM_NORM_T : K_OPTIM_NORM_V,
		    .arg = { { piece.slab->grad, piece.off, piece.len }, tensor_arg(part) },
		    .nargs = 2, .spec = { local }, .nspec = 1, .push = &p, .npush = sizeof(p),
		    .groups = { groups }, .flops = (double)piece.len / 2,
		    .bytes = (double)piece.len });
		push.n += groups;
	}
	gpu_run(&(struct gpu_call){ .kernel = texel ? K_OPTIM_CLIP_T : K_OPTIM_CLIP_V,
	    .arg = { tensor_arg(part), tensor_arg(norm), { o->factor, 0, 4 } }, .nargs = 3,
	    .spec = { local }, .nspec = 1, .push = &push, .npush = sizeof(push), .groups = { 1 },
	    .flops = push.n, .bytes = 4. * push.n });
	o->clipped = true;
	return norm;
}

/* ---- the step -------------------------------------------------------------------------------- */

struct step_push {
	uint32_t n;
	float lr, decay, beta1, beta2, rate, root, eps;
};

static const struct optim_slab *
state_of(const struct optim *o, const struct slab_piece *piece)
{
	for (int i = 0; i < o->nslab; i++)
		if (&o->slab[i].params->slab[o->slab[i].slab] == piece->slab)
			return &o->slab[i];
	die("optim: a slab without state");
}

static void
step_piece(const struct optim *o, const struct slab_piece *piece, struct step_push *push)
{
	const struct optim_slab *s = state_of(o, piece);
	size_t off = piece->off, len = piece->len;
	struct gpu_arg p = { piece->slab->value, off, len }, g = { piece->slab->grad, off, len };
	struct gpu_arg m = { s->m, off, len }, v = { s->v, off, len }, f = { o->factor, 0, 4 };
	bool texel = gpu_info()->texel, sgd = o->conf.kind == OPTIM_SGD;
	double values = (double)len / 4;

	push->n = (uint32_t)(len / 16);
	if (!s->m) {
		struct {
			uint32_t n;
			float lr, decay;
		} plain = { push->n, push->lr, push->decay };

		gpu_run(&(struct gpu_call){ .kernel = texel ? K_OPTIM_PLAIN_T : K_OPTIM_PLAIN_V,
		    .arg = { p, g, f, p }, .nargs = 4, .push = &plain, .npush = sizeof(plain),
		    .groups = { gpu_groups(push->n, FLAT_STEP) }, .flops = 4 * values,
		    .bytes = 12 * values });
		return;
	}
	gpu_run(&(struct gpu_call){
	    .kernel = sgd ? (texel ? K_OPTIM_SGD_T : K_OPTIM_SGD_V)
	        : (texel ? K_OPTIM_ADAM_T : K_OPTIM_ADAM_V),
	    .arg = { p, m, m, g, f, p, v, v }, .nargs = sgd ? 6 : 8,
	    .spec = { sgd ? o->conf.nesterov : o->conf.kind == OPTIM_ADAMW }, .nspec = 1,
	    .push = push, .npush = sizeof(*push), .groups = { gpu_groups(push->n, FLAT_STEP) },
	    .flops = (sgd ? 7 : 16) * values, .bytes = (sgd ? 20 : 28) * values });
}

/* `want` bytes at `off` of a buffer, or as many as its `bytes` leave. */
static struct gpu_arg
window(struct gbuf *b, size_t bytes, size_t off, size_t want)
{
	return (struct gpu_arg){ b, off, want < bytes - off ? want : bytes - off };
}

/* Blocks [first, end) of a slab's 8-bit state, which one binding covers. */
static void
step_blocks(const struct optim *o, const struct optim_slab *s, uint32_t first, uint32_t end,
    const struct step_push *step)
{
	bool texel = gpu_info()->texel && gpu_info()->shuffle;
	uint32_t local = texel ? gpu_info()->subgroup : 64, n = end - first;
	const struct slab *slab = &s->params->slab[s->slab];
	/* bindings begin at multiples of 256 bytes, as blocks' values do */
	uint32_t quad = s->table[first][0], word = s->table[first][2] & ~63u;
	size_t at = (size_t)quad * 16, len = (size_t)(s->table[end - 1][0] - quad + BLOCK / 4) * 16;
	size_t words = s->table[end - 1][2] - word + FLOAT_WORDS;
	struct gpu_arg p = window(slab->value, slab->bytes, at, len);
	struct gpu_arg m = window(s->m, s->bytes, (size_t)word * 4, words * 4);
	struct {
		uint32_t first, blocks, quad, word;
		float lr, decay, beta1, beta2, rate, root, eps;
	} push = { first, n, quad, word, step->lr, step->decay, step->beta1, step->beta2,
	    step->rate,
		step->root, step->eps };

	gpu_run(&(struct gpu_call){ .kernel = texel ? K_OPTIM_ADAM8_T : K_OPTIM_ADAM8_V,
	    .arg = { p, window(slab->grad, slab->bytes, at, len), m, { o->factor, 0, 4 },
	        { s->table_there, 0, 0 }, p, m },
	    .nargs = 7, .spec = { local, 64 / local }, .nspec = 2, .push = &push,
	    .npush = sizeof(push), .groups = { gpu_groups(n, 1) }, .flops = 120. * BLOCK * n,
	    .bytes = 16. * BLOCK * n });
}

static void
step_run(const struct optim *o, const struct optim_slab *s, uint32_t first, uint32_t end,
    const struct step_push *push)
{
	/* a block takes at most 1 KiB of the slab and 2 KiB of state */
	uint32_t most = (uint32_t)(slab_piece_max() / (FLOAT_WORDS * 4)) - 1;

	for (; first < end; first += most)
		step_blocks(o, s, first, end - first < most ? end : first + most, push);
}

static void
step8(const struct optim *o, const struct step_push *push)
{
	for (int i = 0; i < o->nslab; i++) {
		const struct optim_slab *s = &o->slab[i];
		uint32_t first = 0, end = 0;

		/* neighbours with gradients in one dispatch */
		for (int j = 0; j < s->params->n; j++) {
			const struct param *p = s->params->p[j];

			if (s->block[j] == s->block[j + 1] || p->frozen || !param_has_grad(p))
				continue;
			if (s->block[j] != end) {
				step_run(o, s, first, end, push);
				first = s->block[j];
			}
			end = s->block[j + 1];
		}
		step_run(o, s, first, end, push);
	}
}

void
optim_step(struct optim *o, double lr)
{
	const struct optim_conf *c = &o->conf;
	double t = (double)++o->step;
	struct step_push push = { .lr = (float)lr, .decay = (float)c->weight_decay,
		.beta1 = (float)c->momentum };
	struct slab_piece piece;

	if (c->kind != OPTIM_SGD) {
		push.beta1 = (float)c->beta1;
		push.beta2 = (float)c->beta2;
		push.rate = (float)(lr / (1 - pow(c->beta1, t)));
		push.root = (float)sqrt(1 - pow(c->beta2, t));
		push.eps = (float)c->eps;
	}
	if (c->kind == OPTIM_ADAMW8)
		step8(o, &push);
	else
		for (struct slab_walk w = slab_walk(o->params, o->nparams); slab_next(&w, &piece);)
			step_piece(o, &piece, &push);
	for (int i = 0; i < o->nparams; i++)
		for (int j = 0; j < o->params[i]->n; j++) {
			struct param *p = o->params[i]->p[j];

			if (param_has_grad(p) && !p->frozen)
				p->t->version++;
		}
	if (o->clipped)
		gpu_fill(o->factor, 0, 4, 0x3F800000u); /* 1.0f */
	o->clipped = false;
}

/* ---- checkpoints ----------------------------------------------------------------------------- */

/* The n-th buffer of state, or NULL. */
static struct gbuf *
state_buffer(const struct optim *o, int n)
{
	const struct optim_slab *s = &o->slab[n / 2];

	return n % 2 ? s->v : s->m;
}

int
optim_save(const struct optim *o, const char *path)
{
	struct st_tensor *t = xcalloc(2 * (size_t)o->nslab + 1, sizeof(*t));
	const char *meta[] = { "optimiser", kind_names[o->conf.kind], NULL };
	int n = 1, r;

	t[0] = (struct st_tensor){ .name = "step", .dtype = ST_I64, .n = 1, .data = &o->step };
	for (int i = 0; i < 2 * o->nslab; i++) {
		struct gbuf *b = state_buffer(o, i);
		size_t bytes = o->slab[i / 2].bytes;
		char *name, *data;

		if (!b)
			continue;
		name = xasprintf("%s.%d", i % 2 ? "v" : "m", i / 2);
		data = xmalloc(bytes);
		gpu_read(b, 0, data, bytes);
		/* 8-bit codes and scales are stored as words that no reader may touch: integers */
		t[n++] = (struct st_tensor){ .name = name,
			.dtype = o->conf.kind == OPTIM_ADAMW8 ? ST_I32 : ST_F32, .ndim = 1,
			.dim = { (int64_t)(bytes / 4) }, .n = (int64_t)(bytes / 4), .data = data };
	}
	r = st_write(path, t, n, meta);
	for (int i = 1; i < n; i++) {
		free((void *)t[i].name);
		free((void *)t[i].data);
	}
	free(t);
	return r;
}

static const struct st_tensor *
find_state(const struct safetensors *st, int i)
{
	char name[32];

	snprintf(name, sizeof(name), "%s.%d", i % 2 ? "v" : "m", i / 2);
	return st_find(st, name);
}

int
optim_load(struct optim *o, const char *path)
{
	struct safetensors st;
	const struct st_tensor *step;
	const char *kind;
	int r = 0, n = 1;

	if (st_open(&st, path))
		return -1;
	step = st_find(&st, "step");
	kind = st_meta(&st, "optimiser");
	if (!step || step->dtype != ST_I64 || step->n != 1)
		r = err("%s: no optimiser's state", path);
	else if (!kind || strcmp(kind, kind_names[o->conf.kind]))
		r = err("%s: the state of %s, wanted %s", path, kind ? kind : "none",
		    kind_names[o->conf.kind]);
	for (int i = 0; i < 2 * o->nslab && !r; i++) {
		const struct st_tensor *t = find_state(&st, i);

		if (!state_buffer(o, i))
			continue;
		n++;
		if (!t || st_dtype_size(t->dtype) != 4 || (size_t)t->n * 4 != o->slab[i / 2].bytes)
			r = err("%s: state of other parameters", path);
	}
	if (!r && n != st.n)
		r = err("%s: state of other parameters", path);
	for (int i = 0; i < 2 * o->nslab && !r; i++)
		if (state_buffer(o, i))
			gpu_write(state_buffer(o, i), 0, find_state(&st, i)->data,
			    o->slab[i / 2].bytes);
	if (!r)
		memcpy(&o->step, step->data, sizeof(o->step));
	st_close(&st);
	return r;
}
