#include "model/sd_files.h"

#include "base/err.h"
#include "base/file.h"
#include "model/ldm.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool
is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int
read_config(struct sd_files *f, enum sd_net net, const char *dir)
{
	char *path = path_join(dir, "config.json"), *text;
	struct json j;
	int ret = -1;

	if (json_read_file(&j, &text, path) == 0) {
		ret = sd_config_get(&f->cfg, net, &j, 0) ? err_prefix("%s", path) : 0;
		json_release(&j);
		free(text);
	}
	free(path);
	return ret;
}

/* Attention's names in the first published autoencoders. */
static void
rename_old(struct weights *w)
{
	static const char *const half[] = { "encoder", "decoder" };
	static const char *const name[][2] =
	    { { "query", "to_q" }, { "key", "to_k" }, { "value", "to_v" },
		{ "proj_attn", "to_out.0" } };
	static const char *const part[] = { "weight", "bias" };

	for (int i = 0; i < 16; i++) {
		const char *h = half[i & 1], *p = part[i >> 1 & 1];
		char *from = xasprintf("%s.mid_block.attentions.0.%s.%s", h, name[i >> 2][0], p);
		char *to = xasprintf("%s.mid_block.attentions.0.%s.%s", h, name[i >> 2][1], p);

		weights_rename(w, from, to);
		free(from);
		free(to);
	}
	for (int i = 0; i < w->st.n; i++) {
		struct st_tensor *t = &w->st.t[i];

		if (strstr(t->name, "mid_block.attentions.0.") && t->ndim == 4 && t->dim[2] == 1 &&
		    t->dim[3] == 1)
			t->ndim = 2;
	}
}

static int
read_net(struct sd_files *f, enum sd_net net, const char *from, const char *variant)
{
	char *dir = from ? xstrdup(from) : path_join(f->path, sd_net_name(net));
	int ret = -1;

	if (net == SD_CLASSES && !is_dir(dir))
		ret = 0;
	else if (net == SD_TEXT && f->has[SD_CLASSES] && !is_dir(dir))
		ret = 0;
	else if (!is_dir(dir))
		ret = err("%s: no such folder, so this is no model", dir);
	else if (read_config(f, net, dir) == 0 &&
	    weights_open(&f->net[net], dir, sd_net_stem(net), variant) == 0) {
		f->has[net] = true;
		ret = 0;
	}
	if (f->has[net] && net == SD_TEXT)
		weights_remove(&f->net[net], "text_model.embeddings.position_ids");
	if (f->has[net] && net == SD_VAE)
		rename_old(&f->net[net]);
	free(dir);
	return ret;
}

static int
read_scheduler(struct sd_files *f)
{
	char *path = path_join(f->path, "scheduler/scheduler_config.json"), *text;
	size_t len;
	int ret = file_read(path, 1 << 20, &text, &len);

	free(path);
	if (ret)
		return -1;
	sb_clear(&f->cfg.scheduler);
	sb_put(&f->cfg.scheduler, text, len);
	free(text);
	return 0;
}

static int
open_folder(struct sd_files *f, const struct sd_sources *s)
{
	if (s->v_prediction)
		return err(
		    "%s: what the model predicts stands in its scheduler/scheduler_config.json",
		    f->path);
	if (read_net(f, SD_CLASSES, NULL, s->variant) || read_net(f, SD_TEXT, NULL, s->variant) ||
	    read_net(f, SD_UNET, s->unet, s->unet ? NULL : s->variant) ||
	    read_net(f, SD_VAE, s->vae, s->vae ? NULL : s->variant) || read_scheduler(f))
		return -1;
	if (!s->tokenizer && f->has[SD_TEXT])
		f->tokenizer = path_join(f->path, "tokenizer");
	return 0;
}

static int
open_single(struct sd_files *f, const struct sd_sources *s)
{
	if (s->variant)
		return err("%s: one file has no variant '%s'", f->path, s->variant);
	if (weights_open_file(&f->single, f->path) || ldm_read(&f->single, &f->cfg, f->net))
		return -1;
	f->has[SD_TEXT] = f->has[SD_UNET] = f->has[SD_VAE] = true;
	if (s->v_prediction)
		sd_config_scheduler(&f->cfg, true);
	if (s->unet) {
		weights_close(&f->net[SD_UNET]);
		f->has[SD_UNET] = false;
	}
	if (s->vae) {
		weights_close(&f->net[SD_VAE]);
		f->has[SD_VAE] = false;
	}
	return (s->unet && read_net(f, SD_UNET, s->unet, NULL)) ||
	        (s->vae && read_net(f, SD_VAE, s->vae, NULL))
	    ? -1
	    : 0;
}

