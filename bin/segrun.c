/* segrun: a trained segmentation net applied to images; predicted masks out. */
#include "base/err.h"
#include "base/file.h"
#include "data/rec.h"
#include "data/sheet.h"
#include "gpu/gpu.h"
#include "model/seg_model.h"
#include "model/turn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct opts {
	const char *device, *model, *output, *field, *sheet;
	int64_t tile, overlap, batch;
	double threshold;
	bool labels, overlay, probabilities, skip_done;
} o = { .overlap = -1, .batch = 4, .threshold = -1, .field = "pred_mask_file_name" };
static struct rec_opts ro;

static const struct opt table[] = {
	{ 'm', "model", OPT_STR, &o.model, "DIR", "a model that segtrain wrote (required)", 0, 0 },
	{ 'o', "output", OPT_STR, &o.output, "DIR", "write masks below DIR (required)", 0, 0 },
	{ 'd', "device", OPT_STR, &o.device, "DEVICE", "number, part of the name, or cpu", 0, 0 },
	{ 0, "tile", OPT_INT, &o.tile, "N",
	    "work in windows of N x N pixels, at the image's own size", 32, 16384 },
	{ 0, "overlap", OPT_INT, &o.overlap, "N",
	    "pixels that windows share (default: a quarter)", 0, 8192 },
	{ 0, "batch-size", OPT_INT, &o.batch, "N", "windows at a time (4)", 1, 1024 },
	{ 0, "threshold", OPT_FLOAT, &o.threshold, "P",
	    "probability from which a class is there", 0, 1 },
	{ 0, "labels", OPT_FLAG, &o.labels, NULL, "masks of class numbers, not of colours", 0, 0 },
	{ 0, "overlay", OPT_FLAG, &o.overlay, NULL,
	    "also write the image with the mask over it", 0, 0 },
	{ 0, "probabilities", OPT_FLAG, &o.probabilities, NULL,
	    "also write 16-bit probabilities", 0, 0 },
	{ 0, "sheet", OPT_STR, &o.sheet, "FILE",
	    "a picture of images, true and predicted masks", 0, 0 },
	{ 0, "field", OPT_STR, &o.field, "NAME", "the mask's field (pred_mask_file_name)", 0, 0 },
	{ 0, "skip-done", OPT_FLAG, &o.skip_done, NULL,
	    "leave images whose mask is there already", 0, 0 },
	REC_OPTIONS_JOBS(ro),
	REC_OPTIONS_COMMON(ro),
	{ 0 },
};

enum { SHEET_ROWS = 30, SHEET_CELL = 160, SHEET_ACROSS = 3 };

static struct seg_model model;
static struct sheet sheet;

/* The mask as it is written: 0 and 255, class colours, or class numbers. */
static void
mask_image(struct image *out, const uint8_t *labels, int w, int h)
{
	size_t n = (size_t)w * (size_t)h;
	uint8_t *p;

	if (model.spec.dict.n && !o.labels) {
		int16_t *l = xmalloc(n * sizeof(*l));

		for (size_t i = 0; i < n; i++)
			l[i] = labels[i] == SEG_NO_CLASS ? -1 : labels[i];
		mask_to_colours(out, l, w, h, &model.spec.dict);
		free(l);
		return;
	}
	image_alloc(out, w, h, 1, 8);
	p = out->data;
	for (size_t i = 0; i < n; i++)
		p[i] = model.spec.mode == SEG_BINARY && !o.labels ? (labels[i] ? 255 : 0)
		    : labels[i];
}

/* A colour for a class: of the dictionary, or one that differs from its neighbours'. */
static void
colour_of(int class, uint8_t *rgb)
{
	static const uint8_t wheel[6][3] = { { 230, 60, 50 }, { 60, 150, 240 }, { 250, 190, 40 },
		{ 60, 190, 90 }, { 170, 90, 210 }, { 50, 200, 200 } };

	memcpy(rgb, (size_t)class < model.spec.dict.n && model.spec.mode != SEG_BINARY ?
	        model.spec.dict.rgb[class] : wheel[class % 6], 3);
}

/* The image half covered by the classes' colours; binary: by the foreground's alone. */
static void
overlay_image(struct image *out, const struct image *im, const uint8_t *labels)
{
	size_t n = (size_t)im->w * (size_t)im->h;
	uint8_t *p, rgb[3];

	image_copy(out, im);
	image_convert(out, 3, 8);
	p = out->data;
	for (size_t i = 0; i < n; i++, p += 3) {
		if (labels[i] == SEG_NO_CLASS || (model.spec.mode == SEG_BINARY && !labels[i]))
			continue;
		colour_of(model.spec.mode == SEG_BINARY ? 0 : labels[i], rgb);
		for (int k = 0; k < 3; k++)
			p[k] = (uint8_t)((p[k] + rgb[k]) / 2);
	}
}

/* Writes DIR/STEM-of-file_name + tail and notes it in the record. */
static int
put(struct rec *r, const struct image *im, const char *stem, const char *tail, const char *field)
{
	char *path = xasprintf("%s/%s%s.png", o.output, stem, tail), *dir = path_dir(path);
	int ret = make_dirs(dir) || image_write(im, path, 95, NULL) ? -1 : 0;

	if (!ret)
		rec_set_str(r, field, path);
	free(dir);
	free(path);
	return ret;
}

