/* segtrain: train a segmentation net on records of images and masks. */
#include "base/err.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/sig.h"
#include "data/rec.h"
#include "gpu/gpu.h"
#include "metric/seg_train.h"
#include "nn/checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { UNSET = -2 };

static struct opts {
	const char *device, *output;
	int preset;
	uint64_t seed;
	bool quiet, resume, strict;
	int64_t jobs;
	/* data */
	const char *class_dict, *image_size, *crop, *normalize, *fractions, *augment;
	int64_t num_classes, channels, ignore;
	int mode;
	/* net */
	const char *arch, *encoder, *decoder, *init;
	int attention, activation;
	/* loss and steps */
	const char *loss, *class_weights, *optimizer, *schedule;
	double lr, clip;
	int64_t epochs, max_steps, batch, accumulate;
	/* judging and keeping */
	const char *monitor, *early_stop, *log_every;
	double threshold;
	int64_t save_every, keep;
} o = { .preset = -1, .jobs = 2, .seed = 42, .num_classes = UNSET, .channels = 3, .ignore = -1,
	.mode = UNSET, .activation = UNSET, .optimizer = "adam", .schedule = "constant", .lr = 1e-3,
	.epochs = UNSET, .batch = 8, .accumulate = 1, .monitor = "valid_loss", .threshold = 0.5,
	.keep = 2 };

/* decoded images that are kept in memory */
enum { CACHE = 1 << 30 };

