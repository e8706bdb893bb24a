/* fid: how near generated images are to real ones. */
#include "base/err.h"
#include "base/file.h"
#include "metric/feature_cache.h"
#include "metric/feature_images.h"
#include "metric/feature_moments.h"
#include "metric/fidimages.h"
#include "metric/fidreport.h"
#include "metric/fidscore.h"
#include "model/embedder.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LAYOUT_RECORDS, LAYOUT_MEP, LAYOUT_NSW, MAX_CLASSES = 1 << 20 };

static struct opts {
	struct rec_opts rec;
	const char *metrics, *by, *scores, *logits, *classes, *cache, *output, *sheet;
	int64_t sheet_rows, components;
	int layout;
	bool partial, merge, rank, per_image, no_cache;
	int64_t ddof, dims;
	double min_p;
} o = { .sheet_rows = 24, .components = 64, .ddof = 1, .min_p = NAN };
static struct fid_how how = { .k = 5, .kid_subsets = 100, .kid_size = 1000, .splits = 10 };
static struct fset_images images = { .batch = 8, .jobs = 2 };

static const struct opt table[] = {
	{ 0, "metrics", OPT_STR, &o.metrics, "LIST",
	    "which (fid,kid,precision,recall,density,coverage; all)", 0, 0 },
	{ 0, "network", OPT_STR, &images.network, "NAME[:LAYER]",
	    EMBED_NETWORKS_SHORT " (inception)", 0, 0 },
	{ 0, "weights", OPT_STR, &images.weights, "FILE",
	    "its weights, for inputs that are images", 0, 0 },
	{ 0, "inception", OPT_STR, &images.weights, "FILE", NULL, 0, 0 },
	{ 0, "preprocess", OPT_STR, &images.preprocess, "NAME",
	    "how pictures become input (the network's own)", 0, 0 },
	{ 0, "size", OPT_INT, &images.side, "N", "pixels of the input's side", 1, 4096 },
	{ 'd', "device", OPT_STR, &images.device, "DEVICE",
	    "number, part of the name, or cpu", 0, 0 },
	{ 0, "batch-size", OPT_INT, &images.batch, "N",
	    "images at a time on the device (8)", 1, 1024 },
	{ 0, "batch_size", OPT_INT, &images.batch, "N", NULL, 1, 1024 },
	{ 0, "cache", OPT_STR, &o.cache, "DIR",
	    "keep features there (~/.cache/phantom/features)", 0, 0 },
	{ 0, "no-cache", OPT_FLAG, &o.no_cache, NULL, "keep no features", 0, 0 },
	{ 0, "by", OPT_STR, &o.by, "FIELD", "also for each value of it (label, prompt_idx)", 0, 0 },
	{ 0, "neighbours", OPT_INT, &how.k, "K",
	    "of precision, recall, density, coverage (5)", 1, 1000 },
	{ 0, "nearest_k", OPT_INT, &how.k, "K", NULL, 1, 1000 },
	{ 0, "inclusive", OPT_FLAG, &how.inclusive, NULL,
	    "as far as the K-th neighbour counts as near", 0, 0 },
	{ 0, "kid-subsets", OPT_INT, &how.kid_subsets, "N", "of KID (100)", 1, 100000 },
	{ 0, "kid-subset-size", OPT_INT, &how.kid_size, "N",
	    "images in each of them (1000)", 2, 1000000 },
	{ 0, "splits", OPT_INT, &how.splits, "N", "of the Inception Score (10)", 1, 100000 },
	{ 0, "logits", OPT_STR, &o.logits, "FILE.npy",
	    "of GENERATED, for the Inception Score", 0, 0 },
	{ 0, "scores", OPT_STR, &o.scores, "FIELD",
	    "array of class probabilities in the records", 0, 0 },
	{ 0, "classes", OPT_STR, &o.classes, "CLASSES",
	    "their names or number, for accuracies of nsw", 0, 0 },
	{ 0, "ddof", OPT_INT, &o.ddof, "N", "covariances are divided by n - N (1)", 0, 1 },
	{ 0, "bootstrap", OPT_INT, &how.bootstrap, "N",
	    "95 % intervals from N resamplings", 10, 100000 },
	{ 0, "per-image", OPT_FLAG, &o.per_image, NULL,
	    "write each image's nearest real one, too", 0, 0 },
	{ 0, "sheet", OPT_STR, &o.sheet, "FILE.png", "the nearest pairs to look at", 0, 0 },
	{ 0, "sheet-rows", OPT_INT, &o.sheet_rows, "N", "pairs on the sheet (24)", 1, 1000 },
	{ 0, "rank", OPT_FLAG, &o.rank, NULL,
	    "write GENERATED's records, least likely first", 0, 0 },
	{ 0, "min-p", OPT_FLOAT, &o.min_p, "P",
	    "write GENERATED's records of this probability or more", 0, 1 },
	{ 0, "components", OPT_INT, &o.components, "N",
	    "principal components of --rank, --min-p (64)", 1, 100000 },
	{ 0, "partial", OPT_FLAG, &o.partial, NULL,
	    "write the inputs' statistics to -o FILE.npz", 0, 0 },
	{ 0, "save-stats", OPT_FLAG, &o.partial, NULL, NULL, 0, 0 },
	{ 0, "merge", OPT_FLAG, &o.merge, NULL, "merge statistics into -o FILE.npz", 0, 0 },
	{ 0, "layout", OPT_CHOICE, &o.layout, "records|mep|nsw", "of the results (records)", 0, 0 },
	{ 'o', "output", OPT_STR, &o.output, "FILE",
	    "results to FILE, not to standard output", 0, 0 },
	{ 's', "seed", OPT_U64, &how.seed, "SEED", "of subsets and resamplings (0)", 0, 0 },
	{ 'j', "jobs", OPT_INT, &images.jobs, "N", "threads that decode images (2)", 1, 256 },
	{ 0, "num-workers", OPT_INT, &images.jobs, "N", NULL, 0, 256 },
	{ 0, "num_workers", OPT_INT, &images.jobs, "N", NULL, 0, 256 },
	REC_OPTIONS_COMMON(o.rec),
	{ 0, NULL, OPT_TITLE, NULL, NULL, "Of the originals", 0, 0 },
	{ 0, "dims", OPT_INT, &o.dims, "N", "", 64, 2048 },
	{ 0 },
};

