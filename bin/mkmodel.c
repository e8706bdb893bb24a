/* mkmodel: a new model with random weights; other layouts of one; what is in one. */
#include "base/err.h"
#include "base/file.h"
#include "base/opt.h"
#include "base/progress.h"
#include "base/sig.h"
#include "data/rec.h"
#include "model/captions.h"
#include "model/embed_init.h"
#include "model/ldm.h"
#include "model/lora.h"
#include "model/sd_info.h"
#include "model/sd_init.h"
#include "model/tokenizer.h"
#include "model/vae_train.h"
#include "nn/checkpoint.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DTYPES "f32|f16|bf16"
static const enum st_dtype dtypes[] = { ST_F32, ST_F16, ST_BF16 };

static struct {
	bool convert, info, force, v_prediction;
	const char *out, *captions, *tokenizer, *variant, *vae, *unet, *classes;
	int64_t merges, shard, class_tokens;
	uint64_t seed;
	int dtype;
	struct opt_list lora;
	const char *device, *images;
	int64_t steps, batch, crop;
	double lr, kl;
	bool quiet;
} o = { .merges = 2000, .class_tokens = 16, .kl = -1 };

static const struct opt table[] = {
	{ 'o', "output", OPT_STR, &o.out, "DIR",
	    "write the model there; FILE.safetensors: as one file", 0, 0 },
	{ 0, "convert", OPT_FLAG, &o.convert, NULL,
	    "write a model that is there in another layout", 0, 0 },
	{ 0, "merge-lora", OPT_LIST, &o.lora, "FILE[:X]",
	    "write MODEL with this LoRA merged in, X times (1)", 0, 0 },
	{ 0, "info", OPT_FLAG, &o.info, NULL,
	    "tell what is in a model: a record a part and a tensor", 0, 0 },
	{ 0, "captions", OPT_STR, &o.captions, "FILE",
	    "learn the tokenizer from these records or lines", 0, 0 },
	{ 0, "merges", OPT_INT, &o.merges, "N", "learn at most N merges (2000)", 0, 48894 },
	{ 0, "tokenizer", OPT_STR, &o.tokenizer, "DIR", "take this tokenizer", 0, 0 },
	{ 0, "classes", OPT_STR, &o.classes, "A,B,...",
	    "know these classes instead of text", 0, 0 },
	{ 0, "class-tokens", OPT_INT, &o.class_tokens, "N", "with N states each (16)", 1, 4096 },
	{ 0, "dtype", OPT_CHOICE, &o.dtype, DTYPES, "store weights as (f32)", 0, 0 },
	{ 0, "shard-size", OPT_SIZE, &o.shard, "SIZE", "in files of at most this size", 1, 1e15 },
	{ 0, "variant", OPT_STR, &o.variant, "NAME",
	    "read the weights' files of this name (fp16)", 0, 0 },
	{ 0, "unet", OPT_STR, &o.unet, "DIR", "take the U-Net from there", 0, 0 },
	{ 0, "vae", OPT_STR, &o.vae, "DIR", "take the autoencoder from there", 0, 0 },
	{ 0, "vae-from-images", OPT_STR, &o.images, "FILE",
	    "train the autoencoder on these records' images", 0, 0 },
	{ 0, "vae-steps", OPT_INT, &o.steps, "N", "for N steps (1000)", 1, 1e9 },
	{ 0, "vae-batch", OPT_INT, &o.batch, "N", "of N images each (8)", 1, 4096 },
	{ 0, "vae-crop", OPT_INT, &o.crop, "PX", "of windows of this size (8 latents)", 1, 65536 },
	{ 0, "vae-lr", OPT_FLOAT, &o.lr, "X", "at this learning rate (1.5e-3)", 0, 1 },
	{ 0, "vae-kl", OPT_FLOAT, &o.kl, "X", "with this pull towards a normal (1e-4)", 0, 1e3 },
	{ 'd', "device", OPT_STR, &o.device, "DEVICE",
	    "on this device: number or name in gpuinfo(1)", 0, 0 },
	{ 'q', "quiet", OPT_FLAG, &o.quiet, NULL, "show no progress", 0, 0 },
	{ 0, "v-prediction", OPT_FLAG, &o.v_prediction, NULL,
	    "a single file's model predicts v", 0, 0 },
	{ 's', "seed", OPT_U64, &o.seed, "N", "seed of the weights (0)", 0, 0 },
	{ 'f', "force", OPT_FLAG, &o.force, NULL, "replace what is there", 0, 0 },
	{ 0 },
};

