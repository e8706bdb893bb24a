//! scatter_rows_f32: -DF32
//! scatter_rows_f16: -DF16
//! scatter_rows_bf16: -DBF16
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
#include "dtype.glsl"
// y[v, :] = sum of x[i, :] over all i with ids[i] == v, by the invocations of the first such i;
// rows without any are left alone. In order, so always the same.
layout(local_size_x = 64) in;
IN1(0, x);
layout(set = 0, binding = 1, std430) readonly buffer I { int ids[]; };
OUT1(2, y);
layout(push_constant) uniform P { uint n, width, rows; };

void
main()
{
	const uint e = (gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x) * 64 +
	    gl_LocalInvocationID.x;
	const uint i = e / width, c = e % width;
	float sum = 0;

	if (i >= n)
		return;
	const int id = ids[i];
	if (uint(id) >= rows)
		return;
	for (uint j = 0; j < i; j++)
		if (ids[j] == id)
			return;
	for (uint j = i; j < n; j++)
		if (ids[j] == id)
			sum += LD1(x, j * width + c);
	ST1(y, uint(id) * width + c, sum);
}
