/* MEP's nine numbers of pictures, and numbers in words, against Pillow's, OpenCV's and
 * inflect's. */
#include "gold.h"

#include "base/words.h"
#include "data/look.h"

static const char *set;

static void
check_pictures(const struct json *j)
{
	static const char *const name[] = { "mean_V", "median_V", "std_V", "mean_S", "median_S",
	    "std_S", "std_H",
		"var_L", "n_contour" };
	double worst[9] = { 0 };
	struct arena mem = { 0 };
	int n = 0;

	for (int v = 1; n < j->v[0].size; v = j->v[v].next, n++) {
		char *path =
		    xasprintf("%s/images/%s", set, json_str(j, json_get(j, v, "file"), &mem));
		struct image im = { 0 };
		struct look l;

		if (image_read(&im, path, 3, 8))
			die("%s", errmsg());
		look_of(&l, &im);
		for (int i = 0; i < 9; i++) {
			const double got[] = { l.mean_v, l.median_v, l.std_v, l.mean_s, l.median_s,
			    l.std_s, l.std_h,
				l.var_l, l.n_contour };

			worst[i] = fmax(worst[i], fabs(got[i] - gold_num(j, v, name[i])));
		}
		image_release(&im);
		free(path);
	}
	for (int i = 0; i < 9; i++)
		gold_check(name[i], worst[i], i == 7 ? 1e-8 : 1e-9);
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
