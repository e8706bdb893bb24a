/* splitsel: split a record stream, select from it, shuffle and mix it. */
#include "base/err.h"
#include "base/file.h"
#include "data/split_check.h"
#include "data/split_keep.h"
#include "data/split_nsw.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum preset { PRESET_NONE = -1, PRESET_NSW, PRESET_ISN };
enum { RNG_ID, RNG_PYTHON };
enum { MISSING_RAISE, MISSING_DROP };
static const uint64_t no_seed = UINT64_MAX;

static struct opts {
	struct rec_opts rec;
	const char *weights, *counts, *group_by, *group_cut, *stratify, *label, *split_file,
	    *split_json;
	const char *set, *tree, *videos, *into, *summary, *total1, *total0;
	struct opt_list phases, planes, generated, total;
	bool fair, by_records, hash, allow_empty, unannotated, one_per_phase, with_replacement,
	    shuffle;
	bool no_shuffle, describe, check, check_decode, resolve;
	int preset, rng, rule, missing;
	int64_t balanced, random;
	double holdout, replace;
	uint64_t seed;
} o = { .preset = PRESET_NONE, .balanced = -1, .random = -1, .holdout = -1,
	.replace = -1, .seed = UINT64_MAX };

static const struct opt table[] = {
	{ 0, "weights", OPT_STR, &o.weights, "W,W[,W]",
	    "split by weights; train,test or train,validation,test", 0, 0 },
	{ 0, "counts", OPT_STR, &o.counts, "N,N[,N]", "split by counts (or 'rest')", 0, 0 },
	{ 0, "preset", OPT_CHOICE, &o.preset, "nsw|isn",
	    "--fair .6,.2,.2, or hold-out .9 and 8:1:1", 0, 0 },
	{ 0, "fair", OPT_FLAG, &o.fair, NULL,
	    "share out each phase's groups, the rarest first", 0, 0 },
	{ 0, "group-by", OPT_STR, &o.group_by, "FIELD",
	    "keep a patient or video on one side", 0, 0 },
	{ 0, "group-cut", OPT_STR, &o.group_cut, "C", "groups' names end before the last C", 0, 0 },
	{ 0, "by-records", OPT_FLAG, &o.by_records, NULL,
	    "weights are shares of records, not of groups", 0, 0 },
	{ 0, "stratify", OPT_STR, &o.stratify, "FIELD",
	    "share out each value of FIELD evenly", 0, 0 },
	{ 0, "hash", OPT_FLAG, &o.hash, NULL,
	    "each record or group for itself: nobody ever moves", 0, 0 },
	{ 0, "allow-empty", OPT_FLAG, &o.allow_empty, NULL, "parts may be empty", 0, 0 },
	{ 0, "holdout", OPT_FLOAT, &o.holdout, "KEEP",
	    "hold out all but the first share by file name", 0, 1 },
	{ 0, "split-file", OPT_STR, &o.split_file, "FILE",
	    "take the splits from a split.json", 0, 0 },
	{ 0, "split-json", OPT_STR, &o.split_json, "OUT",
	    "write a split.json (must not exist)", 0, 0 },
	{ 0, "set", OPT_STR, &o.set, "NAME", "write only this split", 0, 0 },
	{ 0, "phases", OPT_LIST, &o.phases, "LIST", "write only these phases, or all", 0, 0 },
	{ 0, "planes", OPT_LIST, &o.planes, "LIST",
	    "write only these focal planes, or all, or none", 0, 0 },
	{ 0, "nsw-tree", OPT_STR, &o.tree, "DIR",
	    "records from an extracted embryo data set", 0, 0 },
	{ 0, "dataset", OPT_STR, &o.tree, "DIR", NULL, 0, 0 },
	{ 0, "videos", OPT_STR, &o.videos, "FILE", "its closed list of video ids", 0, 0 },
	{ 0, "unannotated", OPT_FLAG, &o.unannotated, NULL,
	    "its frames outside all phases, too", 0, 0 },
	{ 0, "one-per-phase", OPT_FLAG, &o.one_per_phase, NULL,
	    "one frame for each phase of each video", 0, 0 },
	{ 0, "frame-rule", OPT_CHOICE, &o.rule, "branch|main",
	    "the median position, or frame number", 0, 0 },
	{ 0, "balanced", OPT_INT, &o.balanced, "N", "N records of each label", 0, 1e9 },
	{ 0, "random", OPT_INT, &o.random, "N", "N random records", 0, 1e15 },
	{ 0, "label", OPT_STR, &o.label, "FIELD",
	    "the label of --balanced, --generated (label)", 0, 0 },
	{ 0, "balance-by", OPT_STR, &o.label, "FIELD", NULL, 0, 0 },
	{ 0, "with-replacement", OPT_FLAG, &o.with_replacement, NULL,
	    "--balanced may repeat records", 0, 0 },
	{ 0, "if-missing", OPT_CHOICE, &o.missing, "raise|drop", "labels with fewer than N", 0, 0 },
	{ 0, "if_missing", OPT_CHOICE, &o.missing, "raise|drop", NULL, 0, 0 },
	{ 0, "generated", OPT_LIST, &o.generated, "FILE", "records to mix in", 0, 0 },
	{ 0, "replace", OPT_FLOAT, &o.replace, "P",
	    "share of each label's real records replaced", 0, 1 },
	{ 0, "propotion", OPT_FLOAT, &o.replace, "P", NULL, 0, 1 },
	{ 0, "proportion", OPT_FLOAT, &o.replace, "P", NULL, 0, 1 },
	{ 0, "total", OPT_LIST, &o.total, "[LABEL=]N",
	    "add generated records up to N of a label", 0, 0 },
	{ 0, "into", OPT_STR, &o.into, "SPLIT",
	    "mix into this split (train, if there are splits)", 0, 0 },
	{ 0, "no-shuffle", OPT_FLAG, &o.no_shuffle, NULL,
	    "keep the order under --one-per-phase", 0, 0 },
	{ 0, "shuffle", OPT_FLAG, &o.shuffle, NULL, "write in random order", 0, 0 },
	{ 's', "seed", OPT_U64, &o.seed, "N",
	    "of what is drawn (0; 1234567890 for --fair)", 0, 0 },
	{ 0, "rng", OPT_CHOICE, &o.rng, "id|python",
	    "draw by seed and id, or as CPython would", 0, 0 },
	{ 0, "describe", OPT_FLAG, &o.describe, NULL,
	    "set text by phase (as --one-per-phase does)", 0, 0 },
	{ 0, "resolve", OPT_FLAG, &o.resolve, NULL,
	    "file names as seen from the current folder", 0, 0 },
	{ 0, "check", OPT_FLAG, &o.check, NULL,
	    "write only the summary; 1 if a group is on two sides", 0, 0 },
	{ 0, "check-decode", OPT_FLAG, &o.check_decode, NULL,
	    "open every image; broken ones are bad", 0, 0 },
	{ 0, "summary", OPT_STR, &o.summary, "FILE", "summary records here, not on stderr", 0, 0 },
	{ 'k', "keep-bad", OPT_FLAG, &o.rec.keep_bad, NULL,
	    "pass bad records on with an error field", 0, 0 },
	{ 0, "strict", OPT_FLAG, &o.rec.strict, NULL, "stop at the first bad record", 0, 0 },
	{ 0, "shard", OPT_SHARD, &o.rec.shard, "I/N",
	    "write only part I of N of the output", 0, 0 },
	{ 'q', "quiet", OPT_FLAG, &o.rec.quiet, NULL,
	    "no progress and no summary on stderr", 0, 0 },
	REC_OPTIONS_JOBS(o.rec),
	{ 0, NULL, OPT_TITLE, NULL, NULL, "Of the originals", 0, 0 },
	{ 0, "num_label_1_total", OPT_STR, &o.total1, "N", "", 0, 0 },
	{ 0, "num_label_0_total", OPT_STR, &o.total0, "N", "", 0, 0 },
	{ 0 },
};

