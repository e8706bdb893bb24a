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

enum { CELL = 256, ACROSS = 8, QUALITY = 95 };

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
	char *path = xasprintf("%s/validation/step-%" PRId64 "-%d-%d.png", t->set.run, t->at.step, p, k);
	struct sb sb = { 0 };
	int r = image_write(im, path, QUALITY, NULL);

	if (!r && t->board.fp) {
		char *tag = xasprintf("validation/%d: %.200s/%d", p, t->set.prompts[p], k);

		r = tfevents_image(&t->board, tag, t->at.step, im);
		free(tag);
	}
	if (!r) {
		sb_printf(&sb, "{\"kind\":\"eval\",\"step\":%" PRId64 ",\"epoch\":%" PRId64, t->at.step,
		    t->at.epoch);
		sd_put_text(&sb, t->p->has[SD_CLASSES] ? "label" : "text", t->set.prompts[p]);
		sb_printf(&sb, ",\"seed\":%" PRIu64, t->set.seed + (uint64_t)k);
		sd_put_text(&sb, "file_name", path);
		sd_say(&sb);
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
		sd_put_text(&sb, "sheet_file_name", path);
		sd_say(&sb);
	}
	free(path);
	return r;
}

/* All pictures; rows of the sheet have ACROSS of them at most. */
static int
pictures(struct sd_train *t)
{
	int columns = t->set.images < ACROSS ? t->set.images : ACROSS, r = 0;
	int size = t->feed.view.own->conf.resolution;
	char *dir = path_join(t->set.run, "validation");
	struct image row[ACROSS] = { 0 };
	struct sd_sample s;
	struct sheet sheet;

	sd_sample_init(&s, t->p);
	s.keep = true;
	sheet_init(&sheet, columns, size < CELL ? size : CELL, NULL);
	r = make_dirs(dir);
	for (int p = 0; p < t->set.nprompts && !r; p++)
		for (int k = 0; k < t->set.images && !r; k++) {
			int at = k % columns;

			r = picture(t, &s, p, k, &row[at]);
			if (!r)
				r = keep_picture(t, &row[at], p, k);
			if (!r && (at == columns - 1 || k == t->set.images - 1)) {
				const struct image *pic[ACROSS] = { NULL };

				for (int i = 0; i <= at; i++)
					pic[i] = &row[i];
				sheet_add(&sheet, pic, t->set.prompts[p]);
			}
			if (at == columns - 1 || k == t->set.images - 1 || r)
				for (int i = 0; i <= at; i++)
					image_release(&row[i]);
		}
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
	size_t each = (size_t)d->conf.resolution * (size_t)d->conf.resolution * (size_t)d->conf.channels;
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
		r = sd_data_pixels(d, &d->item[i], 0, px) || sd_feed_batch(&t->valid, &lb, 0, &b) ? -1 : 0;
		if (!r) {
			pred = sd_step_predict(&t->step, &b, &target);
			sum += tensor_item(op_mean_all(op_square(op_sub(pred, target))));
		}
		scope_close();
	}
	if (!r) {
		sb_printf(&sb, "{\"kind\":\"eval\",\"split\":\"validation\",\"step\":%" PRId64 ",\"epoch\":%" PRId64
		    ",\"n\":%zu", t->at.step, t->at.epoch, d->n);
		sd_put_num(&sb, "loss", sum / (double)d->n);
		sd_say(&sb);
		if (t->board.fp)
			r = tfevents_scalar(&t->board, "valid_loss", t->at.step, sum / (double)d->n);
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
