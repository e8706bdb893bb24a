/* score: predictions against the truth: masks, labels, scores. */
#include "base/err.h"
#include "base/file.h"
#include "data/result.h"
#include "metric/confusion.h"
#include "metric/labelreport.h"
#include "metric/masksheet.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { TASK_MASKS, TASK_LABELS };
enum { BACKGROUND_COUNT, BACKGROUND_SKIP };
enum { MAX_NAMES = 256, MAX_CLASSES = 255 };

static struct opts {
	struct rec_opts rec;
	int task, preset, background;
	const char *truth, *pred, *scores, *classes, *metrics, *average, *weights, *ignore, *output;
	const char *confusion, *nsw, *sheet;
	int64_t sheet_rows;
	double threshold, zero_division;
	bool per_image;
} o = { .preset = -1, .background = -1, .threshold = NAN, .sheet_rows = 12 };

static const struct opt table[] = {
	{ 0, "task", OPT_CHOICE, &o.task, "masks|labels",
	    "what is compared (default: masks)", 0, 0 },
	{ 0, "truth", OPT_STR, &o.truth, "FIELD", "the truth (mask_file_name; label)", 0, 0 },
	{ 0, "pred", OPT_STR, &o.pred, "FIELD",
	    "the prediction (pred_mask_file_name; pred_label)", 0, 0 },
	{ 0, "scores", OPT_STR, &o.scores, "FIELD",
	    "labels: a score, an array, or p_ for p_0, p_1 ...", 0, 0 },
	{ 0, "score-field", OPT_STR, &o.scores, "FIELD", NULL, 0, 0 },
	{ 0, "classes", OPT_STR, &o.classes, "CLASSES",
	    "a class_dict.csv, a number, or names with commas", 0, 0 },
	{ 0, "metrics", OPT_STR, &o.metrics, "LIST",
	    "which (iou,f1,accuracy,recall,precision; all)", 0, 0 },
	{ 0, "average", OPT_STR, &o.average, "LIST",
	    "micro, macro, weighted, *-imagewise, none (each class)", 0, 0 },
	{ 0, "reduction", OPT_STR, &o.average, "LIST", NULL, 0, 0 },
	{ 0, "class-weights", OPT_STR, &o.weights, "W,W,...",
	    "masks: a weight for each class", 0, 0 },
	{ 0, "zero-division", OPT_FLOAT, &o.zero_division, "X",
	    "what 0/0 counts as (default: 0)", -1e9, 1e9 },
	{ 0, "zero_division", OPT_FLOAT, &o.zero_division, "X", NULL, -1e9, 1e9 },
	{ 0, "threshold", OPT_FLOAT, &o.threshold, "P",
	    "foreground, or the second class, from P on", -1e9, 1e9 },
	{ 0, "ignore", OPT_STR, &o.ignore, "N|none",
	    "masks: leave out pixels of this true class", 0, 0 },
	{ 0, "background", OPT_CHOICE, &o.background, "count|skip",
	    "masks: is class 0 a class?", 0, 0 },
	{ 0, "preset", OPT_CHOICE, &o.preset, "isn",
	    "IoU, F1 micro; accuracy macro; recall by image", 0, 0 },
	{ 0, "per-image", OPT_FLAG, &o.per_image, NULL,
	    "masks: write the records with their own scores", 0, 0 },
	{ 0, "confusion", OPT_STR, &o.confusion, "FILE", "the confusion matrix as CSV", 0, 0 },
	{ 0, "sheet", OPT_STR, &o.sheet, "FILE.png",
	    "masks: image, truth and prediction to look at", 0, 0 },
	{ 0, "sheet-rows", OPT_INT, &o.sheet_rows, "N", "of the first N records (12)", 1, 1000 },
	{ 0, "nsw", OPT_STR, &o.nsw, "DIR",
	    "labels: conf_mat.csv, class_metrics.csv ... into DIR", 0, 0 },
	{ 'o', "output", OPT_STR, &o.output, "FILE",
	    "results to FILE, not to standard output", 0, 0 },
	REC_OPTIONS_JOBS(o.rec),
	REC_OPTIONS_COMMON(o.rec),
	{ 0 },
};

static struct class_dict dict;
static struct intern classes; /* given, in order */
static const char *const *files;
static size_t nfiles;
static struct sb results;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void
need(int rc)
{
	if (rc)
		die("%s", errmsg());
}