static int
config_of_file(struct sd_config *c, const char *path)
{
	char *text;
	struct json j;
	int ret = 0, v;

	if (json_read_file(&j, &text, path))
		return -1;
	for (int i = 0; i < SD_NETS && ret == 0; i++) {
		v = json_get(&j, 0, sd_net_name((enum sd_net)i));
		if (v >= 0)
			ret = sd_config_get(c, (enum sd_net)i, &j, v);
		else if (i == SD_UNET || i == SD_VAE)
			ret = err("no \"%s\"", sd_net_name((enum sd_net)i));
	}
	v = json_get(&j, 0, "scheduler");
	sd_config_scheduler(c, false);
	if (v >= 0) {
		sb_clear(&c->scheduler);
		sb_put(&c->scheduler, text + j.v[v].start, j.v[v].end - j.v[v].start);
	}
	json_release(&j);
	free(text);
	return ret ? err_prefix("%s", path) : 0;
}

int
sd_files_config(struct sd_config *c, const char *path)
{
	struct sd_files f = { .path = (char *)(uintptr_t)path };
	int ret = 0;

	if (is_dir(path)) {
		for (int i = 0; i < SD_NETS && ret == 0; i++) {
			char *dir = path_join(path, sd_net_name((enum sd_net)i));

			if (is_dir(dir) || i == SD_UNET || i == SD_VAE)
				ret = read_config(&f, (enum sd_net)i, dir);
			free(dir);
		}
		if (ret == 0)
			ret = read_scheduler(&f);
	} else {
		ret = config_of_file(&f.cfg, path);
	}
	if (ret == 0 && !f.cfg.text.width && !f.cfg.classes.classes)
		ret = err("%s: neither a text_encoder nor a class_embedding", path);
	if (ret)
		sd_config_release(&f.cfg);
	*c = f.cfg;
	return ret;
}

int
sd_files_open(struct sd_files *f, const char *path, const struct sd_sources *s)
{
	int ret;

	*f = (struct sd_files){ .path = xstrdup(path) };
	if (!file_exists(path))
		ret = err("%s: no such file or folder", path);
	else
		ret = is_dir(path) ? open_folder(f, s) : open_single(f, s);
	if (ret == 0 && s->tokenizer && !f->has[SD_TEXT])
		ret = err("%s: a model of classes has no tokenizer", path);
	if (ret == 0 && s->tokenizer)
		f->tokenizer = xstrdup(s->tokenizer);
	if (ret == 0 && sd_config_check(&f->cfg))
		ret = err_prefix("%s", path);
	if (ret)
		sd_files_close(f);
	return ret;
}

void
sd_files_close(struct sd_files *f)
{
	for (int i = 0; i < SD_NETS; i++)
		weights_close(&f->net[i]);
	weights_close(&f->single);
	sd_config_release(&f->cfg);
	free(f->tokenizer);
	free(f->path);
	*f = (struct sd_files){ 0 };
}

int
sd_files_check(const struct sd_files *f)
{
	int bad = 0;

	for (int i = 0; i < SD_NETS; i++) {
		struct sd_outline o;

		if (!f->has[i])
			continue;
		sd_outline_init(&o, &f->cfg, (enum sd_net)i);
		if (params_check(o.ps, &f->net[i].st, "", PARAMS_LIST)) {
			warn("%s", errmsg());
			bad++;
		}
		sd_outline_release(&o);
	}
	return bad ? err("%s: %d of its parts do not fit their configuration", f->path, bad) : 0;
}

