#include "metric/features.h"

#include "base/err.h"
#include "base/file.h"
#include "base/order.h"
#include "data/npy.h"
#include "metric/feature_dir.h"
#include "metric/feature_moments.h"
#include "metric/kernel.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A matrix that records name by file and row; the last few are kept. */
enum { SIDECARS = 8 };
struct sidecar {
	char *path;
	struct st_tensor t;
	float *x;
	uint64_t used;
};

struct reading {
	struct fset *s;
	const struct fset_how *how;
	struct sidecar side[SIDECARS];
	uint64_t clock;
	bool pending; /* the rows so far are images */
};

static const char *
keep(struct fset *s, const char *text)
{
	return text ? arena_strndup(&s->mem, text, strlen(text)) : NULL;
}

/* Squares of features, and sums of these, stay below f32's largest number. */
#define FEATURE_MAX 1e16f

/* ---- rows ------------------------------------------------------------------------------------ */

static int
check_finite(const float *x, int64_t d)
{
	for (int64_t i = 0; i < d; i++)
		if (!(fabsf(x[i]) < FEATURE_MAX))
			return err("feature %" PRId64 " is %s", i, isfinite(x[i]) ? "too large"
			    : "not finite");
	return 0;
}

static struct fset_row *
add_row(struct fset *s)
{
	s->row = xgrow(s->row, &s->row_cap, (size_t)s->n + 1, sizeof(*s->row));
	s->row[s->n] = (struct fset_row){ .group = -1 };
	return &s->row[s->n];
}

/* Room in x for row n of d features. */
static int
add_features(struct fset *s, int64_t d)
{
	if (d < 1)
		return err("no features");
	if (s->n && s->d != d)
		return err("%" PRId64 " features, those before have %" PRId64, d, s->d);
	s->d = d;
	s->x = xgrow(s->x, &s->cap, (size_t)(s->n + 1) * (size_t)d, sizeof(*s->x));
	return 0;
}

void
fset_alloc(struct fset *s, int64_t d)
{
	s->d = d;
	s->cap = (size_t)s->n * (size_t)d;
	s->x = xrealloc(s->x, s->cap * sizeof(*s->x) + 1);
}

void
fset_drop(struct fset *s, const bool *gone)
{
	int64_t to = 0;

	for (int64_t i = 0; i < s->n; i++) {
		if (gone[i])
			continue;
		s->row[to] = s->row[i];
		if (s->x && to != i)
			memcpy(s->x + to * s->d, s->x + i * s->d, (size_t)s->d * sizeof(*s->x));
		if (s->p && to != i)
			memcpy(s->p + to * s->c, s->p + i * s->c, (size_t)s->c * sizeof(*s->p));
		to++;
	}
	s->n = to;
}

void
fset_release(struct fset *s)
{
	free(s->x);
	free(s->p);
	free(s->row);
	free(s->sigma);
	if (s->has_moments)
		moments_release(&s->moments);
	arena_release(&s->mem);
	*s = (struct fset){ 0 };
}

/* ---- what made them -------------------------------------------------------------------------- */

static int
set_source(const char **to, const char *value, const char *what, struct fset *s)
{
	if (!value || !*value)
		return 0;
	if (!**to)
		*to = keep(s, value);
	else if (strcmp(*to, value) != 0)
		return err("%s '%s', before it was '%s'", what, value, *to);
	return 0;
}

/* embed(1) says what made a vector in three fields. */
static int
take_source(struct fset *s, const struct rec *r)
{
	const char **to[3] = { &s->source.network, &s->source.preprocess, &s->source.weights };
	const char *const field[3] =
	    { "embedding_network", "embedding_preprocess", "embedding_weights" };

	for (int i = 0; i < 3; i++)
		if (set_source(to[i], rec_str(r, field[i]), field[i], s))
			return -1;
	return 0;
}

