#include "metric/fidimages.h"

#include "base/err.h"
#include "base/file.h"
#include "data/sheet.h"
#include "metric/fidscore.h"
#include "metric/outlier.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CELL = 128, ACROSS = 3 };

void
fid_images_release(struct fid_images *im)
{
	free(im->near);
	free(im->authentic);
	free(im->d2);
	free(im->p);
	*im = (struct fid_images){ 0 };
}

void
fid_images_near(struct fid_images *im, const struct fset *real, const struct fset *gen)
{
	im->near = xmalloc((size_t)gen->n * sizeof(*im->near));
	if (real->n > 1)
		im->authentic = xmalloc((size_t)gen->n * sizeof(*im->authentic));
	fid_nearest(real, gen, im->near, im->authentic);
}

int
fid_images_unlikely(struct fid_images *im, const struct fset *real, const struct fset *gen,
    int64_t k, int64_t *used)
{
	struct outlier o;

	if (outlier_fit(&o, real->x, real->n, real->d, k))
		return err_prefix("%s", real->name);
	im->d2 = xmalloc((size_t)gen->n * sizeof(*im->d2));
	im->p = xmalloc((size_t)gen->n * sizeof(*im->p));
	outlier_score(&o, gen->x, gen->n, im->d2, im->p);
	*used = o.k;
	outlier_release(&o);
	return 0;
}

/* ---- records --------------------------------------------------------------------------------- */

struct ranked {
	double key;
	int64_t at;
};

static int
compare(const void *va, const void *vb)
{
	const struct ranked *a = va, *b = vb;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return a->at < b->at ? -1 : a->at > b->at;
}

static struct ranked *
sorted(const double *key, const struct neighbour *near, int64_t n)
{
	struct ranked *r = xmalloc((size_t)n * sizeof(*r) + 1);

	for (int64_t i = 0; i < n; i++)
		r[i] = (struct ranked){ key ? key[i] : near[i].d2, i };
	qsort(r, (size_t)n, sizeof(*r), compare);
	return r;
}

static void
write_one(const struct fid_images *im, const struct fset *real, const struct fset *gen, int64_t i,
    struct rec *r, struct rec_out *out)
{
	rec_clear(r);
	if (rec_parse(r, gen->row[i].line, gen->row[i].len))
		die("%s", errmsg());
	if (im->near) {
		const struct fset_row *to = &real->row[im->near[i].at];

		rec_set_str(r, "nearest_id", to->id);
		if (to->file)
			rec_set_str(r, "nearest_file_name", to->file);
		rec_set_num(r, "nearest_distance", sqrt(im->near[i].d2));
		if (im->authentic)
			rec_set_bool(r, "authentic", im->authentic[i]);
	}
	if (im->p) {
		rec_set_num(r, "mahalanobis_sq", im->d2[i]);
		rec_set_num(r, "p_value", im->p[i]);
	}
	rec_emit(out, r);
}

void
fid_images_write(const struct fid_images *im, const struct fset *real, const struct fset *gen,
    double min_p, bool rank, struct rec_out *out)
{
	struct ranked *order = NULL;
	double *likely = NULL;
	struct rec r = { 0 };

	if (rank) {
		/* p is 0 for all that are very far: the distance still tells them apart */
		likely = xmalloc((size_t)gen->n * sizeof(*likely));
		for (int64_t i = 0; i < gen->n; i++)
			likely[i] = -im->d2[i];
		order = sorted(likely, NULL, gen->n);
	}
	for (int64_t k = 0; k < gen->n; k++) {
		int64_t i = order ? order[k].at : k;

		if (!im->p || im->p[i] >= min_p)
			write_one(im, real, gen, i, &r, out);
	}
	rec_release(&r);
	free(order);
	free(likely);
}

/* ---- the sheet ------------------------------------------------------------------------------- */

static bool
picture(struct image *im, const struct fset_row *row)
{
	*im = (struct image){ 0 };
	return row->file && image_read(im, row->file, 0, 8) == 0;
}

int
fid_images_sheet(const struct fid_images *im, const struct fset *real, const struct fset *gen,
    int64_t rows, const char *path)
{
	struct ranked *order;
	struct sheet s;
	int rc;

	if (!gen->row[0].file && !real->row[0].file)
		return err("%s and %s name no images for a sheet", real->name, gen->name);
	order = sorted(NULL, im->near, gen->n);
	sheet_init(&s, 2, CELL, (const char *const[]){ "generated", "nearest real" });
	for (int64_t k = 0; k < gen->n && k < rows; k++) {
		const struct fset_row *g = &gen->row[order[k].at],
		                      *r = &real->row[im->near[order[k].at].at];
		struct image a, b;
		const bool has_a = picture(&a, g), has_b = picture(&b, r);
		char *caption = xasprintf("%.24s / %.24s: %.4g", path_base(g->id), path_base(r->id),
		    sqrt(im->near[order[k].at].d2));

		sheet_add(&s, (const struct image *const[]){ has_a ? &a : NULL, has_b ? &b : NULL },
		    caption);
		image_release(&a);
		image_release(&b);
		free(caption);
	}
	rc = sheet_write(&s, path, ACROSS, NULL);
	sheet_release(&s);
	free(order);
	return rc;
}
