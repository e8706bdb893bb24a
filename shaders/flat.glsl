/*
 * A flat kernel's walk: workgroups of 64 invocations, each doing 4 groups of four values. The body
 * runs for every i < groups, once.
 *
 *	FLAT(i, groups) { ST4(y, i, f(LD4(x, i))); }
 *
 * On a GPU the 4 are 64 groups apart, so that neighbours touch neighbouring memory; for texel
 * buffers (software devices) they are neighbours themselves, which stores lane by lane in larger
 * runs. FLAT_AGAIN may do the last group several times instead of testing for the end, which is
 * faster there: for kernels that do not write what they read.
 */
layout(local_size_x = 64) in;

#define FLAT_WORKGROUP ((gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x) * 256u)
#ifdef TEXEL
#define FLAT_APART 1u
#define FLAT_BASE (FLAT_WORKGROUP + gl_LocalInvocationID.x * 4u)
#else
#define FLAT_APART 64u
#define FLAT_BASE (FLAT_WORKGROUP + gl_LocalInvocationID.x)
#endif
#define FLAT(i, groups) \
	[[unroll]] for (uint k_ = 0, i = FLAT_BASE; k_ < 4u; k_++, i += FLAT_APART) \
		if (i < (groups))
#ifdef TEXEL
#define FLAT_AGAIN(i, groups) \
	[[unroll]] for (uint k_ = 0, i0_ = FLAT_BASE, i = min(i0_, (groups) - 1u); k_ < 4u; \
	    k_++, i = min(i0_ + k_, (groups) - 1u))
#else
#define FLAT_AGAIN FLAT
#endif
