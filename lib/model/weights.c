#include "model/weights.h"

#include "base/err.h"
#include "base/file.h"
#include "base/intern.h"
#include "data/json.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PICKLE \
	"a pickled file can run any program when it is opened, so it is not: convert it once, " \
	"see phantom-models(7)"

bool
is_pickle(const char *path)
{
	static const char *const ext[] = { ".ckpt", ".bin", ".pt", ".pth", ".pkl" };

	for (size_t i = 0; i < sizeof(ext) / sizeof(*ext); i++)
		if (strcmp(path_ext(path), ext[i]) == 0)
			return true;
	return false;
}

void
weights_init(struct weights *w, const char *path)
{
	*w = (struct weights){ 0 };
	w->st.path = arena_strndup(&w->mem, path, strlen(path));
}

void
weights_close(struct weights *w)
{
	for (int i = 0; i < w->nfiles; i++)
		st_close(&w->file[i]);
	for (size_t i = 0; i < w->ndata; i++)
		free(w->data[i]);
	free(w->file);
	free(w->data);
	free(w->st.t);
	arena_release(&w->mem);
	*w = (struct weights){ 0 };
}

void
weights_add(struct weights *w, const char *name, const struct st_tensor *t)
{
	w->st.t = xgrow(w->st.t, &w->cap, (size_t)w->st.n + 1, sizeof(*w->st.t));
	w->st.t[w->st.n] = *t;
	w->st.t[w->st.n++].name = arena_strndup(&w->mem, name, strlen(name));
}

void *
weights_alloc(struct weights *w, size_t n)
{
	w->data = xgrow(w->data, &w->capdata, w->ndata + 1, sizeof(*w->data));
	return w->data[w->ndata++] = xmalloc(n + 1);
}

void
weights_rename(struct weights *w, const char *from, const char *to)
{
	for (int i = 0; i < w->st.n; i++)
		if (strcmp(w->st.t[i].name, from) == 0)
			w->st.t[i].name = arena_strndup(&w->mem, to, strlen(to));
}

void
weights_remove(struct weights *w, const char *name)
{
	for (int i = 0; i < w->st.n; i++)
		if (strcmp(w->st.t[i].name, name) == 0) {
			memmove(w->st.t + i, w->st.t + i + 1,
			    (size_t)(w->st.n - i - 1) * sizeof(*w->st.t));
			w->st.n--;
			return;
		}
}

