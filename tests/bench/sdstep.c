/*
 * sdstep [-d DEVICE] [-m NAME] [--batch N] [--side S] [--runs N] [--checkpointing] [--precision P]:
 * seconds of a training step of a U-Net (forward, loss, backward, clipping, AdamW) at latents of S
 * x S, the median after one step to warm up, as a record; with the processor's seconds (all
 * threads), which other load does not stretch. Weights are random.
 */
#include "stat.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/progress.h"
#include "model/sd_config.h"
#include "model/sd_step.h"
#include "nn/init.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
	const char *device, *model;
	int64_t batch, side, runs;
	int precision;
	bool checkpointing;
} o = { .model = "sd15", .batch = 1, .side = 16, .runs = 3 };

static const struct opt table[] = {
	{ 'd', "device", OPT_STR, &o.device, "DEVICE",
	    "its number, part of its name, or cpu", 0, 0 },
	{ 'm', "model", OPT_STR, &o.model, "NAME", "sd15, tiny, ...", 0, 0 },
	{ 0, "batch", OPT_INT, &o.batch, "N", "latents", 1, 1024 },
	{ 0, "side", OPT_INT, &o.side, "S", "of the latents", 1, 1024 },
	{ 'n', "runs", OPT_INT, &o.runs, "N", "timed steps", 1, 1000 },
	{ 0, "precision", OPT_CHOICE, &o.precision, "f32|f16|bf16", "to work in", 0, 0 },
	{ 0, "checkpointing", OPT_FLAG, &o.checkpointing, NULL, "compute activations anew", 0, 0 },
	{ 0 },
};

static void
step(struct sd_step *s, const struct sd_config *c)
{
	int64_t dim[] = { o.batch, o.side, o.side, c->unet.in_channels };
	int *t = xcalloc((size_t)o.batch, sizeof(*t));
	struct tensor *norm;
	struct sd_batch b = { .t = t };

	scope_open();
	b.x = op_normal(4, dim, 1);
	b.noise = op_normal(4, dim, 2);
	b.context = op_normal(3, (int64_t[]){ o.batch, 77, c->unet.context }, 3);
	sd_step_batch(s, &b);
	sd_step_update(s, 1e-5, &norm);
	tensor_item(norm);
	gpu_wait();
	scope_close();
	free(t);
}

int
main(int argc, char **argv)
{
	static const enum dtype types[] = { F32, F16, BF16 };
	const struct optim_conf adamw = { .kind = OPTIM_ADAMW, .beta1 = 0.9, .beta2 = 0.999,
		.eps = 1e-8, .weight_decay = 1e-2 };
	struct sd_step s = { .accumulate = 1, .clip = 1 };
	struct noise_schedule schedule;
	struct noise_config noise;
	struct gpu_mem_stat mem;
	struct sd_config c;
	struct unet net;
	struct json j;
	double *wall, *cpu;

	opt_parse(argc, argv, table, "[options]", "time training steps of a U-Net");
	wall = xcalloc((size_t)o.runs, sizeof(*wall));
	cpu = xcalloc((size_t)o.runs, sizeof(*cpu));
	gpu_open(o.device);
	if (sd_config_named(&c, o.model) || json_parse(&j, c.scheduler.s, c.scheduler.len) ||
	    noise_config_get(&noise, &j, 0) || unet_init(&net, &c.unet, F32, true))
		die("%s", errmsg());
	for (int i = 0; i < net.ps.n; i++)
		init_param(net.ps.p[i], net.ps.p[i]->ndim > 1 ? INIT_TORCH : INIT_CONSTANT, 1, 0);
	noise_schedule_init(&schedule, &noise);
	net.checkpointing = o.checkpointing;
	s.unet = &net;
	s.compute = types[o.precision];
	sd_step_init(&s, &schedule, &adamw, (struct params *[]){ &net.ps }, 1);
	step(&s, &c);
	gpu_profile_reset();
	for (int64_t i = 0; i < o.runs; i++) {
		double w = now_s(), p = cpu_s();

		step(&s, &c);
		wall[i] = now_s() - w;
		cpu[i] = cpu_s() - p;
	}
	gpu_mem(&mem);
	printf(
	    "{\"kind\":\"bench\",\"what\":\"training step of a U-Net\",\"model\":\"%s\",\"batch\":%"
	    PRId64 ",\"side\":%" PRId64 ",\"elapsed_s\":%.3f,\"cpu_s\":%.3f,\"memory_bytes\":%"
	    PRIu64 "}\n",
	    o.model, o.batch, o.side, median(wall, o.runs), median(cpu, o.runs), mem.peak_all);
	sd_step_release(&s);
	noise_schedule_release(&schedule);
	unet_release(&net);
	sd_config_release(&c);
	json_release(&j);
	free(wall);
	free(cpu);
	gpu_close();
	return 0;
}
