//! reduce_cols_f32: -DF32
//! reduce_cols_f16: -DF16
//! reduce_cols_bf16: -DBF16
//! reduce_cols_f32_t: -DF32 -DTEXEL
//! reduce_cols_f16_t: -DF16 -DTEXEL
//! reduce_cols_bf16_t: -DBF16 -DTEXEL
#version 450
#extension GL_GOOGLE_include_directive : require
#include "dtype.glsl"
// Sums over the middle of [outer, len, inner]: z[outer, pieces, inner] = scale * sum of x (of x y
// with
// PRODUCT). An invocation has WIDTH (4 or 1) neighbours of inner and one piece of len.
layout(local_size_x = 64) in;
layout(constant_id = 0) const uint PRODUCT = 0;
layout(constant_id = 1) const uint WIDTH = 4;
IN4(0, x);
IN4(1, y);
OUT1F(2, z);
layout(push_constant) uniform P { uint outer, len, inner, piece, pieces; float scale; };

void
main()
{
	const uint i = (gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x) * 64 +
	    gl_LocalInvocationID.x;
	const uint wide = inner / WIDTH, c = i % wide, s = i / wide % pieces, o = i / wide / pieces;
	const uint begin = s * piece, end = min(begin + piece, len);
	vec4 sum = vec4(0);

	if (o >= outer)
		return;
	uint at = (o * len + begin) * wide + c;
	for (uint r = begin; r < end; r++, at += wide) {
		vec4 v = WIDTH == 4 ? LD4(x, at) : vec4(PICK(x, at), 0, 0, 0);

		if (PRODUCT != 0)
			v *= WIDTH == 4 ? LD4(y, at) : vec4(PICK(y, at), 0, 0, 0);
		sum += v;
	}
	z[i * WIDTH] = sum.x * scale;
	if (WIDTH == 4) {
		z[i * 4 + 1] = sum.y * scale;
		z[i * 4 + 2] = sum.z * scale;
		z[i * 4 + 3] = sum.w * scale;
	}
}