/* A list with commas as at most MAX_NAMES names, which stay. */
static int
names(const char *list, const char **out)
{
	static struct arena kept;
	char *s = arena_strndup(&kept, list, strlen(list)), *next;
	int n = 0;

	for (; s; s = next) {
		next = strchr(s, ',');
		if (next)
			*next++ = '\0';
		if (n == MAX_NAMES)
			usage_error("more than %d names: %s", MAX_NAMES, list);
		out[n++] = s;
	}
	return n;
}

static size_t
file_number(const struct rec *r)
{
	size_t k = 0;

	while (k < nfiles && strcmp(files[k], r->input) != 0)
		k++;
	return k;
}

/* Classes by --classes: a dictionary, a number, or names. */
static void
read_classes(void)
{
	int64_t n;

	if (!o.classes)
		return;
	if (!parse_int(o.classes, 1, MAX_CLASSES, &n) || strchr(o.classes, ',') ||
	    !file_exists(o.classes)) {
		if (intern_list(&classes, o.classes, MAX_CLASSES))
			usage_error("--classes: %s", errmsg());
	} else {
		need(class_dict_load(&dict, o.classes));
		for (size_t k = 0; k < dict.n; k++)
			intern_add(&classes, dict.name[k]);
	}
}

/* ---- masks ----------------------------------------------------------------------------------- */

static struct {
	struct mask_how how;
	struct mask_scores all;
	struct masksheet sheet;
	enum seg_metric metric[MAX_NAMES];
	const char *metric_name[MAX_NAMES];
	int metrics;
	const char *average[MAX_NAMES];
	int averages;
	double weight[MAX_CLASSES];
	bool weighted, skip;
	int32_t ignore;
} mk;

static void
set_up_masks(void)
{
	const char *w[MAX_NAMES];
	int64_t ignored;
	int n;

	mk.metrics =
	    names(o.metrics ? o.metrics : "iou,f1,accuracy,recall,precision", mk.metric_name);
	if (o.metrics && !strcmp(o.metrics, "all"))
		for (mk.metrics = 0; mk.metrics < SEG_METRICS; mk.metrics++)
			mk.metric_name[mk.metrics] = seg_metric_name[mk.metrics];
	for (int i = 0; i < mk.metrics; i++) {
		int m = seg_metric_find(mk.metric_name[i]);

		if (m < 0)
			usage_error("--metrics: %s", errmsg());
		mk.metric[i] = (enum seg_metric)m;
	}
	mk.averages = names(o.average ? o.average
	    : "micro,macro,micro-imagewise,macro-imagewise,none", mk.average);
	mk.how = (struct mask_how){ .truth = o.truth,
		.pred = o.pred ? o.pred : "pred_mask_file_name",
		.classes = o.classes ? (int)classes.n : 2,
		.binary = !o.classes,
		.threshold = isnan(o.threshold) ? -1 : o.threshold,
		.dict = dict.n ? &dict : NULL };
	if (!o.classes) {
		intern_add(&classes, "background");
		intern_add(&classes, "foreground");
	}
	mk.skip = o.background < 0 ? mk.how.binary : o.background == BACKGROUND_SKIP;
	if (mk.skip && classes.n < 2)
		usage_error("--background skip leaves no class");
	mk.ignore = SEG_NO_IGNORE;
	if (o.ignore && !strcmp(o.ignore, "none"))
		mk.ignore = -1;
	else if (o.ignore && (parse_int(o.ignore, 0, 65535, &ignored) || dict.n || mk.how.binary))
		usage_error("--ignore: want none, or a number of masks of class numbers");
	else if (o.ignore)
		mk.ignore = (int32_t)ignored;
	if (o.weights) {
		n = names(o.weights, w);
		if (n != (int)classes.n - mk.skip)
			usage_error("--class-weights: %d weights for %d classes", n,
			    (int)classes.n - mk.skip);
		for (int k = 0; k < n; k++)
			if (parse_float(w[k], 0, 1e9, &mk.weight[k]))
				usage_error("--class-weights: %s", errmsg());
		mk.weighted = true;
	}
	for (int i = 0; i < mk.averages; i++) {
		if (strcmp(mk.average[i], "none") && seg_reduction_find(mk.average[i]) < 0)
			usage_error("--average: %s", errmsg());
		if (strstr(mk.average[i], "weighted") && !mk.weighted)
			usage_error("--average %s wants --class-weights", mk.average[i]);
	}
	mask_scores_init(&mk.all, (int)classes.n);
	if (o.sheet)
		masksheet_init(&mk.sheet, (size_t)o.sheet_rows, mk.how.binary);
}

