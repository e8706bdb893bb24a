//! resize_bilinear_f32_v: -DF32
//! resize_bilinear_f32_t: -DF32 -DTEXEL
//! resize_bilinear_f32_s: -DF32 -DSCALAR
//! resize_bilinear_f16_v: -DF16
//! resize_bilinear_f16_t: -DF16 -DTEXEL
//! resize_bilinear_f16_s: -DF16 -DSCALAR
//! resize_bilinear_bf16_v: -DBF16
//! resize_bilinear_bf16_t: -DBF16 -DTEXEL
//! resize_bilinear_bf16_s: -DBF16 -DSCALAR
//! resize_bilinear_spread_f32_v: -DF32 -DSPREAD
//! resize_bilinear_spread_f32_t: -DF32 -DTEXEL -DSPREAD
//! resize_bilinear_spread_f32_s: -DF32 -DSCALAR -DSPREAD
//! resize_bilinear_spread_f16_v: -DF16 -DSPREAD
//! resize_bilinear_spread_f16_t: -DF16 -DTEXEL -DSPREAD
//! resize_bilinear_spread_f16_s: -DF16 -DSCALAR -DSPREAD
//! resize_bilinear_spread_bf16_v: -DBF16 -DSPREAD
//! resize_bilinear_spread_bf16_t: -DBF16 -DTEXEL -DSPREAD
//! resize_bilinear_spread_bf16_s: -DBF16 -DSCALAR -DSPREAD
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
/*
 * Linear interpolation in both directions. Output o lies at s = max(0, (o + half) step - half) of
 * the input, half = 1/2 (0 if the corners are aligned), between floor(s) and the next, the last
 * repeated. SPREAD: its gradient; each value gathers from the outputs within one of it.
 */
layout(local_size_x_id = 0) in;
#include "value.glsl"
#include "fastdiv.glsl"
INV(0, x);
OUTV(1, y);
/* height, width: of y; h, w: of x; steps: input per output */
layout(push_constant) uniform P {
	fastdiv cols;
	uint across;
	fastdiv height, width;
	int h, w;
	float step_y, step_x, half_;
};
#include "pixels.glsl"

float
place(int o, float step)
{
	precise float s = (float(o) + half_) * step - half_;

	return max(s, 0.0);
}

V pixel(ivec4 at, int py,
    int px) { return LDV(x, uint((at.w * h + py) * w + px) * cols.d + uint(at.x)); }

/* What input i, one of n, weighs in output o. */
float
weight(int o, float step, int i, int n)
{
	const float s = place(o, step), f = floor(s);
	const int a = min(int(f), n - 1), b = min(a + 1, n - 1);

	return (a == i ? 1.0 - (s - f) : 0.0) + (b == i ? s - f : 0.0);
}

/* First and last output, of m, that input i of n may have gone into. */
ivec2
reach(int i, float step, int n, int m)
{
	if (step < 1e-6)
		return ivec2(0, m - 1);
	/* with room for rounding; what weighs nothing is passed over */
	const int lo = int(ceil((float(i - 1) + half_) / step - half_ - 0.01));
	const int hi = int(floor((float(i + 1) + half_) / step - half_ + 0.01));

	return ivec2(i == 0 ? 0 : max(lo, 0), i == n - 1 ? m - 1 : min(hi, m - 1));
}

void
main()
{
	if (gl_GlobalInvocationID.x >= across)
		return;
	const uint i = pixel_index();
	const ivec4 at = pixel_at();
#ifdef SPREAD
	const ivec2 ry = reach(at.z, step_y, int(height.d), h),
	    rx = reach(at.y, step_x, int(width.d), w);
	V v = V(0);

	for (int oy = ry.x; oy <= ry.y; oy++) {
		const float wy = weight(oy, step_y, at.z, int(height.d));
		if (wy != 0)
			for (int ox = rx.x; ox <= rx.y; ox++) {
				const float wx = weight(ox, step_x, at.y, int(width.d));
				if (wx != 0)
					v += wy * wx * pixel(at, oy, ox);
			}
	}
#else
	const float sy = place(at.z, step_y), sx = place(at.y, step_x);
	const int y0 = min(int(sy), h - 1), x0 = min(int(sx), w - 1);
	const int y1 = min(y0 + 1, h - 1), x1 = min(x0 + 1, w - 1);
	const float fy = sy - floor(sy), fx = sx - floor(sx);
	const V top = pixel(at, y0, x0) * (1.0 - fx) + pixel(at, y0, x1) * fx;
	const V low = pixel(at, y1, x0) * (1.0 - fx) + pixel(at, y1, x1) * fx;
	const V v = top * (1.0 - fy) + low * fy;
#endif
	STV(y, i, v);
}