static const struct opt table[] = {
	{ 'o', "output", OPT_STR, &o.output, "DIR", "the run's folder (required)", 0, 0 },
	{ 0, "preset", OPT_CHOICE, &o.preset, "isn",
	    "ISN's configuration; other options come on top", 0, 0 },
	{ 0, "class-dict", OPT_STR, &o.class_dict, "CSV",
	    "classes by colour: name, r, g, b", 0, 0 },
	{ 0, "num-classes", OPT_INT, &o.num_classes, "N",
	    "classes of label maps (1: foreground)", 1, 254 },
	{ 0, "mode", OPT_CHOICE, &o.mode, SEG_MODES, "what masks mean (by the classes)", 0, 0 },
	{ 0, "ignore-index", OPT_INT, &o.ignore, "N", "this label counts for nothing", 0, 255 },
	{ 0, "channels", OPT_INT, &o.channels, "1|3", "gray or RGB input (3)", 1, 3 },
	{ 0, "image-size", OPT_STR, &o.image_size, "WxH[:soft][:alias]",
	    "stretch images to this", 0, 0 },
	{ 0, "crop", OPT_STR, &o.crop, "WxH", "train on random windows of this size", 0, 0 },
	{ 0, "normalize", OPT_STR, &o.normalize, "MEAN/STD",
	    "imagenet, none, or lists (imagenet)", 0, 0 },
	{ 0, "augment", OPT_STR, &o.augment, "LIST",
	    "hflip:vflip:turn:rotate=15:scale=.2:hue=.1 ...", 0, 0 },
	{ 0, "fractions", OPT_STR, &o.fractions, "V[,T]",
	    "for validation, testing, if no split is given", 0, 0 },
	{ 'a', "arch", OPT_STR, &o.arch, SEGNET_ARCHS, "architecture (unetplusplus)", 0, 0 },
	{ 'e', "encoder", OPT_STR, &o.encoder, "NAME[:width=F]",
	    "resnet18.., efficientnet-b0.. (resnet34)", 0, 0 },
	{ 0, "init", OPT_STR, &o.init, "DIR|FILE",
	    "start from a model, or from an encoder's weights", 0, 0 },
	{ 0, "encoder-weights", OPT_STR, &o.init, NULL, NULL, 0, 0 },
	{ 0, "decoder-channels", OPT_STR, &o.decoder, "LIST",
	    "3 to 5 stages (256,128,64,32,16)", 0, 0 },
	{ 0, "attention", OPT_CHOICE, &o.attention, "none|scse", "in the decoder (none)", 0, 0 },
	{ 0, "activation", OPT_CHOICE, &o.activation, SEG_ACTIVATIONS,
	    "the net's last step (none)", 0, 0 },
	{ 'l', "loss", OPT_STR, &o.loss, "SUM", "dice+ce, 0.5*focal:gamma=3+jaccard, ...", 0, 0 },
	{ 0, "class-weights", OPT_STR, &o.class_weights, "LIST|auto",
	    "weights of the classes", 0, 0 },
	{ 0, "optimizer", OPT_STR, &o.optimizer, "NAME",
	    "adam, adamw or sgd[:momentum=.9:decay=1e-4]", 0, 0 },
	{ 0, "lr", OPT_FLOAT, &o.lr, "R", "learning rate (1e-3)", 0, 1e3 },
	{ 0, "learning_rate", OPT_FLOAT, &o.lr, NULL, NULL, 0, 1e3 },
	{ 0, "lr-scheduler", OPT_STR, &o.schedule, "NAME[:warmup=N]",
	    "constant, linear, cosine, ...", 0, 0 },
	{ 0, "lr_scheduler", OPT_STR, &o.schedule, NULL, NULL, 0, 0 },
	{ 0, "clip", OPT_FLOAT, &o.clip, "NORM", "clip the gradient's norm (0: not)", 0, 1e6 },
	{ 'b', "batch-size", OPT_INT, &o.batch, "N", "images at a time (8)", 1, 65536 },
	{ 0, "train_batch_size", OPT_INT, &o.batch, NULL, NULL, 1, 65536 },
	{ 0, "accumulate", OPT_INT, &o.accumulate, "N", "batches that make a step (1)", 1, 65536 },
	{ 0, "gradient_accumulation_steps", OPT_INT, &o.accumulate, NULL, NULL, 1, 65536 },
	{ 'n', "epochs", OPT_INT, &o.epochs, "N", "times through the training split (20)", 1, 1e9 },
	{ 0, "num_train_epochs", OPT_INT, &o.epochs, NULL, NULL, 1, 1e9 },
	{ 0, "max-steps", OPT_INT, &o.max_steps, "N",
	    "stop after this many (0: by epochs)", 0, 1e15 },
	{ 0, "max_train_steps", OPT_INT, &o.max_steps, NULL, NULL, 0, 1e15 },
	{ 0, "monitor", OPT_STR, &o.monitor, "NAME[:every=N]",
	    "what is best: valid_loss, iou, f1, recall, ...", 0, 0 },
	{ 0, "early-stop", OPT_STR, &o.early_stop, "N[,D]",
	    "stop after N validations that gain no D", 0, 0 },
	{ 0, "threshold", OPT_FLOAT, &o.threshold, "P",
	    "a class is there from this probability on (0.5)", 0, 1 },
	{ 0, "log-every", OPT_STR, &o.log_every, "N[:metrics]",
	    "a step record every N steps (50)", 0, 0 },
	{ 0, "save-every", OPT_INT, &o.save_every, "N",
	    "checkpoint every N steps, too (0: not)", 0, 1e15 },
	{ 0, "keep", OPT_INT, &o.keep, "N", "checkpoints to keep (2)", 0, 1e9 },
	{ 0, "resume", OPT_FLAG, &o.resume, NULL, "go on from DIR/last, if it is there", 0, 0 },
	{ 's', "seed", OPT_U64, &o.seed, "N",
	    "of weights, order, augmentation, splits (42)", 0, 0 },
	{ 'd', "device", OPT_STR, &o.device, "DEVICE", "number, part of the name, or cpu", 0, 0 },
	{ 'j', "jobs", OPT_INT, &o.jobs, "N", "threads that read and augment (2)", 1, 256 },
	{ 0, "strict", OPT_FLAG, &o.strict, NULL, "stop at the first bad record", 0, 0 },
	{ 'q', "quiet", OPT_FLAG, &o.quiet, NULL, "no progress", 0, 0 },
	{ 0 },
};

/* ---- from options to a configuration --------------------------------------------------------- */

