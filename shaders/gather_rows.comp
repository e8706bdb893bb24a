//! gather_rows_16: -DUNIT=uvec4
//! gather_rows_8: -DUNIT=uvec2
//! gather_rows_4: -DUNIT=uint
//! gather_rows_2: -DUNIT=uint16_t
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_16bit_storage : require
#include "flat.glsl"
// y[i, :] = table[ids[i], :], zeros for ids outside the table; rows of `width` units.
layout(set = 0, binding = 0, std430) readonly buffer X { UNIT table[]; };
layout(set = 0, binding = 1, std430) readonly buffer I { int ids[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Y { UNIT y[]; };
layout(push_constant) uniform P { uint n, width, rows; };

void
main()
{
	FLAT(i, n) {
		const uint id = uint(ids[i / width]);

		y[i] = id < rows ? table[id * width + i % width] : UNIT(0);
	}
}
