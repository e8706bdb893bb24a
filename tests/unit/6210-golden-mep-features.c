/* MEP's nine numbers of pictures, whether it keeps them, and numbers in words, against Pillow's,
 * OpenCV's and inflect's. */
#include "gold_set.h"

#include "base/words.h"
#include "data/npy.h"
#include "metric/morph.h"

static const char *set;

/* Means of hue, saturation and value as shares of 255. */
static void
mean_hsv(const struct image *im, double mean[3])
{
	const uint8_t *p = im->data;
	const size_t n = (size_t)im->w * (size_t)im->h;
	int64_t sum[3] = { 0 };

	for (size_t i = 0; i < n; i++) {
		uint8_t hsv[3];

		pixel_hsv(p + 3 * i, hsv);
		for (int c = 0; c < 3; c++)
			sum[c] += hsv[c];
	}
	for (int c = 0; c < 3; c++)
		mean[c] = (double)sum[c] / (double)n / 255;
}

/* The first picture's planes that the set has: bytes that differ. */
static void
check_planes(const struct image *im, const char *name)
{
	char *path = path_join(set, name);
	const size_t n = (size_t)im->w * (size_t)im->h;
	struct image gray = { 0 };
	const uint8_t *want, *p = im->data;
	struct st_tensor t;
	int64_t differ = 0;

	if (npy_read(&t, path))
		die("%s", errmsg());
	if (t.dtype != ST_U8 || (t.n != (int64_t)n && t.n != 3 * (int64_t)n))
		die("%s: not the first picture's", path);
	want = t.data;
	image_copy(&gray, im);
	image_convert(&gray, 1, 8);
	for (size_t i = 0; i < n; i++) {
		uint8_t hsv[3];

		pixel_hsv(p + 3 * i, hsv);
		differ += t.n == (int64_t)n ? ((uint8_t *)gray.data)[i] != want[i]
		                            : memcmp(hsv, want + 3 * i, 3) != 0;
	}
	gold_check(name, (double)differ, 0);
	image_release(&gray);
	free((void *)t.data);
	free(path);
}

/* The decisions of the set, by the rules for patches of histology. */
static void
check_decisions(const struct json *j, struct arena *mem)
{
	struct morph m = { .n = j->v[0].size };
	int wrong = 0, kept = 0;

	m.item = xcalloc((size_t)m.n + 1, sizeof(*m.item));
	for (int i = 0; i < m.n; i++)
		m.item[i].path = xasprintf("%s/images/%s", set,
		    json_str(j, json_get(j, json_at(j, 0, i), "file"), mem));
	morph_look(&m, &(struct morph_limits)MORPH_LIMITS);
	for (int i = 0; i < m.n; i++) {
		int v = json_get(j, json_at(j, 0, i), "histopathology_patches_decision");

		if (v < 0 || m.item[i].why)
			die("%s: %s", m.item[i].path, v < 0 ? "no decision" : m.item[i].why);
		wrong += !m.item[i].fails != !strcmp(json_str(j, v, mem), "keep");
		kept += !m.item[i].fails;
		free(m.item[i].path);
	}
	gold_check("pictures kept or removed otherwise", wrong, 0);
	printf("#     (%d of %d kept)\n", kept, (int)m.n);
	free(m.item);
}

static void
check_pictures(const struct json *j)
{
	static const char *const name[] = { "mean_V", "median_V", "std_V", "mean_S", "median_S",
	    "std_S", "std_H", "var_L", "n_contour", "meanH_over_255", "meanS_over_255",
	    "meanV_over_255" };
	enum { NUMBERS = sizeof(name) / sizeof(*name) };
	double worst[NUMBERS] = { 0 };
	struct arena mem = { 0 };

	for (int i = 0; i < j->v[0].size; i++) {
		const int v = json_at(j, 0, i);
		char *path =
		    xasprintf("%s/images/%s", set, json_str(j, json_get(j, v, "file"), &mem));
		struct image im = { 0 };
		struct look l;
		double hsv[3];

		if (image_read(&im, path, 3, 8))
			die("%s", errmsg());
		look_of(&l, &im);
		mean_hsv(&im, hsv);
		for (int k = 0; k < NUMBERS; k++) {
			const double got[] = { l.mean_v, l.median_v, l.std_v, l.mean_s, l.median_s,
			    l.std_s, l.std_h, l.var_l, l.n_contour, hsv[0], hsv[1], hsv[2] };

			worst[k] = fmax(worst[k], fabs(got[k] - gold_num(j, v, name[k])));
		}
		if (i == 0) {
			check_planes(&im, "img00_PIL_HSV.npy");
			check_planes(&im, "img00_PIL_L.npy");
		}
		image_release(&im);
		free(path);
	}
	for (int k = 0; k < NUMBERS; k++)
		gold_check(name[k], worst[k],
		    !strcmp(name[k], "n_contour") ? 0 : !strcmp(name[k], "var_L") ? 1e-8 : 1e-9);
	check_decisions(j, &mem);
	gold_done("pictures in nine numbers");
	arena_release(&mem);
}

static void
check_words(const struct json *j)
{
	struct arena mem = { 0 };
	struct sb sb = { 0 };
	int bad = 0, n = 0;

	for (int v = 1; n < j->v[0].size; v = j->v[v + 1].next, n++) {
		const char *key = json_str(j, v, &mem), *want = json_str(j, v + 1, &mem);

		sb_clear(&sb);
		number_words(&sb, strtoull(key, NULL, 10));
		if (strcmp(sb.s, want) != 0) {
			printf("# %s: '%s', not '%s'\n", key, sb.s, want);
			bad++;
		}
	}
	gold_check("numbers in other words", bad, 0);
	gold_done("numbers in words");
	sb_release(&sb);
	arena_release(&mem);
}

int
main(void)
{
	struct json j;
	char *path, *text;

	set = gold_open("mep_features");
	if (!set)
		return 0;
	path = path_join(set, "expected.json");
	if (json_read_file(&j, &text, path))
		die("%s", errmsg());
	check_pictures(&j);
	path = path_join(set, "number_words.json");
	if (json_read_file(&j, &text, path))
		die("%s", errmsg());
	check_words(&j);
	return gold_end();
}
