/* gpuinfo: the Vulkan devices there are, how fast one is, and whether its kernels are right. */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/opt.h"
#include "data/json.h"
#include "gpu/ceiling.h"
#include "gpu/gpu.h"
#include "nn/selftest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct {
	const char *device;
	bool speed, selftest, verbose;
} o;

static const struct opt table[] = {
	{ 'd', "device", OPT_STR, &o.device, "DEVICE", "this one: its number, part of its name, or cpu", 0, 0 },
	{ 0, "speed", OPT_FLAG, &o.speed, NULL, "measure arithmetic and copy rates", 0, 0 },
	{ 0, "self-test", OPT_FLAG, &o.selftest, NULL, "run known answers through every kernel", 0, 0 },
	{ 'v', "verbose", OPT_FLAG, &o.verbose, NULL, "with --self-test: name kernels that were not run", 0, 0 },
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

static void
check(const struct selftest_result *r, void *ctx)
{
	int *n = ctx;

	n[r->ok]++;
	printf("{\"kind\":\"selftest\",\"op\":\"%s\",\"dtype\":\"%s\",\"of\":\"%s\",\"error\":", r->op,
	    dtype_name(r->dtype), r->gradient ? "gradient" : "result");
	if (r->error < 1e300)
		printf("%.3g", r->error);
	else
		printf("null");
	printf(",\"bound\":%g,\"ok\":%s}\n", r->bound, yes(r->ok));
	if (!r->ok)
		warn("%s of %s in %s is wrong: off by %.3g of the largest value, at most %g is right",
		    r->gradient ? "gradient" : "result", r->op, dtype_name(r->dtype), r->error, r->bound);
}

static int
self_test(void)
{
	int n[2] = { 0 }, kernels = 0;

	selftest(check, n);
	for (int k = 0; k < KERNEL_COUNT; k++) {
		if (gpu_kernel_calls((enum kernel)k))
			kernels++;
		else if (o.verbose)
			warn("not run on this device: %s", gpu_kernel_name((enum kernel)k));
	}
	printf("{\"kind\":\"result\",\"passed\":%d,\"failed\":%d,\"kernels\":%d,\"of_kernels\":%d}\n", n[1],
	    n[0], kernels, (int)KERNEL_COUNT);
	return n[0] ? EXIT_RECORDS : EXIT_OK;
}

int
main(int argc, char **argv)
{
	int at = opt_parse(argc, argv, table, "[-d DEVICE] [--speed] [--self-test] [-v]",
	    "List Vulkan devices as records; measure one; check its kernels.");
	int ret = EXIT_OK;

	if (argv[at])
		usage_error("no operands are taken");
	if (!o.device && !o.speed && !o.selftest) {
		if (gpu_list(list, NULL) == 0)
			die("no Vulkan device: install a driver (mesa-vulkan-drivers has one for any CPU)");
	} else {
		struct ceiling c;

		gpu_open(o.device);
		if (o.speed)
			ceiling_measure(&c);
		print(gpu_number(), gpu_info(), o.speed ? &c : NULL);
		if (o.selftest)
			ret = self_test();
	}
	stdout_close();
	return ret;
}