static struct rec_out out;
static struct intern groups, classes;

static void
need(int rc)
{
	if (rc)
		die("%s", errmsg());
}

/* ---- options --------------------------------------------------------------------------------- */

static void
read_metrics(void)
{
	static const char *const usual[] =
	    { [LAYOUT_RECORDS] = "fid,kid,precision,recall,density,coverage",
		[LAYOUT_MEP] = "fid,precision,recall", [LAYOUT_NSW] = "fid" };
	const char *list = o.metrics ? o.metrics : usual[o.layout];
	char *copy, *next;

	if (strcmp(list, "all") == 0)
		list = FID_NAMES;
	copy = xstrdup(list);
	for (char *s = copy; s; s = next) {
		int m;

		next = strchr(s, ',');
		if (next)
			*next++ = '\0';
		m = fid_metric_find(s);
		if (m < 0)
			usage_error("--metrics: %s", errmsg());
		how.want[m] = true;
	}
	if (o.layout == LAYOUT_NSW && !how.want[FID_DISTANCE])
		usage_error("the table of nsw is of fid");
	free(copy);
}

static bool
filtering(void)
{
	return o.rank || !isnan(o.min_p);
}

static void
check_options(int operands)
{
	const struct shard d = shard_default();

	if (o.partial && o.merge)
		usage_error("--partial and --merge are two things");
	if ((o.partial || o.merge) && !o.output)
		usage_error("%s wants -o FILE.npz", o.partial ? "--partial" : "--merge");
	if ((o.partial || o.merge) &&
	    (filtering() || o.per_image || o.sheet || o.layout || o.by || o.metrics || o.logits ||
	        o.scores || how.bootstrap))
		usage_error("%s writes statistics only", o.partial ? "--partial" : "--merge");
	if (o.merge && !operands)
		usage_error("--merge wants files of statistics");
	if (!o.partial && !o.merge && (operands < 1 || operands > 2))
		usage_error("want REAL and GENERATED");
	if (filtering() && (o.layout || o.by || o.metrics || o.output || o.sheet || how.bootstrap))
		usage_error("--rank and --min-p write records only");
	if (o.no_cache && o.cache)
		usage_error("--cache and --no-cache");
	if (!o.partial) {
		if (o.rec.shard.n && (o.rec.shard.n != d.n || o.rec.shard.i != d.i))
			usage_error("--shard goes with --partial");
		o.rec.shard = (struct shard){ 0 };
	}
	if (o.dims && images.network)
		usage_error("--dims is a layer of inception");
	if (o.dims)
		images.network = xasprintf("inception:%" PRId64, o.dims);
	if (images.network && !images.weights)
		usage_error("--network wants --weights");
	if (o.classes && o.layout != LAYOUT_NSW)
		usage_error("--classes is for --layout nsw");
	if (o.classes && intern_list(&classes, o.classes, MAX_CLASSES))
		usage_error("--classes: %s", errmsg());
	if (o.layout == LAYOUT_NSW && !o.by)
		o.by = "label";
	if (o.layout == LAYOUT_MEP && o.by)
		usage_error("the table of mep has no groups");
	opt_wants(&images.preprocess, images.weights, "--weights");
	opt_wants(&images.side, images.weights, "--weights");
	opt_wants(&images.batch, images.weights, "--weights");
	opt_wants(&o.cache, images.weights, "--weights");
	opt_wants(&o.sheet_rows, o.sheet, "--sheet");
	if (o.sheet && !image_is_name(path_base(o.sheet)))
		usage_error("--sheet: '%s' does not end in .png, .jpg or .jpeg", o.sheet);
	opt_wants(&o.components, filtering(), "--rank or --min-p");
	how.ddof = (int)o.ddof;
	images.jobs += !images.jobs;
}

