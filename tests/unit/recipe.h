/* Weights by the recipe of the golden sets' README: each value a function of name, seed and
 * place. */
#ifndef TESTS_RECIPE_H
#define TESTS_RECIPE_H

#include "gold.h"

#include "base/rng.h"

#include <unistd.h>

static inline void
recipe(const char *name, uint64_t seed, float a, float b, float *v, int64_t n)
{
	uint64_t s = fnv1a(name, strlen(name)) ^ seed * 0xD1342543DE82EF95u;

	for (int64_t i = 0; i < n; i++) {
		uint64_t z = s + ((uint64_t)i + 1) * 0x9E3779B97F4A7C15u;

		z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
		z = (z ^ z >> 27) * 0x94D049BB133111EBu;
		z ^= z >> 31;
		v[i] = (float)(2 * (double)(z >> 40) * 0x1p-24 - 1) * a;
		if (b != 0)
			v[i] += b;
	}
}

/* The tensors that a manifest lists; those it does not give by the recipe from `stored`. *text and
 * *j are to be kept as long as the tensors; memory is never given back. */
static inline void
recipe_read(struct safetensors *st, const char *dir, const char *manifest,
    const struct safetensors *stored)
{
	static struct arena mem;
	char *path = path_join(dir, manifest), *text;
	struct json j;

	if (json_read_file(&j, &text, path))
		die("%s", errmsg());
	*st = (struct safetensors){ .path = path,
		.t = xcalloc((size_t)j.v[0].size, sizeof(*st->t)) };
	for (int v = 1; st->n < j.v[0].size; v = j.v[v].next) {
		struct st_tensor *s = &st->t[st->n++];
		const char *name = json_str(&j, json_get(&j, v, "name"), &mem);
		char *kind = json_str(&j, json_get(&j, v, "kind"), &mem);
		char *dtype = json_str(&j, json_get(&j, v, "dtype"), &mem);
		int shape = json_get(&j, v, "shape");
		float *data;
		int64_t seed;

		if (kind && strcmp(kind, "recipe") != 0) {
			*s = *st_find(stored, name);
			continue;
		}
		*s = (struct st_tensor){ .name = name, .dtype = ST_F32, .ndim = j.v[shape].size,
			.n = 1 };
		for (int i = 0; i < s->ndim; i++) {
			if (json_int(&j, json_at(&j, shape, i), &s->dim[i]))
				die("%s", errmsg());
			s->n *= s->dim[i];
		}
		if (json_int(&j, json_get(&j, v, "seed"), &seed))
			die("%s: %s has no seed", path, name);
		data = arena_alloc(&mem, (size_t)s->n * sizeof(*data));
		recipe(name, (uint64_t)seed, (float)gold_num(&j, v, "a"),
		    (float)gold_num(&j, v, "b"), data, s->n);
		for (int64_t i = 0; dtype && strcmp(dtype, "F16") == 0 && i < s->n; i++)
			data[i] = f16_to_f32(f32_to_f16(data[i]));
		s->data = data;
	}
}

/* The tensors in a file of their own, which goes when the program ends; path: of mkstemp. */
static inline void
recipe_write(char *path, const struct safetensors *st)
{
	int fd = mkstemp(path);

	if (fd < 0 || close(fd) || st_write(path, st->t, st->n, NULL))
		die("%s: %s", path, errmsg());
	on_exit_unlink(path);
}

#endif
