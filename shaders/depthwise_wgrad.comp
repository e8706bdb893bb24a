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
 * left), ch]. An invocation does a quad of channels and all taps, PX pixels at a time; with STRIDE
 * (and dil 1) it loads what they share once.
 */
#include "dtype.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 64;
layout(constant_id = 1) const uint KH = 3;
layout(constant_id = 2) const uint KW = 3;
layout(constant_id = 3) const uint STRIDE = 1; // 0: any stride and dil
IN4(0, g);
IN4(1, x);
OUT1F(2, y);
layout(push_constant) uniform P {
	uint count, cq, c;       // invocations; quads of a pixel, channels
	uint rows, each;         // rows of pixels in all; of one split
	uint ow, oh;
	int stride, dil, top, left;
	uint ih, iw;
};
#ifdef TEXEL
#define AT(b, i) LD4(b, i)
#else
#define AT(b, i) ((i) < 0 ? vec4(0) : LD4(b, i))
#endif

const uint PX = 4;

void
main()
{
	const uint i = (gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x) * LOCAL +
	    gl_LocalInvocationID.x;
	const uint split = i / cq, q = i - split * cq, begin = split * each,
	    end = min(begin + each, rows);
	// push constants read within a loop cost a software device dearly
	const uint xs = iw, high = ih, across = ow, down = oh, channels = c;
	const int d = dil, far = stride, quads = int(cq), up = top, before = left;
	uint n = begin / oh, py = begin - n * oh;
	vec4 acc[KH * KW];

	if (i >= count)
		return;
	[[unroll]] for (uint k = 0; k < KH * KW; k++)
		acc[k] = vec4(0);
	for (uint r = begin; r < end; r++) {
		const int iy = int(py) * far - up, row = (int(n * high) + iy) * int(xs);

		for (uint px = 0; px < across; px += PX) {
			const int ix = int(px) * far - before;
			vec4 v[PX];

			[[unroll]] for (uint j = 0; j < PX; j++)
				v[j] = AT(g, px + j < across ? int(r * across + px + j) * quads +
				    int(q) : -1);
			[[unroll]] for (int ky = 0; ky < KH; ky++) {
				const bool live = uint(iy + ky * d) < high;
				const int at = (row + ky * d * int(xs) + ix) * quads + int(q);

				if (STRIDE == 0) {
					[[unroll]] for (uint j = 0; j < PX; j++)
						[[unroll]] for (uint k = 0; k < KW; k++) {
							const int to = int(j) * far + int(k) * d;

							acc[ky * KW + k] += v[j] *
							    AT(x, live && uint(ix + to) < xs ? at +
							    to * quads : -1);
						}
				} else {
					vec4 u[(PX - 1) * STRIDE + KW];

					[[unroll]] for (int k = 0; k < (PX - 1) * STRIDE + KW; k++)
						u[k] = AT(x, live && uint(ix + k) < xs ? at + k *
						    quads : -1);
					[[unroll]] for (uint j = 0; j < PX; j++)
						[[unroll]] for (uint k = 0; k < KW; k++)
							acc[ky * KW + k] += v[j] *
							    u[j * STRIDE + k];
				}
			}
		}
		n += py + 1 == down ? 1 : 0;
		py = py + 1 == down ? 0 : py + 1;
	}

	const uint to = (split * channels + 4 * q) * KH * KW;

	[[unroll]] for (uint e = 0; e < 4; e++)
		if (4 * q + e < channels)
			[[unroll]] for (uint k = 0; k < KH * KW; k++)
				y[to + e * KH * KW + k] = acc[k][e];
}
