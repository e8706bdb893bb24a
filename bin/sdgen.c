/* sdgen: images from prompt records by a Stable Diffusion model that is loaded once. */
#include "base/err.h"
#include "base/file.h"
#include "base/opt.h"
#include "base/progress.h"
#include "base/sig.h"
#include "data/rec.h"
#include "data/sheet.h"
#include "data/split_nsw.h"
#include "model/gen_ask.h"
#include "model/gen_files.h"
#include "model/gen_queue.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum precision { PRECISION_AUTO, PRECISION_F32, PRECISION_F16, PRECISION_BF16 };
enum { JPEG_QUALITY = 95 };
enum format { FORMAT_LAYOUT = -1, FORMAT_PNG, FORMAT_JPG };

static struct {
	const char *model, *latest_in, *device, *out, *negative, *init, *prompt, *prompt_dict,
	    *phase, *plane;
	const char *lora_base, *dataset, *variant, *unet, *vae, *tokenizer, *label_field,
	    *batch_arg, *tile_arg;
	int64_t steps, width, height, images, batch, preview, per_batch, batches, ckpt;
	double guidance, rescale, strength, eta;
	int scheduler, rng, layout, format, precision;
	uint64_t seed;
	bool metadata, skip_done, v_prediction;
	struct opt_list lora;
	struct rec_opts ro;
} o = { .steps = -1, .images = -1, .ckpt = -1, .guidance = -1, .strength = 0.8,
	.scheduler = -1, .format = FORMAT_LAYOUT, .metadata = true, .plane = "F+00",
	.label_field = "label", .batch_arg = "auto", .tile_arg = "auto",
		.ro = { .jobs = 1, .what = "records" } };

