//! dropout_f32: -DF32
//! dropout_f16: -DF16
//! dropout_bf16: -DBF16
//! dropout_f32_t: -DF32 -DTEXEL
//! dropout_f16_t: -DF16 -DTEXEL
//! dropout_bf16_t: -DBF16 -DTEXEL
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "dtype.glsl"
#include "flat.glsl"
#include "philox.glsl"
// y = scale x where the element's random word is not below `drop`, else 0. Counters with 1 in the
// third word, apart from those of random.comp.
IN4(0, x);
OUT4(1, y);
layout(push_constant) uniform P { uint groups, seed0, seed1, drop; float scale; };

void
main()
{
	FLAT_AGAIN(i, groups) {
		const uvec4 w = philox(uvec4(i, 0, 1, 0), uvec2(seed0, seed1));

		ST4(y, i, mix(vec4(0), scale * LD4(x, i), greaterThanEqual(w, uvec4(drop))));
	}
}
