//! fma_rate:
#version 450
#extension GL_EXT_control_flow_attributes : require
// 16 independent chains of multiply-add in registers: the device's arithmetic rate in f32.
layout(local_size_x_id = 0) in;
layout(binding = 0) buffer Y { vec4 y[]; };
layout(push_constant) uniform P { uint rounds; float a, b; }; // rounds: a multiple of 8

void
main()
{
	const uint wg = gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x;
	const uint i = wg * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
	vec4 v0 = vec4(i) * 1e-9, v1 = v0 + 0.1, v2 = v0 + 0.2, v3 = v0 + 0.3;

	for (uint r = 0; r < rounds; r += 8) {
		[[unroll]] for (int k = 0; k < 8; k++) {
			v0 = v0 * a + b;
			v1 = v1 * a + b;
			v2 = v2 * a + b;
			v3 = v3 * a + b;
		}
	}
	y[i] = v0 + v1 + v2 + v3;
}