static struct fset_how
reading(void)
{
	const char *network = images.network;
	static char *cache;

	if (!images.network)
		images.network = "inception";
	images.logits = how.want[FID_IS] || o.layout == LAYOUT_NSW;
	if (!images.cache && !o.no_cache) {
		cache = o.cache ? xstrdup(o.cache) : feature_cache_default();
		images.cache = cache;
	}
	return (struct fset_how){ .ro = &o.rec, .out = &out, .by = o.by, .groups = &groups,
		.scores = o.scores, .lines = o.per_image || filtering(),
		.images = images.weights ? &images : NULL, .network = network };
}

/* ---- statistics ------------------------------------------------------------------------------ */

static void
put_statistics(const struct moments *m, const struct fset_source *source)
{
	struct rec r = { .spaced = true };

	need(fset_write_moments(m, source, o.output));
	rec_set_str(&r, "kind", "statistics");
	rec_set_str(&r, "statistics_file", o.output);
	rec_set_int(&r, "n", m->n);
	rec_set_int(&r, "dim", m->d);
	rec_set_str(&r, "embedding_network", source->network);
	rec_set_str(&r, "embedding_preprocess", source->preprocess);
	rec_set_str(&r, "embedding_weights", source->weights);
	rec_emit(&out, &r);
	rec_release(&r);
}

/* The moments of all operands together, into -o. */
static int
statistics(const char *const *file, int n, const struct fset_how *rh)
{
	struct fset first = { 0 }, s;
	struct moments all = { 0 };
	int rc = EXIT_OK;
	bool known;

	for (int i = 0; i < n; i++) {
		if (o.merge)
			need(fset_read_moments(&s, file[i]));
		else
			rc |= fset_read(&s, file[i], rh);
		if (s.has_moments && !s.n)
			die("%s: does not say of how many images it is: it cannot be merged",
			    file[i]);
		if (!i)
			moments_init(&all, s.d);
		else
			need(fset_same_source(&first, &s, &known));
		if (s.has_moments)
			moments_merge(&all, &s.moments);
		else
			moments_add(&all, s.x, NULL, s.n);
		if (i)
			fset_release(&s);
		else
			first = s;
	}
	put_statistics(&all, &first.source);
	moments_release(&all);
	fset_release(&first);
	return rc;
}

