//! reduce_rows_f32: -DF32
//! reduce_rows_f16: -DF16
//! reduce_rows_bf16: -DBF16
//! reduce_rows_f32_t: -DF32 -DTEXEL
//! reduce_rows_f16_t: -DF16 -DTEXEL
//! reduce_rows_bf16_t: -DBF16 -DTEXEL
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#include "dtype.glsl"
// Sums of rows [rows, len], one subgroup a piece of a row: z[rows, pieces] = scale * sum of x (of x
// y with PRODUCT).
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint PRODUCT = 0;
layout(constant_id = 2) const uint ALIGNED = 0; // rows and pieces start at multiples of four
IN4(0, x);
IN4(1, y);
OUT1F(2, z);
layout(push_constant) uniform P { uint rows, len, piece, pieces; float scale; };

void
main()
{
	const uint wg = gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x;
	const uint row = wg / pieces, first = wg % pieces * piece;
	const uint begin = row * len + first, end = row * len + min(first + piece, len);
	vec4 sum = vec4(0);

	if (row >= rows)
		return;
	const uint last = (end + 3) / 4, step = gl_WorkGroupSize.x;
	for (uint i = begin / 4 + gl_LocalInvocationID.x; i < last; i += step) {
		vec4 v = LD4(x, i);

		if (PRODUCT != 0)
			v *= LD4(y, i);
		if (ALIGNED == 0) {
			const uvec4 e = 4 * i + uvec4(0, 1, 2, 3);

			v = mix(vec4(0), v, greaterThanEqual(e, uvec4(begin)));
			v = mix(vec4(0), v, lessThan(e, uvec4(end)));
		}
		sum += v;
	}
	const float s = subgroupAdd((sum.x + sum.y) + (sum.z + sum.w));
	if (gl_LocalInvocationID.x == 0)
		z[wg] = s * scale;
}
