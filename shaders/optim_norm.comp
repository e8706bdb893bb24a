//! optim_norm_v:
//! optim_norm_t: -DTEXEL
#version 450
#extension GL_GOOGLE_include_directive : require
// Sums of squares of a range of gradients, one a workgroup.
layout(local_size_x_id = 0) in;
#include "group_sum.glsl"
#ifdef TEXEL
layout(binding = 0, rgba32f) uniform readonly imageBuffer g;
#define LD(i) imageLoad(g, int(i))
#else
layout(binding = 0) readonly buffer B0 { vec4 g[]; };
#define LD(i) g[i]
#endif
layout(binding = 1) writeonly buffer B1 { float part[]; };
// quads, of a workgroup, its place in part
layout(push_constant) uniform P { uint n, each, first; };

void
main()
{
	const uint from = gl_WorkGroupID.x * each, to = min(n, from + each);
	vec4 s = vec4(0);

	for (uint i = from + gl_LocalInvocationID.x; i < to; i += gl_WorkGroupSize.x) {
		const vec4 v = LD(i);
		s += v * v;
	}
	const float sum = group_sum(vec2((s.x + s.y) + (s.z + s.w))).x;
	if (gl_LocalInvocationID.x == 0u)
		part[first + gl_WorkGroupID.x] = sum;
}
