/* embed: feature vectors of images, into a .npy file beside the records or into them. */
#include "base/err.h"
#include "base/file.h"
#include "base/intern.h"
#include "base/order.h"
#include "data/npy.h"
#include "data/rec.h"
#include "gpu/gpu.h"
#include "metric/kernel.h"
#include "model/embed_prep.h"
#include "model/embedder.h"
#include "model/turn.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CLASSES = 1 << 20 };

static struct opts {
	const char *device, *network, *weights, *preprocess, *out, *scores, *classes;
	int64_t side, batch;
	bool in_line, skip_done;
} o = { .batch = 8 };
static struct rec_opts ro;

static const struct opt table[] = {
	{ 0, "network", OPT_STR, &o.network, "NAME[:LAYER]",
	    EMBED_NETWORKS_SHORT " (required)", 0, 0 },
	{ 0, "weights", OPT_STR, &o.weights, "FILE", "its weights, .safetensors (required)", 0, 0 },
	{ 'o', "output", OPT_STR, &o.out, "FILE.npy",
	    "write the vectors there, a row an image", 0, 0 },
	{ 0, "out", OPT_STR, &o.out, "FILE.npy", NULL, 0, 0 },
	{ 0, "inline", OPT_FLAG, &o.in_line, NULL, "put the vectors into the records", 0, 0 },
	{ 0, "scores", OPT_STR, &o.scores, "FIELD",
	    "a classifier's probabilities, too, as an array", 0, 0 },
	{ 0, "classes", OPT_STR, &o.classes, "CLASSES",
	    "their names or number: pred_label, too", 0, 0 },
	{ 0, "preprocess", OPT_STR, &o.preprocess, "NAME",
	    "how pictures become input (the network's own)", 0, 0 },
	{ 0, "size", OPT_INT, &o.side, "N", "pixels of the input's side", 1, 4096 },
	{ 'd', "device", OPT_STR, &o.device, "DEVICE", "number, part of the name, or cpu", 0, 0 },
	{ 0, "batch-size", OPT_INT, &o.batch, "N",
	    "at most N images at a time on the device (8)", 1, 100 },
	{ 0, "skip-done", OPT_FLAG, &o.skip_done, NULL,
	    "leave records that have such a vector", 0, 0 },
	REC_OPTIONS_JOBS(ro),
	REC_OPTIONS_COMMON(ro),
	{ 0 },
};

static struct embedder *net;
static struct intern classes;
static bool logits;        /* are wanted, too */
static struct npy_rows rows;
static int64_t decoders;   /* images that may be decoded at once */
static int64_t rows_there; /* in FILE.npy before */

/* ---- many images at once on the device ---------------------------------------------------- */

/*
 * Each record has a thread. It decodes its image (a few at a time may) and then stands in line for
 * the device: the first to find it free takes along who stands there, up to a batch, and the others
 * wait for their vectors. So batches are full while there is enough to do, and nobody waits for one
 * to fill.
 */
struct job {
	float *in, *features; /* features and, if wanted, logits after them */
	bool done;
	struct job *next;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct job *first, **last;
	bool busy;            /* somebody runs a batch */
	int64_t decoding;     /* threads at it */
	float *in, *features, *logits; /* [batch] of the one who runs */
} line = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

/* Floats of a job's features. */
static size_t
width(void)
{
	return (size_t)embedder_dim(net) + (logits ? (size_t)embedder_classes(net) : 0);
}

/* Takes up to a batch from the line's head. The lock is held. */
static int64_t
take_batch(struct job **batch)
{
	int64_t n = 0;

	while (line.first && n < o.batch) {
		batch[n++] = line.first;
		line.first = line.first->next;
	}
	if (!line.first)
		line.last = &line.first;
	return n;
}

static void
run_batch(struct job **batch, int64_t n)
{
	size_t in = embedder_input(net), dim = (size_t)embedder_dim(net), said = width() - dim;

	for (int64_t i = 0; i < n; i++)
		memcpy(line.in + (size_t)i * in, batch[i]->in, in * sizeof(*line.in));
	embedder_run_prepared(net, line.in, (int)n, line.features, logits ? line.logits : NULL);
	for (int64_t i = 0; i < n; i++) {
		memcpy(batch[i]->features, line.features + (size_t)i * dim,
		    dim * sizeof(*line.features));
		memcpy(batch[i]->features + dim, line.logits + (size_t)i * said,
		    said * sizeof(*line.logits));
	}
}

