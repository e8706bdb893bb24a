/* What a run leaves behind: checkpoints, and the model at its end. */
#include "model/sd_train.h"

#include "base/err.h"
#include "base/file.h"
#include "nn/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LORA_FILE "pytorch_lora_weights.safetensors"

/* ---- progress -------------------------------------------------------------------------------- */

static void
put_state(const struct sd_train *t, struct sb *sb)
{
	const struct sd_progress *p = &t->at;

	sb_printf(sb, "{\"epoch\":%" PRId64 ",\"position\":%" PRId64 ",\"step\":%" PRId64
	    ",\"judged\":%" PRId64 ",\"loss_n\":%" PRId64 ",\"batches\":%" PRId64
	    ",\"scale_good\":%" PRId64 ",\"seed\":\"%" PRIu64 "\"", p->epoch, p->position, p->step,
	    p->judged, p->loss_n, t->batches, t->step.scale.good, t->set.seed);
	json_add_num(sb, "loss_sum", p->loss_sum);
	json_add_num(sb, "loss_scale", t->step.scale.scale);
	sb_puts(sb, "}\n");
}

static int
get_state(void *ctx, const struct json *j)
{
	struct sd_train *t = ctx;
	struct sd_progress p = { 0 };
	int64_t batches;
	const struct ckpt_int ints[] = { { "epoch", &p.epoch, 0 }, { "position", &p.position, 0 },
		{ "step", &p.step, 0 }, { "judged", &p.judged, -1 }, { "loss_n", &p.loss_n, 0 },
		{ "batches", &batches, 1 }, { "scale_good", &t->step.scale.good, 0 } };

	if (ckpt_get_ints(j, ints, sizeof(ints) / sizeof(ints[0])))
		return -1;
	if (json_num(j, json_get(j, 0, "loss_sum"), &p.loss_sum) ||
	    json_num(j, json_get(j, 0, "loss_scale"), &t->step.scale.scale))
		return err("loss_sum, loss_scale: want numbers");
	if (ckpt_same_seed(j, t->set.seed))
		return -1;
	if (batches != t->batches)
		return err("the run has epochs of %" PRId64 " batches, these records make %" PRId64,
		    batches, t->batches);
	t->at = p;
	return 0;
}

/* ---- networks -------------------------------------------------------------------------------- */

/* A network in diffusers' layout, as dir/name. */
static int
write_net(struct pipeline *p, enum sd_net net, const char *dir, const char *name,
    const char *const *meta)
{
	char *sub = path_join(dir, name), *config = path_join(sub, "config.json");
	struct sb sb = { 0 };
	struct weights w;
	int r;

	sd_config_put(&p->cfg, net, &sb);
	weights_from_params(&w, sub, pipeline_params(p, net));
	r = make_dirs(sub) || file_write(config, sb.s, sb.len) ||
	    weights_write(&w, sub, sd_net_stem(net), ST_F32, 0, meta) ? -1 : 0;
	weights_close(&w);
	sb_release(&sb);
	free(config);
	free(sub);
	return r;
}

static int
read_net(struct pipeline *p, enum sd_net net, const char *dir, const char *name)
{
	char *sub = path_join(dir, name);
	struct weights w;
	int r = weights_open(&w, sub, sd_net_stem(net), NULL);

	if (!r) {
		r = params_load(pipeline_params(p, net), &w.st, "", 0);
		weights_close(&w);
	}
	free(sub);
	return r;
}

static int
write_state(const struct sd_train *t, const char *dir)
{
	char *state = path_join(dir, "state.json");
	struct sb sb = { 0 };
	int r;

	put_state(t, &sb);
	r = file_write(state, sb.s, sb.len);
	sb_release(&sb);
	free(state);
	return r;
}

static int
write_optim(const struct sd_train *t, const char *dir)
{
	char *path = path_join(dir, "optimizer.safetensors");
	int r = optim_save(&t->step.optim, path);

	free(path);
	return r;
}

/* A network's low-rank changes, bit for bit. */
static char *
lora_path(const char *dir, enum sd_net net)
{
	return xasprintf("%s/lora_%s.safetensors", dir, sd_net_name(net));
}

/* All low-rank changes, as other programs read them. */
static int
write_lora(const struct sd_train *t, const char *dir)
{
	char *path = path_join(dir, LORA_FILE);
	const struct lora *net[SD_NETS] = { NULL };
	int r;

	for (int i = 0; i < SD_NETS; i++)
		if (t->adapted >> i & 1)
			net[i] = &t->lora[i];
	r = lora_save(net, t->set.lora_form, path, t->set.meta);
	free(path);
	return r;
}

static int
write_all(struct sd_train *t, const char *dir)
{
	int r = write_optim(t, dir) || write_state(t, dir) ? -1 : 0;

	for (int i = 0; i < SD_NETS && !r; i++) {
		char *path = lora_path(dir, (enum sd_net)i);

		if (t->trained >> i & 1)
			r = write_net(t->p, (enum sd_net)i, dir, sd_net_name((enum sd_net)i), NULL);
		else if (t->adapted >> i & 1)
			r = params_save(&t->lora[i].ps, path, NULL);
		free(path);
	}
	if (!r && t->adapted)
		r = write_lora(t, dir);
	if (!r && t->step.ema_decay > 0) {
		ema_swap(&t->step.ema);
		r = write_net(t->p, SD_UNET, dir, "unet_ema", NULL);
		ema_swap(&t->step.ema);
	}
	return r;
}

