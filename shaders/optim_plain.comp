//! optim_plain_v:
//! optim_plain_t: -DTEXEL
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_16bit_storage : require
// Gradient descent without momentum: p -= lr (factor g + decay p).
#include "flat.glsl"
#include "dtype.glsl"
IN4F(0, p);
IN4F(1, g);
layout(binding = 2) readonly buffer B2 { float factor; };
OUT4(3, new_p);
layout(push_constant) uniform P { uint n; float lr, decay; };

void
main()
{
	const float scale = factor;

	FLAT(i, n) {
		const vec4 w = LD4F(p, i);
		ST4(new_p, i, w - lr * (scale * LD4F(g, i) + decay * w));
	}
}
