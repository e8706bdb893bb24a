/* promptgen: prompts of images, from their records' fields, and from what the images look like. */
#include "base/err.h"
#include "base/file.h"
#include "base/rng.h"
#include "data/npy.h"
#include "data/template.h"
#include "gpu/gpu.h"
#include "metric/morph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum by { BY_SILHOUETTE, BY_SDBW };

static struct opts {
	struct opt_list templates, rename;
	const char *file, *preset, *field, *device, *centroids, *save, *choose, *split, *out, *map,
	    *stats;
	const char *only;
	int64_t clusters, runs, iterations, batch, sample;
	double tolerance;
	int outliers, by, layout;
	bool balance;
	struct morph_limits limits;
	struct morph_balance sizes;
	uint64_t seed;
} o = { .field = "text", .runs = 10, .iterations = 300, .tolerance = 1e-4, .sample = 3000,
	.outliers = -1, .layout = -1, .limits = MORPH_LIMITS, .sizes = { .least = 10 } };
static struct rec_opts ro;

static const struct opt table[] = {
	{ 't', "template", OPT_LIST, &o.templates, "TEXT",
	    "the prompt: \"a {label} cell\"; several: by id", 0, 0 },
	{ 0, "templates", OPT_STR, &o.file, "FILE", "templates, one a line", 0, 0 },
	{ 0, "preset", OPT_STR, &o.preset, "NAME", TEMPLATE_PRESETS, 0, 0 },
	{ 0, "field", OPT_STR, &o.field, "NAME", "the field that gets the prompt (text)", 0, 0 },
	{ 0, "clusters", OPT_INT, &o.clusters, "K",
	    "part the images into K clusters by their vectors", 1, 100000 },
	{ 0, "choose-k", OPT_STR, &o.choose, "A:B",
	    "as many clusters, from A to B, as are best", 0, 0 },
	{ 0, "by", OPT_CHOICE, &o.by, "silhouette|sdbw",
	    "best by this measure (silhouette)", 0, 0 },
	{ 0, "sample", OPT_INT, &o.sample, "N",
	    "rows that the silhouette looks at (3000; 0: all)", 0, 1e9 },
	{ 0, "centroids", OPT_STR, &o.centroids, "FILE.npy", "take these clusters", 0, 0 },
	{ 0, "save-centroids", OPT_STR, &o.save, "FILE.npy", "write the clusters' means", 0, 0 },
	{ 0, "runs", OPT_INT, &o.runs, "N", "begin N times and take the best (10)", 1, 1000 },
	{ 0, "iterations", OPT_INT, &o.iterations, "N", "steps at most (300)", 1, 1e6 },
	{ 0, "tolerance", OPT_FLOAT, &o.tolerance, "X",
	    "end when the means move less (1e-4)", 0, 1 },
	{ 0, "mini-batch", OPT_INT, &o.batch, "N", "N images a step, not all", 1, 1e9 },
	{ 0, "outliers", OPT_CHOICE, &o.outliers, "keep|remove",
	    "images that fail a rule (remove: mep-histo)", 0, 0 },
	{ 0, "min-mean-v", OPT_FLOAT, &o.limits.mean_v, "X", "rule: mean of value (70)", 0, 255 },
	{ 0, "min-mean-s", OPT_FLOAT, &o.limits.mean_s, "X", "mean of saturation (3)", 0, 255 },
	{ 0, "min-std-v", OPT_FLOAT, &o.limits.std_v, "X", "deviation of value (4)", 0, 255 },
	{ 0, "min-std-s", OPT_FLOAT, &o.limits.std_s, "X", "deviation of saturation (4)", 0, 255 },
	{ 0, "min-std-h", OPT_FLOAT, &o.limits.std_h, "X", "deviation of hue (1.5)", 0, 255 },
	{ 0, "min-var-l", OPT_FLOAT, &o.limits.var_l, "X",
	    "variance of the Laplacian (100)", 0, 1e9 },
	{ 0, "min-contours", OPT_FLOAT, &o.limits.n_contour, "X", "contours (10)", 0, 1e9 },
	{ 0, "rename", OPT_LIST, &o.rename, "A=B", "say label B for A", 0, 0 },
	{ 0, "balance", OPT_FLAG, &o.balance, NULL,
	    "as many images of each prompt, prompts of each label", 0, 0 },
	{ 0, "min-prompts", OPT_INT, &o.sizes.least, "N",
	    "more than N prompts of each label (10)", 0, 1e6 },
	{ 0, "first-size", OPT_INT, &o.sizes.first, "N",
	    "smallest set tried (50000, or 1/20)", 1, 1e12 },
	{ 0, "size-step", OPT_INT, &o.sizes.step, "N",
	    "the next is larger by (5000, or 1/20)", 1, 1e12 },
	{ 0, "split", OPT_STR, &o.split, "A:B:C",
	    "part each prompt's images: train, test, validation", 0, 0 },
	{ 0, "layout", OPT_CHOICE, &o.layout, "mep", "also write MEP's tables", 0, 0 },
	{ 'o', "output", OPT_STR, &o.out, "DIR", "with --layout: write them below DIR", 0, 0 },
	{ 0, "only-label", OPT_STR, &o.only, "LABEL",
	    "its training table and prompts of this label alone", 0, 0 },
	{ 0, "map", OPT_STR, &o.map, "FILE.png", "draw the clusters", 0, 0 },
	{ 0, "stats", OPT_STR, &o.stats, "FILE",
	    "write records of the clustering and of each prompt", 0, 0 },
	{ 'd', "device", OPT_STR, &o.device, "DEVICE", "number, part of the name, or cpu", 0, 0 },
	{ 's', "seed", OPT_U64, &o.seed, "N", "seed (0)", 0, 0 },
	REC_OPTIONS_JOBS(ro),
	REC_OPTIONS_COMMON(ro),
	{ 0 },
};

