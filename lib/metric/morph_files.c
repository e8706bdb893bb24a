/* MEP's files, and a picture of the clusters. */
#include "metric/morph.h"

#include "base/err.h"
#include "base/file.h"
#include "data/csv.h"
#include "data/sheet.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- tables ------------------------------------------------------------------------------- */

static void
cell(struct sb *sb, const char *s)
{
	if (sb->len && sb->s[sb->len - 1] != '\n')
		sb_putc(sb, ',');
	csv_put(sb, s, strlen(s), ',');
}

static void
number(struct sb *sb, double x)
{
	struct sb t = { 0 };

	json_put_num(&t, x);
	cell(sb, t.s);
	sb_release(&t);
}

static void
whole(struct sb *sb, int64_t x)
{
	char s[24];

	snprintf(s, sizeof(s), "%lld", (long long)x);
	cell(sb, s);
}

/* The label as it stands in the tables: "cancer" is Cancer. */
static void
capitalised(struct sb *sb, const char *before, const char *label)
{
	char *s = xasprintf("%s%s", before, label);
	size_t n = strlen(before);

	for (char *p = s + n; *p; p++)
		*p = (char)(p == s + n ? toupper((unsigned char)*p) : tolower((unsigned char)*p));
	cell(sb, s);
	free(s);
}

enum { FULL, CLEAN, PROMPTS, FINAL };

static void
head(struct sb *sb, const struct morph *m, int kind, bool looked)
{
	if (kind == FINAL) {
		sb_printf(sb, "path,image,label,target_name,cluster_lbl_n%lld,text,prompt_idx\n",
		    (long long)m->clusters.k);
		return;
	}
	sb_puts(sb,
	    "target,target_name,split_name,index,dataset_name,path,filename,img_tooltip,"
	    "dataset_target");
	if (kind >= CLEAN && looked)
		sb_puts(sb,
		    ",mean_V,median_V,std_V,mean_S,median_S,std_S,std_H,var_L,n_contour,remove_V,"
		    "remove_S,"
		    "remove,remove_std_V,remove_std_S,remove_std,remove_std_H,remove_var_L,"
		    "remove_n_contour,"
		    "remove_VandS");
	if (kind >= CLEAN)
		sb_printf(sb, ",cluster_lbl_n%lld", (long long)m->clusters.k);
	sb_puts(sb, kind == PROMPTS ? ",prompt,prompt_idx\n" : "\n");
}

static void
look_cells(struct sb *sb, const struct morph_item *it)
{
	const double v[] = { it->look.mean_v, it->look.median_v, it->look.std_v, it->look.mean_s,
		it->look.median_s, it->look.std_s, it->look.std_h, it->look.var_l };
	static const unsigned rule[] = { FAILS_V, FAILS_S, ~0u, FAILS_STD_V, FAILS_STD_S,
		FAILS_STD_V | FAILS_STD_S, FAILS_STD_H, FAILS_L, FAILS_CONTOUR };

	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++)
		number(sb, v[i]);
	whole(sb, it->look.n_contour);
	for (size_t i = 0; i < sizeof(rule) / sizeof(*rule); i++)
		cell(sb, it->fails & rule[i] ? "remove" : "keep");
	cell(sb, "keep"); /* the rule of value and saturation together is off in the original */
}

static void
row(struct sb *sb, const struct morph *m, int64_t i, int kind, bool looked)
{
	const struct morph_item *it = &m->item[i];
	const char *label = m->label[it->label];

	if (kind == FINAL) {
		cell(sb, it->path);
		cell(sb, path_base(it->path));
		whole(sb, it->label);
		capitalised(sb, "", label);
		whole(sb, it->cluster);
		cell(sb, m->prompt[it->prompt].text);
		whole(sb, it->prompt);
		sb_putc(sb, '\n');
		return;
	}
	whole(sb, it->label);
	capitalised(sb, "", label);
	cell(sb, "train");
	whole(sb, i);
	cell(sb, "original");
	cell(sb, it->path);
	cell(sb, path_base(it->path));
	cell(sb, it->path);
	capitalised(sb, "original_", label);
	if (kind >= CLEAN && looked)
		look_cells(sb, it);
	if (kind >= CLEAN)
		whole(sb, it->cluster);
	if (kind == PROMPTS) {
		cell(sb, m->prompt[it->prompt].text);
		whole(sb, it->prompt);
	}
	sb_putc(sb, '\n');
}

struct table {
	const char *name;
	int kind;
	bool removed, left; /* also items that were removed, that were not taken */
	int split;          /* only these; -1: all */
};

static int
write_table(const struct morph *m, const char *dir, const struct table *t, bool looked,
    const char *only)
{
	struct sb sb = { 0 };
	char *path = path_join(dir, t->name);
	int64_t n = 0;
	int ret;

	head(&sb, m, t->kind, looked);
	for (int64_t i = 0; i < m->n; i++) {
		const struct morph_item *it = &m->item[i];

		if (it->why || (it->row < 0 && !t->removed) ||
		    (it->row >= 0 && !it->taken && !t->left) ||
		    (t->split >= 0 && (int)it->split != t->split) ||
		    (only && strcmp(m->label[it->label], only) != 0))
			continue;
		row(&sb, m, i, t->kind, looked);
		n++;
	}
	ret = n || t->split <= 0 ? file_write(path, sb.s, sb.len) : 0;
	sb_release(&sb);
	free(path);
	return ret;
}

