//! partial_sum_f32: -DF32
//! partial_sum_f16: -DF16
//! partial_sum_bf16: -DBF16
//! partial_sum_f32_t: -DF32 -DTEXEL
//! partial_sum_f16_t: -DF16 -DTEXEL
//! partial_sum_bf16_t: -DBF16 -DTEXEL
#version 450
#extension GL_EXT_shader_16bit_storage : require
#extension GL_GOOGLE_include_directive : require
// y = leaky(sum of the parts + bias): x is [parts][count] quads, y [count], bias one quad a column.
#include "dtype.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 64;
IN4F(0, x);
IN4F(1, bias_);
OUT4(2, y);
layout(push_constant) uniform P {
	uint count, parts, cols; // quads of a part; how many; quads of a row
	uint bias;               // 1: there is one
	float slope;
};

void
main()
{
	const uint i = (gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x) * LOCAL +
	    gl_LocalInvocationID.x;
	vec4 v = vec4(0);

	if (i >= count)
		return;
	for (uint p = 0; p < parts; p++)
		v += LD4F(x, p * count + i);
	if (bias != 0)
		v += LD4F(bias_, i % cols);
	ST4(y, i, mix(v, v * slope, lessThan(v, vec4(0))));
}