/* ---- writing --------------------------------------------------------------------------------- */

static void
info(const struct sd_files *f)
{
	struct rec_out out;

	rec_out_open(&out, 1, "standard output");
	sd_info(f, &out);
	rec_out_close(&out);
}

static bool
single(const char *path)
{
	return strcmp(path_ext(path), ".safetensors") == 0;
}

/* What made it, in the weights' metadata; "format" is what transformers asks for. */
static void
meta_of(const char **meta, struct sb *sb, int argc, char *const *argv)
{
	sb_puts(sb, "{\"version\":\"" PHANTOM_VERSION "\",\"arguments\":[");
	for (int i = 0; i < argc; i++) {
		sb_puts(sb, i ? "," : "");
		json_put_str(sb, argv[i], strlen(argv[i]));
	}
	sb_puts(sb, "]}");
	meta[0] = "format";
	meta[1] = "pt";
	meta[2] = "phantom";
	meta[3] = sb->s;
	meta[4] = NULL;
}

static void
write_model(const struct sd_files *f, int argc, char *const *argv)
{
	char *dir = path_dir(o.out), *target;
	const char *meta[5];
	struct sb sb = { 0 };
	struct ckpt c;
	int ret;

	meta_of(meta, &sb, argc, argv);
	if (single(o.out)) {
		if (f->has[SD_CLASSES])
			die("%s: a model of classes has no place in a single file", o.out);
		ret = make_dirs(dir) || ldm_write(o.out, &f->cfg, f->net, dtypes[o.dtype], meta)
		    ? -1 : 0;
	} else {
		ret = ckpt_begin(&c, dir, path_base(o.out));
		if (ret == 0) {
			target = ckpt_file(&c, ".");
			ret = sd_files_write(f, target, dtypes[o.dtype], o.shard, meta)
			    ? ckpt_abort(&c)
			    : ckpt_commit(&c);
			free(target);
		}
	}
	if (ret)
		die("%s", errmsg());
	sb_release(&sb);
	free(dir);
}

/* ---- a new model ----------------------------------------------------------------------------- */

/* A folder of its own for the tokenizer, until it is copied into the model; gone when the program
 * ends. */
static char *learned;

static void
drop_tokenizer(void)
{
	static const char *const files[] = { "vocab.json", "merges.txt", "tokenizer_config.json" };

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		char *path = path_join(learned, files[i]);

		unlink(path);
		free(path);
	}
	rmdir(learned);
	free(learned);
}

