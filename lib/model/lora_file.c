#include "model/lora.h"

#include "base/err.h"
#include "base/file.h"
#include "base/opt.h"
#include "data/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum part { DOWN, UP, ALPHA, PARTS };
enum { LISTED = 40 }; /* misfits that are told one by one */

/* What is being read. */
struct reader {
	struct lora_file *f;
	const struct params *const *net;
	bool (*have)[PARTS];      /* of each entry */
	size_t cap;
	int bad;
};

static void
complain(struct reader *r, const char *word, const char *name)
{
	/* not a thousand lines, when it is another net's file */
	if (r->bad++ < LISTED)
		warn("%s: %s %s", r->f->path, word, name);
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* Cuts the part's word off the end of a key. */
static bool
cut_part(char *key, enum part *part)
{
	static const struct {
		const char *word;
		enum part part;
	} table[] = {
		{ ".lora_A.weight", DOWN }, { ".lora_A.default.weight", DOWN },
		    { ".lora_down.weight", DOWN },
		{ ".lora.down.weight", DOWN }, { ".lora_linear_layer.down.weight", DOWN },
		{ "_lora.down.weight", DOWN }, { ".lora_B.weight", UP },
		    { ".lora_B.default.weight", UP },
		{ ".lora_up.weight", UP }, { ".lora.up.weight", UP },
		    { ".lora_linear_layer.up.weight", UP },
		{ "_lora.up.weight", UP }, { ".alpha", ALPHA },
	};
	size_t len = strlen(key);

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		size_t n = strlen(table[i].word);

		if (len <= n || strcmp(key + len - n, table[i].word) != 0)
			continue;
		key[len - n] = '\0';
		*part = table[i].part;
		return true;
	}
	return false;
}

/* diffusers' oldest form: attn1.processor.to_q is attn1.to_q, processor.to_out is to_out.0. */
static char *
without_processor(const char *stem)
{
	static const char word[] = ".processor.";
	const char *at = strstr(stem, word);

	if (!at)
		return xstrdup(stem);
	return xasprintf("%.*s.%s%s", (int)(at - stem), stem, at + sizeof(word) - 1,
	    strcmp(at + sizeof(word) - 1, "to_out") == 0 ? ".0" : "");
}

