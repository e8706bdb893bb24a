/*
 * kernels [-d DEVICE] [--dtype f32|f16|bf16] [WORD ...]: each kernel at the shapes that matter, as
 * GFLOP/s or GB/s and as a share of this device's ceiling, measured first. The share is the time
 * that the ceilings allow (the larger of arithmetic and memory) over the time taken. With words,
 * only the cases whose name holds one of them.
 */
#include "stat.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/progress.h"
#include "base/threads.h"
#include "gpu/ceiling.h"
#include "gpu/gpu.h"
#include "tensor/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
	const char *device;
	int dtype;
	int64_t runs;
} o = { .runs = 7 };

static const struct opt table[] = {
	{ 'd', "device", OPT_STR, &o.device, "DEVICE",
	    "its number, part of its name, or cpu", 0, 0 },
	{ 0, "dtype", OPT_CHOICE, &o.dtype, "f32|f16|bf16", "storage of the tensors", 0, 0 },
	{ 'n', "runs", OPT_INT, &o.runs, "N", "timed runs of each case", 1, 1000 },
	{ 0 },
};

static struct ceiling ceil_;
static enum dtype dt;

/* Normal numbers of a shape, by its text: "1,64,64,320". */
static struct tensor *
rnd(const char *shape, enum dtype d)
{
	int64_t dim[TENSOR_MAXDIM];
	int n = 0;

	for (const char *p = shape; *p && n < TENSOR_MAXDIM; p += *p == ',')
		dim[n++] = strtoll(p, (char **)&p, 10);
	return op_cast(op_normal(n, dim, 7), d);
}

/* A case: inputs by shape, then what is timed. */
struct bench {
	const char *name;
	const char *in[3];
	struct tensor *(*run)(struct tensor **in);
	bool backward;
};

static struct tensor *
add(struct tensor **in)
{
	return op_add(in[0], in[1]);
}

static struct tensor *
affine(struct tensor **in)
{
	return op_affine(in[0], 2, 1);
}

static struct tensor *
silu(struct tensor **in)
{
	return op_silu(in[0]);
}

static struct tensor *
matmul(struct tensor **in)
{
	return op_matmul(in[0], in[1], false, true);
}

static struct tensor *
linear(struct tensor **in)
{
	return op_linear(in[0], in[1], NULL);
}

static struct tensor *
conv3(struct tensor **in)
{
	return op_conv2d(in[0], in[1], NULL, CONV_SAME(3));
}

static struct tensor *
conv3s2(struct tensor **in)
{
	struct conv c = CONV_SAME(3);

	c.stride = 2;
	return op_conv2d(in[0], in[1], NULL, c);
}

static struct tensor *
conv1(struct tensor **in)
{
	return op_conv2d(in[0], in[1], NULL, (struct conv){ 0 });
}

static struct tensor *
depthwise(struct tensor **in)
{
	struct conv c = CONV_SAME(3);

	c.groups = (int)in[0]->dim[3];
	return op_conv2d(in[0], in[1], NULL, c);
}

static struct tensor *
softmax(struct tensor **in)
{
	return op_softmax(in[0]);
}

static struct tensor *
layer_norm(struct tensor **in)
{
	return op_layer_norm(in[0], in[1], in[2], 1e-5);
}

static struct tensor *
group_norm(struct tensor **in)
{
	return op_group_norm(in[0], 32, in[1], in[2], 1e-5, ACT_SILU);
}

static struct tensor *
batch_norm(struct tensor **in)
{
	int64_t c[] = { in[0]->dim[3] };
	struct tensor *m = tensor_full(F32, 1, c, 0), *v = tensor_full(F32, 1, c, 1);

	return op_batch_norm(in[0], in[1], in[2], m, v, 0.1, 1e-5, true, ACT_RELU);
}

static struct tensor *
max_pool(struct tensor **in)
{
	return op_max_pool2d(in[0], 3, 2, 1);
}

static struct tensor *
upsample(struct tensor **in)
{
	return op_resize_nearest(in[0], 2 * (int)in[0]->dim[1], 2 * (int)in[0]->dim[2]);
}

static struct tensor *
attention(struct tensor **in)
{
	return op_attention(in[0], in[1], in[2], 8, 0, false);
}

static struct tensor *
concat(struct tensor **in)
{
	return op_concat(in, 2, 3);
}

static struct tensor *
sum_rows(struct tensor **in)
{
	return op_sum(in[0], 1, false);
}

static const struct bench cases[] = {
	{ "add 4096x4096", { "4096,4096", "4096,4096" }, add, true },
	{ "affine 4096x4096", { "4096,4096" }, affine, false },
	{ "silu 4096x4096", { "4096,4096" }, silu, true },
	{ "column sums 16384x1024", { "16384,1024" }, sum_rows, false },
	{ "concat 4x128x128x64 twice", { "4,128,128,64", "4,128,128,64" }, concat, true },
	{ "softmax 4096x4096", { "4096,4096" }, softmax, true },
	{ "matmul 1024x1024x1024", { "1024,1024", "1024,1024" }, matmul, false },
	{ "linear 4096x320x320", { "4096,320", "320,320" }, linear, true },
	{ "linear 256x1280x1280", { "256,1280", "1280,1280" }, linear, true },
	{ "linear 77x3072x768", { "77,768", "3072,768" }, linear, false },
	{ "conv 3x3 320 64x64 320", { "1,64,64,320", "320,3,3,320" }, conv3, true },
	{ "conv 3x3 1280 8x8 1280", { "1,8,8,1280", "1280,3,3,1280" }, conv3, true },
	{ "conv 3x3 64 256x256 64", { "1,256,256,64", "64,3,3,64" }, conv3, true },
	{ "conv 3x3/2 64 128x128 128", { "4,128,128,64", "128,3,3,64" }, conv3s2, true },
	{ "conv 1x1 256 64x64 128", { "4,64,64,256", "128,1,1,256" }, conv1, true },
	{ "depthwise 3x3 96 112x112", { "4,112,112,96", "96,3,3,1" }, depthwise, true },
	{ "batch norm 4x128x128x64", { "4,128,128,64", "64", "64" }, batch_norm, true },
	{ "group norm + silu 64x64x320", { "1,64,64,320", "320", "320" }, group_norm, true },
	{ "layer norm 4096x1280", { "4096,1280", "1280", "1280" }, layer_norm, true },
	{ "max pool 4x128x128x64", { "4,128,128,64" }, max_pool, true },
	{ "upsample 4x64x64x128", { "4,64,64,128" }, upsample, true },
	{ "attention 4096x320, 8 heads", { "1,4096,320", "1,4096,320", "1,4096,320" }, attention,
	    true },
};