/* Puts a prepared picture through the network. */
static void
through(float *in, float *features)
{
	struct job job = { .in = in, .features = features },
		**batch = xcalloc((size_t)o.batch, sizeof(*batch));

	pthread_mutex_lock(&line.lock);
	*line.last = &job;
	line.last = &job.next;
	while (!job.done) {
		int64_t n;

		if (line.busy) {
			pthread_cond_wait(&line.changed, &line.lock);
			continue;
		}
		line.busy = true;
		n = take_batch(batch);
		pthread_mutex_unlock(&line.lock);
		turn_take();
		run_batch(batch, n);
		turn_give();
		pthread_mutex_lock(&line.lock);
		for (int64_t i = 0; i < n; i++)
			batch[i]->done = true;
		line.busy = false;
		pthread_cond_broadcast(&line.changed);
	}
	pthread_mutex_unlock(&line.lock);
	free(batch);
}

static int
prepare(struct rec *r, float *in)
{
	const char *path = rec_path(r, "file_name");
	struct image im = { 0 };
	int ret;

	if (!path)
		return -1;
	pthread_mutex_lock(&line.lock);
	while (line.decoding >= decoders)
		pthread_cond_wait(&line.changed, &line.lock);
	line.decoding++;
	pthread_mutex_unlock(&line.lock);
	ret = image_read(&im, path, 3, 8);
	if (!ret && embedder_prepare(net, &im, in))
		ret = err_prefix("%s", path);
	image_release(&im);
	pthread_mutex_lock(&line.lock);
	line.decoding--;
	pthread_cond_broadcast(&line.changed);
	pthread_mutex_unlock(&line.lock);
	return ret;
}

/* ---- records ------------------------------------------------------------------------------ */

static bool
says(const struct rec *r, const char *key, const char *value)
{
	const char *s = rec_str(r, key);

	return s && strcmp(s, value) == 0;
}

/* Has it a vector of this network already, where this run puts them? */
static bool
is_done(const struct rec *r)
{
	int64_t row = -1;

	if (!says(r, "embedding_network", o.network) ||
	    !says(r, "embedding_preprocess", embedder_preprocess_id(net)) ||
	    !says(r, "embedding_weights", embedder_weights_hash(net)))
		return false;
	if ((o.scores && !rec_get(r, o.scores)) || (o.classes && !rec_get(r, "pred_label")))
		return false;
	if (o.in_line)
		return rec_get(r, "embedding") != NULL;
	return says(r, "embedding_file", o.out) && rec_int(r, "embedding_row", &row) == 1 &&
	    row >= 0 && row < rows_there;
}

static int
one(struct rec *r, struct rec_out *out, void *ctx)
{
	float *in, *features;
	int ret;

	(void)ctx;
	if (o.skip_done && is_done(r)) {
		rec_emit(out, r);
		return 0;
	}
	in = xmalloc(embedder_input(net) * sizeof(*in));
	features = xmalloc(width() * sizeof(*features));
	ret = prepare(r, in);
	if (!ret) {
		through(in, features);
		for (size_t i = 0; i < width() && !ret; i++)
			ret = isfinite(features[i]) ? 0 : err("feature %zu is not finite", i);
	}
	free(in);
	if (ret) {
		free(features);
		return -1;
	}
	r->aside = features;
	r->aside_free = free;
	return 0;
}

static void
put_inline(struct rec *r, const float *f)
{
	struct sb sb = { 0 };

	for (int i = 0; i < embedder_dim(net); i++)
		sb_printf(&sb, "%c%.9g", i ? ',' : '[', (double)f[i]);
	sb_putc(&sb, ']');
	rec_set_raw(r, "embedding", sb.s, sb.len);
	sb_release(&sb);
}

/* What the classifier says. */
static void
put_classes(struct rec *r, const float *said)
{
	int64_t n = embedder_classes(net);
	double *p = xmalloc((size_t)n * sizeof(*p));
	struct sb sb = { 0 };

	softmax_rows(said, 1, n, p);
	for (int64_t i = 0; i < n; i++)
		sb_printf(&sb, "%c%.9g", i ? ',' : '[', p[i]);
	sb_putc(&sb, ']');
	if (o.scores)
		rec_set_raw(r, o.scores, sb.s, sb.len);
	if (o.classes)
		rec_set_str(r, "pred_label", classes.name[order_largest(p, n)]);
	sb_release(&sb);
	free(p);
}