void
sd_train_save(struct sd_train *t)
{
	char *name = xasprintf("checkpoint-%" PRId64, t->at.step),
	     *path = path_join(t->set.run, name);
	double part[2];
	struct ckpt c;
	struct sb sb = { 0 };
	int r;

	sd_train_losses(t, part); /* their sum is part of what is saved */
	r = ckpt_begin(&c, t->set.run, name);
	if (!r)
		r = write_all(t, c.temp) ? ckpt_abort(&c) : ckpt_commit(&c);
	if (r || ckpt_link(t->set.run, "last", name) || ckpt_prune(t->set.run, t->set.keep))
		die("%s", errmsg());
	sb_printf(&sb, "{\"kind\":\"checkpoint\",\"step\":%" PRId64 ",\"epoch\":%" PRId64,
	    t->at.step, t->at.epoch);
	json_add_str(&sb, "model", path);
	json_say(&sb);
	free(path);
	free(name);
}

int
sd_train_load(struct sd_train *t, const char *dir)
{
	char *optim = path_join(dir, "optimizer.safetensors");
	int r = ckpt_read_state(dir, get_state, t) || optim_load(&t->step.optim, optim) ? -1 : 0;

	free(optim);
	if (!r && t->step.ema_decay > 0) {
		r = read_net(t->p, SD_UNET, dir, "unet_ema");
		ema_restart(&t->step.ema);
	}
	for (int i = 0; i < SD_NETS && !r; i++) {
		char *path = lora_path(dir, (enum sd_net)i);

		if (t->trained >> i & 1)
			r = read_net(t->p, (enum sd_net)i, dir, sd_net_name((enum sd_net)i));
		else if (t->adapted >> i & 1)
			r = params_load_file(&t->lora[i].ps, path, 0);
		free(path);
	}
	return r;
}

/* The checkpoint with the largest number; caller frees; NULL: none. */
static char *
latest(const char *run)
{
	DIR *d = opendir(run);
	struct dirent *e;
	int64_t best = -1, n;
	char *path = NULL;

	while (d && (e = readdir(d)))
		if (strncmp(e->d_name, "checkpoint-", 11) == 0 &&
		    parse_int(e->d_name + 11, 0, INT64_MAX, &n) == 0 && n > best) {
			best = n;
			free(path);
			path = path_join(run, e->d_name);
		}
	if (d)
		closedir(d);
	return path;
}

char *
sd_train_find(const char *run, const char *which, bool *none)
{
	char *path = NULL;

	*none = false;
	if (strcmp(which, "latest") == 0) {
		path = latest(run);
		*none = !path;
		return path;
	}
	path = path_join(run, which);
	if (!file_exists(path)) {
		free(path);
		path = xstrdup(which);
	}
	if (file_exists(path))
		return path;
	err("%s: no such checkpoint", which);
	free(path);
	return NULL;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* Moves from/name to to/name, in the place of what is there; dir is `to`, open. */
static int
move(const char *from, const char *to, int dir, const char *name)
{
	char *a = path_join(from, name), *b = path_join(to, name);
	int r = 0;

	if (rename(a, b)) {
		/* a folder that holds something is in the way */
		r = file_exists(b) ? tree_remove(dir, name) : 0;
		if (!r && rename(a, b))
			r = err("%s:", b);
	}
	free(a);
	free(b);
	return r;
}

/* Moves what is in `from` into `to`; `last`, which says that the rest is there, goes first and
 * comes last. */
static int
move_all(const char *from, const char *to, const char *last)
{
	int dir = open(to, O_RDONLY | O_DIRECTORY), r = 0;
	DIR *d = opendir(from);
	struct dirent *e;

	if (dir < 0 || !d)
		r = err("%s:", dir < 0 ? to : from);
	else if (unlinkat(dir, last, 0) && errno != ENOENT)
		r = err("%s/%s:", to, last);
	while (!r && (e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && strcmp(e->d_name, last))
			r = move(from, to, dir, e->d_name);
	if (!r)
		r = move(from, to, dir, last);
	if (d)
		closedir(d);
	if (dir >= 0)
		close(dir);
	return r;
}

/* The model's file that stands in the run's folder when the rest does. */
static const char *
last_file(const struct sd_train *t)
{
	return t->adapted ? LORA_FILE : "model_index.json";
}

int
sd_train_ended(struct sd_train *t)
{
	char *state = path_join(t->set.run, "state.json"),
	     *model = path_join(t->set.run, last_file(t));
	struct sd_progress at = t->at;
	struct gradscale scale = t->step.scale;
	int r = 0;

	if (file_exists(state) && file_exists(model))
		r = ckpt_read_state(t->set.run, get_state, t) ? -1 : t->at.step >= t->set.steps;
	if (r <= 0) {
		t->at = at;
		t->step.scale = scale;
	}
	free(state);
	free(model);
	return r;
}

int
sd_train_finish(struct sd_train *t)
{
	struct ckpt c;
	int r;

	if (t->adapted)
		return make_dirs(t->set.run) || write_lora(t, t->set.run) ||
		    write_state(t, t->set.run) ? -1 : 0;
	if (ckpt_begin(&c, t->set.run, "final"))
		return -1;
	if (t->step.ema_decay > 0)
		ema_swap(&t->step.ema);
	r = pipeline_save(t->p, c.temp, t->set.dtype, 0, t->set.meta);
	if (t->step.ema_decay > 0)
		ema_swap(&t->step.ema);
	if (!r)
		r = move_all(c.temp, t->set.run, "model_index.json");
	ckpt_abort(&c); /* what is left of the folder goes */
	return r || write_state(t, t->set.run) ? -1 : 0;
}

int
sd_train_single(struct sd_train *t)
{
	char *path = xasprintf("%s/%s_step_%" PRId64 ".safetensors", t->set.single_dir,
	    t->set.single_name, t->at.step);
	int r = make_dirs(t->set.single_dir) ||
	    pipeline_save_single(t->p, path, t->set.dtype, t->set.meta) ? -1 : 0;

	free(path);
	return r;
}