/* One part of "NAME:key=value:flag". */
struct word {
	const char *name;  /* the key */
	double *value;     /* NULL: a flag */
	bool *flag;
	double lo, hi;
	bool whole;
};

/* Reads the parts after the first colon of text; returns the name before it, which lives on. */
static const char *
parts_of(const char *option, const char *text, const struct word *w, bool named)
{
	char *copy = xstrdup(text), *next = NULL; /* kept: an option's text */
	char *s = strtok_r(copy, ":", &next), *name = s;

	if (named && !s)
		usage_error("%s: nothing is named", option);
	if (named)
		s = strtok_r(NULL, ":", &next);
	for (; s; s = strtok_r(NULL, ":", &next)) {
		char *value = strchr(s, '=');
		const struct word *k = w;

		if (value)
			*value++ = 0;
		while (k->name && strcmp(k->name, s))
			k++;
		if (!k->name)
			usage_error("%s: \"%s\" is not one of its words", option, s);
		if (!value != !k->value)
			usage_error("%s: %s %s", option, s, value ? "takes no =" : "wants =NUMBER");
		if (!k->value)
			*k->flag = true;
		else if (parse_float(value, k->lo, k->hi, k->value))
			usage_error("%s: %s: %s", option, s, errmsg());
		else if (k->whole && *k->value != floor(*k->value))
			usage_error("%s: %s: '%s' is not a whole number", option, s, value);
	}
	return name;
}

/* ISN: U-Net++ over EfficientNet-B2, sigmoid and then cross-entropy on one-hot masks. */
static void
apply_preset(void)
{
	bool isn = o.preset >= 0;

	if (isn) {
		if (!o.log_every)
			o.log_every = "50:metrics";
		if (!o.image_size)
			o.image_size = "224x224:soft";
		if (o.num_classes == UNSET && !o.class_dict)
			o.num_classes = 2;
		if (!o.loss)
			o.loss = "ce";
		if (!o.early_stop)
			o.early_stop = "5,1e-5";
	}
	if (!o.arch)
		o.arch = "unetplusplus";
	if (!o.encoder)
		o.encoder = isn ? "efficientnet-b2" : "resnet34";
	if (o.activation == UNSET)
		o.activation = isn ? SEG_SIGMOID : SEG_NONE;
	if (o.epochs == UNSET)
		o.epochs = isn ? 3 : 20;
	if (!o.log_every)
		o.log_every = "50";
	if (!o.fractions)
		o.fractions = isn ? "0.1,0.1" : "0.1";
}

/* Numbers with commas between; exactly n, or as many as there are (at most n) when count is
 * given. */
static void
numbers(const char *option, const char *text, double lo, double hi, double *out, int n, int *count)
{
	char *copy = xstrdup(text), *next = NULL;
	int i = 0;

	for (char *s = strtok_r(copy, ",", &next); s; s = strtok_r(NULL, ",", &next)) {
		if (i == n || parse_float(s, lo, hi, &out[i]))
			usage_error("%s: %s", option, i == n ? "too many numbers" : errmsg());
		i++;
	}
	if (count ? i == 0 : i != n)
		usage_error("%s: want %d numbers with commas between", option, n);
	if (count)
		*count = i;
	free(copy);
}

/* "WxH", or "N" for a square. */
static void
size_of(const char *option, const char *text, int *w, int *h)
{
	char *copy = xstrdup(text), *x = strchr(copy, 'x');
	int64_t a, b;

	if (x)
		*x++ = 0;
	if (parse_int(copy, 1, IMAGE_MAX_SIDE, &a) ||
	    parse_int(x ? x : copy, 1, IMAGE_MAX_SIDE, &b))
		usage_error("%s: want WxH, here is %s", option, text);
	*w = (int)a;
	*h = (int)b;
	free(copy);
}