static struct split_set set;
static struct split_file file;      /* --split-file */
static struct split_weights weights;
static struct nsw_tree tree;
static struct sb summary;
static struct arena names;          /* option lists taken apart */
static int exit_code;

static uint64_t
seed_or(uint64_t other)
{
	return o.seed == no_seed ? other : o.seed;
}

static void
note(int code)
{
	if (code == EXIT_FATAL)
		exit(EXIT_FATAL);
	if (code)
		exit_code = code;
}

static void
need(int rc)
{
	if (rc)
		die("%s", errmsg());
}

/* The values of an option that may be given again and again and hold commas. */
static struct opt_list
values(const struct opt_list *given)
{
	struct opt_list l = { 0 };

	for (size_t i = 0; i < given->n; i++) {
		char *s = arena_strndup(&names, given->v[i], strlen(given->v[i])), *next;

		for (; s; s = next) {
			next = strchr(s, ',');
			if (next)
				*next++ = '\0';
			l.v = xgrow(l.v, &l.cap, l.n + 1, sizeof(*l.v));
			l.v[l.n++] = s;
		}
	}
	return l;
}

/* All of the list is "all" (true), or none of it is. */
static bool
is_all(const struct opt_list *l, const char *option)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->v[i], "all") && l->n > 1)
			usage_error("--%s: 'all' stands alone", option);
	return !l->n || !strcmp(l->v[0], "all");
}

