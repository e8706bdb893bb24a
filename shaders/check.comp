//! check_f32: -DF32
//! check_f16: -DF16
//! check_bf16: -DBF16
//! check_f32_t: -DF32 -DTEXEL
//! check_f16_t: -DF16 -DTEXEL
//! check_bf16_t: -DBF16 -DTEXEL
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "dtype.glsl"
#include "flat.glsl"
// found = 1 if one of the n values is a NaN.
IN4(0, x);
layout(set = 0, binding = 1, std430) buffer F { uint found; };
layout(push_constant) uniform P { uint n; };

void
main()
{
	FLAT(i, (n + 3) / 4) {
		const uvec4 u = floatBitsToUint(LD4(x, i)) & 0x7FFFFFFFu;
		const bvec4 nan = greaterThan(u, uvec4(0x7F800000u));
		const bvec4 in_range = lessThan(uvec4(4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3),
		    uvec4(n));

		if (any(bvec4(uvec4(nan) & uvec4(in_range))))
			found = 1;
	}
}