int
fset_same_source(const struct fset *a, const struct fset *b, bool *known)
{
	const char *const pair[3][3] = { { "network", a->source.network, b->source.network },
		{ "preprocessing", a->source.preprocess, b->source.preprocess },
		{ "weights", a->source.weights, b->source.weights } };

	*known = *a->source.network && *b->source.network;
	if (a->d != b->d)
		return err("%s has %" PRId64 " features, %s has %" PRId64, a->name, a->d, b->name,
		    b->d);
	for (int i = 0; i < 3; i++)
		if (*pair[i][1] && *pair[i][2] && strcmp(pair[i][1], pair[i][2]) != 0)
			return err("%s and %s are not of the same %s: '%s', '%s'", a->name, b->name,
			    pair[i][0], pair[i][1], pair[i][2]);
	return 0;
}

/* ---- matrices -------------------------------------------------------------------------------- */

static int
read_matrix(struct fset *s, const char *path, const struct fset_how *how)
{
	struct st_tensor t;
	int rc = 0;

	if (npy_read(&t, path))
		return -1;
	if (t.ndim != 2 || t.dim[0] < 1 || t.dim[1] < 1) {
		free((void *)t.data);
		return err("%s: want a matrix, a row for each image", path);
	}
	s->n = t.dim[0];
	fset_alloc(s, t.dim[1]);
	st_get_f32(&t, s->x);
	free((void *)t.data);
	s->row_cap = (size_t)s->n;
	s->row = xcalloc(s->row_cap, sizeof(*s->row));
	for (int64_t i = 0; i < s->n && !rc; i++) {
		char id[32];
		int len = snprintf(id, sizeof(id), "%" PRId64, i);

		s->row[i] = (struct fset_row){ .input = path, .lineno = (uint64_t)i + 1,
			.group = -1, .id = arena_strndup(&s->mem, id, (size_t)len) };
		if (how->lines) {
			char *line = xasprintf("{\"id\": \"%s\"}", id);

			s->row[i].len = strlen(line);
			s->row[i].line = arena_strndup(&s->mem, line, s->row[i].len);
			free(line);
		}
		if (check_finite(s->x + i * s->d, s->d))
			rc = err_prefix("%s: row %" PRId64, path, i);
	}
	return rc;
}

int
fset_read_logits(struct fset *s, const char *path)
{
	struct st_tensor t;
	float *v;
	int rc = 0;

	if (npy_read(&t, path))
		return -1;
	if (t.ndim != 2 || t.dim[0] != s->n || t.dim[1] < 1) {
		free((void *)t.data);
		return err("%s: want a matrix of %" PRId64 " rows, one for each image of %s", path,
		    s->n, s->name);
	}
	s->c = t.dim[1];
	v = xmalloc((size_t)t.n * sizeof(*v));
	st_get_f32(&t, v);
	for (int64_t i = 0; i < s->n && !rc; i++)
		if (check_finite(v + i * s->c, s->c))
			rc = err("%s: row %" PRId64 " is not finite", path, i);
	s->p = xrealloc(s->p, (size_t)t.n * sizeof(*s->p));
	softmax_rows(v, s->n, s->c, s->p);
	free(v);
	free((void *)t.data);
	return rc;
}

int
fset_predict(struct fset *s, const struct intern *classes)
{
	for (int64_t i = 0; s->row && i < s->n; i++) {
		if (s->row[i].pred)
			continue;
		if (!s->p)
			return err("%s: no probabilities of classes, nor pred_label", s->name);
		if (s->c != (int64_t)classes->n)
			return err("%s: probabilities of %" PRId64 " classes, not %zu", s->name,
			    s->c, classes->n);
		s->row[i].pred = classes->name[order_largest(s->p + i * s->c, s->c)];
	}
	return 0;
}

/* ---- records --------------------------------------------------------------------------------- */

/* The matrix of that path, read if it is not one of the last. */
static struct sidecar *
sidecar(struct reading *in, const char *path)
{
	struct sidecar *s = &in->side[0];

	for (int i = 0; i < SIDECARS; i++) {
		if (in->side[i].path && strcmp(in->side[i].path, path) == 0) {
			in->side[i].used = ++in->clock;
			return &in->side[i];
		}
		if (in->side[i].used < s->used)
			s = &in->side[i];
	}
	free(s->path);
	free(s->x);
	*s = (struct sidecar){ 0 };
	if (npy_read(&s->t, path))
		return NULL;
	if (s->t.ndim != 2) {
		free((void *)s->t.data);
		err("%s: not a matrix", path);
		return NULL;
	}
	s->x = xmalloc((size_t)s->t.n * sizeof(*s->x) + 1);
	st_get_f32(&s->t, s->x);
	free((void *)s->t.data);
	s->path = xstrdup(path);
	s->used = ++in->clock;
	return s;
}