/* Does an option give records their split? */
static bool
splits(void)
{
	return o.weights || o.counts || o.split_file || o.fair || o.preset == PRESET_ISN ||
	       o.holdout >= 0;
}

static void
check_options(int operands)
{
	int ways = !!o.weights + !!o.counts + !!o.split_file + (o.preset == PRESET_ISN);

	if (ways > 1)
		usage_error("one of --weights, --counts, --split-file and --preset isn is enough");
	if (o.preset == PRESET_NSW)
		o.fair = true;
	if (o.fair && (o.counts || o.split_file || o.stratify || o.hash || o.by_records))
		usage_error("--fair goes with --weights alone");
	if (o.hash && (o.counts || o.stratify || o.by_records || o.rng == RNG_PYTHON))
		usage_error("--hash goes with --weights and --group-by alone");
	if (o.rng == RNG_PYTHON && (o.stratify || o.by_records))
		usage_error("--stratify and --by-records draw by id");
	if ((o.hash || o.stratify || o.by_records) && !o.weights && !o.counts &&
	    o.preset != PRESET_ISN)
		usage_error("--hash, --stratify and --by-records want --weights or --counts");
	if (o.by_records && !o.group_by)
		usage_error("--by-records wants --group-by");
	if (o.group_cut && strlen(o.group_cut) != 1)
		usage_error("--group-cut wants one character");
	if (o.one_per_phase + (o.balanced >= 0) + (o.random >= 0) > 1)
		usage_error("one of --one-per-phase, --balanced and --random is enough");
	if ((o.replace >= 0 || o.total.n) && !o.generated.n)
		usage_error("--replace and --total want --generated");
	if (o.generated.n && o.replace < 0 && !o.total.n)
		usage_error("--generated wants --replace or --total");
	if (o.tree && operands)
		usage_error("--nsw-tree makes its own records: no file operands");
	if ((o.videos || o.unannotated) && !o.tree)
		usage_error("--videos and --unannotated want --nsw-tree");
	if (o.shuffle && o.no_shuffle)
		usage_error("--shuffle or --no-shuffle?");
	opt_wants(&o.allow_empty, splits(), "an option that splits");
	opt_wants(&o.split_json, splits(), "an option that splits");
	opt_wants(&o.rule, o.one_per_phase, "--one-per-phase");
	opt_wants(&o.no_shuffle, o.one_per_phase, "--one-per-phase");
	opt_wants(&o.with_replacement, o.balanced >= 0, "--balanced");
	opt_wants(&o.missing, o.balanced >= 0, "--balanced");
	opt_wants(&o.into, o.generated.n, "--generated");
	opt_wants(&o.rng, o.rng == RNG_ID || o.weights || o.counts || o.balanced >= 0 ||
	    o.random >= 0, "--weights, --counts, --balanced or --random");
}

