/* How a run is doing: pictures of the validation prompts, and the loss on held-out images. */
#include "model/sd_train.h"

#include "base/err.h"
#include "base/file.h"
#include "base/sig.h"
#include "data/sheet.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CELL = 256, DRAWN = 8, QUALITY = 95 }; /* DRAWN: in a row of the sheet */

/* One picture of prompt p; 1: a signal asks to stop; 2: none could be made. */
static int
picture(struct sd_train *t, struct sd_sample *s, int p, int k, struct image *out)
{
	const struct sd_settings *set = &t->set;
	int size = t->feed.view.own->conf.resolution;
	struct sd_job job = { .text = set->prompts[p], .width = size, .height = size,
		.steps = set->sample_steps, .guidance = set->guidance, .strength = 1,
		.sampler = (enum sampler_kind)set->sampler, .seed = set->seed + (uint64_t)k };
	int r;

	if (stop_wanted())
		return 1;
	if (t->p->has[SD_CLASSES]) {
		job.cls = class_config_find(&t->p->cfg.classes, set->prompts[p]);
		job.guidance = 1;
	}
	if (sd_job_check(s, &job))
		return -1;
	r = sd_sample_run(s, &job, 1);
	*out = job.out;
	if (r)
		warn("step %" PRId64 ": no picture: %s", t->at.step, errmsg());
	return r ? 2 : 0;
}

/* Writes it, and a record of it. */
static int
keep_picture(struct sd_train *t, const struct image *im, int p, int k)
{
	char *path =
	    xasprintf("%s/validation/step-%" PRId64 "-%d-%d.png", t->set.run, t->at.step, p, k);
	struct sb sb = { 0 };
	int r = image_write(im, path, QUALITY, NULL);

	if (!r && t->board.fp) {
		char *tag = xasprintf("validation/%d: %.200s/%d", p, t->set.prompts[p], k);

		r = tfevents_image(&t->board, tag, t->at.step, im);
		free(tag);
	}
	if (!r) {
		sb_printf(&sb, "{\"kind\":\"eval\",\"step\":%" PRId64 ",\"epoch\":%" PRId64,
		    t->at.step, t->at.epoch);
		json_add_str(&sb, t->p->has[SD_CLASSES] ? "label" : "text", t->set.prompts[p]);
		sb_printf(&sb, ",\"seed\":%" PRIu64, t->set.seed + (uint64_t)k);
		json_add_str(&sb, "file_name", path);
		json_say(&sb);
	}
	free(path);
	return r;
}

static int
keep_sheet(const struct sd_train *t, const struct sheet *sheet)
{
	char *path = xasprintf("%s/validation/step-%" PRId64 ".png", t->set.run, t->at.step);
	struct sb sb = { 0 };
	int r = sheet_write(sheet, path, 1, NULL);

	if (!r) {
		sb_printf(&sb, "{\"kind\":\"eval\",\"step\":%" PRId64 ",\"epoch\":%" PRId64
		    ",\"n\":%d", t->at.step, t->at.epoch, t->set.nprompts * t->set.images);
		json_add_str(&sb, "sheet_file_name", path);
		json_say(&sb);
	}
	free(path);
	return r;
}

/* The n-th image that was trained on as prompt p says, or NULL. */
static const struct sd_item *
real_one(const struct sd_train *t, int p, int n)
{
	const struct sd_data *d = t->feed.view.own;
	int cls = t->p->has[SD_CLASSES] ? class_config_find(&t->p->cfg.classes, t->set.prompts[p])
	    : -1;

	for (size_t i = 0; i < d->n; i++) {
		const struct sd_item *it = &d->item[i];
		bool fits = cls >= 0 && it->cls == cls;

		for (int k = 0; k < it->ntext && cls < 0; k++)
			fits |= strcmp(it->text[k], t->set.prompts[p]) == 0;
		if (fits && n-- == 0)
			return it;
	}
	return NULL;
}

/* Its pixels as the net saw them. */
static int
real_picture(const struct sd_train *t, const struct sd_item *it, struct image *out)
{
	const struct sd_data *d = t->feed.view.own;
	int c = d->conf.channels;

	image_alloc(out, d->conf.resolution, d->conf.resolution, c == 1 ? 1 : 3, 8);
	return sd_data_pixels(d, it, 0, out->data);
}

