//! one_hot:
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "flat.glsl"
// y[i, c] = 1 where ids[i] == c, else 0.
layout(set = 0, binding = 0, std430) readonly buffer I { int ids[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Y { float y[]; };
layout(push_constant) uniform P { uint n, classes; };

void
main()
{
	FLAT_AGAIN(i, n)
		y[i] = float(uint(ids[i / classes]) == i % classes);
}