static int
one_mask(struct rec *r, struct rec_out *out, void *ctx)
{
	struct seg_stats st, some;
	struct mask_pair p;

	(void)ctx;
	if (mask_pair_read(&p, r, &mk.how))
		return -1;
	seg_stats_init(&st, (int)classes.n);
	seg_add_multiclass(&st, p.pred, p.truth, p.n, mk.ignore);
	if (mk.skip)
		seg_without_first(&some, &st);
	if (o.per_image) {
		for (int i = 0; i < mk.metrics; i++)
			rec_set_num(r, mk.metric_name[i],
			    seg_score(mk.metric[i], mk.skip ? &some : &st, SEG_MICRO_IMAGEWISE,
			        NULL, o.zero_division));
		rec_emit(out, r);
	}
	pthread_mutex_lock(&lock);
	mask_scores_add(&mk.all, &st, &p, mk.ignore, file_number(r), r->lineno);
	if (o.sheet)
		masksheet_add(&mk.sheet, r, &p, file_number(r),
		    seg_score(SEG_IOU, mk.skip ? &some : &st, SEG_MICRO, NULL, o.zero_division));
	pthread_mutex_unlock(&lock);
	if (mk.skip)
		seg_stats_release(&some);
	seg_stats_release(&st);
	mask_pair_release(&p);
	return 0;
}

/* Each class over all images: the counts of one class as a set of its own. */
static void
put_classes(const char *name, enum seg_metric m, const struct seg_stats *s)
{
	for (int k = 0; k < s->c; k++) {
		int64_t tp = 0, fp = 0, fn = 0, tn = 0;
		double x;

		for (size_t at = (size_t)k; at < s->n * (size_t)s->c; at += (size_t)s->c) {
			tp += s->tp[at];
			fp += s->fp[at];
			fn += s->fn[at];
			tn += s->tn[at];
		}
		x = seg_score_of(m, tp, fp, fn, tn);
		result_put(&results, name, "none", classes.name[k + mk.skip],
		    isnan(x) ? o.zero_division : x, s->n);
	}
}

static void
finish_masks(void)
{
	const struct seg_stats *s = &mk.all.st;
	struct seg_stats some;
	const char **name = xmalloc((classes.n + 1) * sizeof(*name));

	mask_scores_sort(&mk.all);
	if (mk.skip) {
		seg_without_first(&some, &mk.all.st);
		s = &some;
	}
	for (int i = 0; i < mk.metrics && s->n; i++) {
		for (int a = 0; a < mk.averages; a++) {
			if (strcmp(mk.average[a], "none"))
				result_put(&results, mk.metric_name[i], mk.average[a], NULL,
				    seg_score(mk.metric[i], s,
				        (enum seg_reduction)seg_reduction_find(mk.average[a]),
				        mk.weighted ? mk.weight : NULL, o.zero_division),
				    s->n);
			else
				put_classes(mk.metric_name[i], mk.metric[i], s);
		}
	}
	if (o.confusion) {
		memcpy(name, classes.name, classes.n * sizeof(*name));
		name[classes.n] = "none";
		need(confusion_csv(
		    &(struct confusion){ (int)classes.n + 1, mk.all.confusion }, name, false,
		    o.confusion));
	}
	if (mk.skip)
		seg_stats_release(&some);
	if (o.sheet) {
		if (mk.sheet.n)
			need(masksheet_write(&mk.sheet, o.sheet));
		masksheet_release(&mk.sheet);
	}
	mask_scores_release(&mk.all);
	free(name);
}

static void
put_isn(void)
{
	static const struct {
		const char *name;
		enum seg_metric m;
		enum seg_reduction r;
	} isn[] = { { "iou_score", SEG_IOU, SEG_MICRO }, { "f1_score", SEG_F1, SEG_MICRO },
		{ "accuracy", SEG_ACCURACY, SEG_MACRO },
		{ "recall", SEG_RECALL, SEG_MICRO_IMAGEWISE } };

	mask_scores_sort(&mk.all);
	for (size_t i = 0; i < sizeof(isn) / sizeof(isn[0]) && mk.all.st.n; i++)
		result_put(&results, isn[i].name, seg_reduction_name[isn[i].r], NULL,
		    seg_score(isn[i].m, &mk.all.st, isn[i].r, NULL, o.zero_division), mk.all.st.n);
	mk.metrics = 0; /* only these */
}