static int
from_sidecar(struct reading *in, struct rec *r)
{
	const char *path = rec_path(r, "embedding_file");
	struct sidecar *side;
	int64_t row;
	int got = rec_int(r, "embedding_row", &row);

	if (!path || got < 0)
		return -1;
	if (!got)
		return err("no embedding_row");
	side = sidecar(in, path);
	if (!side)
		return -1;
	if (row < 0 || row >= side->t.dim[0])
		return err("%s has no row %" PRId64, path, row);
	if (check_finite(side->x + row * side->t.dim[1], side->t.dim[1]) ||
	    add_features(in->s, side->t.dim[1]))
		return -1;
	memcpy(in->s->x + in->s->n * in->s->d, side->x + row * in->s->d,
	    (size_t)in->s->d * sizeof(float));
	return 0;
}

/* An array of numbers as doubles; caller frees. NULL with a message. */
static double *
numbers(const struct rec_field *f, int64_t *n)
{
	struct json j;
	double *v = NULL;

	if (f->type != JSON_ARRAY || json_parse(&j, f->raw, f->rawlen)) {
		err("%s is no array of numbers", f->key);
		return NULL;
	}
	*n = j.v[0].size;
	v = xmalloc((size_t)*n * sizeof(*v) + 1);
	for (int64_t i = 0, at = 1; i < *n; i++, at = j.v[at].next) {
		if (json_num(&j, (int)at, &v[i])) {
			err("%s is no array of numbers", f->key);
			free(v);
			v = NULL;
			break;
		}
	}
	json_release(&j);
	return v;
}

static int
from_array(struct reading *in, const struct rec_field *f)
{
	struct fset *s = in->s;
	int64_t n;
	double *v = numbers(f, &n);

	if (!v)
		return -1;
	if (add_features(s, n)) {
		free(v);
		return -1;
	}
	for (int64_t i = 0; i < n; i++)
		s->x[s->n * s->d + i] = (float)v[i];
	free(v);
	return check_finite(s->x + s->n * s->d, s->d);
}

/* Shares of classes: what is there divided by its sum, which takes counts and percents too. */
static int
take_scores(struct reading *in, struct rec *r)
{
	struct fset *s = in->s;
	const struct rec_field *f = rec_get(r, in->how->scores);
	double *v, sum = 0;
	int64_t n;

	if (!f)
		return err("no %s", in->how->scores);
	v = numbers(f, &n);
	if (!v)
		return -1;
	for (int64_t i = 0; i < n; i++)
		sum += v[i] >= 0 ? v[i] : NAN;
	if (!(sum > 0) || (s->n && n != s->c)) {
		free(v);
		if (!(sum > 0))
			return err("%s are no probabilities", in->how->scores);
		return err("%s has %" PRId64 " numbers, before it had %" PRId64, in->how->scores, n,
		    s->c);
	}
	s->c = n;
	s->p = xgrow(s->p, &s->p_cap, (size_t)(s->n + 1) * (size_t)n, sizeof(*s->p));
	for (int64_t i = 0; i < n; i++)
		s->p[s->n * n + i] = v[i] / sum;
	free(v);
	return 0;
}

static int
from_image(struct reading *in, struct rec *r)
{
	if (!rec_get(r, "file_name"))
		return err("no embedding_file, embedding or file_name");
	if (in->s->n && !in->pending)
		return err("no features, those before have some");
	if (!in->how->images)
		return err(
		    "no features (embedding_file, embedding), and no --weights to make them with");
	in->pending = true;
	return 0;
}

