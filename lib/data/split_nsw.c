#include "data/split_nsw.h"

#include "base/err.h"
#include "base/file.h"
#include "base/order.h"
#include "data/csv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PREFIX "embryo_dataset"

const char *const nsw_plane[NSW_PLANES] = { "F-45", "F-30", "F-15", "F+00", "F+15", "F+30",
	"F+45" };
static const char *const suffix[NSW_PLANES] = { "_F-45", "_F-30", "_F-15", "", "_F15", "_F30",
	"_F45" };
const char *const nsw_phase[NSW_NPHASES] = { "tPB2", "tPNa", "tPNf", "t2", "t3", "t4", "t5", "t6",
	"t7", "t8", "t9+", "tM", "tSB", "tB", "tEB", "tHB" };

static int
find(const char *what, const char *const *names, int n, const char *name)
{
	struct sb sb = { 0 };

	for (int i = 0; i < n; i++)
		if (!strcmp(names[i], name))
			return i;
	for (int i = 0; i < n; i++)
		sb_printf(&sb, " %s", names[i]);
	err("no %s '%s'; there are%s", what, name, sb.s);
	sb_release(&sb);
	return -1;
}

int
nsw_phase_find(const char *name)
{
	return find("phase", nsw_phase, NSW_NPHASES, name);
}

int
nsw_plane_find(const char *name)
{
	return find("focal plane", nsw_plane, NSW_PLANES, name);
}

/* ---- opening --------------------------------------------------------------------------------- */

static bool
is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The closed list: lines without blanks at their ends, empty ones skipped. */
static int
read_ids(struct nsw_tree *t, const char *path)
{
	char *text, *line, *next;
	size_t len;

	if (file_read(path, 1 << 24, &text, &len))
		return -1;
	for (line = text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		line[strcspn(line, " \t\r")] = '\0';
		if (*line)
			intern_add(&t->ids, line);
	}
	free(text);
	return t->ids.n ? 0 : err("%s: no video ids", path);
}

static int
find_ids(struct nsw_tree *t, const char *annotations)
{
	static const char end[] = "_phases.csv";
	char **name;
	size_t files, n = 0;

	if (dir_names(annotations, &t->mem, &name, &files))
		return -1;
	for (size_t i = 0; i < files; i++) {
		size_t len = strlen(name[i]), tail = sizeof(end) - 1;

		if (len <= tail || strcmp(name[i] + len - tail, end) != 0)
			continue;
		name[i][len - tail] = '\0';
		name[n++] = name[i];
	}
	/* "a-1" comes before "a-1-2": ids are sorted, not the names of their files */
	if (n)
		qsort(name, n, sizeof(*name), order_names);
	for (size_t i = 0; i < n; i++)
		intern_add(&t->ids, name[i]);
	free(name);
	return t->ids.n ? 0 : err("%s: no annotations", annotations);
}

struct annotation {
	struct nsw_tree *t;
	struct nsw_video *v;
};

static int
phase_row(char **cell, const size_t *len, size_t n, uint64_t row, void *ctx)
{
	struct annotation *a = ctx;
	struct nsw_video *v = a->v;
	int phase, at = 0;
	int64_t first, last;

	(void)len;
	(void)row;
	if (n != 3)
		return err("want phase,first,last, not %zu cells", n);
	phase = nsw_phase_find(cell[0]);
	if (phase < 0 || parse_int(cell[1], 0, 1000000, &first) ||
	    parse_int(cell[2], 0, 1000000, &last))
		return -1;
	while (at < v->n && v->range[at].phase != phase)
		at++;
	if (at == NSW_NPHASES)
		return err("too many phases");
	/* a phase given twice keeps its place and the later numbers */
	v->range[at] = (struct nsw_range){ phase, first, last };
	if (at == v->n)
		v->n++;
	return 0;
}

static int
grade_row(char **cell, const size_t *len, size_t n, uint64_t row, void *ctx)
{
	struct nsw_tree *t = ctx;
	int at;

	if (n != 3)
		return err("want video,grade,grade, not %zu cells", n);
	if (!row)
		return 0;
	at = intern_find(&t->ids, cell[0]);
	if (at < 0)
		return err("unknown video %s", cell[0]);
	for (int i = 0; i < 2; i++)
		t->v[at].grade[i] = arena_strndup(&t->mem, cell[1 + i], len[1 + i]);
	t->grades++;
	return 0;
}