/* ---- templates ---------------------------------------------------------------------------- */

static struct template *templates;
static size_t ntemplates, captemplates;

static void
add_template(const char *text)
{
	templates = xgrow(templates, &captemplates, ntemplates + 1, sizeof(*templates));
	if (template_parse(&templates[ntemplates++], text))
		usage_error("%s", errmsg());
}

static void
read_templates(void)
{
	char *text, *save, *l;
	size_t len;

	for (size_t i = 0; i < o.templates.n; i++)
		add_template(o.templates.v[i]);
	if (o.preset) {
		if (!template_preset(o.preset))
			usage_error("--preset: '%s' is not one of %s", o.preset, TEMPLATE_PRESETS);
		add_template(template_preset(o.preset));
	}
	if (o.file) {
		if (file_read(o.file, 1 << 24, &text, &len))
			die("%s", errmsg());
		for (l = strtok_r(text, "\r\n", &save); l; l = strtok_r(NULL, "\r\n", &save))
			add_template(l);
		free(text);
	}
	if (!ntemplates)
		usage_error("want --template, --templates or --preset");
}

/* The record's sentence: which template is a function of seed and id. */
static int
fill(struct rec *r, struct sb *sb)
{
	struct rng g;

	rng_init(&g, o.seed, rng_stream("template", rec_id(r)));
	return template_fill(&templates[rng_below(&g, ntemplates)], r, sb);
}

static int
one(struct rec *r, struct rec_out *out, void *ctx)
{
	struct sb sb = { 0 };
	int ret = fill(r, &sb);

	(void)ctx;
	if (!ret) {
		rec_set_str(r, o.field, sb.s);
		rec_emit(out, r);
	}
	sb_release(&sb);
	return ret;
}

/* ---- reading images and vectors ----------------------------------------------------------- */

static struct morph m;

