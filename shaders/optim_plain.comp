//! optim_plain_v:
//! optim_plain_t: -DTEXEL
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
// Gradient descent without momentum: p -= lr (factor g + decay p).
#include "flat.glsl"
#ifdef TEXEL
layout(binding = 0, rgba32f) uniform readonly imageBuffer p;
layout(binding = 1, rgba32f) uniform readonly imageBuffer g;
#define LD(name, i) imageLoad(name, int(i))
#else
layout(binding = 0) readonly buffer B0 { vec4 p[]; };
layout(binding = 1) readonly buffer B1 { vec4 g[]; };
#define LD(name, i) name[i]
#endif
layout(binding = 2) readonly buffer B2 { float factor; };
layout(binding = 3) writeonly buffer B3 { vec4 new_p[]; };
layout(push_constant) uniform P { uint n; float lr, decay; };

void
main()
{
	const float scale = factor;

	FLAT(i, n) {
		const vec4 w = LD(p, i);
		new_p[i] = w - lr * (scale * LD(g, i) + decay * w);
	}
}