static int
read_annotations(struct nsw_tree *t, const char *annotations)
{
	t->n = t->ids.n;
	t->v = arena_alloc(&t->mem, t->n * sizeof(*t->v));
	for (size_t i = 0; i < t->n; i++) {
		struct annotation a = { t, &t->v[i] };
		char *path = xasprintf("%s/%s_phases.csv", annotations, t->ids.name[i]);
		int rc;

		t->v[i] = (struct nsw_video){ .id = t->ids.name[i],
			.range = arena_alloc(&t->mem, NSW_NPHASES * sizeof(*t->v[i].range)) };
		rc = csv_read(path, ',', true, phase_row, &a);
		if (!rc && !t->v[i].n)
			rc = err("%s: no phase", path);
		free(path);
		if (rc)
			return -1;
	}
	return 0;
}

int
nsw_open(struct nsw_tree *t, const char *dir, const char *videos)
{
	char *annotations = xasprintf("%s/" PREFIX "_annotations", dir);
	char *times = xasprintf("%s/" PREFIX "_time_elapsed", dir);
	char *grades = xasprintf("%s/" PREFIX "_grades.csv", dir);
	int rc = -1;

	*t = (struct nsw_tree){ .dir = dir };
	if (!is_dir(dir)) {
		err("%s: no folder", dir);
		goto out;
	}
	if ((videos ? read_ids(t, videos) : find_ids(t, annotations)) ||
	    read_annotations(t, annotations))
		goto out;
	t->has_times = is_dir(times);
	t->has_grades = file_exists(grades);
	if (t->has_grades && csv_read(grades, ',', true, grade_row, t))
		goto out;
	for (int p = 0; p < NSW_PLANES; p++) {
		char *path = xasprintf("%s/" PREFIX "%s", dir, suffix[p]);

		t->has_planes[p] = is_dir(path);
		free(path);
	}
	rc = 0;
out:
	free(annotations);
	free(times);
	free(grades);
	if (rc)
		nsw_close(t);
	return rc;
}

void
nsw_close(struct nsw_tree *t)
{
	intern_release(&t->ids);
	arena_release(&t->mem);
	*t = (struct nsw_tree){ 0 };
}

void
nsw_fair(const struct nsw_tree *t, struct fair_video **out, size_t *n)
{
	struct fair_video *v = xcalloc(t->n + 1, sizeof(*v));

	for (size_t i = 0; i < t->n; i++) {
		v[i].id = t->v[i].id;
		v[i].phase = xmalloc(NSW_NPHASES * sizeof(*v[i].phase));
		for (int k = 0; k < t->v[i].n; k++)
			if (t->v[i].range[k].last + 1 != t->v[i].range[k].first) /* it has frames */
				v[i].phase[v[i].n++] = t->v[i].range[k].phase;
	}
	*out = v;
	*n = t->n;
}

/* ---- frames ---------------------------------------------------------------------------------- */

struct frame {
	int64_t n;
	const char *name;
};

