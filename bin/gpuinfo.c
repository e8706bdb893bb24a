/* gpuinfo: the Vulkan devices there are, how fast one is, and whether its kernels are right. */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/opt.h"
#include "data/json.h"
#include "gpu/ceiling.h"
#include "gpu/gpu.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct {
	const char *device;
	bool speed;
} o;

static const struct opt table[] = {
	{ 'd', "device", OPT_STR, &o.device, "DEVICE", "this one: its number, part of its name, or cpu", 0, 0 },
	{ 0, "speed", OPT_FLAG, &o.speed, NULL, "measure arithmetic and copy rates", 0, 0 },
	{ 0 },
};

static const char *
yes(bool b)
{
	return b ? "true" : "false";
}

static void
print(int number, const struct gpu_info *g, const struct ceiling *c)
{
	struct sb sb = { 0 };

	sb_printf(&sb, "{\"id\":\"%d\",\"kind\":\"device\",\"name\":", number);
	json_put_str(&sb, g->name, strlen(g->name));
	sb_puts(&sb, ",\"driver\":");
	json_put_str(&sb, g->driver, strlen(g->driver));
	sb_printf(&sb, ",\"type\":\"%s\",\"memory_bytes\":%" PRIu64 ",\"subgroup\":%u,\"max_local\":%u,"
	    "\"shared_bytes\":%u,\"f16\":%s,\"f16_math\":%s,\"shuffle\":%s,\"coopmat\":%s",
	    g->cpu ? "cpu" : "gpu", g->memory, g->subgroup, g->max_local, g->max_shared, yes(g->f16),
	    yes(g->f16_math), yes(g->shuffle), yes(g->coopmat));
	if (c)
		sb_printf(&sb, ",\"gflop_per_s\":%.4g,\"copy_gb_per_s\":%.4g,\"cached_copy_gb_per_s\":%.4g",
		    c->flops * 1e-9, c->bytes * 1e-9, c->cached * 1e-9);
	sb_puts(&sb, "}\n");
	fputs(sb.s, stdout);
	sb_release(&sb);
}

static void
list(int number, const struct gpu_info *g, void *ctx)
{
	(void)ctx;
	print(number, g, NULL);
}

int
main(int argc, char **argv)
{
	int at = opt_parse(argc, argv, table, "[-d DEVICE] [--speed]",
	    "List Vulkan devices as records; measure one.");

	if (argv[at])
		usage_error("no operands are taken");
	if (!o.device && !o.speed) {
		if (gpu_list(list, NULL) == 0)
			die("no Vulkan device: install a driver (mesa-vulkan-drivers has one for any CPU)");
	} else {
		struct ceiling c;

		gpu_open(o.device);
		if (o.speed)
			ceiling_measure(&c);
		print(gpu_number(), gpu_info(), o.speed ? &c : NULL);
	}
	stdout_close();
	return EXIT_OK;
}
