#include "model/sd_train.h"

#include "base/err.h"
#include "base/file.h"
#include "base/sig.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* a loss scale below this helps no more */
static const double least_scale = 1.0 / 16384;

/* ---- records --------------------------------------------------------------------------------- */

/* Keeps a batch's errors on the device until they are wanted. */
static void
note_losses(struct sd_train *t, struct tensor *errors, const struct sd_batch *b)
{
	struct sd_pending *p;

	t->pending = xgrow(t->pending, &t->cap, t->npending + 1, sizeof(*t->pending));
	t->pending_of = xgrow(t->pending_of, &t->cap_of, t->npending + 1, sizeof(*t->pending_of));
	t->pending[t->npending] = tensor_hold(errors);
	p = &t->pending_of[t->npending++];
	*p = (struct sd_pending){ (int)errors->n, b->prior,
		xmalloc((size_t)errors->n * sizeof(float)) };
	sd_loss_weights(&t->step.loss, t->step.schedule, b->t, p->n, p->prior, p->weight);
}

double
sd_train_losses(struct sd_train *t, double part[2])
{
	double sum = 0;
	size_t n = t->npending;

	part[0] = part[1] = 0;
	for (size_t i = 0; i < n; i++) {
		struct sd_pending *p = &t->pending_of[i];
		float *e = xmalloc((size_t)p->n * sizeof(*e));
		double loss = 0;

		tensor_get(t->pending[i], e);
		for (int k = 0; k < p->n; k++) {
			bool own = k < p->n - p->prior;

			loss += (double)p->weight[k] * e[k];
			part[!own] += (double)e[k] / (own ? p->n - p->prior : p->prior) / (double)n;
		}
		if (!isfinite(loss) && !t->step.scaled)
			die("the loss is %g near step %" PRId64 " (a smaller --lr may help)", loss,
			    t->at.step);
		sum += loss;
		if (isfinite(loss)) {
			t->at.loss_sum += loss;
			t->at.loss_n++;
		}
		tensor_drop(t->pending[i]);
		free(p->weight);
		free(e);
	}
	t->npending = 0;
	return n ? sum / (double)n : 0;
}

static void
plot(struct sd_train *t, const char *tag, double v)
{
	if (t->board.fp && isfinite(v) && tfevents_scalar(&t->board, tag, t->at.step, v))
		die("%s", errmsg());
}

/* norm: of the gradients, on the device. */
static void
say_step(struct sd_train *t, double lr, const struct tensor *norm, bool good)
{
	double part[2], loss = sd_train_losses(t, part), now = now_s(); /* waits for the device */
	struct sb sb = { 0 };

	sb_printf(&sb, "{\"kind\":\"step\",\"step\":%" PRId64 ",\"epoch\":%" PRId64, t->at.step,
	    t->at.epoch);
	json_add_num(&sb, "loss", loss);
	json_add_num(&sb, "lr", lr);
	json_add_num(&sb, "grad_norm", tensor_item(norm));
	plot(t, "train_loss", loss);
	plot(t, "lr", lr);
	plot(t, "grad_norm", tensor_item(norm));
	if (t->feed.view.prior) {
		json_add_num(&sb, "instance_loss", part[0]);
		json_add_num(&sb, "prior_loss", part[1]);
	}
	if (t->step.scaled) {
		json_add_num(&sb, "loss_scale", t->step.scale.scale);
		sb_printf(&sb, ",\"skipped\":%s", good ? "false" : "true");
	}
	json_add_num(&sb, "images_per_s",
	    now > t->since ? round(1e3 * (double)t->images / (now - t->since)) / 1e3 : 0);
	json_say(&sb);
	t->since = now;
	t->images = 0;
}

/* ---- opening --------------------------------------------------------------------------------- */

static size_t
sample_bytes(const struct sd_data_conf *c)
{
	return (size_t)c->resolution * (size_t)c->resolution * (size_t)c->channels;
}

int
sd_train_open(struct sd_train *t, const char *resume)
{
	static const enum sd_net order[] = { SD_UNET, SD_TEXT, SD_CLASSES };
	struct pipeline *p = t->p;
	struct params *trained[SD_NETS];
	int n = 0, threads = t->set.jobs;
	size_t batch = (size_t)t->set.batch;
	int ended;

	t->at = (struct sd_progress){ .judged = -1 };
	/* the running means are those of the first */
	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
		if (t->trained >> order[i] & 1)
			trained[n++] = pipeline_params(p, order[i]);
		else if (t->adapted >> order[i] & 1)
			trained[n++] = &t->lora[order[i]].ps;
	if (t->set.tensorboard && tfevents_open(&t->board, t->set.tensorboard))
		return -1;
	noise_schedule_init(&t->noise, &p->noise);
	t->feed.times = t->valid.times = t->noise.n;
	t->step.unet = &p->unet;
	sd_step_init(&t->step, &t->noise, &t->set.optim, trained, n);
	sd_feed_attach(&t->feed);
	t->batches = (int64_t)((t->feed.view.n + batch - 1) / batch);
	t->loader = loader_new(sd_view_sample, &t->feed.view, sample_bytes(&t->feed.view.own->conf),
	    batch * (t->feed.view.prior ? 2 : 1), threads);
	ended = t->set.go_on ? sd_train_ended(t) : 0;
	t->ended = ended > 0;
	return ended ? (ended < 0 ? -1 : 0) : resume ? sd_train_load(t, resume) : 0;
}