/* ---- labels ---------------------------------------------------------------------------------- */

static struct label_scores lb;
static struct label_how lb_how;

static int
one_label(struct rec *r, struct rec_out *out, void *ctx)
{
	int rc;

	(void)out;
	(void)ctx;
	pthread_mutex_lock(&lock);
	rc = label_scores_add(&lb, r, &lb_how, file_number(r));
	pthread_mutex_unlock(&lock);
	return rc;
}

static int
finish_labels(void)
{
	struct label_report how = { .metrics = o.metrics, .averages = o.average,
		.zero_division = o.zero_division, .confusion = o.confusion, .nsw = o.nsw };

	if (label_scores_finish(&lb, o.classes, isnan(o.threshold) ? 0.5 : o.threshold))
		return -1;
	return lb.n ? label_report(&lb, &how, &results) : 0;
}

static void
set_up_labels(void)
{
	const char *name[MAX_NAMES];

	if (o.metrics && !strcmp(o.metrics, "all"))
		o.metrics = NULL;
	for (int n = o.metrics ? names(o.metrics, name) : 0; n > 0; n--)
		if (!label_listed(LABEL_METRICS, name[n - 1]))
			usage_error(
			    "--metrics: no metric '%s'; there are " LABEL_METRICS, name[n - 1]);
	for (int n = o.average ? names(o.average, name) : 0; n > 0; n--)
		if (!label_listed(LABEL_AVERAGES, name[n - 1]))
			usage_error("--average: labels have " LABEL_AVERAGES);
	lb_how = (struct label_how){ .truth = o.truth ? o.truth : "label",
		.pred = o.pred ? o.pred : o.scores ? NULL : "pred_label", .scores = o.scores };
	for (size_t k = 0; k < classes.n; k++)
		intern_add(&lb.classes, classes.name[k]);
	lb.closed = classes.n > 0;
}

/* ---- all ------------------------------------------------------------------------------------- */

static void
check_options(void)
{
	bool masks = o.task == TASK_MASKS;

	if (masks && (o.threshold < 0 || o.threshold > 1))
		usage_error("--threshold: want a share from 0 to 1");
	if (masks && (o.scores || o.nsw))
		usage_error("--scores and --nsw want --task labels");
	if (!masks && (o.weights || o.ignore || o.background >= 0 || o.per_image ||
	    o.preset >= 0 || o.sheet))
		usage_error("--class-weights, --ignore, --background, --per-image, --preset and "
		            "--sheet are for masks");
	opt_wants(&o.sheet_rows, o.sheet, "--sheet");
	if (o.sheet && !image_is_name(path_base(o.sheet)))
		usage_error("--sheet: '%s' does not end in .png, .jpg or .jpeg", o.sheet);
	opt_wants(&o.weights, o.average && strstr(o.average, "weighted"), "--average weighted");
	if (o.preset >= 0 && (o.metrics || o.average || o.background == BACKGROUND_SKIP))
		usage_error("--preset isn says which scores there are");
	if (o.preset >= 0)
		o.background = BACKGROUND_COUNT;
}

int
main(int argc, char **argv)
{
	struct rec_out out;
	int at, rc;

	o.rec = (struct rec_opts)REC_OPTS;
	at = opt_parse(argc, argv, table, "[options] [FILE ...]",
	    "Scores predicted masks or labels against the truth.");
	files = (const char *const *)argv + at;
	nfiles = (size_t)(argc - at);
	check_options();
	read_classes();
	if (o.task == TASK_MASKS)
		set_up_masks();
	else
		set_up_labels();
	o.rec.ends = !o.per_image;
	rec_out_open(&out, 1, "standard output");
	rc = rec_filter_to(
	    &o.rec, files, nfiles, &out, o.task == TASK_MASKS ? one_mask : one_label, NULL);
	if (rc == EXIT_FATAL)
		return rc;
	if (o.preset >= 0)
		put_isn();
	if (o.task == TASK_MASKS)
		finish_masks();
	else
		need(finish_labels());
	if (o.output)
		need(file_write(o.output, results.s ? results.s : "", results.len));
	else if (results.len)
		rec_out_lines(&out, results.s, results.len);
	rec_out_close(&out);
	label_scores_release(&lb);
	return rc;
}