static int
put_probabilities(struct rec *r, const float *prob, int w, int h, const char *stem)
{
	size_t n = (size_t)w * (size_t)h;
	int ret = 0;

	for (int c = 0; c < model.spec.classes && !ret; c++) {
		struct image im = { 0 };
		char *tail = model.spec.classes == 1 ? xstrdup("_prob") : xasprintf("_prob%d", c);
		char *field = xasprintf("%s%s", "pred_file_name", tail);
		uint16_t *p;

		image_alloc(&im, w, h, 1, 16);
		p = im.data;
		for (size_t i = 0; i < n; i++)
			p[i] = (uint16_t)(prob[(size_t)c * n + i] * 65535.0f + 0.5f);
		ret = put(r, &im, stem, tail, field);
		image_release(&im);
		free(tail);
		free(field);
	}
	return ret;
}

/* The name under which an image's results stand: its file_name without extension, kept below the
 * output folder. NULL with a message. */
static char *
stem_of(struct rec *r)
{
	const char *name = rec_str(r, "file_name"), *part = name;
	size_t n;

	if (!name) {
		err("no file_name");
		return NULL;
	}
	for (const char *p = name; (p = strstr(p, "..")); p += 2)
		if ((p == name || p[-1] == '/') && (!p[2] || p[2] == '/'))
			part = path_base(name);
	if (*part == '/')
		part = path_base(name);
	n = strlen(part) - strlen(path_ext(part));
	return xstrndup(part, n);
}

/* A row of the contact sheet; the truth is left out where there is none. */
static void
add_to_sheet(struct rec *r, const struct image *im, const struct image *mask)
{
	struct image again = { 0 }, truth = { 0 };
	uint8_t *labels;

	if (sheet.rows == SHEET_ROWS)
		return;
	if (!seg_read(&model.spec, r, &again, &labels)) {
		mask_image(&truth, labels, again.w, again.h);
		free(labels);
	}
	sheet_add(&sheet, (const struct image *const[]){ im, truth.data ? &truth : NULL, mask },
	    rec_id(r));
	image_release(&again);
	image_release(&truth);
}

static int
predict(struct rec *r, struct image *im, const char *stem)
{
	struct seg_tiling t = { (int)o.tile, (int)o.overlap, (int)o.batch };
	size_t n = (size_t)im->w * (size_t)im->h;
	uint8_t *labels = xmalloc(n);
	struct image out = { 0 };
	float *prob;
	int ret;

	turn_take();
	prob = seg_predict(&model, im, &t);
	turn_give();
	seg_decide(&model, prob, im->w, im->h, labels);
	mask_image(&out, labels, im->w, im->h);
	ret = put(r, &out, stem, "", o.field);
	if (!ret && o.sheet)
		add_to_sheet(r, im, &out);
	image_release(&out);
	if (!ret && o.overlay) {
		overlay_image(&out, im, labels);
		ret = put(r, &out, stem, "_overlay", "overlay_file_name");
		image_release(&out);
	}
	if (!ret && o.probabilities)
		ret = put_probabilities(r, prob, im->w, im->h, stem);
	free(prob);
	free(labels);
	return ret;
}

static int
one(struct rec *r, struct rec_out *out, void *ctx)
{
	char *stem = stem_of(r), *done;
	struct image im = { 0 };
	int ret;

	(void)ctx;
	if (!stem)
		return -1;
	done = xasprintf("%s/%s.png", o.output, stem);
	if (o.skip_done && file_exists(done)) {
		rec_set_str(r, o.field, done);
		ret = 0;
	} else {
		ret = seg_read(&model.spec, r, &im, NULL);
		if (!ret)
			ret = predict(r, &im, stem);
	}
	if (!ret)
		rec_emit(out, r);
	image_release(&im);
	free(stem);
	free(done);
	return ret;
}

static void
check_options(void)
{
	int unit;

	if (!o.model || !o.output)
		usage_error("--model and --output are required");
	opt_wants(&o.overlap, o.tile, "--tile");
	if (o.sheet && !image_is_name(path_base(o.sheet)))
		usage_error("--sheet: '%s' does not end in .png, .jpg or .jpeg", o.sheet);
	gpu_open(o.device);
	if (seg_model_load(&model, o.model, false))
		die("%s", errmsg());
	opt_wants(&o.threshold, model.spec.mode != SEG_MULTICLASS,
	    "models that are not multiclass: the likeliest class is taken");
	if (o.threshold >= 0)
		model.threshold = o.threshold;
	unit = 1 << model.net.cfg.depth;
	if (o.tile % unit)
		usage_error("--tile: want a multiple of %d for this model", unit);
	if (o.overlap < 0)
		o.overlap = o.tile / 4;
	if (o.tile && o.overlap >= o.tile)
		usage_error("--overlap: want less than --tile");
	if (make_dirs(o.output))
		die("%s", errmsg());
	if (!o.sheet)
		return;
	ro.jobs = 1; /* its rows stand in order */
	sheet_init(&sheet, 3, SHEET_CELL, (const char *const[]){ "image", "truth", "prediction" });
}

int
main(int argc, char **argv)
{
	int at, r;

	ro = (struct rec_opts)REC_OPTS;
	ro.what = "images";
	at = opt_parse(argc, argv, table, "-m DIR -o DIR [options] [FILE ...]",
	    "Segment the images of records with a trained net.");
	check_options();
	r = rec_filter(&ro, (const char *const *)argv + at, (size_t)(argc - at), one, NULL);
	if (o.sheet && sheet.rows && sheet_write(&sheet, o.sheet, SHEET_ACROSS, NULL))
		die("%s", errmsg());
	sheet_release(&sheet);
	seg_model_release(&model);
	gpu_close();
	return r;
}
