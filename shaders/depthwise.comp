//! depthwise_f32: -DF32
//! depthwise_f16: -DF16
//! depthwise_bf16: -DBF16
//! depthwise_f32_t: -DF32 -DTEXEL
//! depthwise_f16_t: -DF16 -DTEXEL
//! depthwise_bf16_t: -DBF16 -DTEXEL
#version 450
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_GOOGLE_include_directive : require
/*
 * y[p, ch] = leaky(sum over taps of w[tap, ch] x[p stride + tap dil - (top, left), ch] + bias[ch]),
 * each channel by itself: a convolution with as many groups as channels, and its transpose with the
 * taps turned round. An invocation does a quad of channels of PX neighbouring pixels.
 */
#include "dtype.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 64;
layout(constant_id = 1) const uint PX = 4;
IN4(0, x);
IN4F(1, w);
IN4F(2, bias_);
OUT4(3, y);
layout(push_constant) uniform P {
	uint count, cq;          // invocations; quads of a pixel
	uint ow, oh;             // grid
	int stride, dil, top, left;
	uint ih, iw, kh, kw;
	uint on, oy, ox, o0;     // pixel (n, py, px) of the grid is pixel n on + py oy + px ox + o0 of y
	int w0, wy, wx;          // the first tap; from one to the next
	uint wq;                 // taps of one quad of channels in w
	uint bias;
	float slope;
};

void
main()
{
	const uint i = (gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x) * LOCAL +
	    gl_LocalInvocationID.x;
	const uint runs = (ow + PX - 1) / PX, at = i / cq, q = i - at * cq;
	const uint row = at / runs, px = (at - row * runs) * PX, n = row / oh, py = row - n * oh;
	vec4 acc[PX];

	if (i >= count)
		return;
	[[unroll]] for (uint j = 0; j < PX; j++)
		acc[j] = bias != 0 ? LD4F(bias_, q) : vec4(0);
	for (uint ky = 0; ky < kh; ky++) {
		const int iy = int(py) * stride - top + int(ky) * dil;

		if (uint(iy) >= ih)
			continue;
		for (uint kx = 0; kx < kw; kx++) {
			const vec4 f = LD4F(w, int(q * wq) + w0 + int(ky) * wy + int(kx) * wx);

			[[unroll]] for (uint j = 0; j < PX; j++) {
				const int ix = int(px + j) * stride - left + int(kx) * dil;

				if (uint(ix) < iw)
					acc[j] += f * LD4(x, ((n * ih + iy) * iw + ix) * cq + q);
			}
		}
	}
	[[unroll]] for (uint j = 0; j < PX; j++)
		if (px + j < ow)
			ST4(y, (n * on + py * oy + (px + j) * ox + o0) * cq + q,
			    mix(acc[j], acc[j] * slope, lessThan(acc[j], vec4(0))));
}
