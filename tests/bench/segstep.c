/*
 * segstep [-d DEVICE] [--arch A] [--encoder E] [--batch N] [--side S] [--runs N]: seconds of a
 * training step of a segmentation net (forward, loss, backward, Adam), the median after one step to
 * warm up, as a record. The peer is `smp_torch.py step N S`.
 */
#include "stat.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/progress.h"
#include "gpu/gpu.h"
#include "model/segnet.h"
#include "nn/optim.h"

#include <stdio.h>
#include <stdlib.h>

static struct {
	const char *device, *arch, *encoder;
	int64_t batch, side, runs;
} o = { .arch = "unetplusplus", .encoder = "resnet34", .batch = 4, .side = 256, .runs = 5 };

static const struct opt table[] = {
	{ 'd', "device", OPT_STR, &o.device, "DEVICE",
	    "its number, part of its name, or cpu", 0, 0 },
	{ 0, "arch", OPT_STR, &o.arch, SEGNET_ARCHS, "architecture", 0, 0 },
	{ 0, "encoder", OPT_STR, &o.encoder, "NAME", "encoder", 0, 0 },
	{ 0, "batch", OPT_INT, &o.batch, "N", "images", 1, 1024 },
	{ 0, "side", OPT_INT, &o.side, "S", "pixels", 32, 4096 },
	{ 'n', "runs", OPT_INT, &o.runs, "N", "timed steps", 1, 1000 },
	{ 0 },
};

static double
step(struct segnet *net, struct optim *opt, struct tensor *x, struct tensor *y)
{
	double start = now_s();
	struct tensor *loss;

	scope_open();
	params_zero_grad(&net->ps);
	loss = op_bce_with_logits(segnet_forward(net, x, true, 1, NULL), y, NULL);
	backward(loss);
	optim_step(opt, 1e-3);
	tensor_item(loss);
	gpu_wait();
	scope_close();
	return now_s() - start;
}

int
main(int argc, char **argv)
{
	struct segnet_config c;
	struct segnet net;
	struct optim opt;
	struct optim_conf conf = { .kind = OPTIM_ADAM, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8 };
	double *t;

	opt_parse(argc, argv, table, "[options]", "Time a training step of a segmentation net.");
	t = xcalloc((size_t)o.runs, sizeof(*t));
	gpu_open(o.device);
	if (segnet_config_named(&c, o.arch, o.encoder) || segnet_init(&net, &c, true))
		die("%s", errmsg());
	segnet_init_weights(&net, 1);
	optim_init(&opt, &conf, (struct params *[]){ &net.ps }, 1);
	scope_open();
	struct tensor *x = op_normal(4, (int64_t[]){ o.batch, o.side, o.side, 3 }, 1);
	struct tensor *y =
	    op_greater_s(op_uniform(4, (int64_t[]){ o.batch, o.side, o.side, 1 }, 2), 0.5);

	step(&net, &opt, x, y);
	for (int64_t i = 0; i < o.runs; i++)
		t[i] = step(&net, &opt, x, y);
	printf("{\"kind\":\"bench\",\"name\":\"%s %s, %lld x %lld x %lld\",\"step_s\":%.4g}\n",
	    o.arch, o.encoder, (long long)o.batch, (long long)o.side, (long long)o.side,
	    median(t, o.runs));
	scope_close();
	optim_release(&opt);
	segnet_release(&net);
	gpu_close();
	stdout_close();
	return EXIT_OK;
}
