#include "metric/seg_train.h"

#include "base/err.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/rng.h"
#include "base/sig.h"
#include "nn/checkpoint.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- records --------------------------------------------------------------------------------- */

/* ---- checkpoints ----------------------------------------------------------------------------- */

static void
put_state(const struct seg_trainer *t, struct sb *sb)
{
	const struct seg_progress *p = &t->at;

	sb_printf(sb, "{\"epoch\":%" PRId64 ",\"position\":%" PRId64 ",\"step\":%" PRId64
	    ",\"loss_n\":%" PRId64 ",\"best_step\":%" PRId64 ",\"best_epoch\":%" PRId64
	    ",\"waited\":%" PRId64 ",\"stopped\":%s,\"seed\":\"%" PRIu64 "\"", p->epoch,
	    p->position, p->step, p->loss_n, p->best_step, p->best_epoch, p->waited,
	    p->stopped ? "true" : "false", t->set.seed);
	json_add_num(sb, "loss_sum", p->loss_sum);
	json_add_num(sb, "best", p->best); /* null: none yet */
	sb_puts(sb, "}\n");
}

static int
get_state(void *ctx, const struct json *j)
{
	struct seg_trainer *t = ctx;
	struct seg_progress *p = &t->at;
	const struct ckpt_int ints[] = { { "epoch", &p->epoch, 0 }, { "position", &p->position, 0 },
		{ "step", &p->step, 0 }, { "loss_n", &p->loss_n, 0 },
		    { "best_step", &p->best_step, 0 },
		{ "best_epoch", &p->best_epoch, 0 }, { "waited", &p->waited, 0 } };
	int best = json_get(j, 0, "best");

	if (ckpt_get_ints(j, ints, sizeof(ints) / sizeof(ints[0])) ||
	    json_num(j, json_get(j, 0, "loss_sum"), &p->loss_sum) ||
	    json_bool(j, json_get(j, 0, "stopped"), &p->stopped))
		return -1;
	p->best = NAN;
	if (best >= 0 && j->v[best].type == JSON_NUMBER && json_num(j, best, &p->best))
		return -1;
	return ckpt_same_seed(j, t->set.seed);
}

/* The model as JSON, for comparing and for config.json. */
static char *
config_text(const struct seg_trainer *t, bool whole)
{
	struct sb sb = { 0 };

	sb_putc(&sb, '{');
	seg_model_put(t->model, &sb);
	if (whole) {
		sb_printf(&sb, ",\"monitor\":\"%s\"", t->set.monitor);
		json_add_num(&sb, "value", t->at.best);
		sb_printf(&sb, ",\"step\":%" PRId64 ",\"epoch\":%" PRId64 ",%s", t->at.step,
		    t->at.epoch, t->set.provenance);
	}
	sb_puts(&sb, whole ? "}\n" : "}");
	return sb.s;
}

static int
write_text(const struct ckpt *c, const char *name, const char *text)
{
	char *path = ckpt_file(c, name);
	int r = file_write(path, text, strlen(text));

	free(path);
	return r;
}

static int
write_all(const struct seg_trainer *t, const struct ckpt *c)
{
	char *weights = ckpt_file(c, "weights.safetensors"), *config = config_text(t, true);
	char *optim = ckpt_file(c, "optimizer.safetensors");
	struct sb state = { 0 };
	int r;

	put_state(t, &state);
	r = params_save(&t->model->net.ps, weights, NULL) || optim_save(&t->optim, optim) ||
	    write_text(c, "config.json", config) || write_text(c, "state.json", state.s) ? -1 : 0;
	free(weights);
	free(optim);
	free(config);
	sb_release(&state);
	return r;
}

/* Reads the losses that are still on the device; returns their mean over images. */
static double
read_losses(struct seg_trainer *t)
{
	double sum = 0;
	int64_t n = 0;

	for (size_t i = 0; i < t->npending; i++) {
		double v = tensor_item(t->pending[i]);

		if (!isfinite(v))
			die("the loss is %g near step %" PRId64
			    " (a smaller --lr or --clip may help)",
			    v, t->at.step);
		sum += v * (double)t->pending_n[i];
		n += t->pending_n[i];
		tensor_drop(t->pending[i]);
	}
	t->npending = 0;
	t->at.loss_sum += sum;
	t->at.loss_n += n;
	return n ? sum / (double)n : 0;
}