static const char *
renamed(const char *label)
{
	size_t n = strlen(label);

	for (size_t i = 0; i < o.rename.n; i++)
		if (strncmp(o.rename.v[i], label, n) == 0 && o.rename.v[i][n] == '=')
			return o.rename.v[i] + n + 1;
	return label;
}

/* The sentence that a record has in this cluster. */
static int
with_cluster(struct rec *r, int32_t cluster, const char *label, struct sb *sb)
{
	rec_set_int(r, "cluster", cluster);
	rec_set_str(r, "label", label);
	return fill(r, sb);
}

static int
gather(struct rec *r, void *ctx)
{
	const char *path = rec_path(r, "file_name"), *label = rec_text(r, "label");
	struct morph_item *it;
	struct sb sb = { 0 };

	(void)ctx;
	label = label ? renamed(label) : "undefined";
	if (!path || morph_read_row(&m, r) || with_cluster(r, 0, label, &sb))
		return -1;
	sb_release(&sb);
	m.item = xgrow(m.item, &m.cap, (size_t)m.n + 1, sizeof(*m.item));
	it = &m.item[m.n++];
	*it = (struct morph_item){ .line = xstrndup(r->line, r->len), .len = r->len,
		.input = r->input, .lineno = r->lineno, .id = xstrdup(rec_id(r)),
		.path = xstrdup(path), .row = m.rows++, .label = morph_label(&m, label) };
	return 0;
}

/* ---- clusters ----------------------------------------------------------------------------- */

static struct kmeans_opts
how(int64_t k)
{
	return (struct kmeans_opts){ .k = k, .runs = o.runs, .iterations = o.iterations,
		.tolerance = o.tolerance, .batch = o.batch, .seed = o.seed };
}

/* A measure that is the larger the better. */
static double
measure(const struct kmeans *c)
{
	double s;

	if (o.by == BY_SILHOUETTE)
		return score_silhouette(m.x, m.rows, m.d, c->label, c->k, o.sample, o.seed);
	if (score_sdbw(m.x, m.rows, m.d, c->label, c->k, &s))
		return -INFINITY;
	return -s;
}

/* The best of several k; a record of each goes to stats. */
static void
choose_k(struct sb *stats)
{
	const char *colon = strchr(o.choose, ':');
	char *from = xstrndup(o.choose, colon ? (size_t)(colon - o.choose) : 0);
	int64_t a, b;
	double best = 0;

	if (!colon || parse_int(from, 2, 100000, &a) || parse_int(colon + 1, a, 100000, &b))
		usage_error("--choose-k: want A:B, whole numbers from 2");
	free(from);
	for (int64_t k = a; k <= b; k++) {
		struct kmeans_opts ko = how(k);
		struct kmeans c;
		double s;

		if (kmeans_fit(&c, m.x, m.rows, m.d, &ko))
			die("%s", errmsg());
		s = measure(&c);
		sb_printf(stats, "{\"kind\":\"choice\",\"k\":%lld", (long long)k);
		json_add_num(stats, "inertia", c.inertia);
		json_add_num(stats, o.by == BY_SDBW ? "s_dbw" : "silhouette",
		    o.by == BY_SDBW ? -s : s);
		sb_puts(stats, "}\n");
		if (m.clusters.center && !(s > best)) {
			kmeans_release(&c);
			continue;
		}
		best = s;
		kmeans_release(&m.clusters);
		m.clusters = c;
	}
}

static void
take_centroids(void)
{
	struct st_tensor t;

	if (npy_read(&t, o.centroids))
		die("%s", errmsg());
	if (t.dtype != ST_F32 || t.ndim != 2 || t.dim[1] != m.d || t.dim[0] < 1)
		die("%s: want rows of %lld 32-bit floats", o.centroids, (long long)m.d);
	for (int64_t i = 0; i < t.n; i++)
		if (!isfinite(((const float *)t.data)[i]))
			die("%s: row %lld is not finite", o.centroids, (long long)(i / m.d));
	if (kmeans_assign(&m.clusters, m.x, m.rows, m.d, t.data, t.dim[0]))
		die("%s", errmsg());
	free((void *)t.data);
}

