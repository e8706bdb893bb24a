#include "tensor/columns.h"

bool
group_sum_texel(void)
{
	return gpu_info()->texel && gpu_info()->shuffle;
}

uint32_t
group_sum_local(void)
{
	/* on a software device the workgroup must be one subgroup */
	return group_sum_texel() ? gpu_info()->subgroup : 128;
}

enum access
access_of(int64_t channels)
{
	if (channels % 4)
		return ACCESS_S;
	return gpu_info()->texel ? ACCESS_T : ACCESS_V;
}

/*
 * How many rows to fold and how many values of them an invocation takes: a software device has one
 * subgroup a workgroup, which is to go over memory in order, with few idle lanes.
 */
static void
fold_rows(struct columns *c, int64_t rows, int64_t cols)
{
	const struct gpu_info *info = gpu_info();
	const int64_t lanes = info->cpu ? info->subgroup : 128, max_wide = info->cpu ? 6 : 1;
	double best = 0;

	c->local = (uint32_t)lanes;
	c->push.fold = c->wide = 1;
	for (int64_t fold = 1; fold <= rows && fold <= lanes; fold++)
		for (int64_t wide = 1; wide <= max_wide; wide++) {
			int64_t piece = wide * lanes, pieces = (fold * cols + piece - 1) / piece;
			double used = (double)(fold * cols) / (double)(pieces * piece);

			if (fold > 1 && pieces > 1 && !info->cpu && used < 15. / 16)
				continue;
			/* in order: all of the row; otherwise as much of it as can be */
			if (pieces > 1)
				used *= info->cpu ? (double)wide / (double)(max_wide + 1) : 1;
			if (used > best * 1.05) {
				best = used;
				c->push.fold = (uint32_t)fold;
				c->wide = (uint32_t)wide;
			}
		}
}

struct columns
columns_cut(const char *op, int64_t n, int64_t rows, int64_t channels, uint32_t steps)
{
	const struct gpu_info *info = gpu_info();
	struct columns c = { .access = access_of(channels) };
	int64_t cols = c.access == ACCESS_S ? channels : channels / 4;
	/* invocations that keep the device busy: some workgroups a core, or about a wave of a
	 * GPU */
	int64_t want = info->cpu ? 32 * (int64_t)info->subgroup : 65536;
	int64_t fold, x;

	if (n > 65535 || rows * cols * n >= (int64_t)1 << 31)
		op_die(op, "[%lld,%lld,%lld]: too large", (long long)n, (long long)rows,
		    (long long)channels);
	fold_rows(&c, rows, cols);
	fold = c.push.fold;
	x = (fold * cols + c.wide * c.local - 1) / (c.wide * c.local);
	/* n does not count: a sample's sums are the same, to the bit, whatever stands beside it */
	while (steps > 4 && (rows + fold * steps - 1) / (fold * steps) * x * c.local < want)
		steps /= 2;
	while ((rows + fold * steps - 1) / (fold * steps) > 65535)
		steps *= 2;
	c.push.cols = fastdiv((uint32_t)cols);
	c.push.rows = (uint32_t)rows;
	c.push.steps = steps;
	c.groups[0] = (uint32_t)x;
	c.groups[1] = (uint32_t)((rows + fold * steps - 1) / (fold * steps));
	c.groups[2] = (uint32_t)n;
	c.parts = c.groups[1] * (uint32_t)fold;
	return c;
}