static const struct opt table[] = {
	{ 'm', "model", OPT_STR, &o.model, "MODEL",
	    "diffusers folder, or one .safetensors file", 0, 0 },
	{ 0, "model-path", OPT_STR, &o.model, NULL, NULL, 0, 0 },
	{ 0, "model_path", OPT_STR, &o.model, NULL, NULL, 0, 0 },
	{ 0, "latest-model-in", OPT_STR, &o.latest_in, "DIR",
	    "the model in DIR that changed last", 0, 0 },
	{ 'o', "output", OPT_STR, &o.out, "DIR", "write images there (.)", 0, 0 },
	{ 0, "save_im_path", OPT_STR, &o.out, NULL, NULL, 0, 0 },
	{ 0, "synthetic-dataset-parent", OPT_STR, &o.out, NULL, NULL, 0, 0 },
	{ 0, "scheduler", OPT_CHOICE, &o.scheduler, SAMPLERS, "sampler (the model's own)", 0, 0 },
	{ 0, "steps", OPT_INT, &o.steps, "N", "sampling steps (50)", 1, 1000 },
	{ 0, "num_inference_steps", OPT_INT, &o.steps, NULL, NULL, 1, 1000 },
	{ 0, "eta", OPT_FLOAT, &o.eta, "X", "noise of ddim's steps (0)", 0, 1 },
	{ 'g', "guidance-scale", OPT_FLOAT, &o.guidance, "X",
	    "how hard the text pulls (7.5; 1: off)", 0, 100 },
	{ 0, "guidance_scale", OPT_FLOAT, &o.guidance, NULL, NULL, 0, 100 },
	{ 0, "guidance-rescale", OPT_FLOAT, &o.rescale, "X",
	    "undo overexposure by guidance (0)", 0, 1 },
	{ 0, "negative", OPT_STR, &o.negative, "TEXT", "what is not wanted", 0, 0 },
	{ 0, "negative-prompt", OPT_STR, &o.negative, "TEXT", NULL, 0, 0 },
	{ 'W', "width", OPT_INT, &o.width, "PX", "of the images (the model's)", 1, 65536 },
	{ 'H', "height", OPT_INT, &o.height, "PX", "of the images", 1, 65536 },
	{ 'n', "num-images", OPT_INT, &o.images, "N", "images of each record (1)", 1, 1e9 },
	{ 0, "batch", OPT_STR, &o.batch_arg, "N|auto", "make N images at once", 0, 0 },
	{ 's', "seed", OPT_U64, &o.seed, "N", "seed of records without one (0)", 0, 0 },
	{ 0, "rng", OPT_CHOICE, &o.rng, NOISE_KINDS,
	    "noise; torch-cpu: as diffusers on a CPU", 0, 0 },
	{ 0, "init-image", OPT_STR, &o.init, "FILE", "begin with this image", 0, 0 },
	{ 0, "strength", OPT_FLOAT, &o.strength, "X", "how far to go from it (0.8)", 0, 1 },
	{ 0, "prompt", OPT_STR, &o.prompt, "TEXT", "read no records, use this text", 0, 0 },
	{ 0, "prompt-dict", OPT_STR, &o.prompt_dict, "FILE",
	    "read no records but {text: prompt_idx}", 0, 0 },
	{ 0, "prompt_dict_path", OPT_STR, &o.prompt_dict, NULL, NULL, 0, 0 },
	{ 0, "layout", OPT_CHOICE, &o.layout, GEN_LAYOUTS,
	    "names and files beside the images", 0, 0 },
	{ 0, "dataset-name", OPT_STR, &o.dataset, "NAME", "nsw: write below DIR/NAME", 0, 0 },
	{ 0, "phase", OPT_STR, &o.phase, "PHASE", "nsw: {phase} in the prompt", 0, 0 },
	{ 0, "focal-plane", OPT_STR, &o.plane, "PLANE",
	    "nsw: {focal_plane} in the prompt (F+00)", 0, 0 },
	{ 0, "n_batch", OPT_INT, &o.batches, NULL, NULL, 1, 1e6 },
	{ 0, "num_images_batch", OPT_INT, &o.per_batch, NULL, NULL, 1, 1e6 },
	{ 0, "ckpt", OPT_INT, &o.ckpt, "N", "U-Net of MODEL/checkpoint-N", 0, 1e12 },
	{ 0, "label-field", OPT_STR, &o.label_field, "FIELD",
	    "names the class, for models of classes", 0, 0 },
	{ 0, "format", OPT_CHOICE, &o.format, "png|jpg", "of the files (png)", 0, 0 },
	{ 0, "metadata", OPT_FLAG, &o.metadata, NULL,
	    "say in PNG files what made them (on)", 0, 0 },
	{ 0, "skip-done", OPT_FLAG, &o.skip_done, NULL, "leave images that are there", 0, 0 },
	{ 0, "preview", OPT_INT, &o.preview, "N",
	    "a sheet of the first N, DIR/preview.png", 1, 400 },
	{ 0, "unet", OPT_STR, &o.unet, "DIR", "another U-Net", 0, 0 },
	{ 0, "vae", OPT_STR, &o.vae, "DIR", "another autoencoder", 0, 0 },
	{ 0, "tokenizer", OPT_STR, &o.tokenizer, "DIR", "another tokenizer", 0, 0 },
	{ 0, "lora", OPT_LIST, &o.lora, "FILE[:X]",
	    "merge this LoRA into the model, X times (1)", 0, 0 },
	{ 0, "variant", OPT_STR, &o.variant, "NAME", "weights' files of this name (fp16)", 0, 0 },
	{ 0, "v-prediction", OPT_FLAG, &o.v_prediction, NULL,
	    "a single file's model predicts v", 0, 0 },
	{ 0, "precision", OPT_CHOICE, &o.precision, "auto|f32|f16|bf16", "of the weights", 0, 0 },
	{ 0, "vae-tile", OPT_STR, &o.tile_arg, "N|auto|off", "decode tiles of N latents", 0, 0 },
	{ 'd', "device", OPT_STR, &o.device, "DEVICE", "number or name in gpuinfo(1)", 0, 0 },
	REC_OPTIONS_COMMON(o.ro),
	{ 0, NULL, OPT_TITLE, NULL, NULL, "Of the originals", 0, 0 },
	{ 0, "n-batch", OPT_INT, &o.batches, "N", "", 1, 1e6 },
	{ 0, "num-images-batch", OPT_INT, &o.per_batch, "N", "", 1, 1e6 },
	{ 0, "LORA_base_model", OPT_STR, &o.lora_base, "MODEL", "", 0, 0 },
	{ 0 },
};

static struct pipeline model;
static struct lora_use *lora;
static struct sb loras; /* FILE:X,...; .s NULL: none */
static struct sd_sample sample;
static struct gen_files files;
static struct sheet preview;
static struct progress progress;