/* The original's spellings for two labels become --total. */
static void
add_totals(void)
{
	const char *given[] = { o.total0, o.total1 };

	for (int i = 0; i < 2; i++) {
		if (!given[i])
			continue;
		o.total.v = xgrow(o.total.v, &o.total.cap, o.total.n + 1, sizeof(*o.total.v));
		o.total.v[o.total.n++] = xasprintf("%d=%s", i, given[i]);
	}
}

/* ---- reading --------------------------------------------------------------------------------- */

static const char *
label_field(void)
{
	return o.label ? o.label : o.stratify ? o.stratify : o.tree ? "phase" : "label";
}

/* The part of --split-file that --set wants; -1: all. */
static int
file_part(void)
{
	struct sb sb = { 0 };

	if (!o.split_file || !o.set)
		return -1;
	for (int k = 0; k < file.parts; k++)
		if (!strcmp(file.name[k], split_canonical(o.set)))
			return k;
	for (int k = 0; k < file.parts; k++)
		sb_printf(&sb, " %s", file.key[k]);
	die("%s: no set '%s'; there are%s", o.split_file, o.set, sb.s ? sb.s : " none");
}

static void
read_tree(void)
{
	struct nsw_opts n = { .unannotated = o.unannotated, .label = label_field(),
		.stratum = o.stratify, .strict = o.rec.strict };
	struct opt_list planes = values(&o.planes);
	int part = file_part();
	bool none = planes.n == 1 && !strcmp(planes.v[0], "none");

	need(nsw_open(&tree, o.tree, o.videos));
	if (is_all(&planes, "planes")) {
		/* image folders are of the middle plane, an inventory wants all */
		for (int p = 0; p < NSW_PLANES; p++)
			n.plane[p] = o.planes.n || o.check ? true
			    : o.one_per_phase              ? !strcmp(nsw_plane[p], "F+00")
			                                   : tree.has_planes[p];
	}
	for (size_t i = 0; i < planes.n && !none && strcmp(planes.v[0], "all"); i++) {
		int p = nsw_plane_find(planes.v[i]);

		if (p < 0)
			usage_error("--planes: %s", errmsg());
		n.plane[p] = true;
	}
	if (part >= 0) {
		n.ids = file.id[part];
		n.n = file.n[part];
	}
	need(nsw_read(&tree, &set, &n));
	note(tree.bad ? EXIT_RECORDS : EXIT_OK);
	split_count(&summary, "videos", (int64_t)tree.n);
	split_count(&summary, "frames", tree.frames);
	if (tree.has_times)
		split_count(&summary, "times", tree.times);
	if (tree.has_grades)
		split_count(&summary, "grades", tree.grades);
	free(planes.v);
}

static void
read_records(const char *const *operands, size_t n)
{
	struct split_fields f = { .group = o.group_by ? o.group_by : "group",
		.group_cut = o.group_cut,
		.label = label_field(),
		.stratum = o.stratify,
		.need_group = o.group_by,
		.need_label = o.balanced >= 0 && o.rng == RNG_ID,
		.need_stratum = o.stratify };

	note(split_read(&set, &o.rec, operands, n, &f));
}

static void
read_generated(void)
{
	struct split_fields f = { .label = label_field(), .need_label = true, .generated = true };

	if (o.generated.n)
		note(split_read(&set, &o.rec, o.generated.v, o.generated.n, &f));
}

/* ---- splitting ------------------------------------------------------------------------------- */

/* By the fair split; the ids of each part, as drawn, are left in `file` for selection. */
static void
split_fairly(void)
{
	struct fair_video *v;
	const char *const *phase_name = o.tree ? nsw_phase : set.phase.name;
	size_t n, *list, size[SPLIT_MAX_PARTS], at = 0;

	if (o.tree)
		nsw_fair(&tree, &v, &n);
	else
		fair_from_set(&set, &v, &n);
	if (!n)
		die("no record has a group and a phase, by which --fair splits");
	list = xmalloc((n + 1) * sizeof(*list));
	need(
	    split_fair(v, n, phase_name, &weights, seed_or(1234567890), o.allow_empty, list, size));
	fair_apply(&set, v, &weights, list, size);
	file.parts = weights.n;
	for (int k = 0; k < weights.n; k++) {
		file.name[k] = file.key[k] = weights.name[k];
		file.n[k] = size[k];
		file.id[k] = arena_alloc(&file.mem, (size[k] + 1) * sizeof(**file.id));
		for (size_t i = 0; i < size[k]; i++)
			file.id[k][i] = v[list[at++]].id; /* of the tree or the set */
	}
	fair_release(v, n);
	free(list);
}