/* ---- results --------------------------------------------------------------------------------- */

/* The values of each group; the real ones of the same group, or all where they have none. */
static int
score_groups(const struct fset *real, const struct fset *gen, struct fid_list *list)
{
	bool *has = xcalloc(groups.n + 1, sizeof(*has)), real_has = false;
	int bad = 0;

	if (!gen->row)
		die("%s: --by needs records", gen->name);
	for (int64_t i = 0; i < gen->n; i++)
		if (gen->row[i].group >= 0)
			has[gen->row[i].group] = true;
	for (int64_t i = 0; real->row && i < real->n; i++)
		real_has |= real->row[i].group >= 0;
	for (size_t g = 0; g < groups.n; g++) {
		struct fset a, b;

		if (!has[g])
			continue;
		fset_pick_group(gen, (int)g, &b);
		if (real_has)
			fset_pick_group(real, (int)g, &a);
		bad += fid_scores(real_has ? &a : real, &b, &how, groups.name[g], list);
		if (real_has)
			fset_release(&a);
		fset_release(&b);
	}
	free(has);
	return bad;
}

static char *
table_path(const char *file)
{
	struct stat st;

	return stat(o.output, &st) == 0 && S_ISDIR(st.st_mode) ? path_join(o.output, file)
	    : xstrdup(o.output);
}

/* The table goes to the end of one that is there, without its header. */
static void
append_nsw(struct sb *sb)
{
	char *path = table_path("synth_img_metrics.csv"), *old = NULL;
	struct sb whole = { 0 };
	size_t len = 0;

	if (file_exists(path))
		need(file_read(path, (size_t)1 << 30, &old, &len));
	if (!len)
		sb_puts(&whole, fidreport_nsw_header);
	sb_put(&whole, old ? old : "", len);
	sb_put(&whole, sb->s ? sb->s : "", sb->len);
	need(file_write(path, whole.s, whole.len));
	sb_release(&whole);
	free(old);
	free(path);
}

static void
put_results(const struct fid_list *list, const struct fset *real, const struct fset *gen)
{
	const char *network = *real->source.network ? real->source.network : gen->source.network;
	struct sb sb = { 0 };
	char *path = NULL, *name;

	if (o.layout == LAYOUT_NSW) {
		if (!o.output)
			sb_puts(&sb, fidreport_nsw_header);
		fidreport_nsw(&sb, list, real, gen, &groups, network);
	} else if (o.layout == LAYOUT_MEP) {
		fidreport_mep(&sb, list, real, gen);
	} else {
		fidreport_records(&sb, list, real, gen, o.by);
	}
	if (!o.output) {
		rec_out_lines(&out, sb.s ? sb.s : "", sb.len);
	} else if (o.layout == LAYOUT_NSW) {
		append_nsw(&sb);
	} else {
		name = xasprintf("arxiv_analysis_fid_%s_df.csv",
		    !*network || strncmp(network, "inception", 9) == 0 ? "inceptionv3_tokens"
		    : "token");
		path = o.layout == LAYOUT_MEP ? table_path(name) : xstrdup(o.output);
		need(file_write(path, sb.s ? sb.s : "", sb.len));
		free(path);
		free(name);
	}
	sb_release(&sb);
}

static void
warn_of_few(const struct fset *real, const struct fset *gen)
{
	const struct fset *s = !gen->n || (real->n && real->n < gen->n) ? real : gen;

	if ((how.want[FID_DISTANCE] || how.want[FID_INFINITY]) && s->n && s->n <= s->d)
		warn("%s: %" PRId64 " images for %" PRId64
		     " features: the covariance is singular and the "
		     "distance too large; compare it with those of as many images only",
		    s->name, s->n, s->d);
}