void
weights_from_params(struct weights *w, const char *path, const struct params *ps)
{
	weights_init(w, path);
	for (int i = 0; i < ps->n; i++) {
		struct st_tensor t;

		param_as_tensor(ps->p[i], &t);
		weights_add(w, t.name, &t);
	}
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Maps one file and adds its tensors. */
static int
add_file(struct weights *w, const char *path)
{
	struct safetensors st;

	if (is_pickle(path))
		return err("%s: %s", path, PICKLE);
	if (st_open(&st, path))
		return -1;
	w->file = xrealloc(w->file, ((size_t)w->nfiles + 1) * sizeof(*w->file));
	w->file[w->nfiles++] = st;
	for (int i = 0; i < st.n; i++) {
		if (w->nfiles > 1 && st_find(&w->st, st.t[i].name))
			return err("%s: %s stands in another shard too", path, st.t[i].name);
		weights_add(w, st.t[i].name, &st.t[i]);
	}
	return 0;
}

int
weights_open_file(struct weights *w, const char *path)
{
	int ret;

	weights_init(w, path);
	ret = add_file(w, path);
	if (ret)
		weights_close(w);
	else
		w->st.meta = w->file[0].meta, w->st.nmeta = w->file[0].nmeta;
	return ret;
}

/* The files that an index names, each once, in the order of first appearance. */
static int
add_shards(struct weights *w, const char *dir, const char *index)
{
	struct intern files = { 0 };
	struct arena mem = { 0 };
	struct json j;
	char *text;
	int ret = 0, map;

	if (json_read_file(&j, &text, index))
		return -1;
	map = json_get(&j, 0, "weight_map");
	if (map < 0 || j.v[map].type != JSON_OBJECT)
		ret = err("%s: no weight_map", index);
	for (int i = 0, v = map + 1; ret == 0 && i < j.v[map].size; i++) {
		const char *name = json_str(&j, v + 1, &mem);

		/* a shard lies beside its index, nowhere else */
		if (!name || strchr(name, '/'))
			ret = err("%s: not a file name in weight_map", index);
		else
			intern_add(&files, name);
		v = j.v[v + 1].next;
	}
	for (size_t i = 0; ret == 0 && i < files.n; i++) {
		char *path = path_join(dir, files.name[i]);

		ret = add_file(w, path);
		free(path);
	}
	intern_release(&files);
	arena_release(&mem);
	json_release(&j);
	free(text);
	return ret;
}

/* 1: these files are there and were read; 0: they are not; -1 with a message. */
static int
try_variant(struct weights *w, const char *dir, const char *stem, const char *variant)
{
	const char *dot = *variant ? "." : "";
	char *one = xasprintf("%s/%s%s%s.safetensors", dir, stem, dot, variant);
	char *index = xasprintf("%s/%s.safetensors.index%s%s.json", dir, stem, dot, variant);
	char *index2 = xasprintf("%s/%s%s%s.safetensors.index.json", dir, stem, dot, variant);
	int ret = 0;

	weights_init(w, dir);
	if (file_exists(one))
		ret = add_file(w, one) ? -1 : 1;
	else if (file_exists(index))
		ret = add_shards(w, dir, index) ? -1 : 1;
	else if (file_exists(index2))
		ret = add_shards(w, dir, index2) ? -1 : 1;
	if (ret <= 0)
		weights_close(w);
	free(one);
	free(index);
	free(index2);
	return ret;
}

static bool
ends(const char *s, const char *with)
{
	size_t n = strlen(s), k = strlen(with);

	return n > k && strcmp(s + n - k, with) == 0;
}

/* The path of the one file in dir whose name ends so; NULL if there is none, or several. Caller
 * frees. */
static char *
only_one(const char *dir, const char *end)
{
	DIR *d = opendir(dir);
	char *path = NULL;
	struct dirent *e;
	int n = 0;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.' && ends(e->d_name, end) && n++ == 0)
			path = path_join(dir, e->d_name);
	if (d)
		closedir(d);
	if (n == 1)
		return path;
	free(path);
	return NULL;
}

/* Files of whatever name, if there is no choice; returns as try_variant. */
static int
try_any(struct weights *w, const char *dir)
{
	char *index = only_one(dir, ".safetensors.index.json");
	char *one = only_one(dir, ".safetensors");
	int ret = 0;

	weights_init(w, dir);
	if (one)
		ret = add_file(w, one) ? -1 : 1;
	else if (index)
		ret = add_shards(w, dir, index) ? -1 : 1;
	if (ret <= 0)
		weights_close(w);
	free(one);
	free(index);
	return ret;
}

int
weights_open(struct weights *w, const char *dir, const char *stem, const char *variant)
{
	static const char *const known[] = { "", "fp16", "bf16" };
	static const char *const pickles[] = { "diffusion_pytorch_model.bin", "pytorch_model.bin",
		"diffusion_pytorch_model.fp16.bin", "pytorch_model.fp16.bin" };
	int ret = 0;

	if (variant)
		ret = try_variant(w, dir, stem, variant);
	for (size_t i = 0; !variant && ret == 0 && i < sizeof(known) / sizeof(*known); i++)
		ret = try_variant(w, dir, stem, known[i]);
	if (!variant && ret == 0)
		ret = try_any(w, dir);
	if (ret)
		return ret > 0 ? 0 : -1;
	for (size_t i = 0; i < sizeof(pickles) / sizeof(*pickles); i++) {
		char *path = path_join(dir, pickles[i]);
		bool there = file_exists(path);

		if (there)
			err("%s: %s", path, PICKLE);
		free(path);
		if (there)
			return -1;
	}
	return err("%s: no %s%s%s.safetensors there", dir, stem, variant && *variant ? "." : "",
	    variant ? variant : "");
}

/* ---- writing --------------------------------------------------------------------------------- */

static bool
is_float(enum st_dtype d)
{
	return d == ST_F64 || d == ST_F32 || d == ST_F16 || d == ST_BF16;
}

static int64_t
bytes_as(const struct st_tensor *t, enum st_dtype dtype)
{
	return t->n * (int64_t)st_dtype_size(is_float(t->dtype) ? dtype : t->dtype);
}

static void
values_of(const void *tensor, float *out)
{
	st_get_f32(tensor, out);
	st_done(tensor);
}

/* The tensor as dtype, converted when it is written. */
static struct st_tensor
convert(const struct st_tensor *t, enum st_dtype dtype)
{
	struct st_tensor out = *t;

	if (t->dtype == dtype || !is_float(t->dtype))
		return out;
	out.dtype = dtype;
	if (!t->get) {
		out.get = values_of;
		out.src = t;
		out.data = NULL;
		out.map = NULL;
	}
	return out;
}

static int
write_some(const struct weights *w, int from, int to, const char *path, enum st_dtype dtype,
    const char *const *meta)
{
	struct st_tensor *t = xcalloc((size_t)(to - from) + 1, sizeof(*t));
	int ret;

	for (int i = from; i < to; i++)
		t[i - from] = convert(&w->st.t[i], dtype);
	ret = st_write(path, t, to - from, meta);
	free(t);
	return ret;
}

/* Where the shard that begins at tensor `from` ends. */
static int
shard_end(const struct weights *w, int from, enum st_dtype dtype, int64_t shard)
{
	int64_t size = 0;
	int i;

	for (i = from; i < w->st.n; i++) {
		size += bytes_as(&w->st.t[i], dtype);
		if (shard && size > shard && i > from)
			break;
	}
	return i;
}

int
weights_write(const struct weights *w, const char *dir, const char *stem, enum st_dtype dtype,
    int64_t shard, const char *const *meta)
{
	struct sb map = { 0 };
	int shards = 0, ret = 0, k = 0;
	int64_t total = 0;
	char *path;

	for (int i = 0; i < w->st.n; shards++)
		i = shard_end(w, i, dtype, shard);
	if (shards <= 1) {
		path = xasprintf("%s/%s.safetensors", dir, stem);
		ret = write_some(w, 0, w->st.n, path, dtype, meta);
		free(path);
		return ret;
	}
	for (int i = 0, end; i < w->st.n && ret == 0; i = end) {
		char *name = xasprintf("%s-%05d-of-%05d.safetensors", stem, ++k, shards);

		end = shard_end(w, i, dtype, shard);
		path = path_join(dir, name);
		ret = write_some(w, i, end, path, dtype, meta);
		for (int t = i; t < end; t++) {
			total += bytes_as(&w->st.t[t], dtype);
			sb_puts(&map, map.len ? ",\n    " : "");
			json_put_str(&map, w->st.t[t].name, strlen(w->st.t[t].name));
			sb_printf(&map, ": \"%s\"", name);
		}
		free(path);
		free(name);
	}
	if (ret == 0) {
		char *text = xasprintf(
		    "{\n  \"metadata\": {\"total_size\": %lld},\n  \"weight_map\": {\n    %s\n"
		    "  }\n}\n",
		    (long long)total, map.s);

		path = xasprintf("%s/%s.safetensors.index.json", dir, stem);
		ret = file_write(path, text, strlen(text));
		free(path);
		free(text);
	}
	sb_release(&map);
	return ret;
}