static int
one(struct rec *r, void *ctx)
{
	struct reading *in = ctx;
	struct fset *s = in->s;
	const char *network = rec_str(r, "embedding_network");
	const bool features = (rec_get(r, "embedding_file") || rec_get(r, "embedding")) &&
	    (!in->how->network || !network || strcmp(network, in->how->network) == 0);
	struct fset_row *row = add_row(s);
	const char *group = in->how->by ? rec_text(r, in->how->by) : NULL;
	int rc;

	if (features && in->pending)
		return err("features, those before have none");
	if (!features)
		rc = from_image(in, r);
	else if (rec_get(r, "embedding_file"))
		rc = from_sidecar(in, r);
	else
		rc = from_array(in, rec_get(r, "embedding"));
	if (rc || (in->how->scores && take_scores(in, r)))
		return -1;
	if (features && take_source(s, r))
		return -1;
	row->input = r->input;
	row->lineno = r->lineno;
	row->id = keep(s, rec_id(r));
	row->file = rec_get(r, "file_name") ? keep(s, rec_path(r, "file_name")) : NULL;
	row->label = keep(s, rec_text(r, "label"));
	row->split = keep(s, rec_text(r, "split"));
	row->pred = keep(s, rec_text(r, "pred_label"));
	if (group)
		row->group = intern_add(in->how->groups, group);
	if (in->how->lines || in->pending) {
		row->line = arena_strndup(&s->mem, r->line, r->len);
		row->len = r->len;
	}
	s->n++;
	return 0;
}

static int
read_records(struct fset *s, const char *file, const struct fset_how *how)
{
	struct reading in = { .s = s, .how = how };
	int rc = rec_each(how->ro, &file, 1, how->out, one, &in);

	for (int i = 0; i < SIDECARS; i++) {
		free(in.side[i].path);
		free(in.side[i].x);
	}
	if (rc == EXIT_FATAL)
		exit(rc);
	return in.pending && s->n ? fset_images_fill(how->images, s, how) | rc : rc;
}

/* ---- folders --------------------------------------------------------------------------------- */

/* The images of a folder as records: `id` is the path below it, `label` the first folder of
 * that. */
static int
read_folder(struct fset *s, const char *dir, const struct fset_how *how)
{
	struct image_list list;

	if (!how->images)
		die("%s: images need --weights to make features with", dir);
	if (image_list_read(&list, dir))
		die("%s", errmsg());
	for (size_t i = 0; i < list.n; i++) {
		struct rec r = { 0 };
		struct sb line = { 0 };
		struct fset_row *row;
		const char *slash = strchr(list.name[i], '/');

		if (!shard_has(&how->ro->shard, i))
			continue;
		row = add_row(s);
		row->input = s->name;
		row->lineno = i + 1;
		row->id = keep(s, list.name[i]);
		row->file = keep(s, list.path[i]);
		rec_set_str(&r, "id", row->id);
		rec_set_str(&r, "file_name", row->file);
		if (slash) {
			row->label =
			    arena_strndup(&s->mem, list.name[i], (size_t)(slash - list.name[i]));
			rec_set_str(&r, "label", row->label);
		}
		if (how->by && rec_text(&r, how->by))
			row->group = intern_add(how->groups, rec_text(&r, how->by));
		rec_write(&r, &line);
		row->len = line.len - 1;
		row->line = arena_strndup(&s->mem, line.s, row->len);
		sb_release(&line);
		rec_release(&r);
		s->n++;
	}
	image_list_release(&list);
	if (!s->n)
		die("%s: no image (.png, .jpg, .jpeg) in it", dir);
	return fset_images_fill(how->images, s, how);
}

int
fset_read(struct fset *s, const char *operand, const struct fset_how *how)
{
	const char *ext = path_ext(operand);
	char *metadata = path_join(operand, "metadata.jsonl");
	struct stat st;
	int rc = EXIT_OK;

	*s = (struct fset){ .name = operand, .source = { "", "", "" } };
	if (strcmp(ext, ".npz") == 0) {
		if (fset_read_moments(s, operand))
			die("%s", errmsg());
	} else if (strcmp(ext, ".npy") == 0) {
		if (read_matrix(s, operand, how))
			die("%s", errmsg());
	} else if (stat(operand, &st) == 0 && S_ISDIR(st.st_mode) && !file_exists(metadata)) {
		rc = read_folder(s, operand, how);
	} else {
		const bool folder = stat(operand, &st) == 0 && S_ISDIR(st.st_mode);

		rc = read_records(s, keep(s, folder ? metadata : operand), how);
	}
	free(metadata);
	if (!s->has_moments && !s->n)
		die("%s: no image", operand);
	return rc;
}
