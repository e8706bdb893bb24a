#include "metric/maskscore.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading --------------------------------------------------------------------------------- */

static int
take(struct mask_pair *p, int32_t **dst, const struct image *im, const char *field)
{
	if (*dst || (p->w && (im->w != p->w || im->h != p->h)))
		return err(
		    "%s: %dx%d pixels, the other mask has %dx%d", field, im->w, im->h, p->w, p->h);
	p->w = im->w;
	p->h = im->h;
	p->n = (size_t)im->w * (size_t)im->h;
	*dst = xmalloc((p->n + 1) * sizeof(**dst));
	return 0;
}

/* Gray, 8 or 16 bits: foreground by threshold. */
static int
read_binary(struct mask_pair *p, int32_t **dst, struct rec *r, const char *field, double threshold)
{
	const char *path = rec_path(r, field);
	struct image im = { 0 };
	int rc = -1;

	if (!path || (threshold < 0 ? image_read_labels(&im, path) : image_read(&im, path, 1, 0)))
		return -1;
	if (take(p, dst, &im, field))
		goto out;
	for (size_t i = 0; i < p->n; i++) {
		double x = 0;

		for (int c = 0; c < im.c; c++) {
			size_t at = i * (size_t)im.c + (size_t)c;
			double y = im.bits == 16 ? ((uint16_t *)im.data)[at] / 65535.0
			                         : ((uint8_t *)im.data)[at] / 255.0;

			x = y > x ? y : x;
		}
		(*dst)[i] = threshold < 0 ? x > 0 : x >= threshold;
	}
	rc = 0;
out:
	image_release(&im);
	return rc;
}

static int
read_record_mask(struct mask_pair *p, int32_t **dst, struct rec *r)
{
	struct image im = { 0 };
	int rc = mask_of_record(&im, r);

	if (rc <= 0)
		return rc ? -1 : err("no mask");
	rc = take(p, dst, &im, "mask");
	for (size_t i = 0; !rc && i < p->n; i++)
		(*dst)[i] = ((uint8_t *)im.data)[i] != 0;
	image_release(&im);
	return rc;
}

static int
read_colours(struct mask_pair *p, int32_t **dst, struct rec *r, const char *field,
    const struct class_dict *dict)
{
	const char *path = rec_path(r, field);
	struct image im = { 0 };
	int16_t *labels;
	int rc;

	if (!path || image_read(&im, path, 3, 8))
		return -1;
	rc = take(p, dst, &im, field);
	labels = xmalloc((p->n + 1) * sizeof(*labels));
	if (!rc)
		mask_from_colours(&im, dict, labels);
	for (size_t i = 0; !rc && i < p->n; i++)
		(*dst)[i] = labels[i];
	free(labels);
	image_release(&im);
	return rc;
}

static int
read_numbers(struct mask_pair *p, int32_t **dst, struct rec *r, const char *field)
{
	const char *path = rec_path(r, field);
	struct image im = { 0 };
	int rc;

	if (!path || image_read_labels(&im, path))
		return -1;
	rc = im.c == 1 ? take(p, dst, &im, field)
	               : err("%s: a mask of class numbers is gray or has a palette", path);
	for (size_t i = 0; !rc && i < p->n; i++)
		(*dst)[i] = im.bits == 16 ? ((uint16_t *)im.data)[i] : ((uint8_t *)im.data)[i];
	image_release(&im);
	return rc;
}

static int
read_either(struct mask_pair *p, int32_t **dst, struct rec *r, const struct mask_how *how,
    const char *field, double threshold)
{
	if (how->dict)
		return read_colours(p, dst, r, field, how->dict);
	return how->binary ? read_binary(p, dst, r, field, threshold)
	                   : read_numbers(p, dst, r, field);
}

int
mask_pair_read(struct mask_pair *p, struct rec *r, const struct mask_how *how)
{
	int rc;

	*p = (struct mask_pair){ 0 };
	if (how->binary && !how->truth && !how->dict)
		rc = read_record_mask(p, &p->truth, r);
	else
		rc = read_either(
		    p, &p->truth, r, how, how->truth ? how->truth : "mask_file_name", -1);
	if (!rc)
		rc = read_either(p, &p->pred, r, how, how->pred, how->threshold);
	if (rc)
		mask_pair_release(p);
	return rc;
}

void
mask_pair_release(struct mask_pair *p)
{
	free(p->pred);
	free(p->truth);
	*p = (struct mask_pair){ 0 };
}

/* ---- counts of many -------------------------------------------------------------------------- */

void
mask_scores_init(struct mask_scores *m, int classes)
{
	*m = (struct mask_scores){ 0 };
	seg_stats_init(&m->st, classes);
	m->confusion =
	    xcalloc((size_t)(classes + 1) * (size_t)(classes + 1), sizeof(*m->confusion));
}

void
mask_scores_release(struct mask_scores *m)
{
	seg_stats_release(&m->st);
	free(m->key);
	free(m->confusion);
	*m = (struct mask_scores){ 0 };
}

void
mask_scores_add(struct mask_scores *m, const struct seg_stats *one, const struct mask_pair *p,
    int32_t ignore, size_t file, uint64_t line)
{
	int c = m->st.c;

	m->key = xgrow(m->key, &m->key_cap, m->st.n + 1, sizeof(*m->key));
	m->key[m->st.n] = (struct mask_key){ file, line, m->st.n };
	seg_stats_append(&m->st, one);
	for (size_t i = 0; i < p->n; i++) {
		int t = p->truth[i], q = p->pred[i];

		if (ignore != SEG_NO_IGNORE && t == ignore)
			continue;
		t = t < 0 || t >= c ? c : t;
		q = q < 0 || q >= c ? c : q;
		m->confusion[t * (c + 1) + q]++;
	}
}

static int
key_order(const void *a, const void *b)
{
	const struct mask_key *x = a, *y = b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

void
mask_scores_sort(struct mask_scores *m)
{
	struct seg_stats sorted;

	if (!m->st.n)
		return;
	seg_stats_init(&sorted, m->st.c);
	qsort(m->key, m->st.n, sizeof(*m->key), key_order);
	for (size_t i = 0; i < m->st.n; i++) {
		size_t at = m->key[i].row * (size_t)m->st.c;

		seg_add_counts(&sorted, m->st.tp + at, m->st.fp + at, m->st.fn + at, m->st.tn + at);
		m->key[i].row = i;
	}
	seg_stats_release(&m->st);
	m->st = sorted;
}

void
seg_without_first(struct seg_stats *dst, const struct seg_stats *src)
{
	seg_stats_init(dst, src->c - 1);
	for (size_t i = 0; i < src->n; i++) {
		size_t at = i * (size_t)src->c + 1;

		seg_add_counts(dst, src->tp + at, src->fp + at, src->fn + at, src->tn + at);
	}
}