static void
make_clusters(struct sb *stats)
{
	struct kmeans_opts ko = how(o.clusters);

	gpu_open(o.device);
	if (o.centroids)
		take_centroids();
	else if (o.choose)
		choose_k(stats);
	else if (kmeans_fit(&m.clusters, m.x, m.rows, m.d, &ko))
		die("%s", errmsg());
	gpu_close();
	if (o.save &&
	    npy_write(&(struct st_tensor){ .dtype = ST_F32, .ndim = 2, .dim = { m.clusters.k, m.d },
	    .n = m.clusters.k * m.d, .data = m.clusters.center }, o.save))
		die("%s", errmsg());
	morph_take_clusters(&m);
}

/* ---- what comes out ----------------------------------------------------------------------- */

static void
put_look(struct rec *r, const struct look *l)
{
	rec_set_num(r, "mean_v", l->mean_v);
	rec_set_num(r, "median_v", l->median_v);
	rec_set_num(r, "std_v", l->std_v);
	rec_set_num(r, "mean_s", l->mean_s);
	rec_set_num(r, "median_s", l->median_s);
	rec_set_num(r, "std_s", l->std_s);
	rec_set_num(r, "std_h", l->std_h);
	rec_set_num(r, "var_l", l->var_l);
	rec_set_int(r, "n_contour", l->n_contour);
}

static void
item_rec(struct rec *r, const struct morph_item *it)
{
	rec_clear(r);
	if (rec_parse(r, it->line, it->len))
		die("%s", errmsg()); /* it was read before */
	r->input = it->input;
	r->lineno = it->lineno;
}

static void
make_prompts(void)
{
	char **text = xcalloc((size_t)m.n + 1, sizeof(*text));
	struct rec r = { 0 };

	for (int64_t i = 0; i < m.n; i++) {
		struct sb sb = { 0 };

		if (m.item[i].row < 0)
			continue;
		item_rec(&r, &m.item[i]);
		if (with_cluster(&r, m.item[i].cluster, m.label[m.item[i].label], &sb))
			die("%s", errmsg()); /* it went well before */
		text[i] = sb.s;
	}
	rec_release(&r);
	morph_set_prompts(&m, text);
}

/* Records of the taken, in the order they came; returns the exit code that they call for. */
static int
put_records(struct rec_out *out, bool looked)
{
	static const char *const split[] = { "train", "test", "validation" };
	struct rec r = { 0 };
	int code = EXIT_OK;

	for (int64_t i = 0; i < m.n; i++) {
		const struct morph_item *it = &m.item[i];

		if (!it->why && !it->taken)
			continue;
		item_rec(&r, it);
		if (it->why) {
			rec_bad(&ro, &r, out, it->why);
			code = EXIT_RECORDS;
			continue;
		}
		if (o.rename.n && rec_get(&r, "label"))
			rec_set_str(&r, "label", m.label[it->label]);
		if (looked)
			put_look(&r, &it->look);
		rec_set_int(&r, "cluster", it->cluster);
		rec_set_str(&r, o.field, m.prompt[it->prompt].text);
		rec_set_int(&r, "prompt_idx", it->prompt);
		if (o.split)
			rec_set_str(&r, "split", split[it->split]);
		rec_emit(out, &r);
	}
	rec_release(&r);
	return code;
}