static struct rec_out records;
static struct gen_queue queue;
static uint64_t made;

/* ---- records to tasks ------------------------------------------------------------------------ */

static int
expand(struct gen_item *it)
{
	const struct gen_defaults d = { .steps = o.steps, .width = o.width, .height = o.height,
		.images = o.images, .guidance = o.guidance, .rescale = o.rescale,
		.strength = o.strength, .negative = o.negative, .label_field = o.label_field,
		.sampler = (enum sampler_kind)o.scheduler, .seed = o.seed };
	struct sd_job j;
	int64_t n;

	if (gen_ask(it, &d, &sample, &j, &n))
		return -1;
	it->label = rec_text(&it->r, "label_name");
	if (!it->label)
		it->label = j.text ? gen_mep_label(j.text) : "unknown";
	it->prompt_idx = rec_text(&it->r, "prompt_idx");
	it->task = xcalloc((size_t)n, sizeof(*it->task));
	for (int64_t k = 0; k < n; k++) {
		struct gen_task *t = &it->task[k];
		uint64_t first = j.seed;

		t->job = j;
		t->job.seed = first + (uint64_t)k;
		t->path = gen_files_name(&files, it->id, k, n, it->label,
		    it->prompt_idx ? it->prompt_idx : "0", t->job.seed);
		if (!t->path)
			return -1;
		t->there = o.skip_done && file_exists(t->path);
		it->n++;
	}
	return 0;
}

/* ---- images to files and records ------------------------------------------------------------- */

static void
save(struct gen_task *t)
{
	struct gen_text text;

	gen_text_make(&text, &t->job, path_base(model.path), loras.s, (enum noise_kind)o.rng);
	if (image_write(&t->job.out, t->path, JPEG_QUALITY, o.metadata ? text.pair : NULL))
		die("%s", errmsg());
	if (o.preview && (int64_t)preview.rows < o.preview)
		sheet_add(&preview, (const struct image *const[]){ &t->job.out }, t->job.text);
	gen_text_release(&text);
	progress_at(&progress, ++made);
}

/* The record of an image that is there. */
static void
emit(struct gen_item *it, size_t k)
{
	static const char *const names[] = { "ddpm", "ddim", "pndm", "euler", "euler-a", "heun",
	    "dpmpp-2m",
		"dpmpp-2m-karras", "dpmpp-2m-sde", "unipc", "lcm", "lms" };
	const struct gen_task *t = &it->task[k];
	const struct sd_job *j = &t->job;
	struct rec *r = &it->r;
	char *id = it->n > 1 ? xasprintf("%s-%zu", it->id, k) : xstrdup(it->id);

	rec_set_str(r, "id", id);
	rec_set_str(r, "file_name", t->path);
	rec_del(r, "num_images");
	if (j->negative)
		rec_set_str(r, "negative_text", j->negative);
	rec_set_int(r, "seed", (int64_t)j->seed);
	rec_set_int(r, "width", j->width);
	rec_set_int(r, "height", j->height);
	rec_set_int(r, "steps", j->steps);
	rec_set_num(r, "guidance_scale", j->guidance);
	if (j->rescale > 0)
		rec_set_num(r, "guidance_rescale", j->rescale);
	if (j->init)
		rec_set_num(r, "strength", j->strength);
	rec_set_str(r, "scheduler", names[j->sampler]);
	rec_set_str(r, "rng", o.rng == NOISE_TORCH_CPU ? "torch-cpu" : "philox");
	rec_set_str(r, "model", model.path);
	if (loras.s)
		rec_set_str(r, "lora", loras.s);
	rec_emit(&records, r);
	if (files.rows && !t->there) {
		const struct rec_field *label = rec_get(r, "label"),
		                       *idx = rec_get(r, "prompt_idx");
		char *text = label ? xstrndup(label->raw, label->rawlen) : xstrdup(
		    strcmp(it->label, "healthy") == 0 || strcmp(it->label, "tumor") == 0 ? "1"
		    : strcmp(it->label, "unknown") == 0 ? "null" : "0");
		char *index = idx ? xstrndup(idx->raw, idx->rawlen) : xstrdup("0");

		gen_files_row(&files, t->path, text, it->label, j->text ? j->text : "", index);
		free(index);
		free(text);
	}
	free(id);
}