static int
in_order(struct rec *r, struct rec_out *out, void *ctx)
{
	(void)ctx;
	if (!r->aside)
		return 0; /* went out as it was */
	if (o.in_line) {
		put_inline(r, r->aside);
	} else {
		rec_set_str(r, "embedding_file", o.out);
		rec_set_int(r, "embedding_row", rows.n);
		npy_rows_add(&rows, r->aside);
	}
	rec_set_str(r, "embedding_network", o.network);
	rec_set_str(r, "embedding_preprocess", embedder_preprocess_id(net));
	rec_set_str(r, "embedding_weights", embedder_weights_hash(net));
	if (logits)
		put_classes(r, (const float *)r->aside + embedder_dim(net));
	rec_emit(out, r);
	return 0;
}

/* ---- the file of rows --------------------------------------------------------------------- */

/* Begins with the rows that are there, under --skip-done. */
static void
open_rows(void)
{
	struct st_tensor t;
	const float *v;

	if (npy_rows_open(&rows, o.out, embedder_dim(net)))
		die("%s", errmsg());
	if (!o.skip_done || !file_exists(o.out))
		return;
	if (npy_read(&t, o.out))
		die("%s", errmsg());
	if (t.dtype != ST_F32 || t.ndim != 2 || t.dim[1] != embedder_dim(net))
		die("%s: holds no rows of %d floats", o.out, embedder_dim(net));
	v = t.data;
	for (int64_t i = 0; i < t.dim[0]; i++)
		npy_rows_add(&rows, v + i * t.dim[1]);
	rows_there = t.dim[0];
	free((void *)t.data);
}

/* The records wait in a file until the one that they name is whole. */
static int
run_with_rows(const char *const *files, size_t n)
{
	FILE *spool = tmpfile();
	char *text = NULL;
	size_t cap = 0;
	ssize_t len;
	struct rec_out out;
	int code;

	if (!spool)
		die("cannot make a temporary file:");
	open_rows();
	rec_out_open(&out, fileno(spool), "a temporary file");
	code = rec_filter_to(&ro, files, n, &out, one, NULL);
	rec_out_close(&out);
	if (code == EXIT_FATAL) {
		npy_rows_abort(&rows);
		return code;
	}
	if (npy_rows_commit(&rows))
		die("%s", errmsg());
	rec_out_open(&out, 1, "standard output");
	rewind(spool);
	while ((len = getline(&text, &cap, spool)) > 0)
		rec_out_lines(&out, text, (size_t)len);
	if (ferror(spool))
		die("cannot read a temporary file:");
	rec_out_close(&out);
	fclose(spool);
	free(text);
	return code;
}

static void
check_options(void)
{
	if (!o.network || !o.weights)
		usage_error("--network and --weights are required");
	if (!o.out == !o.in_line)
		usage_error("want either -o FILE.npy or --inline");
	if (o.preprocess && embed_prep_named(o.preprocess) < 0)
		usage_error("--preprocess: %s", errmsg());
	if (o.classes && intern_list(&classes, o.classes, MAX_CLASSES))
		usage_error("--classes: %s", errmsg());
	gpu_open(o.device);
	if (embedder_open(&net, o.network, o.weights, o.preprocess, (int)o.side))
		die("%s", errmsg());
	logits = o.scores || o.classes;
	if (logits && !embedder_classes(net))
		die("%s: %s has no classes", o.weights, o.network);
	if (o.classes && (int64_t)classes.n != embedder_classes(net))
		die("%s: a classifier of %d classes, not %zu", o.weights, embedder_classes(net),
		    classes.n);
	line.last = &line.first;
	line.in = xmalloc((size_t)o.batch * embedder_input(net) * sizeof(*line.in));
	line.features = xmalloc((size_t)(o.batch * embedder_dim(net)) * sizeof(*line.features));
	line.logits = xmalloc((size_t)(o.batch * embedder_classes(net)) * sizeof(*line.logits) + 1);
	decoders = ro.jobs;
	/* a batch on the device, another in line */
	ro.jobs += 2 * o.batch;
}

int
main(int argc, char **argv)
{
	const char *const *files;
	int at, code;
	size_t n;

	ro = (struct rec_opts)REC_OPTS;
	ro.what = "images";
	ro.then = in_order;
	at = opt_parse(argc, argv, table,
	    "--network NAME --weights FILE -o FILE.npy [options] [FILE ...]",
	    "Feature vectors of the images of records.");
	check_options();
	files = (const char *const *)argv + at;
	n = (size_t)(argc - at);
	code = o.in_line ? rec_filter(&ro, files, n, one, NULL) : run_with_rows(files, n);
	embedder_close(net);
	free(line.in);
	free(line.features);
	free(line.logits);
	intern_release(&classes);
	gpu_close();
	return code;
}