/* name is "STEM.weight", or that with _ for each dot of the stem. */
static bool
is_weight(const char *name, const char *stem, bool underscores)
{
	size_t n = strlen(stem);

	if (strlen(name) != n + strlen(".weight") || strcmp(name + n, ".weight") != 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (stem[i] != (underscores && name[i] == '.' ? '_' : name[i]))
			return false;
	return true;
}

/* The weight that a stem names, and its net. */
static const struct param *
find_weight(const struct reader *r, const char *stem, enum sd_net *net)
{
	static const struct {
		const char *prefix;
		enum sd_net net; /* SD_NETS: any */
		bool underscores;
	} table[] = {
		{ "unet.", SD_UNET, false }, { "text_encoder.", SD_TEXT, false },
		    { "lora_unet_", SD_UNET, true },
		{ "lora_te_", SD_TEXT, true }, { "lora_te1_", SD_TEXT, true },
		    { "base_model.model.", SD_NETS, false },
		{ "", SD_NETS, false },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		size_t n = strlen(table[i].prefix);

		if (strncmp(stem, table[i].prefix, n) != 0)
			continue;
		for (int k = 0; k < SD_NETS; k++) {
			const struct params *ps = r->net[k];

			if (!ps || (table[i].net != SD_NETS && (int)table[i].net != k))
				continue;
			for (int j = 0; j < ps->n; j++)
				if (is_weight(ps->p[j]->name, stem + n, table[i].underscores)) {
					*net = (enum sd_net)k;
					return ps->p[j];
				}
		}
	}
	return NULL;
}

/* ---- values ---------------------------------------------------------------------------------- */

static size_t
entry_of(struct reader *r, const struct param *p, enum sd_net net)
{
	struct lora_file *f = r->f;
	struct lora_entry e = { .net = net, .out = p->dim[0], .in = p->n / p->dim[0] };
	size_t len = strlen(p->name) - strlen(".weight");

	for (size_t i = 0; i < f->n; i++)
		if (f->e[i].net == net && strlen(f->e[i].target) == len &&
		    strncmp(f->e[i].target, p->name, len) == 0)
			return i;
	e.target = xstrndup(p->name, len);
	f->e = xgrow(f->e, &f->cap, f->n + 1, sizeof(*f->e));
	r->have = xgrow(r->have, &r->cap, f->n + 1, sizeof(*r->have));
	memset(r->have[f->n], 0, sizeof(*r->have));
	f->e[f->n] = e;
	return f->n++;
}

/* down: [rank, then as W from its second dimension]; up: [W's first, rank]; ones may follow. */
static bool
fits(const struct st_tensor *t, const struct param *p, enum part part)
{
	int n = part == DOWN ? p->ndim : 2;

	if (t->ndim < n || t->n == 0)
		return false;
	for (int i = n; i < t->ndim; i++)
		if (t->dim[i] != 1)
			return false;
	if (part == UP)
		return t->dim[0] == p->dim[0];
	for (int i = 1; i < n; i++)
		if (t->dim[i] != p->dim[i])
			return false;
	return true;
}

static bool
get_finite(const struct st_tensor *t, float *v)
{
	st_get_f32(t, v);
	for (int64_t i = 0; i < t->n; i++)
		if (!isfinite(v[i]))
			return false;
	return true;
}

static void
take(struct reader *r, const struct st_tensor *t, const struct param *p, enum sd_net net,
    enum part part)
{
	size_t at = entry_of(r, p, net);
	struct lora_entry *e = &r->f->e[at];
	int64_t rank = part == ALPHA || t->ndim < 2 ? 0 : t->dim[part == UP];
	float *v;

	if (r->have[at][part]) {
		complain(r, "twice:", t->name);
		return;
	}
	r->have[at][part] = true;
	/* no useful rank is larger than the weight's sides, but files may have it */
	if (part == ALPHA ? t->n != 1 : !fits(t, p, part) || rank > 1 << 20 ||
	    (e->rank && e->rank != rank)) {
		complain(r, "misshapen", t->name);
		return;
	}
	v = xmalloc((size_t)t->n * sizeof(*v));
	if (!get_finite(t, v))
		complain(r, "not finite:", t->name);
	if (part == ALPHA) {
		e->alpha = v[0];
		free(v);
		return;
	}
	e->rank = (int)rank;
	*(part == DOWN ? &e->down : &e->up) = v;
}

/* ---- what the trainer said of itself --------------------------------------------------------- */

/* PEFT's settings under prefix: lora_alpha of all pairs, into alpha where it is there. */
static int
settings(const struct json *j, const char *prefix, double *alpha)
{
	static const char *const not_ours[] = { "use_rslora", "use_dora" };
	char *key = xasprintf("%slora_alpha", prefix);
	int v = json_get(j, 0, key), ret = 0;

	free(key);
	if (v >= 0 && j->v[v].type != JSON_NULL)
		ret = json_num(j, v, alpha);
	for (size_t i = 0; i < sizeof(not_ours) / sizeof(*not_ours) && ret == 0; i++) {
		bool on = false;

		key = xasprintf("%s%s", prefix, not_ours[i]);
		v = json_get(j, 0, key);
		if (v >= 0 && j->v[v].type != JSON_NULL && json_bool(j, v, &on) == 0 && on)
			ret = err("%s is not supported", key);
		free(key);
	}
	key = xasprintf("%salpha_pattern", prefix);
	v = json_get(j, 0, key);
	if (ret == 0 && v >= 0 && j->v[v].type == JSON_OBJECT && j->v[v].size)
		ret = err("%s is not supported", key);
	free(key);
	return ret;
}

/* From the file's metadata (diffusers) and from a file beside it (PEFT). */
static int
read_settings(const struct safetensors *st, const char *beside, double alpha[SD_NETS])
{
	const char *meta = st_meta(st, "lora_adapter_metadata");
	struct json j;
	char *text;
	int ret = 0;

	if (meta) {
		if (json_parse(&j, meta, strlen(meta)))
			return err_prefix("lora_adapter_metadata");
		ret = settings(&j, "unet.", &alpha[SD_UNET]) ||
		        settings(&j, "text_encoder.", &alpha[SD_TEXT])
		    ? -1
		    : 0;
		json_release(&j);
	}
	if (ret == 0 && beside && file_exists(beside)) {
		if (json_read_file(&j, &text, beside))
			return -1;
		ret = settings(&j, "", &alpha[SD_UNET]);
		alpha[SD_TEXT] = alpha[SD_UNET];
		json_release(&j);
		free(text);
	}
	return ret;
}

/* ---- opening --------------------------------------------------------------------------------- */

static void
read_keys(struct reader *r, const struct safetensors *st)
{
	for (int i = 0; i < st->n; i++) {
		char *key = xstrdup(st->t[i].name), *stem = NULL;
		const struct param *p = NULL;
		enum sd_net net;
		enum part part;

		if (cut_part(key, &part)) {
			stem = without_processor(key);
			p = find_weight(r, stem, &net);
		}
		if (p && p->ndim > 1)
			take(r, &st->t[i], p, net, part);
		else
			complain(r, "unknown", st->t[i].name);
		free(stem);
		free(key);
	}
}

static int
read_file(struct lora_file *f, const char *path, const char *beside,
    const struct params *const net[SD_NETS])
{
	struct reader r = { .f = f, .net = net };
	double alpha[SD_NETS] = { 0 };
	struct safetensors st;
	int ret;

	if (is_pickle(path))
		return err("%s: a pickled file can run any program when it is opened, so it is not",
		    path);
	if (st_open(&st, path))
		return -1;
	ret = read_settings(&st, beside, alpha) ? err_prefix("%s", path) : 0;
	if (ret == 0)
		read_keys(&r, &st);
	for (size_t i = 0; i < f->n && ret == 0; i++) {
		struct lora_entry *e = &f->e[i];

		if (!r.have[i][DOWN] || !r.have[i][UP])
			complain(&r, r.have[i][UP] ? "missing: what goes down to"
			    : "missing: what goes up from", e->target);
		if (!r.have[i][ALPHA])
			e->alpha = alpha[e->net] != 0 ? alpha[e->net] : e->rank;
	}
	if (ret == 0 && r.bad)
		ret = err("%s: does not fit this model (%d tensors%s)", path, r.bad,
		    r.bad > LISTED ? ", of which the first are named" : "");
	else if (ret == 0 && f->n == 0)
		ret = err("%s: holds no LoRA", path);
	free(r.have);
	st_close(&st);
	return ret;
}

int
lora_open(struct lora_file *f, const char *path, const struct params *const net[SD_NETS])
{
	static const char *const names[] =
	    { "pytorch_lora_weights.safetensors", "adapter_model.safetensors" };
	char *file = NULL, *beside = path_join(path, "adapter_config.json");
	int ret;

	*f = (struct lora_file){ .path = xstrdup(path) };
	for (size_t i = 0; i < sizeof(names) / sizeof(*names) && !file; i++) {
		file = path_join(path, names[i]);
		if (!file_exists(file)) {
			free(file);
			file = NULL;
		}
	}
	ret = read_file(f, file ? file : path, beside, net);
	free(beside);
	free(file);
	if (ret)
		lora_close(f);
	return ret;
}

void
lora_close(struct lora_file *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->e[i].target);
		free(f->e[i].down);
		free(f->e[i].up);
	}
	free(f->e);
	free(f->path);
	*f = (struct lora_file){ 0 };
}