static void
stop_if_asked(void)
{
	if (!stop_wanted())
		return;
	rec_out_flush(&records);
	if (gen_files_close(&files))
		warn("%s", errmsg());
	stop_exit();
}

/* ---- where records come from ----------------------------------------------------------------- */

/* Takes one record into the queue. */
static void
take(struct rec *r, uint64_t count, bool parsed)
{
	struct gen_item *it = xcalloc(1, sizeof(*it));
	const struct rec_field *e;
	const char *id;

	it->r = *r;
	*r = (struct rec){ 0 };
	gen_queue_add(&queue, it);
	if (!parsed) {
		it->why = xstrdup(errmsg());
		return;
	}
	e = rec_get(&it->r, "error");
	if (e && e->type == JSON_OBJECT)
		return;
	id = rec_text(&it->r, "id");
	it->id = id ? xstrdup(id) : xasprintf("%06" PRIu64, count);
	it->init = o.init ? xstrdup(o.init) : NULL;
	if (expand(it))
		it->why = xstrdup(errmsg());
}

static void
before_block(void *ctx)
{
	(void)ctx;
	gen_queue_drain(&queue, true);
	rec_out_flush(&records);
}

static void
from_stream(const char *const *paths, size_t n)
{
	struct rec r = { 0 };
	struct rec_in in;
	const char *line;
	size_t len;

	rec_in_open(&in, paths, n);
	in.before_block = before_block;
	while (queue.code != EXIT_FATAL && rec_in_line(&in, &line, &len)) {
		bool parsed;

		if (!shard_has(&o.ro.shard, in.count - 1))
			continue;
		parsed = rec_parse(&r, line, len) == 0;
		r.input = in.name;
		r.lineno = in.lineno;
		take(&r, in.count, parsed);
		gen_queue_drain(&queue, false);
	}
	rec_in_close(&in);
}

/* With {phase} and {focal_plane} put in. */
static char *
substitute(const char *prompt)
{
	struct sb sb = { 0 };

	for (const char *s = prompt; *s;) {
		if (strncmp(s, "{phase}", 7) == 0) {
			sb_puts(&sb, o.phase);
			s += 7;
		} else if (strncmp(s, "{focal_plane}", 13) == 0) {
			sb_puts(&sb, o.plane);
			s += 13;
		} else {
			sb_putc(&sb, *s++);
		}
	}
	return sb.s ? sb.s : xstrdup("");
}

static void
from_prompt(void)
{
	const char *prompt =
	    o.prompt ? o.prompt : "a grayscale microscopic image of human embryo at phase {phase}";
	char *text = o.layout == GEN_NSW ? substitute(prompt) : xstrdup(prompt);
	struct rec r = { 0 };

	rec_set_str(&r, "text", text);
	if (o.layout == GEN_NSW) {
		rec_set_str(&r, "phase", o.phase);
		rec_set_str(&r, "focal_plane", o.plane);
		if (gen_files_nsw(&files, text, o.phase, o.plane))
			die("%s", errmsg());
	}
	if (shard_has(&o.ro.shard, 0))
		take(&r, 1, true);
	rec_release(&r);
	free(text);
}

/* {"text": prompt_idx, ...}, as promptgen's and MEP's build-prompts leave it. */
static void
from_dict(const char *path)
{
	struct arena mem = { 0 };
	struct json j;
	char *text;

	if (json_read_file(&j, &text, path))
		die("%s", errmsg());
	if (j.v[0].type != JSON_OBJECT)
		die("%s: want an object of texts and their numbers", path);
	for (int i = 0, v = 1; i < j.v[0].size && queue.code != EXIT_FATAL;
	     i++, v = j.v[v + 1].next) {
		const char *prompt = json_str(&j, v, &mem);
		struct rec r = { 0 };
		int64_t idx;

		if (!prompt || json_int(&j, v + 1, &idx))
			die("%s: want an object of texts and their numbers", path);
		if (!shard_has(&o.ro.shard, (uint64_t)i))
			continue;
		rec_set_str(&r, "text", prompt);
		rec_set_int(&r, "prompt_idx", idx);
		r.input = path;
		take(&r, (uint64_t)i + 1, true);
		gen_queue_drain(&queue, false);
	}
	arena_release(&mem);
	json_release(&j);
	free(text);
}