static void
normalize(struct seg_spec *s)
{
	static const double mean[3] = { 0.485, 0.456, 0.406 }, std[3] = { 0.229, 0.224, 0.225 };
	bool none = o.normalize && !strcmp(o.normalize, "none");
	char *copy, *slash;

	for (int k = 0; k < s->channels; k++) {
		/* one channel: the means of ImageNet's */
		s->mean[k] = none ? 0 : s->channels == 3 ? mean[k] : 0.449;
		s->std[k] = none ? 1 : s->channels == 3 ? std[k] : 0.226;
	}
	if (!o.normalize || none || !strcmp(o.normalize, "imagenet"))
		return;
	copy = xstrdup(o.normalize);
	slash = strchr(copy, '/');
	if (!slash)
		usage_error("--normalize: want imagenet, none or MEAN/STD");
	*slash = 0;
	numbers("--normalize", copy, -1e3, 1e3, s->mean, s->channels, NULL);
	numbers("--normalize", slash + 1, 1e-6, 1e6, s->std, s->channels, NULL);
	free(copy);
}

static void
make_spec(struct seg_spec *s)
{
	bool alias = false;
	const struct word words[] =
	    { { "soft", NULL, &s->soft, 0, 0, false },
		{ "alias", NULL, &alias, 0, 0, false },
		{ 0 } };

	*s = (struct seg_spec){ .channels = (int)o.channels, .ignore = (int)o.ignore };
	if (o.channels == 2)
		usage_error("--channels: want 1 or 3");
	if (o.class_dict && class_dict_load(&s->dict, o.class_dict))
		die("%s", errmsg());
	if (o.class_dict && o.num_classes != UNSET && o.num_classes != (int64_t)s->dict.n)
		usage_error("--num-classes: %s has %zu classes", o.class_dict, s->dict.n);
	s->classes = o.class_dict ? (int)s->dict.n : o.num_classes == UNSET ? 1
	    : (int)o.num_classes;
	s->mode = o.mode != UNSET ? (enum seg_mode)o.mode : s->classes == 1 ? SEG_BINARY
	    : SEG_MULTICLASS;
	if (s->mode == SEG_BINARY && (s->classes != 1 || s->dict.n))
		usage_error("--mode binary: there is one class, the foreground");
	if (s->mode == SEG_MULTICLASS && s->classes < 2)
		usage_error("--mode multiclass: want at least two classes");
	if (o.image_size)
		size_of("--image-size", parts_of("--image-size", o.image_size, words, true),
		    &s->resize_w, &s->resize_h);
	if (o.crop)
		size_of("--crop", o.crop, &s->crop_w, &s->crop_h);
	s->antialias = !alias;
	normalize(s);
}

/* *frozen: the encoder is to be left alone. */
static void
make_net_config(struct segnet_config *c, const struct seg_spec *s, bool *frozen)
{
	double d[UNET_MAXDEPTH], width = 1, drop = -1;
	const struct word words[] = { { "width", &width, NULL, 0.05, 4, false },
		{ "drop-connect", &drop, NULL, 0, 0.9, false },
		{ "frozen", NULL, frozen, 0, 0, false }, { 0 } };
	const char *encoder = parts_of("--encoder", o.encoder, words, true);
	int unit;

	if (segnet_config_named(c, o.arch, encoder))
		usage_error("%s", errmsg());
	if (width != 1)
		segnet_config_widen(c, width);
	if (drop >= 0 && strncmp(encoder, "efficientnet", 12) != 0)
		usage_error("--encoder: drop-connect is EfficientNet's");
	if (drop >= 0)
		c->eff.drop_connect = drop;
	c->scse = o.attention == 1;
	c->in_channels = s->channels;
	c->classes = s->classes;
	c->activation = (enum seg_activation)o.activation;
	if (c->activation == SEG_SOFTMAX && s->mode != SEG_MULTICLASS)
		usage_error("--activation softmax is for --mode multiclass");
	opt_wants(&o.threshold, s->mode != SEG_MULTICLASS || s->soft ||
	    c->activation == SEG_SIGMOID, "masks or nets that are not of one class a pixel");
	if (o.decoder) {
		numbers("--decoder-channels", o.decoder, 1, 4096, d, UNET_MAXDEPTH, &c->depth);
		if (c->depth < 3)
			usage_error("--decoder-channels: want 3 to 5 numbers");
		for (int i = 0; i < c->depth; i++)
			if ((c->decoder[i] = (int)d[i]) != d[i])
				usage_error("--decoder-channels: %g is not a whole number", d[i]);
	}
	unit = 1 << c->depth;
	if (s->resize_w % unit || s->resize_h % unit || s->crop_w % unit || s->crop_h % unit)
		usage_error("--image-size, --crop: want multiples of %d for a depth of %d", unit,
		    c->depth);
}

