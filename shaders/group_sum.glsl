/*
 * The sum of v over a workgroup, the same in all of its invocations, in a fixed order. On a
 * software device (TEXEL) a workgroup is one subgroup and needs no shared memory, which is slow
 * there.
 */
#ifdef TEXEL
#extension GL_KHR_shader_subgroup_arithmetic : require
vec2 group_sum(vec2 v) { return subgroupAdd(v); }
vec2 group_max(vec2 v) { return subgroupMax(v); }
#else
shared vec2 group_part[gl_WorkGroupSize.x];

#define GROUP_FOLD(op) \
	const uint l = gl_LocalInvocationID.x; \
	group_part[l] = v; \
	barrier(); \
	for (uint n = gl_WorkGroupSize.x; n > 1u; ) { \
		const uint h = n + 1u >> 1; \
		if (l + h < n) \
			group_part[l] = op(group_part[l], group_part[l + h]); \
		n = h; \
		barrier(); \
	} \
	v = group_part[0]; \
	barrier(); \
	return v

vec2 group_add_(vec2 a, vec2 b) { return a + b; }
vec2 group_sum(vec2 v) { GROUP_FOLD(group_add_); }
vec2 group_max(vec2 v) { GROUP_FOLD(max); }
#endif