static int
frame_order(const void *a, const void *b)
{
	const struct frame *x = a, *y = b;

	if (x->n != y->n)
		return x->n < y->n ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* n of "..._RUN{n}.jpeg", n of one to three digits; -1 if the name is another. */
static int64_t
frame_number(const char *name)
{
	const char *dot = strrchr(name, '.'), *run = NULL;
	int64_t n = 0;
	size_t digits;

	for (const char *p = name; (p = strstr(p, "_RUN")); p++)
		run = p + 4;
	if (!run || !dot || dot < run || strcmp(dot, ".jpeg") != 0)
		return -1;
	digits = (size_t)(dot - run);
	if (digits < 1 || digits > 3 || strspn(run, "0123456789") != digits)
		return -1;
	for (; run < dot; run++)
		n = 10 * n + (*run - '0');
	return n;
}

struct times {
	double *hours; /* by frame; negative: none */
	struct nsw_tree *t;
};

enum { MAX_FRAME = 999 };

static int
time_row(char **cell, const size_t *len, size_t n, uint64_t row, void *ctx)
{
	struct times *x = ctx;
	int64_t frame;
	double hours;

	(void)len;
	if (n != 2)
		return err("want frame,hours, not %zu cells", n);
	if (!row)
		return 0;
	if (parse_int(cell[0], 0, INT32_MAX, &frame) || parse_float(cell[1], 0, 1e6, &hours))
		return -1;
	if (frame && frame <= MAX_FRAME) { /* frame 0 is none */
		x->hours[frame] = hours;
		x->t->times++;
	}
	return 0;
}

static void
tell_bad(struct nsw_tree *t, const struct nsw_opts *o, const char *what)
{
	t->bad++;
	warn("%s", what);
	if (o->strict)
		exit(EXIT_FATAL);
}

/* The first range that holds the frame; -1: none. */
static int
phase_of(const struct nsw_video *v, int64_t frame)
{
	for (int k = 0; k < v->n; k++)
		if (v->range[k].first <= frame && frame <= v->range[k].last)
			return v->range[k].phase;
	return -1;
}

/* What a record of a frame has in a field that is asked for by name, as a number of the table. */
static int
field_number(struct intern *table, const char *field, const struct nsw_video *v, int plane,
    int phase, const char *id)
{
	const char *value = !field ? NULL
	    : !strcmp(field, "phase") ? (phase < 0 ? NULL : nsw_phase[phase])
	    : !strcmp(field, "group") ? v->id
	    : !strcmp(field, "focal_plane") ? nsw_plane[plane]
	    : !strcmp(field, "label") || !strcmp(field, "id") ? id
	    : !strcmp(field, "grade_1") ? v->grade[0]
	    : !strcmp(field, "grade_2") ? v->grade[1] : NULL;

	return value ? intern_add(table, value) : -1;
}

static void
add_frame(struct split_set *s, struct nsw_tree *t, const struct nsw_opts *o,
    const struct nsw_video *v, int plane, int phase, const char *path, const struct frame *f,
    const double *hours)
{
	char *id = xasprintf("%s_%s_%" PRId64, nsw_plane[plane], v->id, f->n);
	struct split_item *it;
	struct sb sb = { 0 };

	sb_puts(&sb, "{\"id\": ");
	json_put_str(&sb, id, strlen(id));
	sb_puts(&sb, ", \"file_name\": ");
	json_put_str(&sb, path, strlen(path));
	sb_puts(&sb, ", \"group\": ");
	json_put_str(&sb, v->id, strlen(v->id));
	sb_puts(&sb, ", \"label\": ");
	json_put_str(&sb, id, strlen(id));
	if (phase >= 0)
		sb_printf(&sb, ", \"phase\": \"%s\", \"phase_index\": %d", nsw_phase[phase], phase);
	sb_printf(&sb, ", \"focal_plane\": \"%s\", \"frame\": %" PRId64, nsw_plane[plane], f->n);
	if (hours && hours[f->n] >= 0) {
		sb_puts(&sb, ", \"elapsed_h\": ");
		json_put_num(&sb, hours[f->n]);
	}
	for (int i = 0; i < 2; i++) {
		if (v->grade[i]) {
			sb_printf(&sb, ", \"grade_%d\": ", i + 1);
			json_put_str(&sb, v->grade[i], strlen(v->grade[i]));
		}
	}
	sb_putc(&sb, '}');
	it = split_add(s, sb.s, sb.len, id);
	it->input = t->dir;
	it->lineno = (uint64_t)++t->frames;
	it->frame = f->n;
	it->group = intern_add(&s->group, v->id);
	it->label = field_number(&s->label, o->label, v, plane, phase, id);
	it->stratum = field_number(&s->stratum, o->stratum, v, plane, phase, id);
	it->phase = phase < 0 ? -1 : intern_add(&s->phase, nsw_phase[phase]);
	it->plane = intern_add(&s->plane, nsw_plane[plane]);
	sb_release(&sb);
	free(id);
}

/* The frames of a folder, rising. */
static int
list_frames(struct nsw_tree *t, const struct nsw_opts *o, const char *dir, struct arena *mem,
    struct frame **out, size_t *n)
{
	char **name;
	size_t names;

	if (dir_names(dir, mem, &name, &names))
		return -1;
	*out = arena_alloc(mem, (names + 1) * sizeof(**out));
	*n = 0;
	for (size_t i = 0; i < names; i++) {
		char *path = xasprintf("%s/%s", dir, name[i]);
		int64_t frame = frame_number(name[i]);
		struct sb sb = { 0 };

		if (!is_dir(path)) {
			if (frame >= 0)
				(*out)[(*n)++] = (struct frame){ frame, name[i] };
			sb_printf(&sb, "%s: its name does not end in _RUN and a number", path);
			if (frame < 0)
				tell_bad(t, o, sb.s);
		}
		sb_release(&sb);
		free(path);
	}
	free(name);
	qsort(*out, *n, sizeof(**out), frame_order);
	return 0;
}

static int
read_video(struct nsw_tree *t, struct split_set *s, const struct nsw_opts *o, int plane,
    const struct nsw_video *v, const double *hours)
{
	char *dir = xasprintf("%s/" PREFIX "%s/%s", t->dir, suffix[plane], v->id);
	int64_t first = INT64_MAX, last = -1, gaps = 0, gap = 0;
	struct arena mem = { 0 };
	struct frame *f = NULL;
	size_t n = 0;
	int rc = list_frames(t, o, dir, &mem, &f, &n);

	for (int k = 0; k < v->n; k++) {
		if (v->range[k].first < first)
			first = v->range[k].first;
		if (v->range[k].last > last)
			last = v->range[k].last;
	}
	for (size_t i = 0; i < n; i++) {
		bool inside = first <= f[i].n && f[i].n <= last;
		int phase = inside ? phase_of(v, f[i].n) : -1;
		char *path;

		if (i && f[i].n == f[i - 1].n) {
			path = xasprintf(
			    "%s/%s: frame %" PRId64 " is there twice", dir, f[i].name, f[i].n);
			tell_bad(t, o, path);
			free(path);
			continue;
		}
		if (inside && phase < 0 && !gaps++)
			gap = f[i].n;
		if (phase < 0 && (inside || !o->unannotated))
			continue;
		path = xasprintf("%s/%s", dir, f[i].name);
		add_frame(s, t, o, v, plane, phase, path, &f[i], hours);
		free(path);
	}
	if (gaps) {
		char *why = xasprintf("%s: %" PRId64
		                      " frames lie between two phases, the first is %" PRId64,
		    dir, gaps, gap);

		tell_bad(t, o, why);
		free(why);
	}
	arena_release(&mem);
	free(dir);
	return rc;
}

static int
read_times(struct nsw_tree *t, const struct nsw_video *v, double *hours)
{
	char *path = xasprintf("%s/" PREFIX "_time_elapsed/%s_timeElapsed.csv", t->dir, v->id);
	struct times x = { hours, t };
	int rc = 0;

	for (int i = 0; i <= MAX_FRAME; i++)
		hours[i] = -1;
	if (file_exists(path))
		rc = csv_read(path, ',', true, time_row, &x);
	free(path);
	return rc;
}

/* Folders of a plane that are no video of the list. */
static int
check_plane(struct nsw_tree *t, const struct nsw_opts *o, int plane)
{
	char *dir = xasprintf("%s/" PREFIX "%s", t->dir, suffix[plane]), **name = NULL;
	struct arena mem = { 0 };
	size_t n = 0;
	int rc = dir_names(dir, &mem, &name, &n);

	for (size_t i = 0; i < n; i++) {
		char *path = xasprintf("%s/%s", dir, name[i]), *why = NULL;

		if (!is_dir(path))
			why = xasprintf("%s: no folder of a video", path);
		else if (intern_find(&t->ids, name[i]) < 0)
			why = xasprintf("%s: unknown video", path);
		if (why)
			tell_bad(t, o, why);
		free(why);
		free(path);
	}
	free(name);
	free(dir);
	arena_release(&mem);
	return rc;
}

int
nsw_read(struct nsw_tree *t, struct split_set *s, const struct nsw_opts *o)
{
	size_t n = o->ids ? o->n : t->n;
	double *hours = NULL;
	int rc = 0;

	if (t->has_times) {
		hours = xmalloc(n * (MAX_FRAME + 1) * sizeof(*hours) + 1);
		for (size_t i = 0; i < n && !rc; i++) {
			int at = o->ids ? intern_find(&t->ids, o->ids[i]) : (int)i;

			if (at >= 0)
				rc = read_times(t, &t->v[at], hours + i * (MAX_FRAME + 1));
		}
	}
	for (int p = 0; p < NSW_PLANES && !rc; p++) {
		if (!o->plane[p])
			continue;
		if (!t->has_planes[p]) {
			rc = err("%s: no folder " PREFIX "%s for focal plane %s", t->dir, suffix[p],
			    nsw_plane[p]);
			break;
		}
		rc = check_plane(t, o, p);
		for (size_t i = 0; i < n && !rc; i++) {
			int at = o->ids ? intern_find(&t->ids, o->ids[i]) : (int)i;

			if (at < 0)
				rc = err("unknown video %s", o->ids[i]);
			else
				rc = read_video(t, s, o, p, &t->v[at],
				    hours ? hours + i * (MAX_FRAME + 1) : NULL);
		}
	}
	free(hours);
	return rc;
}