/* Saves as checkpoint-STEP, names it last, and best too where it is. */
static void
save(struct seg_trainer *t, bool best)
{
	char *name = xasprintf("checkpoint-%" PRId64, t->at.step);
	struct ckpt c;
	struct sb sb = { 0 };
	int r;

	read_losses(t); /* their sum is part of what is saved */
	r = ckpt_begin(&c, t->set.run, name);
	if (!r)
		r = write_all(t, &c) ? ckpt_abort(&c) : ckpt_commit(&c);
	if (r || ckpt_link(t->set.run, "last", name) ||
	    (best && ckpt_link(t->set.run, "best", name)) || ckpt_prune(t->set.run, t->set.keep))
		die("%s", errmsg());
	sb_printf(&sb, "{\"kind\":\"checkpoint\",\"step\":%" PRId64 ",\"epoch\":%" PRId64
	    ",\"best\":%s", t->at.step, t->at.epoch, best ? "true" : "false");
	free(name);
	name = xasprintf("%s/checkpoint-%" PRId64, t->set.run, t->at.step);
	json_add_str(&sb, "model", name);
	json_say(&sb);
	free(name);
}

/* Stops here if a signal asked for it. */
static void
heed_signals(struct seg_trainer *t)
{
	if (!stop_wanted())
		return;
	save(t, false);
	warn("stopped by signal %d at step %" PRId64 "; --resume goes on", stop_wanted(),
	    t->at.step);
	stop_exit();
}

/* Is the model of dir the one that the options describe? */
static int
same_model(const struct seg_trainer *t, const char *dir)
{
	struct seg_trainer other = *t;
	struct seg_model m;
	char *a, *b;
	int r = 0;

	if (seg_model_load(&m, dir, false))
		return -1;
	other.model = &m;
	a = config_text(t, false);
	b = config_text(&other, false);
	if (strcmp(a, b))
		r = err("%s: another model: %s; the options say %s", dir, b, a);
	seg_model_release(&m);
	free(a);
	free(b);
	return r;
}

static int
resume_from(struct seg_trainer *t, const char *dir)
{
	char *weights = path_join(dir, "weights.safetensors"),
	     *optim = path_join(dir, "optimizer.safetensors");
	int r = same_model(t, dir) || params_load_file(&t->model->net.ps, weights, 0) ||
	    optim_load(&t->optim, optim) || ckpt_read_state(dir, get_state, t) ? -1 : 0;

	free(weights);
	free(optim);
	return r;
}

/* ---- opening --------------------------------------------------------------------------------- */

int
seg_train_open(struct seg_trainer *t, bool resume)
{
	int unit = 1 << t->model->net.cfg.depth, r = 0;
	int64_t batches;
	char *last = path_join(t->set.run, "last");

	t->at = (struct seg_progress){ .best = NAN };
	for (int s = 0; s < SETS; s++) {
		struct seg_view *v = &t->view[s];

		seg_view_init(v, t->data, s, s == SET_TRAIN ? t->augment : NULL, t->set.seed, unit);
		if (v->n)
			t->loader[s] = loader_new(seg_sample, v, seg_sample_bytes(v),
			    (size_t)t->set.batch, t->jobs);
	}
	if (!t->view[SET_TRAIN].n) {
		free(last);
		return err("no image to train on");
	}
	batches =
	    (int64_t)((t->view[SET_TRAIN].n + (size_t)t->set.batch - 1) / (size_t)t->set.batch);
	t->steps = t->set.epochs * ((batches + t->set.accumulate - 1) / t->set.accumulate);
	if (t->set.max_steps && t->set.max_steps < t->steps)
		t->steps = t->set.max_steps;
	seg_stats_init(&t->train_stats, t->model->spec.classes);
	r = schedule_init(&t->schedule, t->set.schedule, t->set.warmup, t->steps);
	optim_init(&t->optim, &t->set.optim, (struct params *[]){ &t->model->net.ps }, 1);
	if (!r && file_exists(last))
		r = resume ? resume_from(t, last)
			   : err("%s: holds a run; --resume goes on with it", t->set.run);
	free(last);
	return r;
}