static int
write_map(const struct morph *m, const char *dir, const char *name, bool all, const char *only)
{
	char *path = path_join(dir, name);
	struct sb sb = { 0 };
	int ret, n = 0;

	sb_putc(&sb, '{');
	for (int i = 0; i < m->nprompt; i++) {
		const struct morph_prompt *p = &m->prompt[i];

		if ((!p->taken && !all) || (only && strcmp(m->label[p->label], only) != 0))
			continue;
		sb_puts(&sb, n++ ? ", " : "");
		json_put_str(&sb, p->text, strlen(p->text));
		sb_printf(&sb, ": %d", i);
	}
	sb_putc(&sb, '}');
	ret = file_write(path, sb.s, sb.len);
	sb_release(&sb);
	free(path);
	return ret;
}

int
morph_write_mep(const struct morph *m, const char *dir, bool looked, const char *only)
{
	static const struct table tables[] = {
		{ "df_plot_full_ds.csv", FULL, true, true, -1 },
		{ "df_clean.csv", CLEAN, false, true, -1 },
		{ "df_prompts.csv", PROMPTS, false, true, -1 },
		{ "df_subset.csv", PROMPTS, false, false, -1 },
		{ "df_train.csv", FINAL, false, false, MORPH_TRAIN },
		{ "df_val.csv", FINAL, false, false, MORPH_VALIDATION },
		{ "df_test.csv", FINAL, false, false, MORPH_TEST },
	};
	char *folder = path_join(dir, "metadata");
	int ret = make_dirs(folder);

	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables) && !ret; i++)
		ret = write_table(m, folder, &tables[i], looked, tables[i].kind == FINAL ? only
		    : NULL);
	if (!ret)
		ret = write_map(m, folder, "text_2_promptidx.json", true, only) ||
		    write_map(m, folder, "text_2_promptidx_valid_susbet.json", false, only) ? -1
		    : 0;
	free(folder);
	return ret;
}

/* ---- a picture ---------------------------------------------------------------------------- */

enum { SIDE = 800, MARGIN = 24 };

/* Colours as far from each other as their number allows. */
static void
colour(int i, uint8_t rgb[3])
{
	double h = fmod(i * 0.618033988749895, 1) * 6, v = i % 2 ? 200 : 150;

	for (int c = 0; c < 3; c++) {
		double k = fmod(h + 4 * c, 6), part = fmax(0, fmin(1, fmin(k, 4 - k)));

		rgb[c] = (uint8_t)(v * (1 - 0.85 * part));
	}
}

static int
place(double x, double lo, double hi)
{
	return MARGIN + (int)((SIDE - 2 * MARGIN) * (hi > lo ? (x - lo) / (hi - lo) : 0.5));
}

int
morph_draw(const struct morph *m, const char *path, uint64_t seed)
{
	double *at = xmalloc((size_t)(2 * m->rows) * sizeof(*at)), lo[2] = { INFINITY, INFINITY };
	double hi[2] = { -INFINITY, -INFINITY }, *mid =
	    xcalloc((size_t)(2 * m->clusters.k), sizeof(*mid));
	struct image im = { 0 };
	int ret = map_rows(m->x, m->rows, m->d, 20000, seed, at);

	image_alloc(&im, SIDE, SIDE, 3, 8);
	memset(im.data, 255, (size_t)SIDE * SIDE * 3);
	for (int64_t i = 0; i < 2 * m->rows && !ret; i++) {
		int32_t c;

		lo[i % 2] = fmin(lo[i % 2], at[i]);
		hi[i % 2] = fmax(hi[i % 2], at[i]);
		c = m->clusters.label[i / 2];
		mid[2 * c + i % 2] += at[i] / (double)m->clusters.size[c];
	}
	for (int64_t i = 0; i < m->rows && !ret; i++) {
		int x = place(at[2 * i], lo[0], hi[0]),
		    y = SIDE - place(at[2 * i + 1], lo[1], hi[1]);
		uint8_t rgb[3];

		colour(m->clusters.label[i], rgb);
		image_rectangle(&im, x - 2, y - 2, x + 2, y + 2, rgb);
	}
	for (int64_t c = 0; c < m->clusters.k && !ret; c++) {
		char name[24];

		snprintf(name, sizeof(name), "%lld", (long long)c);
		sheet_text(&im, place(mid[2 * c], lo[0], hi[0]),
		    SIDE - place(mid[2 * c + 1], lo[1], hi[1]), name,
		    (const uint8_t[3]){ 0, 0, 0 });
	}
	if (!ret)
		ret = image_write(&im, path, 95, NULL);
	image_release(&im);
	free(at);
	free(mid);
	return ret;
}
