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
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
	const char *device;
	bool speed, selftest, verbose;
} o;

static const struct opt table[] = {
	{ 'd', "device", OPT_STR, &o.device, "DEVICE",
	    "this one: its number, part of its name, or cpu", 0, 0 },
	{ 0, "speed", OPT_FLAG, &o.speed, NULL, "measure arithmetic and copy rates", 0, 0 },
	{ 0, "self-test", OPT_FLAG, &o.selftest, NULL,
	    "run known answers through every kernel", 0, 0 },
	{ 'v', "verbose", OPT_FLAG, &o.verbose, NULL,
	    "with --self-test: name kernels that were not run", 0, 0 },
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

	sb_printf(&sb, "{\"id\":\"%d\",\"kind\":\"device\"", number);
	json_add_str(&sb, "name", g->name);
	json_add_str(&sb, "driver", g->driver);
	sb_printf(&sb,
	    ",\"type\":\"%s\",\"memory_bytes\":%" PRIu64 ",\"subgroup\":%u,\"max_local\":%u,"
	    "\"shared_bytes\":%u,\"f16\":%s,\"f16_math\":%s,\"shuffle\":%s,\"coopmat\":%s",
	    g->cpu ? "cpu" : "gpu", g->memory, g->subgroup, g->max_local, g->max_shared,
	    yes(g->f16), yes(g->f16_math), yes(g->shuffle), yes(g->coopmat));
	if (c)
		sb_printf(&sb,
		    ",\"gflop_per_s\":%.4g,\"copy_gb_per_s\":%.4g,\"cached_copy_gb_per_s\":%.4g",
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

static const char *form; /* what the device is kept from using just now */

static void
check(const struct selftest_result *r, void *ctx)
{
	int *n = ctx;

	n[r->ok]++;
	printf("{\"kind\":\"selftest\",\"op\":\"%s\",\"dtype\":\"%s\",\"of\":\"%s\",", r->op,
	    dtype_name(r->dtype), r->gradient ? "gradient" : "result");
	if (*form)
		printf("\"without\":\"%s\",", form);
	printf("\"error\":");
	if (r->error < 1e300)
		printf("%.3g", r->error);
	else
		printf("null");
	printf(",\"bound\":%g,\"ok\":%s}\n", r->bound, yes(r->ok));
	if (!r->ok)
		warn(
		    "%s of %s in %s%s%s is wrong: off by %.3g of the largest value, at most %g is "
		    "right",
		    r->gradient ? "gradient" : "result", r->op, dtype_name(r->dtype),
		    *form ? " without " : "", form, r->error, r->bound);
}

/* What a device is kept from using, so that each form of a kernel has its turn. */
static const char *const forms[] = { "", "texel", "subgroup", "texel,subgroup", "texel,coopmat" };
enum { FORMS = sizeof(forms) / sizeof(forms[0]) };

struct outcome {
	int n[2];                /* checks that failed, passed */
	bool usable[KERNEL_COUNT], ran[KERNEL_COUNT];
};

/* The self-test of one form, in a process of its own: a device is opened once. */
static void
self_test_form(const char *without, int to)
{
	const char *was = getenv("PHANTOM_DISABLE");
	struct outcome out = { 0 };

	if (*without) {
		char *all = xasprintf("%s%s%s", was ? was : "", was && *was ? "," : "", without);

		setenv("PHANTOM_DISABLE", all, 1);
		free(all);
	}
	gpu_open(o.device);
	if (!*without)
		print(gpu_number(), gpu_info(), NULL);
	form = without;
	selftest(check, out.n);
	for (int k = 0; k < KERNEL_COUNT; k++) {
		out.usable[k] = gpu_kernel_usable((enum kernel)k);
		out.ran[k] = gpu_kernel_calls((enum kernel)k);
	}
	if (write(to, &out, sizeof(out)) != sizeof(out))
		die("pipe:");
	stdout_close();
	exit(EXIT_OK);
}

static int
self_test(void)
{
	struct outcome all = { 0 };
	int kernels = 0, usable = 0;

	for (int f = 0; f < FORMS; f++) {
		struct outcome one;
		int p[2], status;
		bool whole;
		pid_t pid;

		/* without cooperative matrices: only where there were some */
		if (strstr(forms[f], "coopmat") && !all.usable[K_GEMM_COOP_F16])
			continue;
		fflush(stdout);
		if (pipe(p) || (pid = fork()) < 0)
			die("no process for the self-test:");
		if (!pid)
			self_test_form(forms[f], p[1]);
		close(p[1]);
		whole = read(p[0], &one, sizeof(one)) == sizeof(one);
		close(p[0]);
		if (waitpid(pid, &status, 0) < 0)
			die("the self-test's process:");
		if (WIFSIGNALED(status))
			die("the self-test%s%s ended by signal %d", *forms[f] ? " without " : "",
			    forms[f], WTERMSIG(status));
		if (!whole) /* it has said why */
			return WEXITSTATUS(status);
		all.n[0] += one.n[0];
		all.n[1] += one.n[1];
		for (int k = 0; k < KERNEL_COUNT; k++) {
			all.usable[k] |= one.usable[k];
			all.ran[k] |= one.ran[k];
		}
	}
	for (int k = 0; k < KERNEL_COUNT; k++) {
		kernels += all.ran[k];
		usable += all.usable[k];
		if (o.verbose && all.usable[k] && !all.ran[k])
			warn("not run: %s", gpu_kernel_name((enum kernel)k));
	}
	printf(
	    "{\"kind\":\"result\",\"passed\":%d,\"failed\":%d,\"kernels\":%d,\"of_kernels\":%d}\n",
	    all.n[1], all.n[0], kernels, usable);
	return all.n[0] ? EXIT_RECORDS : EXIT_OK;
}

int
main(int argc, char **argv)
{
	int at = opt_parse(argc, argv, table, "[-d DEVICE] [--speed] [--self-test] [-v]",
	    "List Vulkan devices as records; measure one; check its kernels.");
	int ret = EXIT_OK;

	if (argv[at])
		usage_error("no operands are taken");
	opt_wants(&o.verbose, o.selftest, "--self-test");
	if (!o.device && !o.speed && !o.selftest) {
		if (gpu_list(list, NULL) == 0)
			die("no Vulkan device: install a driver (mesa-vulkan-drivers has one for "
			    "any CPU)");
	} else {
		struct ceiling c;

		if (o.selftest)
			ret = self_test();
		if (o.speed || !o.selftest) {
			gpu_open(o.device);
			if (o.speed)
				ceiling_measure(&c);
			print(gpu_number(), gpu_info(), o.speed ? &c : NULL);
		}
	}
	stdout_close();
	return ret;
}