/* ---- merging --------------------------------------------------------------------------------- */

static void
merge_one(const struct lora_entry *e, double scale, float *w)
{
	float *row = xmalloc((size_t)e->in * sizeof(*row));

	for (int64_t o = 0; o < e->out; o++) {
		memset(row, 0, (size_t)e->in * sizeof(*row));
		for (int64_t k = 0; k < e->rank; k++) {
			float up = e->up[o * e->rank + k];
			const float *down = e->down + k * e->in;

			for (int64_t i = 0; i < e->in; i++)
				row[i] += up * down[i];
		}
		for (int64_t i = 0; i < e->in; i++)
			w[o * e->in + i] += (float)(scale * e->alpha / e->rank) * row[i];
	}
	free(row);
}

void
lora_merge(const struct lora_file *f, enum sd_net net, double scale, struct weights *w)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct lora_entry *e = &f->e[i];
		char *name = xasprintf("%s.weight", e->target);
		struct st_tensor *t = (struct st_tensor *)(uintptr_t)st_find(&w->st, name);
		float *v;

		free(name);
		if (e->net != net || !t || t->n != e->in * e->out)
			continue;
		v = weights_alloc(w, (size_t)t->n * sizeof(*v));
		st_get_f32(t, v);
		merge_one(e, scale, v);
		t->dtype = ST_F32;
		t->data = v;
		t->get = NULL;
	}
}

void
lora_use_parse(struct lora_use *u, const char *arg)
{
	const char *colon = strrchr(arg, ':');

	*u = (struct lora_use){ .scale = 1 };
	if (colon && colon > arg && !file_exists(arg) &&
	    parse_float(colon + 1, -100, 100, &u->scale) == 0)
		u->path = xstrndup(arg, (size_t)(colon - arg));
	else
		u->path = xstrdup(arg);
}

int
lora_apply(const struct lora_use *u, struct sd_files *f)
{
	static const enum sd_net nets[] = { SD_TEXT, SD_UNET };
	const struct params *ps[SD_NETS] = { NULL };
	struct sd_outline *o = xcalloc(2, sizeof(*o));
	struct lora_file file;
	int ret;

	for (int i = 0; i < 2; i++)
		if (f->has[nets[i]]) {
			sd_outline_init(&o[i], &f->cfg, nets[i]);
			ps[nets[i]] = o[i].ps;
		}
	ret = lora_open(&file, u->path, ps);
	for (int i = 0; i < 2 && ret == 0; i++)
		if (f->has[nets[i]])
			lora_merge(&file, nets[i], u->scale, &f->net[nets[i]]);
	for (int i = 0; i < 2; i++)
		if (f->has[nets[i]])
			sd_outline_release(&o[i]);
	if (ret == 0)
		lora_close(&file);
	free(o);
	return ret;
}