static int
compare(const struct fset *real, const struct fset *gen)
{
	const bool moments = real->has_moments || gen->has_moments;
	struct fid_images one = { 0 };
	struct fid_list list = { 0 };
	int bad = 0;

	for (int m = 0; m < FID_METRICS; m++) {
		/* what is asked for only by default is left out where there are only statistics */
		if (moments && !o.metrics && !fid_metric_of_moments((enum fid_metric)m))
			how.want[m] = false;
		if (how.want[m])
			need(fid_check(real, gen, &how, (enum fid_metric)m));
	}
	if (moments && (o.per_image || o.sheet || o.by))
		die("--per-image, --sheet and --by need features of both sets, not statistics");
	if (gen->has_moments && how.bootstrap)
		die("%s: --bootstrap needs features, not statistics", gen->name);
	warn_of_few(real, gen);
	if (o.per_image || o.sheet)
		fid_images_near(&one, real, gen);
	if (o.per_image)
		fid_images_write(&one, real, gen, 0, false, &out);
	if (o.sheet)
		need(fid_images_sheet(&one, real, gen, o.sheet_rows, o.sheet));
	fid_images_release(&one);
	bad = fid_scores(real, gen, &how, NULL, &list);
	if (o.by)
		bad += score_groups(real, gen, &list);
	put_results(&list, real, gen);
	fid_list_release(&list);
	return bad ? EXIT_RECORDS : EXIT_OK;
}

static void
filter(const struct fset *real, const struct fset *gen)
{
	struct fid_images one = { 0 };
	int64_t used;

	if (real->has_moments || gen->has_moments)
		die("--rank and --min-p need features, not statistics");
	need(fid_images_unlikely(&one, real, gen, o.components, &used));
	if (used < o.components)
		warn("%s: %" PRId64 " images vary in %" PRId64 " principal components only",
		    real->name, real->n, used);
	if (o.per_image)
		fid_images_near(&one, real, gen);
	fid_images_write(&one, real, gen, isnan(o.min_p) ? 0 : o.min_p, o.rank, &out);
	fid_images_release(&one);
}

static int
two_sets(const char *const *file, int n, const struct fset_how *rh)
{
	const char *second = n > 1 ? file[1] : "-";
	struct fset real, gen;
	bool known;
	int rc;

	if (strcmp(file[0], "-") == 0 && strcmp(second, "-") == 0)
		usage_error("REAL and GENERATED cannot both be standard input");
	rc = fset_read(&real, file[0], rh);
	rc |= fset_read(&gen, second, rh);
	need(fset_same_source(&real, &gen, &known));
	if (!known && (*real.source.network || *gen.source.network))
		warn("%s does not say which network it is of; %s is of %s",
		    *real.source.network ? gen.name : real.name,
		    *real.source.network ? real.name : gen.name,
		    *real.source.network ? real.source.network : gen.source.network);
	if (o.logits)
		need(fset_read_logits(&gen, o.logits));
	if (o.classes) {
		need(fset_predict(&real, &classes));
		need(fset_predict(&gen, &classes));
	}
	if (filtering())
		filter(&real, &gen);
	else
		rc |= compare(&real, &gen);
	fset_release(&real);
	fset_release(&gen);
	return rc;
}

int
main(int argc, char **argv)
{
	const char *const standard_input = "-";
	const char *const *file;
	struct fset_how rh;
	int at, n, rc;

	o.rec = (struct rec_opts)REC_OPTS;
	at = opt_parse(argc, argv, table, "[options] REAL [GENERATED]",
	    "Measures how near generated images are to real ones: FID and its kin.");
	n = argc - at;
	file = n ? (const char *const *)argv + at : &standard_input;
	check_options(n);
	read_metrics();
	opt_wants(&o.logits, how.want[FID_IS], "--metrics inception_score");
	o.rec.ends = true;
	rh = reading();
	rec_out_open(&out, 1, "standard output");
	if (o.partial || o.merge)
		rc = statistics(file, n ? n : 1, &rh);
	else
		rc = two_sets(file, n, &rh);
	rec_out_close(&out);
	fset_images_close(&images);
	intern_release(&groups);
	intern_release(&classes);
	return rc;
}
