/*
 * Draws of CPython's random and the fair split made with them, equal to the last bit. Reads
 * python_random_split.json below the folder of reference sets given as argument or in $GOLDEN (in
 * it, in random or in golden-random); without one, the copy in tests/golden.
 */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/mt19937.h"
#include "data/json.h"
#include "data/split_pick.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tests, failures;

static void
report(size_t wrong, size_t n, const char *what)
{
	printf("%sok %d - %s: %zu of %zu differ, bound 0\n", wrong ? "not " : "", ++tests, what,
	    wrong, n);
	failures += wrong != 0;
}

static double
number(const struct json *j, int array, int i)
{
	double x;

	if (json_num(j, json_at(j, array, i), &x))
		die("%s", errmsg());
	return x;
}

static void
check_draws(const struct json *j, const char *key, int array)
{
	struct mt19937 mt;
	size_t wrong = 0, n = (size_t)j->v[array].size;

	mt_python_seed(&mt, strtoull(key + strlen("random_seed"), NULL, 10));
	for (size_t i = 0; i < n; i++)
		wrong += mt_random(&mt) != number(j, array, (int)i);
	report(wrong, n, key);
}

static void
check_order(const struct json *j, const char *name, int array, uint64_t seed, size_t draws)
{
	size_t n = (size_t)j->v[array].size, *v = xmalloc((n + 1) * sizeof(*v)), wrong = 0;
	struct mt19937 mt;

	mt_python_seed(&mt, seed);
	for (size_t i = 0; i < draws; i++)
		mt_choice(&mt, 1);
	for (size_t i = 0; i < n; i++)
		v[i] = i;
	mt_shuffle(&mt, v, n);
	for (size_t i = 0; i < n; i++)
		wrong += (double)v[i] != number(j, array, (int)i);
	report(wrong, n, name);
	free(v);
}

/* The videos of {"id": [phases]}, phases numbered as they appear. */
static void
read_videos(const struct json *j, int object, struct fair_video *v, struct intern *phases,
    struct arena *mem)
{
	int at = object + 1;

	for (int i = 0; i < j->v[object].size; i++, at = j->v[at + 1].next) {
		v[i].id = json_str(j, at, mem);
		v[i].phase =
		    arena_alloc(mem, ((size_t)j->v[at + 1].size + 1) * sizeof(*v[i].phase));
		for (v[i].n = 0; v[i].n < j->v[at + 1].size; v[i].n++)
			v[i].phase[v[i].n] =
			    intern_add(phases, json_str(j, json_at(j, at + 1, v[i].n), mem));
	}
}

/* split_W_W[_W]_seed_N: {"train": [...], ...} */
static void
check_split(const struct json *j, const char *key, int object, int videos)
{
	struct arena mem = { 0 };
	size_t n = (size_t)j->v[videos].size, size[SPLIT_MAX_PARTS], *list, at = 0, wrong = 0;
	struct fair_video *v = arena_alloc(&mem, (n + 1) * sizeof(*v));
	struct split_weights w = { 0 };
	struct intern phases = { 0 };
	const char *p = key + strlen("split_"), *seed = strstr(key, "_seed_");
	int part = object + 1;

	for (; p < seed; w.n++) {
		char *end;

		w.w[w.n] = strtod(p, &end);
		p = end + 1;
	}
	read_videos(j, videos, v, &phases, &mem);
	for (int k = 0, i = part; k < j->v[object].size && k < w.n; k++, i = j->v[i + 1].next)
		w.name[k] = json_str(j, i, &mem);
	list = xmalloc((n + 1) * sizeof(*list));
	if (!seed || w.n != j->v[object].size)
		die("%s: %d weights for %d parts", key, w.n, j->v[object].size);
	if (split_fair(v, n, phases.name, &w, strtoull(seed + 6, NULL, 10), false, list, size))
		die("%s: %s", key, errmsg());
	for (int k = 0; k < w.n; k++, part = j->v[part + 1].next) {
		wrong += size[k] != (size_t)j->v[part + 1].size;
		for (size_t i = 0; i < size[k]; i++) {
			int x = json_at(j, part + 1, (int)i);
			const char *id = x < 0 ? NULL : json_str(j, x, &mem);

			wrong += !id || strcmp(id, v[list[at + i]].id) != 0;
		}
		at += size[k];
	}
	report(wrong, n, key);
	free(list);
	intern_release(&phases);
	arena_release(&mem);
}

/* Whatever the file holds. */
static void
check_all(const struct json *j)
{
	int videos = json_get(j, 0, "video_phases_input"), at = 1;
	struct arena mem = { 0 };

	for (int i = 0; i < j->v[0].size; i++, at = j->v[at + 1].next) {
		const char *key = json_str(j, at, &mem), *seed = strstr(key, "_seed");
		int order = json_get(j, at + 1, "order");

		if (!strncmp(key, "random_seed", 11))
			check_draws(j, key, at + 1);
		else if (!strncmp(key, "shuffle_seed_", 13))
			check_order(j, key, at + 1, strtoull(key + 13, NULL, 10), 0);
		else if (!strncmp(key, "image_folder_seed", 17) && order >= 0)
			check_order(
			    j, key, order, strtoull(seed + 5, NULL, 10), (size_t)j->v[order].size);
		else if (!strncmp(key, "split_", 6) && videos >= 0)
			check_split(j, key, at + 1, videos);
		else if (strcmp(key, "note") && strcmp(key, "video_phases_input"))
			report(1, 1, key); /* of no kind that is known here */
	}
	arena_release(&mem);
}

int
main(int argc, char **argv)
{
	static const char *const places[] = { "", "random/", "golden-random/" };
	const char *dir = argc > 1 ? argv[1] : getenv("GOLDEN");
	char *path = NULL, *text;
	struct json j;

	prog_init(argv[0]);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		free(path);
		path = xasprintf(
		    "%s/%spython_random_split.json", dir ? dir : "tests/golden", places[i]);
		if (file_exists(path))
			break;
	}
	if (!file_exists(path)) {
		printf(
		    "1..0 # SKIP no python_random_split.json in %s\n", dir ? dir : "tests/golden");
		return 0;
	}
	if (json_read_file(&j, &text, path))
		die("%s", errmsg());
	check_all(&j);
	printf("1..%d\n", tests);
	json_release(&j);
	free(text);
	free(path);
	return failures != 0;
}