static bool
wanted(const char *name, char **word)
{
	if (!*word)
		return true;
	for (; *word; word++)
		if (strstr(name, *word))
			return true;
	return false;
}

static void
report(const char *name)
{
	for (int k = 0; k < KERNEL_COUNT; k++) {
		const struct gpu_prof *p = gpu_profile_of((enum kernel)k);
		double s = p->n ? p->seconds : 0, best;

		if (!p->n || s <= 0)
			continue;
		best = p->flops / ceil_.flops > p->bytes / ceil_.bytes ? p->flops / ceil_.flops
		                                                      : p->bytes / ceil_.bytes;
		printf("%-30s %-26s %9.1f us %8.2f GFLOP/s %7.2f GB/s  %5.2f of the ceiling\n",
		    name, gpu_kernel_name((enum kernel)k), 1e6 * s / (double)p->n,
		    p->flops / s * 1e-9, p->bytes / s * 1e-9, best / s);
		name = "";
	}
}

static void
run(const struct bench *b)
{
	struct tensor *in[3] = { 0 };
	bool grads = grads_set(b->backward);

	scope_open();
	for (int i = 0; i < 3 && b->in[i]; i++) {
		/* norms' scales are f32 in every storage type */
		in[i] = tensor_detach(rnd(b->in[i], strchr(b->in[i], ',') ? dt : F32));
		in[i]->requires_grad = b->backward;
	}
	for (int64_t r = -1; r < o.runs; r++) {
		scope_open();
		if (r == 0)
			gpu_profile_reset();
		if (b->backward)
			backward(op_sum_all(op_cast(b->run(in), F32)));
		else
			b->run(in);
		scope_close();
	}
	gpu_wait();
	report(b->name);
	for (int i = 0; i < 3; i++)
		if (in[i])
			in[i]->grad = tensor_drop(in[i]->grad);
	scope_close();
	grads_set(grads);
	gpu_trim();
}

/* A token that two threads hand to each other, each asleep until it has it. */
enum { HANDS = 2000 };

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t handed;
	int threads, with;
} token = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0 };

static void *
hand_over(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&token.mutex);
	const int me = token.threads++;

	for (int i = 0; i < HANDS; i++) {
		while (token.with != me)
			pthread_cond_wait(&token.handed, &token.mutex);
		token.with = !me;
		pthread_cond_signal(&token.handed);
	}
	pthread_mutex_unlock(&token.mutex);
	return NULL;
}

/* Microseconds in which one thread wakes another on this machine. A driver that computes on threads
 * does so twice a dispatch: to start the work and to learn of its end. */
static double
hand_over_us(void)
{
	pthread_t thread[2];
	double t = now_s();

	threads_start(thread, 2, hand_over, NULL);
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);
	return 1e6 * (now_s() - t) / (2 * HANDS);
}

/* Many calls that each do next to nothing, in one go. */
static void
dispatches(void)
{
	enum { CALLS = 1000, RUNS = 9 };
	double t[RUNS];

	scope_open();
	for (int r = 0; r < RUNS; r++) {
		struct tensor *x = tensor_full(F32, 1, (int64_t[]){ 64 }, 1);

		gpu_wait();
		t[r] = now_s();
		for (int i = 0; i < CALLS; i++) {
			scope_open();
			x = scope_keep(op_affine(x, 1, 1));
		}
		gpu_wait();
		t[r] = now_s() - t[r];
	}
	scope_close();
	printf(
	    "%-30s %d in a chain: %.1f us each (median of %d); a thread wakes another in %.1f us\n",
	    "small dispatches", CALLS, 1e6 * median(t, RUNS) / CALLS, RUNS, hand_over_us());
}

int
main(int argc, char **argv)
{
	argv += opt_parse(argc, argv, table, "[options] [WORD ...]",
	    "Time each kernel as a share of what the device can do.");
	gpu_open(o.device);
	dt = o.dtype == 0 ? F32 : o.dtype == 1 ? F16 : BF16;
	ceiling_measure(&ceil_);
	printf(
	    "%s, %s\nceilings: %.1f GFLOP/s of f32 multiply-add, %.2f GB/s copied (read + write), "
	    "%.2f GB/s within the cache\n",
	    gpu_info()->name, gpu_info()->driver, ceil_.flops * 1e-9, ceil_.bytes * 1e-9,
	    ceil_.cached * 1e-9);
	if (wanted("small dispatches", argv))
		dispatches();
	gpu_profile(true);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (wanted(cases[i].name, argv))
			run(&cases[i]);
	gpu_profile(false);
	return EXIT_OK;
}