static void
split(void)
{
	struct split_plan p = { .w = &weights, .counts = o.counts || o.preset == PRESET_ISN,
		.grouped = o.group_by, .stratified = o.stratify, .by_records = o.by_records,
		.allow_empty = o.allow_empty, .how = o.rng == RNG_PYTHON ? SPLIT_PYTHON
		: o.hash ? SPLIT_HASH : SPLIT_SLICE, .seed = seed_or(0) };
	size_t kept;

	if (splits())
		for (size_t i = 0; i < set.n; i++)
			set.v[i].part = -1; /* what was there before counts for nothing */
	if (o.preset == PRESET_ISN || o.holdout >= 0) {
		kept = split_holdout(&set, o.holdout >= 0 ? o.holdout : 0.9);
		if (o.preset == PRESET_ISN)
			split_tenths(&weights, kept);
	}
	if (o.split_file)
		split_file_apply(&set, &file);
	else if (o.fair)
		split_fairly();
	else if (weights.n)
		need(split_assign(&set, &p));
}

/* Counts what stands on which side; --check fails if a group stands on two. */
static void
prove(void)
{
	if (!set.n)
		split_count_lists(&file, &summary);
	else if ((o.group_by || o.check || set.group.n) &&
	         split_count_groups(&set, o.group_by ? o.group_by : "group", &summary) && o.check)
		note(EXIT_RECORDS);
	if (o.check && split_count_repeated(&set, &summary))
		note(EXIT_RECORDS);
}

static void
write_split_json(void)
{
	if (!o.split_json)
		return;
	if (o.fair)
		need(split_json_write(
		    o.split_json, &weights, (const char *const *const *)file.id, file.n));
	else
		need(split_json_write_set(o.split_json, &set));
}

/* ---- selecting ------------------------------------------------------------------------------- */

static void
want(struct split_wanted *w, const struct opt_list *l, struct intern *t, const char *option,
    int (*known)(const char *))
{
	for (size_t i = 0; i < l->n; i++)
		if (split_want(w, l->v[i], t, known))
			usage_error("--%s: %s", option, errmsg());
}

static void
keep_set(void)
{
	int part = intern_find(&set.part, split_canonical(o.set));
	struct sb sb = { 0 };

	for (size_t k = 0; k < set.part.n; k++)
		sb_printf(&sb, " %s", set.part.name[k]);
	if (part < 0)
		die("no set '%s'; there are%s", o.set, sb.s ? sb.s : " none");
	sb_release(&sb);
	split_keep_part(&set, part);
	for (int k = 0; k < file.parts; k++) /* image folders follow the split's order */
		if (!strcmp(file.name[k], split_canonical(o.set)) &&
		    (o.one_per_phase || o.rng == RNG_PYTHON))
			split_order_groups(&set, file.id[k], file.n[k]);
}

static struct split_wanted phases, planes;

static void
keep_wanted(void)
{
	struct opt_list phase = values(&o.phases), plane = values(&o.planes);
	int middle = intern_find(&set.plane, "F+00");

	if (!is_all(&phase, "phases"))
		want(&phases, &phase, &set.phase, "phases", nsw_phase_find);
	if (!is_all(&plane, "planes") && strcmp(plane.v[0], "none"))
		want(&planes, &plane, &set.plane, "planes", nsw_plane_find);
	if (o.one_per_phase && !plane.n && middle >= 0)
		planes = (struct split_wanted){ { middle }, 1 };
	if (planes.n)
		split_keep_planes(&set, &planes);
	if (phases.n && !o.one_per_phase) /* its median is of all frames */
		split_keep_phases(&set, &phases);
	if (!planes.n) /* draw from all there are */
		for (size_t i = 0; i < set.plane.n && i < SPLIT_WANTED; i++)
			planes.v[planes.n++] = (int)i;
	free(phase.v);
	free(plane.v);
}