/* A record of the clustering, and one of each prompt. */
static void
put_stats(struct sb *sb, int64_t removed)
{
	int32_t *label = xmalloc((size_t)m.rows * sizeof(*label));
	struct compactness *c = xcalloc((size_t)m.nprompt + 1, sizeof(*c));
	int64_t taken = 0;

	for (int64_t i = 0; i < m.n; i++) {
		taken += m.item[i].taken;
		if (m.item[i].prompt >= 0 && m.item[i].row >= 0)
			label[m.item[i].row] = m.item[i].prompt;
	}
	score_compactness(m.x, m.rows, m.d, label, m.nprompt, c);
	sb_printf(sb, "{\"kind\":\"clustering\",\"k\":%lld", (long long)m.clusters.k);
	json_add_num(sb, "inertia", m.clusters.inertia);
	sb_printf(sb, ",\"iterations\":%lld,\"n\":%lld,\"removed\":%lld,\"taken\":%lld,\"sizes\":[",
	    (long long)m.clusters.iterations, (long long)m.rows, (long long)removed,
	    (long long)taken);
	for (int64_t k = 0; k < m.clusters.k; k++)
		sb_printf(sb, "%s%lld", k ? "," : "", (long long)m.clusters.size[k]);
	sb_puts(sb, "]}\n");
	for (int p = 0; p < m.nprompt; p++) {
		sb_printf(sb, "{\"kind\":\"prompt\",\"prompt_idx\":%d", p);
		json_add_str(sb, "text", m.prompt[p].text);
		sb_printf(sb, ",\"n\":%lld,\"taken\":%s", (long long)m.prompt[p].n,
		    m.prompt[p].taken ? "true" : "false");
		json_add_num(sb, "mean_variance", c[p].mean_variance);
		json_add_num(sb, "max_distance2", c[p].max_distance2);
		sb_puts(sb, "}\n");
	}
	if (file_write(o.stats, sb->s, sb->len))
		die("%s", errmsg());
	free(label);
	free(c);
}

static void
split_items(void)
{
	double w[MORPH_SPLITS] = { 0 };
	char *s = xstrdup(o.split), *save, *p = strtok_r(s, ":", &save);
	int n = 0;

	for (; p && n < MORPH_SPLITS; p = strtok_r(NULL, ":", &save), n++)
		if (parse_float(p, 0, 1e12, &w[n]))
			usage_error("--split: %s", errmsg());
	/* train, test, validation in the order of enum morph_split */
	if (p || n < 2 || !(w[0] + w[1] + w[2] > 0))
		usage_error("--split: want two or three weights, A:B:C");
	free(s);
	morph_part(&m, w, o.seed);
}

/* What is tried where there are fewer images than MEP's smallest set. */
static void
default_sizes(void)
{
	bool few = m.n < 50000;

	if (!o.sizes.first)
		o.sizes.first = few ? (m.n + 19) / 20 : 50000;
	if (!o.sizes.step)
		o.sizes.step = few ? (m.n + 19) / 20 : 5000;
}

static int
by_looks(const char *const *files, size_t n, bool remove)
{
	struct rec_out out;
	struct sb stats = { 0 };
	int64_t removed = 0;
	int code, more;

	rec_out_open(&out, 1, "standard output");
	code = rec_each(&ro, files, n, &out, gather, NULL);
	if (code == EXIT_FATAL)
		return code;
	morph_sort_labels(&m);
	for (int i = 0; o.only && m.n && strcmp(m.label[i], o.only); i++)
		if (i + 1 == m.nlabel)
			die("--only-label: no record has the label '%s'", o.only);
	if (remove) {
		morph_look(&m, &o.limits);
		removed = morph_remove(&m);
		if (removed && m.rows && !ro.quiet)
			warn("%lld of %lld images are removed", (long long)removed, (long long)m.n);
	}
	if (!m.rows) {
		more = put_records(&out, remove);
		rec_out_close(&out);
		if (removed)
			die("all %lld images were removed; --outliers keep leaves them",
			    (long long)removed);
		return more > code ? more : code;
	}
	make_clusters(&stats);
	make_prompts();
	default_sizes();
	if (!o.balance)
		morph_take_all(&m);
	else if (morph_take_balanced(&m, &o.sizes, o.seed))
		die("%s", errmsg());
	if (o.split)
		split_items();
	if ((o.map && morph_draw(&m, o.map, o.seed)) ||
	    (o.layout >= 0 && morph_write_mep(&m, o.out, remove, o.only)))
		die("%s", errmsg());
	if (o.stats)
		put_stats(&stats, removed);
	more = put_records(&out, remove);
	rec_out_close(&out);
	sb_release(&stats);
	return more > code ? more : code;
}