static void
make_loss(struct seg_loss *l, const struct seg_spec *s)
{
	bool weighs = false;
	const char *text = o.loss ? o.loss : s->mode == SEG_MULTICLASS ? "ce+dice" : "bce+dice";

	if (seg_loss_parse(l, s->mode, text))
		usage_error("--loss: %s", errmsg());
	for (int i = 0; i < l->n; i++)
		weighs |= l->term[i].kind != SEG_LOVASZ && l->term[i].kind != SEG_MCC;
	opt_wants(&o.class_weights, weighs, "another loss than lovasz and mcc");
	for (int i = 0; i < l->n && o.activation != SEG_NONE; i++) {
		/* the net's output is a probability already; ce takes what it is given, as ISN's
		 * does */
		if (l->term[i].kind == SEG_BCE || l->term[i].kind == SEG_FOCAL ||
		    (l->term[i].kind == SEG_LOVASZ && s->mode != SEG_MULTICLASS))
			usage_error("--loss: %s wants a net without --activation",
			    seg_loss_name[l->term[i].kind]);
		l->term[i].from_probs = true;
	}
}

static void
make_augment(struct augment *a)
{
	const struct word words[] = { { "hflip", NULL, &a->flip_h, 0, 0, false },
		{ "vflip", NULL, &a->flip_v, 0, 0, false },
		{ "turn", NULL, &a->rotate90, 0, 0, false },
		{ "rotate", &a->rotate, NULL, 0, 180, false },
		{ "scale", &a->scale, NULL, 0, 10, false },
		{ "brightness", &a->brightness, NULL, 0, 10, false },
		{ "contrast", &a->contrast, NULL, 0, 10, false },
		{ "saturation", &a->saturation, NULL, 0, 10, false },
		{ "hue", &a->hue, NULL, 0, 0.5, false }, { 0 } };

	*a = (struct augment){ 0 };
	if (o.augment)
		parts_of("--augment", o.augment, words, false);
	if (o.channels == 1 && (a->hue > 0 || a->saturation > 0))
		usage_error("--augment: gray images have neither hue nor saturation");
}

static void
make_optimizer(struct optim_conf *c)
{
	double decay = -1;
	const struct word of_adam[] = { { "beta1", &c->beta1, NULL, 0, 0.9999999, false },
		{ "beta2", &c->beta2, NULL, 0, 0.9999999, false },
		{ "eps", &c->eps, NULL, 0, 1, false }, { "decay", &decay, NULL, 0, 10, false },
		{ 0 } };
	const struct word of_sgd[] = { { "momentum", &c->momentum, NULL, 0, 1, false },
		{ "decay", &decay, NULL, 0, 10, false },
		{ "nesterov", NULL, &c->nesterov, 0, 0, false }, { 0 } };
	bool sgd = strncmp(o.optimizer, "sgd", 3) == 0;
	const char *name;

	*c = (struct optim_conf){ .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .momentum = 0.9 };
	name = parts_of("--optimizer", o.optimizer, sgd ? of_sgd : of_adam, true);
	if (optim_kind_from(name, &c->kind))
		usage_error("--optimizer: %s", errmsg());
	c->weight_decay = decay >= 0 ? decay
	    : c->kind == OPTIM_ADAMW || c->kind == OPTIM_ADAMW8 ? 0.01 : 0;
}

