/* Vectors of records: in them, or in files of rows. */
#include "metric/morph.h"

#include "base/err.h"
#include "base/mem.h"
#include "data/npy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Each file is read once. */
static const struct st_tensor *
file_of_rows(struct morph *m, const char *path)
{
	struct morph_file *f;

	for (size_t i = 0; i < m->nfile; i++)
		if (strcmp(m->file[i].path, path) == 0)
			return &m->file[i].t;
	m->file = xgrow(m->file, &m->fcap, m->nfile + 1, sizeof(*m->file));
	f = &m->file[m->nfile];
	if (npy_read(&f->t, path))
		return NULL;
	if (f->t.ndim != 2 || f->t.dtype != ST_F32) {
		free((void *)f->t.data);
		err("%s: want rows of 32-bit floats", path);
		return NULL;
	}
	f->path = xstrdup(path);
	m->nfile++;
	return &f->t;
}

/* Room for one more row of d floats. -1: others have another length. */
static int
want_row(struct morph *m, int64_t d)
{
	if (m->d && d != m->d)
		return err("a vector of %lld numbers, not %lld as the first", (long long)d,
		    (long long)m->d);
	m->d = d;
	m->x = xgrow(m->x, &m->xcap, (size_t)((m->rows + 1) * d), sizeof(*m->x));
	return 0;
}

static int
inline_row(struct morph *m, const struct rec_field *f)
{
	struct json j;
	int ret = 0, v = 1;
	double x;

	if (json_parse(&j, f->raw, f->rawlen))
		return err_prefix("embedding");
	if (j.v[0].type != JSON_ARRAY || j.v[0].size < 1 || want_row(m, j.v[0].size))
		ret = j.v[0].type == JSON_ARRAY && j.v[0].size
		    ? -1 : err("embedding: want numbers");
	for (int64_t i = 0; i < m->d && !ret; i++, v = j.v[v].next) {
		ret = json_num(&j, v, &x);
		m->x[m->rows * m->d + i] = (float)x;
	}
	json_release(&j);
	return ret;
}

static int
file_row(struct morph *m, struct rec *r)
{
	const char *path = rec_path(r, "embedding_file");
	const struct st_tensor *t = path ? file_of_rows(m, path) : NULL;
	int64_t at = -1;

	if (!path)
		return err("no embedding and no embedding_file: embed(1) makes them");
	if (!t)
		return -1;
	if (rec_int(r, "embedding_row", &at) != 1 || at < 0 || at >= t->dim[0])
		return err("embedding_row: want one of the %lld rows of %s", (long long)t->dim[0],
		    path);
	if (want_row(m, t->dim[1]))
		return -1;
	memcpy(m->x + m->rows * m->d, (const float *)t->data + at * m->d,
	    (size_t)m->d * sizeof(*m->x));
	return 0;
}

/* All vectors are to be made in one way. */
static int
check_origin(struct morph *m, struct rec *r)
{
	static const char *const field[] =
	    { "embedding_network", "embedding_preprocess", "embedding_weights" };

	for (int i = 0; i < 3; i++) {
		const char *s = rec_str(r, field[i]), *first = m->origin[i];

		if (!m->n) {
			free(m->origin[i]);
			m->origin[i] = s ? xstrdup(s) : NULL;
		} else if ((s == NULL) != (first == NULL) || (s && strcmp(s, first) != 0)) {
			return err("%s is %s, that of the first %s", field[i], s ? s : "not there",
			    first ? first : "is not there");
		}
	}
	return 0;
}

int
morph_read_row(struct morph *m, struct rec *r)
{
	const struct rec_field *f = rec_get(r, "embedding");

	if (check_origin(m, r) || (f ? inline_row(m, f) : file_row(m, r)))
		return -1;
	for (int64_t i = 0; i < m->d; i++)
		if (!isfinite(m->x[m->rows * m->d + i]))
			return err("its vector is not finite");
	return 0;
}

void
morph_rows_release(struct morph *m)
{
	for (size_t i = 0; i < m->nfile; i++) {
		free(m->file[i].path);
		free((void *)m->file[i].t.data);
	}
	free(m->file);
	for (int i = 0; i < 3; i++)
		free(m->origin[i]);
	free(m->x);
}
