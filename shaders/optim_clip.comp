//! optim_clip_v:
//! optim_clip_t: -DTEXEL
#version 450
#extension GL_GOOGLE_include_directive : require
/*
 * The norm of gradients that are `scale` times too large, and what they are to be multiplied by:
 * min(1, max_norm / (norm + 1e-6)) / scale. max_norm 0: no clipping.
 */
layout(local_size_x_id = 0) in;
#include "group_sum.glsl"
layout(binding = 0) readonly buffer B0 { float part[]; };
layout(binding = 1) writeonly buffer B1 { float norm; };
layout(binding = 2) writeonly buffer B2 { float factor; };
layout(push_constant) uniform P { uint n; float max_norm, inverse_scale; };

void
main()
{
	vec2 s = vec2(0);

	for (uint i = gl_LocalInvocationID.x; i < n; i += gl_WorkGroupSize.x)
		s.x += part[i];
	const float l = sqrt(group_sum(s).x) * inverse_scale;
	if (gl_LocalInvocationID.x == 0u) {
		norm = l;
		factor = (max_norm > 0 ? min(1.0, max_norm / (l + 1e-6)) : 1.0) * inverse_scale;
	}
}