/* ---- options --------------------------------------------------------------------------------- */

static void
check_usage(int operands)
{
	bool own = o.prompt || o.prompt_dict || o.layout == GEN_NSW;

	if (!o.model == !o.latest_in)
		usage_error("want --model or --latest-model-in, one of them");
	if (own && operands)
		usage_error("--prompt, --prompt-dict and --layout nsw read no records");
	if (o.prompt && o.prompt_dict)
		usage_error("--prompt or --prompt-dict, not both");
	if (o.layout == GEN_NSW && (!o.phase || !o.dataset || o.prompt_dict))
		usage_error(
		    "--layout nsw wants --phase and --dataset-name, and one --prompt at most");
	if (o.layout != GEN_NSW && (o.dataset || o.phase))
		usage_error("--dataset-name and --phase are for --layout nsw");
	if (o.layout != GEN_MEP && (o.batches || o.per_batch))
		usage_error("--n-batch and --num-images-batch are for --layout mep");
	opt_wants(&o.plane, o.layout == GEN_NSW, "--layout nsw");
	if (o.phase && nsw_phase_find(o.phase) < 0)
		usage_error("--phase: %s", errmsg());
	if (nsw_plane_find(o.plane) < 0)
		usage_error("--focal-plane: %s", errmsg());
	if (o.layout == GEN_MEP && o.images > 0)
		usage_error("--layout mep counts images by --n-batch and --num-images-batch");
	if (strcmp(o.batch_arg, "auto") != 0 && parse_int(o.batch_arg, 1, 256, &o.batch))
		usage_error("--batch: %s", errmsg());
	if (o.lora_base && !o.model)
		usage_error("--LORA_base_model goes with --model, the LoRA");
	if (o.init && !file_exists(o.init))
		usage_error("--init-image: %s: No such file or directory", o.init);
	if (o.unet && o.ckpt >= 0)
		usage_error("--unet or --ckpt, not both");
}

/* What each layout takes for granted. */
static void
set_defaults(void)
{
	/* as MEP: the model is the LoRA, and this what it changes */
	if (o.lora_base) {
		o.lora.v = xgrow(o.lora.v, &o.lora.cap, o.lora.n + 1, sizeof(*o.lora.v));
		o.lora.v[o.lora.n++] = o.model;
		o.model = o.lora_base;
		o.scheduler = o.scheduler < 0 ? SAMPLER_DPMPP_2M : o.scheduler;
	}
	if (o.layout == GEN_NSW && o.scheduler < 0)
		o.scheduler = SAMPLER_DPMPP_2M;
	if (o.layout == GEN_MEP) {
		o.per_batch = o.per_batch ? o.per_batch : 10;
		o.images = (o.batches ? o.batches : 2500) * o.per_batch;
	}
	if (o.images < 0)
		o.images = o.layout == GEN_NSW ? 50 : 1;
	if (o.steps < 0)
		o.steps = 50;
	if (o.format == FORMAT_LAYOUT)
		o.format = o.layout == GEN_PLAIN ? FORMAT_PNG : FORMAT_JPG;
}

/* What --lora names, and how it stands in records. */
static void
use_loras(struct pipeline_opts *po)
{
	lora = xcalloc(o.lora.n + 1, sizeof(*lora));
	for (size_t i = 0; i < o.lora.n; i++) {
		lora_use_parse(&lora[i], o.lora.v[i]);
		sb_printf(&loras, "%s%s:%g", i ? "," : "", lora[i].path, lora[i].scale);
	}
	po->lora = lora;
	po->nlora = (int)o.lora.n;
}

