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
 * taps turned round. An invocation does a quad of channels of PX neighbouring pixels; with STRIDE
 * (and dil 1) it loads what they share once.
 */
#include "dtype.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 64;
layout(constant_id = 1) const uint PX = 4;
layout(constant_id = 2) const uint KW = 3;
layout(constant_id = 3) const uint STRIDE = 1; // 0: any stride and dil
IN4(0, x);
IN4F(1, w);
IN4F(2, bias_);
OUT4(3, y);
layout(push_constant) uniform P {
	uint count, cq;          // invocations; quads of a pixel
	uint ow, oh;             // grid
	int stride, dil, top, left;
	uint ih, iw, kh;
	// pixel (n, py, px) of the grid is pixel n on + py oy + px ox + o0 of y
	uint on, oy, ox, o0;
	int w0, wy, wx;          // the first tap; from one to the next
	uint wq;                 // taps of one quad of channels in w
	uint bias;
	float slope;
};
#ifdef TEXEL
#define AT(i) LD4(x, i)
#else
#define AT(i) ((i) < 0 ? vec4(0) : LD4(x, i))
#endif

void
main()
{
	const uint i = (gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x) * LOCAL +
	    gl_LocalInvocationID.x;
	const uint runs = (ow + PX - 1) / PX, at = i / cq, q = i - at * cq;
	const uint line = at / runs, px = (at - line * runs) * PX, n = line / oh,
	    py = line - n * oh;
	// push constants read within a loop cost a software device dearly
	const uint xs = iw, high = ih, taps = kh, end = ow;
	const int d = dil, across = int(cq), down = int(iw * cq), wdown = wy, wacross = wx;
	const int iy0 = int(py) * stride - top, ix0 = int(px) * stride - left, far = stride;
	int row = (int(n * ih) + iy0) * down + ix0 * across + int(q), f0 = int(q * wq) + w0;
	const uint to = (n * on + py * oy + px * ox + o0) * cq + q, step = ox * cq;
	const float below = slope;
	vec4 acc[PX];

	if (i >= count)
		return;
	[[unroll]] for (uint j = 0; j < PX; j++)
		acc[j] = bias != 0 ? LD4F(bias_, q) : vec4(0);
	for (uint ky = 0; ky < taps; ky++) {
		const bool live = uint(iy0 + int(ky) * d) < high;
		vec4 f[KW];

		[[unroll]] for (uint k = 0; k < KW; k++)
			f[k] = LD4F(w, f0 + int(k) * wacross);
		if (STRIDE == 0) {
			[[unroll]] for (uint j = 0; j < PX; j++)
				[[unroll]] for (uint k = 0; k < KW; k++) {
					const int ix = int(j) * far + int(k) * d;

					acc[j] += f[k] *
					    AT(live && uint(ix0 + ix) < xs ? row + ix * across
					    : -1);
				}
		} else {
			vec4 v[(PX - 1) * STRIDE + KW];

			[[unroll]] for (int k = 0; k < (PX - 1) * STRIDE + KW; k++)
				v[k] = AT(live && uint(ix0 + k) < xs ? row + k * across : -1);
			[[unroll]] for (uint j = 0; j < PX; j++)
				[[unroll]] for (uint k = 0; k < KW; k++)
					acc[j] += f[k] * v[j * STRIDE + k];
		}
		row += d * down;
		f0 += wdown;
	}
	[[unroll]] for (uint j = 0; j < PX; j++)
		if (px + j < end)
			ST4(y, to + j * step,
			    mix(acc[j], acc[j] * below, lessThan(acc[j], vec4(0))));
}
