//! accumulate_f32: -DF32
//! accumulate_f16: -DF16
//! accumulate_bf16: -DBF16
//! accumulate_f32_t: -DF32 -DTEXEL
//! accumulate_f16_t: -DF16 -DTEXEL
//! accumulate_bf16_t: -DBF16 -DTEXEL
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "dtype.glsl"
#include "flat.glsl"
// y = x or y += x in f32; past the n-th value y keeps what it has.
layout(constant_id = 0) const uint SET = 0;
IN4(0, x);
layout(set = 0, binding = 1, std430) buffer Y { vec4 y[]; };
layout(push_constant) uniform P { uint n; };

void
main()
{
	const uint last = n / 4, groups = (n + 3) / 4;

	FLAT(i, groups) {
		vec4 v = LD4(x, i);

		if (SET == 0)
			v += y[i];
		if (i == last)
			v = mix(y[i], v, lessThan(uvec4(0, 1, 2, 3), uvec4(n & 3)));
		y[i] = v;
	}
}
