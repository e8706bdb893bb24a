//! argmax_f32: -DF32
//! argmax_f16: -DF16
//! argmax_bf16: -DBF16
//! argmax_f32_t: -DF32 -DTEXEL
//! argmax_f16_t: -DF16 -DTEXEL
//! argmax_bf16_t: -DBF16 -DTEXEL
#version 450
#extension GL_GOOGLE_include_directive : require
#include "dtype.glsl"
// at[outer, inner] = the first place of the maximum over the middle of [outer, len, inner].
layout(local_size_x = 64) in;
IN4(0, x);
layout(set = 0, binding = 1, std430) writeonly buffer Y { int at[]; };
layout(push_constant) uniform P { uint outer, len, inner; };

void
main()
{
	const uint i = (gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x) * 64 +
	    gl_LocalInvocationID.x;
	uint e = i / inner * len * inner + i % inner, best = 0;
	float most = uintBitsToFloat(0xFF800000u);

	if (i >= outer * inner)
		return;
	for (uint r = 0; r < len; r++, e += inner) {
		const float v = PICK(x, e);

		if (v > most) {
			most = v;
			best = r;
		}
	}
	at[i] = int(best);
}