/* The folder's path; caller frees. */
static char *
learn_tokenizer(void)
{
	const char *tmp = getenv("TMPDIR");
	struct captions c = { 0 };

	if (o.captions && captions_read(&c, o.captions))
		die("%s", errmsg());
	learned = xasprintf("%s/phantom-tokenizer.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(learned))
		die("%s:", learned);
	atexit(drop_tokenizer);
	if (tokenizer_learn((const char *const *)c.v, c.n, (int)o.merges, learned))
		die("%s", errmsg());
	captions_release(&c);
	return xstrdup(learned);
}

static void
set_classes(struct sd_config *c)
{
	const char *s = o.classes;
	struct class_config *k = &c->classes;

	class_config_release(k);
	*k = (struct class_config){ .tokens = (int)o.class_tokens, .width = c->unet.context };
	while (*s) {
		size_t n = strcspn(s, ",");
		char *label = xstrndup(s, n);

		if (n == 0 || n >= CLASS_LABEL)
			usage_error("--classes: '%s' is no label", label);
		k->label = xrealloc(k->label, ((size_t)k->classes + 1) * sizeof(*k->label));
		strcpy(k->label[k->classes], label);
		if (class_config_find(k, label) >= 0 && k->classes)
			usage_error("--classes: '%s' is there twice", label);
		k->classes++;
		free(label);
		s += n + (s[n] == ',');
	}
	if (!k->classes)
		usage_error("--classes: no labels");
}

/* A network that makes features: one file. */
static void
make_embedder(const char *name, int argc, char *const *argv)
{
	char *dir = path_dir(o.out), *stem;
	const char *meta[5];
	struct weights w;
	struct sb sb = { 0 };

	if (!single(o.out))
		usage_error("%s is written as one file: -o FILE.safetensors", name);
	if (o.captions || o.tokenizer || o.classes)
		usage_error(
		    "--captions, --tokenizer and --classes are for Stable Diffusion models");
	stem = xstrndup(path_base(o.out), strlen(path_base(o.out)) - strlen(path_ext(o.out)));
	meta_of(meta, &sb, argc, argv);
	if (embed_init(&w, o.out, name, o.seed) || make_dirs(dir) ||
	    weights_write(&w, dir, stem, dtypes[o.dtype], 0, meta))
		die("%s", errmsg());
	weights_close(&w);
	sb_release(&sb);
	free(stem);
	free(dir);
}

static void
make(struct sd_files *f, const char *what)
{
	struct tokenizer tok;

	f->path = xstrdup(o.out);
	if (file_exists(what) ? sd_files_config(&f->cfg, what) : sd_config_named(&f->cfg, what))
		die("%s", errmsg());
	if (o.classes)
		set_classes(&f->cfg);
	if (!f->cfg.classes.classes) {
		f->tokenizer = o.tokenizer ? xstrdup(o.tokenizer) : learn_tokenizer();
		if (tokenizer_open(&tok, f->tokenizer))
			die("%s", errmsg());
		if (!f->cfg.text.vocab)
			f->cfg.text.vocab = tok.vocab;
		if (tok.vocab > f->cfg.text.vocab)
			die("the tokenizer has %d ids, the text encoder knows %d", tok.vocab,
			    f->cfg.text.vocab);
		tokenizer_close(&tok);
	}
	if (sd_config_check(&f->cfg))
		die("%s", errmsg());
	for (int i = 0; i < SD_NETS; i++) {
		f->has[i] = i == SD_UNET || i == SD_VAE ||
		    (i == SD_CLASSES) == (f->cfg.classes.classes > 0);
		if (f->has[i])
			sd_init_net(&f->net[i], f->path, &f->cfg, (enum sd_net)i, o.seed);
	}
}

/* ---- the autoencoder ------------------------------------------------------------------------- */

static struct rec_out records;
static struct progress progress;
static struct vae trained; /* its weights are fetched when the model is written */

/* Notes the images of a stream of records; bad records are told. Returns how many were bad. */
static int
read_images(struct sd_data *d)
{
	struct rec r = { 0 };
	struct rec_in in;
	const char *line;
	size_t len;
	int bad = 0;

	rec_in_open(&in, &o.images, 1);
	while (rec_in_line(&in, &line, &len)) {
		int ret;

		rec_clear(&r);
		ret = rec_parse(&r, line, len);
		r.input = in.name;
		r.lineno = in.lineno;
		if (ret || sd_data_add(d, &r)) {
			warn("%s:%llu: %s", in.name, (unsigned long long)in.lineno, errmsg());
			bad++;
		}
	}
	rec_in_close(&in);
	rec_release(&r);
	bad += (int)sd_data_read(d, 2, stop_wanted);
	sd_data_tell_bad(d, false);
	sd_data_drop_bad(d);
	return bad;
}

static void
report_step(void *ctx, int64_t step, const struct vae_loss *l)
{
	struct rec r = { 0 };

	(void)ctx;
	rec_set_str(&r, "kind", "step");
	rec_set_int(&r, "step", step);
	rec_set_num(&r, "loss", l->total);
	rec_set_num(&r, "absolute_error", l->absolute);
	rec_set_num(&r, "square_error", l->square);
	rec_set_num(&r, "kl", l->kl);
	rec_set_num(&r, "grad_norm", l->grad_norm);
	rec_set_num(&r, "lr", l->lr);
	rec_emit(&records, &r);
	rec_out_flush(&records);
	rec_release(&r);
	progress_at(&progress, (uint64_t)step);
}

static void
report_result(const char *metric, double value, size_t n, const char *split)
{
	struct rec r = { 0 };

	rec_set_str(&r, "kind", "result");
	rec_set_str(&r, "metric", metric);
	rec_set_num(&r, "value", value);
	rec_set_int(&r, "n", (int64_t)n);
	rec_set_str(&r, "split", split);
	rec_emit(&records, &r);
	rec_release(&r);
}

/* The latents' deviation on images of training; how well those held out come back. */
static void
judge(struct sd_files *f, const struct vae *m, struct sd_data *train, struct sd_data *held)
{
	enum { MOST = 64 };
	struct vae_score s = { 0 }, h = { 0 };

	if (vae_score_images(&s, m, train, MOST) || vae_score_images(&h, m, held, MOST))
		die("%s", errmsg());
	f->cfg.vae.scaling = 1 / vae_score_deviation(&s);
	report_result("psnr_db", vae_score_psnr(&s), train->n < MOST ? train->n : MOST, "train");
	if (held->n)
		report_result("psnr_db", vae_score_psnr(&h), held->n < MOST ? held->n : MOST,
		    "validation");
	report_result("scaling_factor", f->cfg.vae.scaling, train->n < MOST ? train->n : MOST,
	    "train");
}

/* Returns the program's exit code so far. */
static int
train_vae(struct sd_files *f)
{
	const struct vae_config *c = &f->cfg.vae;
	int factor = 1 << (c->levels - 1);
	struct sd_data data, held;
	struct vae *m = &trained;
	struct vae_train t;
	int bad, ret;

	o.steps = o.steps ? o.steps : 1000;
	o.batch = o.batch ? o.batch : 8;
	o.lr = o.lr > 0 ? o.lr : 1.5e-3;
	o.kl = o.kl >= 0 ? o.kl : 1e-4;
	o.crop = o.crop ? o.crop : 8 * factor < c->sample_size ? 8 * factor : c->sample_size;
	if (c->sample_size % factor || o.crop % factor || o.crop > c->sample_size)
		die("windows of %lld pixels, images of %d: want multiples of %d", (long long)o.crop,
		    c->sample_size, factor);
	stop_catch();
	sd_data_init(&data,
	    &(struct sd_data_conf){ .resolution = c->sample_size, .channels = c->in_channels,
	    .flip = true, .seed = o.seed, .image_key = "file_name", .caption_key = "text",
	    .prompt = "" }, (size_t)1 << 30);
	bad = read_images(&data);
	held = data;
	held.item = NULL;
	held.n = held.cap = 0;
	sd_data_take(&data, SET_VALIDATION, &held);
	sd_data_take(&data, SET_TEST, NULL);
	if (!data.n)
		die("%s: no images to train on", o.images);
	gpu_open(o.device);
	if (vae_init(m, c, F32, true) || params_load(&m->ps, &f->net[SD_VAE].st, "", PARAMS_LIST))
		die("%s", errmsg());
	if (!o.convert)
		vae_train_quiet(m);
	rec_out_open(&records, 1, "standard output");
	progress_start(&progress, "steps", (uint64_t)o.steps, o.quiet);
	vae_train_init(&t, m, &(struct vae_train_conf){ o.steps, o.lr, o.kl, o.seed });
	ret = vae_train_run(&t,
	    &(struct vae_train_run){ .data = &data, .batch = o.batch, .crop = o.crop, .every = 50,
	    .stop = stop_wanted, .report = report_step });
	if (ret)
		die("%s", errmsg());
	progress_end(&progress);
	vae_train_release(&t);
	judge(f, m, &data, &held);
	rec_out_close(&records);
	weights_close(&f->net[SD_VAE]);
	weights_from_params(&f->net[SD_VAE], f->path, &m->ps);
	sd_data_release(&data);
	sd_data_release(&held);
	return bad ? EXIT_RECORDS : EXIT_OK;
}

static void
merge_loras(struct sd_files *f)
{
	for (size_t i = 0; i < o.lora.n; i++) {
		struct lora_use u;

		lora_use_parse(&u, o.lora.v[i]);
		if (lora_apply(&u, f))
			die("%s", errmsg());
		free(u.path);
	}
}

static void
check_usage(int operands)
{
	if (o.lora.n)
		o.convert = true;
	if (o.info && (o.convert || o.out))
		usage_error("--info goes with neither --convert nor -o");
	if (operands != 1)
		usage_error(o.info || o.convert ? "want one model"
		    : "want the name of a model or its configuration");
	if (!o.info && !o.out)
		usage_error("-o says where the model is written");
	if (o.info && o.images)
		usage_error("--info trains nothing");
	if (!o.images &&
	    (o.device || o.steps || o.batch || o.crop || o.lr > 0 || o.kl >= 0 || o.quiet))
		usage_error("-d, -q and --vae-steps and so on go with --vae-from-images");
	if ((o.info || o.convert) && (o.captions || o.classes))
		usage_error("--captions and --classes are for new models");
	if (o.captions && o.tokenizer)
		usage_error("--captions learns a tokenizer, --tokenizer takes one: not both");
	if (o.classes && (o.captions || o.tokenizer))
		usage_error("a model of classes has no tokenizer");
	if (!o.info && !o.convert && (o.variant || o.unet || o.vae || o.v_prediction))
		usage_error(
		    "--variant, --unet, --vae and --v-prediction are for models that are there");
	if (o.out && single(o.out) && o.shard)
		usage_error("a single file has no shards");
	opt_wants(&o.merges, o.captions, "--captions");
	opt_wants(&o.class_tokens, o.classes, "--classes");
	opt_wants(&o.seed, !o.info && (!o.convert || o.images), "a new model or autoencoder");
	opt_wants(&o.tokenizer, o.out, "-o");
	opt_wants(&o.dtype, o.out, "-o");
	opt_wants(&o.shard, o.out, "-o");
	opt_wants(&o.force, o.out, "-o");
}

int
main(int argc, char **argv)
{
	int first = opt_parse(argc, argv, table, "[options] NAME|CONFIG|MODEL",
	    "Makes models with random weights, converts Stable Diffusion models.");
	struct sd_sources from = { .variant = o.variant, .unet = o.unet, .vae = o.vae,
		.tokenizer = o.tokenizer, .v_prediction = o.v_prediction };
	struct sd_files f = { 0 };
	int code = EXIT_OK;

	check_usage(argc - first);
	if (o.out && file_exists(o.out) && !o.force)
		die("%s: is there already (--force replaces it)", o.out);
	if (!o.info && !o.convert && embed_init_knows(argv[first])) {
		if (o.images)
			usage_error("%s has no autoencoder", argv[first]);
		make_embedder(argv[first], argc, argv);
		return EXIT_OK;
	}
	if (o.info || o.convert) {
		if (sd_files_open(&f, argv[first], &from) || (o.convert && sd_files_check(&f)))
			die("%s", errmsg());
		merge_loras(&f);
		if (o.convert && !f.tokenizer && f.has[SD_TEXT] && !single(o.out))
			die("%s: a single file has no tokenizer: --tokenizer names a folder that "
			    "has one",
			    f.path);
	} else {
		make(&f, argv[first]);
	}
	if (o.images)
		code = train_vae(&f);
	if (o.info)
		info(&f);
	else
		write_model(&f, argc, argv);
	sd_files_close(&f);
	if (o.images) {
		vae_release(&trained);
		gpu_close();
	}
	if (stop_wanted())
		stop_exit();
	return code;
}