static void
load_model(void)
{
	static const enum dtype dtypes[] = { F32, F32, F16, BF16 };
	char *path = o.latest_in ? sd_files_latest(o.latest_in) : xstrdup(o.model);
	char *ckpt = o.ckpt >= 0 ? xasprintf("%s/checkpoint-%" PRId64 "/unet", path, o.ckpt) : NULL;
	struct pipeline_opts po = { .from = { o.variant, o.unet ? o.unet : ckpt, o.vae, o.tokenizer,
		o.v_prediction } };
	int64_t tile = 0;

	if (!path)
		die("%s", errmsg());
	use_loras(&po);
	gpu_open(o.device);
	po.dtype = dtypes[o.precision];
	if (o.precision == PRECISION_AUTO && !gpu_info()->cpu && gpu_info()->f16)
		po.dtype = F16;
	po.as_stored = o.precision == PRECISION_AUTO && gpu_info()->f16;
	if (po.dtype != F32 && !gpu_info()->f16)
		die("%s stores no 16-bit numbers: --precision f32", gpu_info()->name);
	/* the published autoencoders overflow f16 */
	po.vae_dtype = po.dtype == F16 ? F32 : po.dtype;
	po.lean = true;
	if (pipeline_open(&model, path, &po))
		die("%s", errmsg());
	sd_sample_init(&sample, &model);
	sample.rng = (enum noise_kind)o.rng;
	model.noise.eta = o.eta;
	if (strcmp(o.tile_arg, "off") != 0 && strcmp(o.tile_arg, "auto") != 0 &&
	    parse_int(o.tile_arg, 4, 8192, &tile))
		usage_error("--vae-tile: %s", errmsg());
	sample.tile = strcmp(o.tile_arg, "auto") == 0 ? -1 : (int)tile;
	if (o.scheduler < 0 && (o.scheduler = noise_config_sampler(&model.noise)) < 0)
		die("%s: %s", model.path, errmsg());
	opt_wants(&o.eta, o.scheduler == SAMPLER_DDIM, "--scheduler ddim");
	opt_wants(&o.label_field, model.has[SD_CLASSES], "models of classes");
	if (o.guidance < 0)
		o.guidance = model.has[SD_CLASSES] ? 1 : 7.5;
	free(path);
}

/* A run that ends before its first image leaves no empty folder. */
static void
undo_files(void)
{
	if (!made)
		gen_files_undo(&files);
}

static void
open_files(void)
{
	char *dir;

	if (o.layout == GEN_NSW)
		dir = path_join(o.out, o.dataset);
	else if (o.layout == GEN_MEP && !o.out)
		dir = xasprintf("%s/../../synthetic/%s/image/train", model.path,
		    path_base(model.path));
	else
		dir = xstrdup(o.out ? o.out : ".");
	if (gen_files_open(&files, (enum gen_layout)o.layout, dir, o.format == FORMAT_PNG ? ".png"
	    : ".jpg",
	        o.ro.shard.n ? o.ro.shard.i - 1 : 0))
		die("%s", errmsg());
	files.per_batch = o.per_batch ? o.per_batch : 1;
	atexit(undo_files);
	free(dir);
}

static void
write_preview(void)
{
	char *path = path_join(files.dir, "preview.png");
	int across = 1;

	while (across * across < (int)preview.rows)
		across++;
	if (preview.rows && sheet_write(&preview, path, across, NULL))
		die("%s", errmsg());
	sheet_release(&preview);
	free(path);
}

int
main(int argc, char **argv)
{
	int first;

	o.ro.shard = shard_default();
	first = opt_parse(argc, argv, table, "[options] [FILE ...]",
	    "Makes images from prompt records.");
	check_usage(argc - first);
	set_defaults();
	if (o.layout == GEN_MEP)
		stop_catch();
	load_model();
	open_files();
	if (o.preview)
		sheet_init(&preview, 1, 128, NULL);
	rec_out_open(&records, 1, "standard output");
	queue = (struct gen_queue){ .ro = &o.ro, .out = &records, .sample = &sample,
		.batch = (int)o.batch, .save = save, .emit = emit, .between = stop_if_asked };
	progress_start(&progress, "images", 0, o.ro.quiet);
	if (o.prompt_dict)
		from_dict(o.prompt_dict);
	else if (o.prompt || o.layout == GEN_NSW)
		from_prompt();
	else
		from_stream((const char *const *)argv + first, (size_t)(argc - first));
	gen_queue_drain(&queue, true);
	progress_end(&progress);
	if (o.preview)
		write_preview();
	rec_out_close(&records);
	if (gen_files_close(&files))
		die("%s", errmsg());
	gen_queue_release(&queue);
	sd_sample_release(&sample);
	pipeline_close(&model);
	gpu_close();
	return queue.code;
}
