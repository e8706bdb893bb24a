/*
 * products [-d DEVICE]: times one product a line, for peers.py, which interleaves them with
 * others':
 *
 *	matmul M N K TYPE
 *	conv|convdx|convdw N H W IN OUT K STRIDE GROUPS TYPE
 *
 * (TYPE f32, f16 or bf16; padding K / 2) and writes "wall cpu", in seconds: cpu is what all threads
 * of this process took together. A line seen before finds its tensors and kernels ready.
 */
#include "stat.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/progress.h"
#include "base/rng.h"
#include "tensor/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *device;
static const struct opt table[] = {
	{ 'd', "device", OPT_STR, &device, "DEVICE", "its number, part of its name, or cpu", 0, 0 },
	{ 0 },
};

static struct job {
	char *line;
	struct tensor *x, *w;
	struct conv geo;
} *jobs;
static size_t njobs, capjobs;

static struct tensor *
rnd(enum dtype d, int ndim, const int64_t *dim)
{
	size_t n = 1;
	struct tensor *t;
	struct rng r;
	float *x;

	for (int i = 0; i < ndim; i++)
		n *= (size_t)dim[i];
	x = xmalloc(n * sizeof(*x));
	rng_init(&r, 7, 0);
	for (size_t i = 0; i < n; i++)
		x[i] = (float)rng_double(&r) - 0.5f;
	t = tensor_hold(tensor_from(d, ndim, dim, x));
	free(x);
	return t;
}

static struct job *
find(const char *line)
{
	long v[8];
	char kind[16], type[8];
	struct job j = { 0 };
	enum dtype d;

	for (size_t i = 0; i < njobs; i++)
		if (strcmp(jobs[i].line, line) == 0)
			return &jobs[i];
	if (sscanf(line, "%15s %ld %ld %ld %7s", kind, &v[0], &v[1], &v[2], type) == 5 &&
	    strcmp(kind, "matmul") == 0) {
		d = strcmp(type, "f16") == 0 ? F16 : strcmp(type, "bf16") == 0 ? BF16 : F32;
		j.x = rnd(d, 2, (int64_t[]){ v[0], v[2] });
		j.w = rnd(d, 2, (int64_t[]){ v[1], v[2] });
	} else if (sscanf(line, "%15s %ld %ld %ld %ld %ld %ld %ld %ld %7s", kind, &v[0], &v[1],
	               &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], type) == 10) {
		int p = (int)v[5] / 2;

		d = strcmp(type, "f16") == 0 ? F16 : strcmp(type, "bf16") == 0 ? BF16 : F32;
		j.x = rnd(d, 4, (int64_t[]){ v[0], v[1], v[2], v[3] });
		j.w = rnd(d, 4, (int64_t[]){ v[4], v[5], v[5], v[3] / v[7] });
		j.geo = (struct conv){ (int)v[6], p, p, p, p, 1, (int)v[7] };
	} else {
		die("not a product: %s", line);
	}
	j.line = xstrdup(line);
	jobs = xgrow(jobs, &capjobs, njobs + 1, sizeof(*jobs));
	jobs[njobs] = j;
	return &jobs[njobs++];
}

static void
run(struct job *j)
{
	const bool conv = j->line[0] == 'c', dx = strncmp(j->line, "convdx", 6) == 0;
	const bool back = dx || strncmp(j->line, "convdw", 6) == 0;
	struct tensor *g, *y = NULL, *gy = NULL;
	double t, c;

	scope_open();
	if (back) {
		(dx ? j->x : j->w)->requires_grad = true;
		y = op_conv2d(j->x, j->w, NULL, j->geo);
		gy = op_affine(tensor_detach(y), 0.1, 0);
	}
	gpu_wait();
	t = now_s();
	c = cpu_s();
	if (!conv)
		op_linear(j->x, j->w, NULL);
	else if (!back)
		op_conv2d(j->x, j->w, NULL, j->geo);
	else
		grad_of(y, gy, (struct tensor *[]){ dx ? j->x : j->w }, 1, false, &g);
	gpu_wait();
	printf("%.9f %.9f\n", now_s() - t, cpu_s() - c);
	fflush(stdout);
	scope_close();
}

int
main(int argc, char **argv)
{
	char line[256];

	opt_parse(argc, argv, table, "[-d device]", "Time the products that standard input names.");
	gpu_open(device);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		run(find(line));
	}
	return EXIT_OK;
}