void
sd_train_close(struct sd_train *t)
{
	loader_free(t->loader);
	if (t->board.fp && tfevents_close(&t->board))
		die("%s", errmsg());
	sd_step_release(&t->step);
	noise_schedule_release(&t->noise);
	sd_feed_release(&t->feed);
	sd_feed_release(&t->valid);
	free(t->pending);
	free(t->pending_of);
}

/* ---- steps ----------------------------------------------------------------------------------- */

void
sd_train_heed(struct sd_train *t)
{
	if (!stop_wanted())
		return;
	sd_train_save(t);
	warn("stopped by signal %d at step %" PRId64 "; --resume goes on", stop_wanted(),
	    t->at.step);
	stop_exit();
}

static bool
finished(const struct sd_train *t)
{
	return t->at.step >= t->set.steps;
}

static bool
every(int64_t n, int64_t step)
{
	return n > 0 && step > 0 && step % n == 0;
}

/* Are pictures due now? */
static bool
due(const struct sd_train *t)
{
	bool end_of_epoch = t->at.position == 0 && t->at.epoch > 0;

	return t->at.judged != t->at.step && (every(t->set.eval_every, t->at.step) ||
	    (end_of_epoch && every(t->set.eval_epochs, t->at.epoch)) ||
	    (finished(t) && (t->set.eval_every || t->set.eval_epochs)));
}

/* What follows a step: pictures, a single file, a checkpoint. */
static int
after_step(struct sd_train *t)
{
	bool save = every(t->set.save_every, t->at.step), judge = due(t);
	bool single = every(t->set.single_every, t->at.step);

	sd_train_heed(t);
	if (judge) {
		int r = sd_train_judge(t);

		if (r < 0)
			return -1;
		if (r > 0)
			sd_train_heed(t);
		t->at.judged = t->at.step;
	}
	if (single && sd_train_single(t))
		return -1;
	if (save)
		sd_train_save(t);
	sd_train_heed(t);
	if (judge || single || save) {
		t->since = now_s(); /* the rate is that of training */
		t->images = 0;
	}
	return 0;
}

static int
run_batch(struct sd_train *t, const struct loader_batch *lb)
{
	struct sd_batch b;
	int r;

	scope_open();
	r = sd_feed_batch(&t->feed, lb, (uint64_t)t->at.epoch, &b);
	if (r == 0)
		note_losses(t, sd_step_batch(&t->step, &b), &b);
	scope_close();
	t->images += (int64_t)lb->n;
	return r;
}

/* An optimiser's step, and a record of it when it is due. */
static void
update(struct sd_train *t)
{
	double lr = t->set.lr * schedule_factor(&t->set.schedule, t->at.step);
	struct tensor *norm;
	bool good;

	scope_open();
	good = sd_step_update(&t->step, lr, &norm);
	if (!good && t->step.scale.scale < least_scale)
		die("gradients are not finite at step %" PRId64
		    ", however small the loss is scaled",
		    t->at.step);
	t->at.step++;
	if (every(t->set.log_every, t->at.step) || finished(t))
		say_step(t, lr, norm, good);
	scope_close();
}

/* The rest of the epoch under way, from at.position on. */
static int
run_epoch(struct sd_train *t, struct progress *bar)
{
	size_t batch = (size_t)t->set.batch * (t->feed.view.prior ? 2 : 1);
	size_t n, done = (size_t)t->at.position * batch;
	uint32_t *order =
	    sd_view_order(&t->feed.view, (size_t)t->set.batch, (uint64_t)t->at.epoch, &n);
	struct loader_batch *b;
	int r = 0;

	if (done < n)
		loader_start(t->loader, order + done, n - done, (uint64_t)t->at.epoch);
	while (!r && t->at.position < t->batches && !finished(t) && (b = loader_next(t->loader))) {
		r = b->error ? err("%s", b->error) : run_batch(t, b);
		if (r)
			break;
		t->at.position++;
		/* the last batches of an epoch make a step even if they are fewer */
		if (!sd_step_due(&t->step) && t->at.position < t->batches)
			continue;
		update(t);
		progress_at(bar, (uint64_t)t->at.step);
		if (t->at.position == t->batches) {
			t->at.epoch++;
			t->at.position = 0;
		}
		r = after_step(t);
		if (t->at.position == 0)
			break;
	}
	free(order);
	return r;
}

static void
result(const struct sd_train *t)
{
	struct gpu_mem_stat mem;
	struct sb sb = { 0 };

	gpu_mem(&mem);
	sb_puts(&sb, "{\"kind\":\"result\"");
	json_add_str(&sb, "model", t->set.run);
	sb_printf(&sb, ",\"step\":%" PRId64 ",\"epoch\":%" PRId64, t->at.step, t->at.epoch);
	if (t->at.loss_n)
		json_add_num(&sb, "loss", t->at.loss_sum / (double)t->at.loss_n);
	sb_printf(&sb, ",\"memory_bytes\":%" PRIu64, mem.peak_all);
	json_say(&sb);
}

int
sd_train(struct sd_train *t)
{
	struct progress bar;
	int r = 0;

	if (t->ended) {
		if (!t->set.quiet)
			warn("%s: its %" PRId64 " steps are done, nothing is left to train",
			    t->set.run, t->at.step);
		result(t);
		return 0;
	}
	progress_start(&bar, "steps", (uint64_t)t->set.steps, t->set.quiet);
	t->since = now_s();
	sd_train_heed(t);
	/* a run that was stopped while it was judged is judged now */
	if (t->at.step && due(t))
		r = after_step(t);
	while (!r && !finished(t))
		r = run_epoch(t, &bar);
	progress_end(&bar);
	if (!r)
		r = sd_train_finish(t);
	if (!r)
		result(t);
	return r;
}
