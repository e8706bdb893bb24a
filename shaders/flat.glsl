/*
 * A flat kernel's walk: workgroups of 256 invocations, each doing 4 groups of four values, 256 groups
 * apart, so that neighbours touch neighbouring memory. The body runs for every i < groups.
 *
 *	FLAT(i, groups) { ST4(y, i, f(LD4(x, i))); }
 */
layout(local_size_x = 256) in;

#define FLAT_BASE ((gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x) * 1024u + gl_LocalInvocationID.x)
#define FLAT(i, groups) \
	[[unroll]] for (uint k_ = 0, i = FLAT_BASE; k_ < 4u; k_++, i += 256u) \
		if (i < (groups))
