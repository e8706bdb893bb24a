//! depthwise_wgrad_f32: -DF32
//! depthwise_wgrad_f16: -DF16
//! depthwise_wgrad_bf16: -DBF16
//! depthwise_wgrad_f32_t: -DF32 -DTEXEL
//! depthwise_wgrad_f16_t: -DF16 -DTEXEL
//! depthwise_wgrad_bf16_t: -DBF16 -DTEXEL
#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_GOOGLE_include_directive : require
/*
 * y[split, ch, tap] = sum over the split's rows of pixels of g[p, ch] x[p stride + tap dil - (top,
 * left), ch]. An invocation does a quad of channels of all taps in one row of the kernel.
 */
#include "dtype.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 64;
layout(constant_id = 1) const uint KW = 3;
IN4(0, g);
IN4(1, x);
OUT1F(2, y);
layout(push_constant) uniform P {
	uint count, cq, c;       // invocations; quads of a pixel, channels
	uint rows, each;         // rows of pixels in all; of one split
	uint ow, oh;
	int stride, dil, top, left;
	uint ih, iw, kh;
};

void
main()
{
	const uint i = (gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x) * LOCAL +
	    gl_LocalInvocationID.x;
	const uint rest = i / cq, q = i - rest * cq, split = rest / kh, ky = rest - split * kh;
	const uint end = min((split + 1) * each, rows);
	vec4 acc[KW];

	if (i >= count)
		return;
	[[unroll]] for (uint k = 0; k < KW; k++)
		acc[k] = vec4(0);
	for (uint r = split * each; r < end; r++) {
		const uint n = r / oh, py = r - n * oh;
		const int iy = int(py) * stride - top + int(ky) * dil;

		if (uint(iy) >= ih)
			continue;
		for (uint px = 0; px < ow; px++) {
			const vec4 d = LD4(g, (r * ow + px) * cq + q);

			[[unroll]] for (uint k = 0; k < KW; k++) {
				const int ix = int(px) * stride - left + int(k) * dil;

				if (uint(ix) < iw)
					acc[k] += d * LD4(x, ((n * ih + iy) * iw + ix) * cq + q);
			}
		}
	}
	[[unroll]] for (uint e = 0; e < 4; e++)
		if (4 * q + e < c)
			[[unroll]] for (uint k = 0; k < KW; k++)
				y[((split * c + 4 * q + e) * kh + ky) * KW + k] = acc[k][e];
}