/* Pictures k, k+1, ... of prompt p as a row, after a real one of the kind where there is one. */
static int
row_of(struct sd_train *t, struct sd_sample *s, struct sheet *sheet, int p, int k)
{
	const struct sd_item *real = real_one(t, p, k / DRAWN);
	const struct image *pic[1 + DRAWN] = { NULL };
	struct image im[1 + DRAWN] = { 0 };
	int r = 0;

	if (real) {
		r = real_picture(t, real, &im[0]);
		pic[0] = &im[0];
	}
	for (int i = 0; i < DRAWN && k + i < t->set.images && !r; i++) {
		r = picture(t, s, p, k + i, &im[1 + i]);
		if (!r)
			r = keep_picture(t, &im[1 + i], p, k + i);
		pic[1 + i] = &im[1 + i];
	}
	if (!r)
		sheet_add(sheet, pic, t->set.prompts[p]);
	for (int i = 0; i <= DRAWN; i++)
		image_release(&im[i]);
	return r;
}

static int
pictures(struct sd_train *t)
{
	static const char *const head[1 + DRAWN] = { "real", "drawn", "", "", "", "", "", "", "" };
	int across = t->set.images < DRAWN ? t->set.images : DRAWN, r;
	int size = t->feed.view.own->conf.resolution;
	char *dir = path_join(t->set.run, "validation");
	struct sd_sample s;
	struct sheet sheet;

	sd_sample_init(&s, t->p);
	s.keep = true;
	sheet_init(&sheet, 1 + across, size < CELL ? size : CELL, head);
	r = make_dirs(dir);
	for (int p = 0; p < t->set.nprompts && !r; p++)
		for (int k = 0; k < t->set.images && !r; k += DRAWN)
			r = row_of(t, &s, &sheet, p, k);
	if (!r)
		r = keep_sheet(t, &sheet);
	sheet_release(&sheet);
	sd_sample_release(&s);
	free(dir);
	return r == 2 ? 0 : r;
}

/* The mean error on held-out images, each with noise and time of its own that stay the same. */
static int
held_out(struct sd_train *t)
{
	const struct sd_data *d = t->valid.view.own;
	size_t each =
	    (size_t)d->conf.resolution * (size_t)d->conf.resolution * (size_t)d->conf.channels;
	bool was = grads_set(false);
	uint8_t *px = xmalloc(each);
	double sum = 0;
	struct sb sb = { 0 };
	int r = 0;

	for (uint32_t i = 0; i < d->n && !r; i++) {
		struct loader_batch lb = { .n = 1, .item = &i, .data = px };
		struct tensor *target, *pred;
		struct sd_batch b;

		if (stop_wanted()) {
			r = 1;
			break;
		}
		scope_open();
		r = sd_data_pixels(d, &d->item[i], 0, px) || sd_feed_batch(&t->valid, &lb, 0, &b)
		    ? -1 : 0;
		if (!r) {
			pred = sd_step_predict(&t->step, &b, &target);
			sum += tensor_item(op_mean_all(op_square(op_sub(pred, target))));
		}
		scope_close();
	}
	if (!r) {
		sb_printf(&sb,
		    "{\"kind\":\"eval\",\"split\":\"validation\",\"step\":%" PRId64
		    ",\"epoch\":%" PRId64 ",\"n\":%zu",
		    t->at.step, t->at.epoch, d->n);
		json_add_num(&sb, "loss", sum / (double)d->n);
		json_say(&sb);
		if (t->board.fp)
			r = tfevents_scalar(&t->board, "valid_loss", t->at.step,
			    sum / (double)d->n);
	}
	grads_set(was);
	free(px);
	return r;
}

int
sd_train_judge(struct sd_train *t)
{
	int r = 0;

	if (t->step.ema_decay > 0)
		ema_swap(&t->step.ema);
	if (t->valid.view.n)
		r = held_out(t);
	if (!r && t->set.nprompts)
		r = pictures(t);
	if (t->step.ema_decay > 0)
		ema_swap(&t->step.ema);
	return r;
}