void
seg_train_close(struct seg_trainer *t)
{
	for (int s = 0; s < SETS; s++) {
		loader_free(t->loader[s]);
		seg_view_release(&t->view[s]);
	}
	optim_release(&t->optim);
	seg_stats_release(&t->train_stats);
	free(t->pending);
	free(t->pending_n);
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* norm: of the gradients, on the device, or NULL. */
static void
say_step(struct seg_trainer *t, double lr, const struct tensor *norm)
{
	double loss = read_losses(t), now = now_s(); /* waits for the device */
	struct sb sb = { 0 };

	sb_printf(&sb, "{\"kind\":\"step\",\"step\":%" PRId64 ",\"epoch\":%" PRId64, t->at.step,
	    t->at.epoch);
	json_add_num(&sb, "loss", loss);
	json_add_num(&sb, "lr", lr);
	if (norm)
		json_add_num(&sb, "grad_norm", tensor_item(norm));
	json_add_num(&sb, "images_per_s",
	    now > t->since ? round(1e3 * (double)t->images / (now - t->since)) / 1e3 : 0);
	if (t->set.train_metrics)
		seg_put_scores(t->model, &t->train_stats, &sb);
	json_say(&sb);
	t->since = now;
	t->images = 0;
}

/* Forward and backward of a batch; the loss stays on the device. */
static void
run_batch(struct seg_trainer *t, const struct loader_batch *b)
{
	const struct seg_view *v = &t->view[SET_TRAIN];
	struct seg_target target;
	struct tensor *x, *y, *loss;
	/* drop-connect's numbers: by seed and place in the run */
	uint64_t seed = t->set.seed ^ ((uint64_t)t->at.epoch << 32 | (uint64_t)t->at.position) *
	    0x9E3779B97F4A7C15u;

	scope_open();
	x = seg_upload(v, b->n, b->data, &target);
	target.weight = t->weight;
	y = segnet_forward(&t->model->net, x, true, seed, NULL);
	loss = seg_loss_of(&t->loss, y, &target);
	backward_scaled(loss, 1.0 / (double)t->set.accumulate);
	t->pending = xgrow(t->pending, &t->cap, t->npending + 1, sizeof(*t->pending));
	t->pending_n = xgrow(t->pending_n, &t->cap_n, t->npending + 1, sizeof(*t->pending_n));
	t->pending[t->npending] = tensor_hold(tensor_detach(loss));
	t->pending_n[t->npending++] = (int64_t)b->n;
	if (t->set.train_metrics)
		seg_count(t->model, v, seg_probabilities(t->model, tensor_detach(y)), b->n, b->data,
		    &t->train_stats);
	scope_close();
	t->images += (int64_t)b->n;
}

/* An optimiser step, and a record of it when it is due. */
static void
step(struct seg_trainer *t)
{
	double lr = t->set.lr * schedule_factor(&t->schedule, t->at.step);
	struct tensor *norm = NULL;

	scope_open();
	if (t->set.clip > 0)
		norm = optim_clip(&t->optim, t->set.clip, 1);
	optim_step(&t->optim, lr);
	t->at.step++;
	if (t->at.step % t->set.log_every == 0)
		say_step(t, lr, norm);
	scope_close();
}

static bool
finished(const struct seg_trainer *t)
{
	return t->at.stopped || t->at.epoch >= t->set.epochs ||
	    (t->set.max_steps && t->at.step >= t->set.max_steps);
}

/* The rest of the epoch under way, from at.position on. */
static int
run_epoch(struct seg_trainer *t, struct progress *bar)
{
	const struct seg_view *v = &t->view[SET_TRAIN];
	size_t batch = (size_t)t->set.batch, done = (size_t)t->at.position * batch;
	uint32_t *order = xmalloc((v->n + 1) * sizeof(*order));
	int64_t batches = (int64_t)((v->n + batch - 1) / batch);
	struct loader_batch *b;
	int r = 0;

	loader_shuffle(order, v->id, v->n, t->set.seed, (uint64_t)t->at.epoch);
	if (done < v->n)
		loader_start(t->loader[SET_TRAIN], order + done, v->n - done,
		    (uint64_t)t->at.epoch);
	while (
	    t->at.position < batches && !finished(t) && (b = loader_next(t->loader[SET_TRAIN]))) {

		if (b->error) {
			r = err("%s", b->error);
			break;
		}
		if (t->at.position % t->set.accumulate == 0)
			params_zero_grad(&t->model->net.ps);
		run_batch(t, b);
		t->at.position++;
		/* the last batches of an epoch make a step even if they are fewer */
		if (t->at.position % t->set.accumulate && t->at.position < batches)
			continue;
		step(t);
		progress_at(bar, (uint64_t)t->at.step);
		if (stop_wanted() || (t->set.save_every && t->at.step % t->set.save_every == 0)) {
			heed_signals(t);
			save(t, false);
		}
	}
	free(order);
	return r;
}

/* ---- judging --------------------------------------------------------------------------------- */

/* The monitored value among the scores; *up: larger is better. */
static double
monitored(const char *name, const struct seg_stats *st, double loss, bool *up)
{
	double v;

	*up = strcmp(name, "valid_loss") != 0;
	if (!*up)
		return loss;
	v = seg_score(seg_metric_find(name), st, SEG_MICRO, NULL, 1);
	return v == v ? v : 1;
}

/* Scores a split as a record of kind; heeds signals. *value: the monitored one. */
static int
judge(struct seg_trainer *t, int split, const char *kind, double *value, bool *up)
{
	struct seg_stats st;
	struct sb sb = { 0 };
	double loss, start = now_s();
	int r;

	seg_stats_init(&st, t->model->spec.classes);
	r = seg_evaluate(t->model, &t->view[split], t->loader[split], &t->loss, t->weight,
	    stop_wanted, &st, &loss);
	if (r == 1)
		heed_signals(t);
	if (!r) {
		*value = monitored(t->set.monitor, &st, loss, up);
		sb_printf(&sb,
		    "{\"kind\":\"%s\",\"split\":\"%s\",\"step\":%" PRId64 ",\"epoch\":%" PRId64
		    ",\"n\":%zu",
		    kind, split_set_name[split], t->at.step, t->at.epoch, t->view[split].n);
		json_add_num(&sb, "loss", loss);
		if (split == SET_VALIDATION && t->at.loss_n)
			json_add_num(&sb, "train_loss", t->at.loss_sum / (double)t->at.loss_n);
		seg_put_scores(t->model, &st, &sb);
		json_add_num(&sb, "images_per_s",
		    round(1e3 * (double)t->view[split].n / (now_s() - start)) / 1e3);
		json_say(&sb);
	}
	seg_stats_release(&st);
	return r;
}

/* Is the epoch under way one after which the net is judged and saved? */
static bool
due(const struct seg_trainer *t)
{
	return (t->at.epoch + 1) % t->set.eval_every == 0 || t->at.epoch + 1 == t->set.epochs ||
	    (t->set.max_steps && t->at.step >= t->set.max_steps);
}

/* Validation, early stopping. Returns whether this is the best so far, or -1. */
static int
validate(struct seg_trainer *t)
{
	double v = NAN;
	bool up = false, better;

	if (!t->view[SET_VALIDATION].n)
		return 1; /* nothing to compare with: the last is the best */
	if (judge(t, SET_VALIDATION, "eval", &v, &up))
		return -1;
	better = isnan(t->at.best) || (up ? v - t->set.min_delta > t->at.best :
	                                    v + t->set.min_delta < t->at.best);
	if (better) {
		t->at.best = v;
		t->at.best_step = t->at.step;
		t->at.best_epoch = t->at.epoch;
		t->at.waited = 0;
	} else if (++t->at.waited >= t->set.patience && t->set.patience) {
		t->at.stopped = true;
	}
	return better;
}

/* The last word: the best weights on the test split, if there is one. */
static int
result(struct seg_trainer *t)
{
	char *best = path_join(t->set.run, "best"),
	     *weights = path_join(best, "weights.safetensors");
	struct sb sb = { 0 };
	double v = NAN;
	bool up;
	int r = 0;

	if (t->view[SET_TEST].n)
		r = params_load_file(&t->model->net.ps, weights, 0) ||
		    judge(t, SET_TEST, "eval", &v, &up) ? -1 : 0;
	if (!r) {
		sb_puts(&sb, "{\"kind\":\"result\"");
		json_add_str(&sb, "model", best);
		sb_printf(&sb, ",\"step\":%" PRId64 ",\"epoch\":%" PRId64 ",\"best_step\":%" PRId64
		    ",\"best_epoch\":%" PRId64 ",\"stopped_early\":%s,\"metric\":\"%s\"",
		    t->at.step, t->at.epoch, t->at.best_step, t->at.best_epoch,
		    t->at.stopped ? "true" : "false", t->set.monitor);
		json_add_num(&sb, "value", t->at.best);
		if (t->view[SET_TEST].n)
			json_add_num(&sb, "test_value", v);
		json_say(&sb);
	}
	free(best);
	free(weights);
	return r;
}

/* What follows a pass through the training split: validation and a checkpoint, if they are due. A
 * run that stops within an epoch (max_steps) is judged as well, but what it saves is the state
 * within the epoch, so that it can go on as if it had not stopped. */
static int
close_epoch(struct seg_trainer *t, bool partial)
{
	struct seg_progress before, after;
	bool now = due(t);
	int best = 0;

	read_losses(t);
	before = t->at;
	if (now)
		best = validate(t);
	if (best < 0)
		return -1;
	after = t->at;
	if (partial) {
		t->at = before;
	} else {
		t->at.epoch++;
		t->at.position = 0;
		t->at.loss_sum = 0;
		t->at.loss_n = 0;
		seg_stats_clear(&t->train_stats);
	}
	if (now) {
		save(t, best);
		t->since = now_s(); /* the rate is that of training */
		t->images = 0;
	}
	if (partial)
		t->at = after;
	heed_signals(t);
	return 0;
}

int
seg_train(struct seg_trainer *t)
{
	size_t batch = (size_t)t->set.batch;
	int64_t batches = (int64_t)((t->view[SET_TRAIN].n + batch - 1) / batch);
	struct progress bar;
	int r = 0;

	progress_start(&bar, "steps", (uint64_t)t->steps, t->set.quiet);
	t->since = now_s();
	while (!r && !finished(t)) {
		r = run_epoch(t, &bar);
		if (!r) {
			heed_signals(t);
			r = close_epoch(t, t->at.position < batches);
		}
	}
	progress_end(&bar);
	return r ? r : result(t);
}