static void
make_settings(struct seg_settings *s)
{
	double warmup = 0, every = 1, stop[2] = { 0 };
	const struct word words[] = { { "warmup", &warmup, NULL, 0, 1e9, true }, { 0 } };
	const struct word when[] = { { "every", &every, NULL, 1, 1e9, true }, { 0 } };
	const struct word log[] = { { "metrics", NULL, &s->train_metrics, 0, 0, false }, { 0 } };
	struct schedule probe;
	int n;

	*s = (struct seg_settings){ .run = o.output, .seed = o.seed, .lr = o.lr, .clip = o.clip,
		.epochs = o.epochs, .max_steps = o.max_steps, .batch = o.batch,
		.accumulate = o.accumulate, .save_every = o.save_every, .keep = o.keep,
		.quiet = o.quiet };
	s->monitor = parts_of("--monitor", o.monitor, when, true);
	s->eval_every = (int64_t)every;
	if (strcmp(s->monitor, "valid_loss") && seg_metric_find(s->monitor) < 0)
		usage_error("--monitor: %s", errmsg());
	if (parse_int(parts_of("--log-every", o.log_every, log, true), 1, INT32_MAX, &s->log_every))
		usage_error("--log-every: %s", errmsg());
	s->schedule = parts_of("--lr-scheduler", o.schedule, words, true);
	s->warmup = (int64_t)warmup;
	if (schedule_init(&probe, s->schedule, s->warmup, 1) || probe.kind == SCHEDULE_STEP)
		usage_error("--lr-scheduler: '%s' is not one of constant, constant_with_warmup, "
		    "linear, cosine, cosine_with_restarts, polynomial", s->schedule);
	if (s->warmup && probe.kind == SCHEDULE_CONSTANT)
		usage_error("--lr-scheduler: constant has no warmup; constant_with_warmup has");
	if (o.early_stop) {
		numbers("--early-stop", o.early_stop, 0, 1e9, stop, 2, &n);
		if (stop[0] != floor(stop[0]))
			usage_error("--early-stop: %g is not a whole number", stop[0]);
		s->patience = (int64_t)stop[0];
		s->min_delta = stop[1];
	}
	make_optimizer(&s->optim);
}

/* ---- data ------------------------------------------------------------------------------------ */

static struct seg_data data;
static int bad_records;

static int
add(struct rec *r, void *ctx)
{
	(void)ctx;
	return seg_data_add(&data, r);
}

/* Names the images that cannot be used; they are left out. */
static void
report_bad(void)
{
	for (size_t i = 0; i < data.n; i++) {
		const struct seg_item *it = &data.item[i];

		if (it->bad)
			warn("%s:%llu: %s: %s", it->input, (unsigned long long)it->lineno, it->id,
			    it->bad);
		if (it->bad && o.strict)
			exit(EXIT_FATAL);
	}
	seg_data_drop_bad(&data);
}

static void
read_data(const struct seg_spec *s, const char *const *files, size_t nfiles)
{
	double part[2] = { 0 };
	int n;
	struct rec_opts ro = REC_OPTS;

	ro.strict = o.strict;
	ro.quiet = o.quiet;
	ro.shard = (struct shard){ 0 };
	seg_data_init(&data, s, CACHE);
	bad_records = rec_each(&ro, files, nfiles, NULL, add, NULL);
	if (bad_records == EXIT_FATAL)
		exit(EXIT_FATAL);
	if (!data.n)
		die("no records came in: nothing to train on");
	/* until here a signal just ended the program: it would not have ended a read that waits */
	stop_catch();
	numbers("--fractions", o.fractions, 0, 1, part, 2, &n);
	seg_data_split(&data, part[0], part[1], o.seed);
	if (seg_data_read(&data, (int)o.jobs, stop_wanted)) {
		bad_records = EXIT_RECORDS;
		report_bad();
	}
	if (stop_wanted())
		stop_exit();
}

/* Class weights: as given, or so that each class weighs the same in sum: pixels / (classes x its
 * pixels). */