/* ---- options ------------------------------------------------------------------------------ */

/* MEP's presets know how many clusters there are, and whether outliers go. */
static bool
check_options(void)
{
	const void *const of_looks[] = { &o.rename, &o.device };
	const void *const of_means[] = { &o.runs, &o.iterations, &o.tolerance, &o.batch };
	const void *const rules[] = { &o.limits.mean_v, &o.limits.mean_s, &o.limits.std_v,
		&o.limits.std_s, &o.limits.std_h, &o.limits.var_l, &o.limits.n_contour };
	bool histo = o.preset && strcmp(o.preset, "mep-histo") == 0, looks;

	read_templates();
	if (!o.clusters && !o.choose && !o.centroids)
		o.clusters = histo ? 33 : o.preset && strcmp(o.preset, "mep-cxr") == 0 ? 10 : 0;
	looks = o.clusters || o.choose || o.centroids;
	if (o.outliers < 0)
		o.outliers = histo;
	if ((o.clusters > 0) + (o.choose != NULL) + (o.centroids != NULL) > 1)
		usage_error("--clusters, --choose-k, --centroids: one of them");
	if (!looks &&
	    (o.balance || o.split || o.layout >= 0 || o.map || o.stats || o.save || o.outliers))
		usage_error(
		    "--balance, --split, --layout, --map, --stats, --save-centroids and --outliers "
		    "go with "
		    "--clusters, --choose-k or --centroids");
	for (size_t i = 0; i < sizeof(of_looks) / sizeof(*of_looks); i++)
		opt_wants(of_looks[i], looks, "--clusters, --choose-k or --centroids");
	for (size_t i = 0; i < sizeof(of_means) / sizeof(*of_means); i++)
		opt_wants(of_means[i], looks && !o.centroids, "--clusters or --choose-k");
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		opt_wants(rules[i], o.outliers > 0, "--outliers remove");
	for (size_t i = 0; i < o.rename.n; i++)
		if (strcspn(o.rename.v[i], "=") == 0 || !strchr(o.rename.v[i], '='))
			usage_error("--rename: '%s' is not A=B", o.rename.v[i]);
	opt_wants(&o.by, o.choose, "--choose-k");
	if (o.map && !image_is_name(path_base(o.map)))
		usage_error("--map: '%s' does not end in .png, .jpg or .jpeg", o.map);
	opt_wants(&o.sample, o.choose && o.by == BY_SILHOUETTE, "--choose-k by the silhouette");
	opt_wants(&o.sizes.least, o.balance, "--balance");
	opt_wants(&o.sizes.first, o.balance, "--balance");
	opt_wants(&o.sizes.step, o.balance, "--balance");
	if ((o.layout >= 0) != (o.out != NULL))
		usage_error("--layout and -o go together");
	if (o.only && o.layout < 0)
		usage_error("--only-label goes with --layout");
	if (looks && ro.shard.n > 1)
		usage_error("clusters are those of all records: no --shard");
	return looks;
}

int
main(int argc, char **argv)
{
	const char *const *files;
	bool looks;
	int at, code;
	size_t n;

	ro = (struct rec_opts)REC_OPTS;
	at = opt_parse(argc, argv, table, "-t TEXT | --preset NAME [options] [FILE ...]",
	    "Prompts from records' fields and from what images look like.");
	looks = check_options();
	files = (const char *const *)argv + at;
	n = (size_t)(argc - at);
	code = looks ? by_looks(files, n, o.outliers > 0) : rec_filter(&ro, files, n, one, NULL);
	for (size_t i = 0; i < ntemplates; i++)
		template_release(&templates[i]);
	free(templates);
	morph_release(&m);
	return code;
}
