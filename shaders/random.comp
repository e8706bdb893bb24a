//! random_uniform:
//! random_normal: -DNORMAL
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "flat.glsl"
#include "philox.glsl"
// Four values from counter i of the generator that `seed` keys.
layout(set = 0, binding = 0, std430) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform P { uint groups; uint seed0, seed1; };
#ifdef NORMAL
#define VALUE normal_of
#else
#define VALUE uniform_of
#endif

void
main()
{
	FLAT_AGAIN(i, groups)
		y[i] = VALUE(philox(uvec4(i, 0, 0, 0), uvec2(seed0, seed1)));
}