static struct tensor *
class_weights(const struct seg_spec *s)
{
	double w[SEG_NO_CLASS], sum = 0;
	float f[SEG_NO_CLASS];
	struct seg_view v;
	struct tensor *t;

	if (!o.class_weights)
		return NULL;
	if (s->mode == SEG_BINARY)
		usage_error("--class-weights: there is one class");
	if (strcmp(o.class_weights, "auto")) {
		numbers("--class-weights", o.class_weights, 0, 1e9, w, s->classes, NULL);
	} else {
		seg_view_init(&v, &data, SET_TRAIN, NULL, o.seed, 1);
		seg_class_pixels(&v, w);
		seg_view_release(&v);
		for (int i = 0; i < s->classes; i++)
			sum += w[i];
		for (int i = 0; i < s->classes; i++)
			w[i] = w[i] > 0 ? sum / (s->classes * w[i]) : 0;
	}
	for (int i = 0; i < s->classes; i++)
		f[i] = (float)w[i];
	scope_open();
	t = tensor_hold(tensor_from(F32, 1, (int64_t[]){ s->classes }, f));
	scope_close();
	return t;
}

/* ---- the run --------------------------------------------------------------------------------- */

/* The file that --init means. */
static char *
init_file(void)
{
	char *path = path_join(o.init, "weights.safetensors");

	if (file_exists(path))
		return path;
	free(path);
	return xstrdup(o.init);
}

/* Members of config.json that say what made the model. */
static char *
provenance(int argc, char **argv)
{
	struct sb sb = { 0 };
	uint64_t h = 0;
	char *hash, *path;

	provenance_put(&sb, argc, argv, o.seed);
	for (size_t i = 0; i < data.n; i++)
		h = (h ^ fnv1a(data.item[i].line, data.item[i].len)) * 1099511628211u;
	sb_printf(&sb, ",\"records\":\"fnv1a64:%016llx\"", (unsigned long long)h);
	if (o.init) {
		path = init_file();
		hash = file_hash(path);
		if (!hash)
			die("%s", errmsg());
		sb_printf(&sb, ",\"init\":\"%s\"", hash);
		free(path);
		free(hash);
	}
	return sb.s;
}

static void
first_weights(struct seg_model *m, bool frozen)
{
	segnet_init_weights(&m->net, o.seed);
	if (o.init) {
		char *path = init_file();
		bool whole = strcmp(path, o.init) != 0;

		if (whole ? params_load_file(&m->net.ps, path, 0)
		    : segnet_load_encoder(&m->net, path))
			die("%s", errmsg());
		free(path);
	}
	if (frozen)
		params_freeze(&m->net.ps, "encoder.", true);
}

int
main(int argc, char **argv)
{
	struct seg_model model = { .threshold = 0 };
	struct segnet_config net;
	struct seg_trainer t = { .model = &model, .data = &data };
	struct augment aug;
	bool frozen = false;
	int at;

	at = opt_parse(argc, argv, table, "-o DIR [options] [FILE ...]",
	    "Train a segmentation net on records of images and masks.");
	apply_preset();
	if (!o.output)
		usage_error("--output is required");
	if (!is_folder(o.output, true))
		usage_error("--output: '%s' is no folder", o.output);
	make_spec(&model.spec);
	make_net_config(&net, &model.spec, &frozen);
	make_loss(&t.loss, &model.spec);
	make_augment(&aug);
	make_settings(&t.set);
	model.threshold = o.threshold;
	gpu_open(o.device);
	read_data(&model.spec, (const char *const *)argv + at, (size_t)(argc - at));
	if (segnet_init(&model.net, &net, true))
		die("%s", errmsg());
	first_weights(&model, frozen);
	t.weight = class_weights(&model.spec);
	t.augment = &aug;
	t.jobs = (int)o.jobs;
	t.set.provenance = provenance(argc, argv);
	if (seg_train_open(&t, o.resume) || seg_train(&t))
		die("%s", errmsg());
	seg_train_close(&t);
	tensor_drop(t.weight);
	seg_model_release(&model);
	seg_data_release(&data);
	gpu_close();
	stdout_close();
	return bad_records;
}