static void
mix_generated(void)
{
	struct mix m = { .replace = o.replace, .total = &o.total, .seed = seed_or(0), .into = -1 };
	struct mixed *told;
	const char *into = split_canonical(o.into ? o.into : "train");
	size_t n;

	if (!o.generated.n)
		return;
	if (o.set && strcmp(split_canonical(o.set), into) != 0)
		die("generated records go into %s, but --set writes only %s", into, o.set);
	m.into = intern_find(&set.part, into);
	if (m.into < 0 && (o.into || set.part.n))
		die("no split '%s' to mix into", into);
	need(split_mix(&set, &m, &told, &n));
	split_count_mixed(&set, told, n, &summary);
	free(told);
}

static void
pick(void)
{
	struct pick p = { .seed = seed_or(0),
		.shuffle = !o.no_shuffle,
		.python = o.rng == RNG_PYTHON,
		.replace = o.with_replacement,
		.drop = o.missing == MISSING_DROP,
		.rule = o.rule ? FRAME_MAIN : FRAME_BRANCH,
		.phases = phases.n ? phases.v : NULL,
		.nphases = phases.n,
		.planes = planes.v,
		.nplanes = planes.n };

	if (o.one_per_phase)
		note(pick_one_per_phase(&set, &p) ? EXIT_RECORDS : EXIT_OK);
	if (o.balanced >= 0)
		need(pick_balanced(&set, (size_t)o.balanced, &p));
	if (o.random >= 0)
		pick_random(&set, (size_t)o.random, &p);
	if (o.shuffle && !o.one_per_phase)
		split_shuffle(&set, seed_or(0));
}

/* ---- writing --------------------------------------------------------------------------------- */

static void
write_summary(void)
{
	if (o.summary)
		need(file_write(o.summary, summary.s ? summary.s : "", summary.len));
	else if (!o.rec.quiet && !o.check && (splits() || o.check_decode || o.generated.n))
		fwrite(summary.s, 1, summary.len, stderr);
}

static void
write_records(void)
{
	struct split_out how = { .shard = o.rec.shard, .set_split = splits() || o.generated.n,
		.resolve = o.resolve || set.folders, .describe = o.describe || o.one_per_phase };
	bool labels = o.label || o.stratify || o.balanced >= 0 || o.generated.n || o.check;
	struct rec_out out;

	split_count_records(&set, labels ? label_field() : NULL, seed_or(o.fair ? 1234567890 : 0),
	    &summary);
	rec_out_open(&out, 1, "standard output");
	if (o.check)
		rec_out_lines(&out, summary.s, summary.len);
	else
		need(split_write(&set, &how, &out));
	rec_out_close(&out);
}

int
main(int argc, char **argv)
{
	char **operands;

	o.rec = (struct rec_opts)REC_OPTS;
	operands = argv + opt_parse(argc, argv, table, "[options] [FILE ...]",
	    "Splits a record stream, selects from it, shuffles and mixes it.");
	add_totals();
	check_options(argc - (int)(operands - argv));
	if (o.split_file)
		need(split_json_read(&file, o.split_file));
	file_part(); /* a wrong --set is better told before any work */
	if ((o.weights || o.counts) &&
	    split_parse_weights(&weights, o.weights ? o.weights : o.counts, o.counts, &names))
		usage_error("--%s: %s", o.weights ? "weights" : "counts", errmsg());
	if (o.fair && !o.weights)
		need(split_parse_weights(&weights, ".6,.2,.2", false, &names));
	if (o.tree)
		read_tree();
	else
		read_records((const char *const *)operands, (size_t)(argv + argc - operands));
	read_generated();
	if (o.check_decode)
		note(split_decode(&set, &o.rec));

	split();
	prove();
	write_split_json();
	if (weights.n && !o.set)
		split_keep_parts(&set);
	if (o.set)
		keep_set();
	keep_wanted();
	mix_generated();
	pick();
	write_records();
	write_summary();
	split_release(&set);
	return exit_code;
}