char *
sd_files_latest(const char *dir)
{
	struct timespec best = { 0 };
	char *found = NULL;
	struct dirent *e;
	struct stat st;
	DIR *d = opendir(dir);

	if (!d) {
		err("%s:", dir);
		return NULL;
	}
	while ((e = readdir(d))) {
		char *path = path_join(dir, e->d_name),
		     *index = path_join(path, "model_index.json");
		bool folder = file_exists(index),
		     single = strcmp(path_ext(path), ".safetensors") == 0;

		if (e->d_name[0] != '.' && (folder || single) &&
		    stat(folder ? index : path, &st) == 0 &&
		    (!found || st.st_mtim.tv_sec > best.tv_sec ||
		        (st.st_mtim.tv_sec == best.tv_sec && st.st_mtim.tv_nsec > best.tv_nsec))) {
			free(found);
			found = xstrdup(path);
			best = st.st_mtim;
		}
		free(index);
		free(path);
	}
	closedir(d);
	if (!found)
		err("%s: no model there", dir);
	return found;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int
write_text(const char *dir, const char *name, const char *text)
{
	char *path = path_join(dir, name);
	int ret = file_write(path, text, strlen(text));

	free(path);
	return ret;
}

static int
write_index(const struct sd_files *f, const char *dir)
{
	struct arena mem = { 0 };
	struct json j;
	struct sb sb = { 0 };
	const char *scheduler = "PNDMScheduler";
	int ret;

	if (json_parse(&j, f->cfg.scheduler.s, f->cfg.scheduler.len))
		return err_prefix("scheduler_config.json");
	if (json_get(&j, 0, "_class_name") >= 0)
		scheduler = json_str(&j, json_get(&j, 0, "_class_name"), &mem);
	sb_puts(&sb, "{\n  \"_class_name\": \"StableDiffusionPipeline\",\n"
	    "  \"feature_extractor\": [null, null],\n  \"image_encoder\": [null, null],\n"
	    "  \"requires_safety_checker\": false,\n  \"safety_checker\": [null, null],\n");
	sb_printf(&sb, "  \"scheduler\": [\"diffusers\", \"%s\"],\n",
	    scheduler ? scheduler : "PNDMScheduler");
	if (f->has[SD_TEXT])
		sb_puts(&sb, "  \"text_encoder\": [\"transformers\", \"CLIPTextModel\"],\n"
		    "  \"tokenizer\": [\"transformers\", \"CLIPTokenizer\"],\n");
	sb_puts(&sb, "  \"unet\": [\"diffusers\", \"UNet2DConditionModel\"],\n"
	    "  \"vae\": [\"diffusers\", \"AutoencoderKL\"]\n}\n");
	ret = write_text(dir, "model_index.json", sb.s);
	sb_release(&sb);
	json_release(&j);
	arena_release(&mem);
	return ret;
}

static int
copy_tokenizer(const char *from, const char *dir)
{
	static const char *const files[] = { "vocab.json", "merges.txt", "tokenizer_config.json",
		"special_tokens_map.json" };
	char *to = path_join(dir, "tokenizer");
	int ret = make_dirs(to);

	for (size_t i = 0; i < sizeof(files) / sizeof(*files) && ret == 0; i++) {
		char *a = path_join(from, files[i]), *b = path_join(to, files[i]), *data;
		size_t len;

		/* the first two are needed, the others may be absent */
		if (i < 2 || file_exists(a)) {
			ret = file_read(a, (size_t)1 << 28, &data, &len);
			if (ret == 0) {
				ret = file_write(b, data, len);
				free(data);
			}
		}
		free(a);
		free(b);
	}
	free(to);
	return ret;
}

int
sd_files_write(const struct sd_files *f, const char *dir, enum st_dtype dtype, int64_t shard,
    const char *const *meta)
{
	char *sub = path_join(dir, "scheduler");
	int ret = make_dirs(sub) || write_text(sub, "scheduler_config.json", f->cfg.scheduler.s)
	    ? -1 : 0;

	free(sub);
	for (int i = 0; i < SD_NETS && ret == 0; i++) {
		struct sb sb = { 0 };

		if (!f->has[i])
			continue;
		sub = path_join(dir, sd_net_name((enum sd_net)i));
		sd_config_put(&f->cfg, (enum sd_net)i, &sb);
		ret = make_dirs(sub) || write_text(sub, "config.json", sb.s) ||
		    weights_write(&f->net[i], sub, sd_net_stem((enum sd_net)i), dtype, shard, meta)
		    ? -1 : 0;
		sb_release(&sb);
		free(sub);
	}
	if (ret == 0 && f->tokenizer && f->has[SD_TEXT])
		ret = copy_tokenizer(f->tokenizer, dir);
	return ret ? ret : write_index(f, dir);
}
