//! avg_pool_f32_v: -DF32
//! avg_pool_f32_t: -DF32 -DTEXEL
//! avg_pool_f32_s: -DF32 -DSCALAR
//! avg_pool_f16_v: -DF16
//! avg_pool_f16_t: -DF16 -DTEXEL
//! avg_pool_f16_s: -DF16 -DSCALAR
//! avg_pool_bf16_v: -DBF16
//! avg_pool_bf16_t: -DBF16 -DTEXEL
//! avg_pool_bf16_s: -DBF16 -DSCALAR
//! avg_pool_spread_f32_v: -DF32 -DSPREAD
//! avg_pool_spread_f32_t: -DF32 -DTEXEL -DSPREAD
//! avg_pool_spread_f32_s: -DF32 -DSCALAR -DSPREAD
//! avg_pool_spread_f16_v: -DF16 -DSPREAD
//! avg_pool_spread_f16_t: -DF16 -DTEXEL -DSPREAD
//! avg_pool_spread_f16_s: -DF16 -DSCALAR -DSPREAD
//! avg_pool_spread_bf16_v: -DBF16 -DSPREAD
//! avg_pool_spread_bf16_t: -DBF16 -DTEXEL -DSPREAD
//! avg_pool_spread_bf16_s: -DBF16 -DSCALAR -DSPREAD
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
// The mean of each window; the padding counts if count_pad. SPREAD: its gradient.
layout(local_size_x_id = 0) in;
#include "value.glsl"
#include "fastdiv.glsl"
INV(0, x);
OUTV(1, y);
/* cols, width, height, total: of y; h, w: of x */
layout(push_constant) uniform P {
	fastdiv cols, width, height, stride;
	uint total;
	int h, w, k, pad, count_pad;
};
#include "pixels.glsl"
#include "windows.glsl"

/* How many values of window (oy, ox) of an image of hh by ww count. */
float
count(int oy, int ox, int hh, int ww)
{
	const int y0 = oy * int(stride.d) - pad, x0 = ox * int(stride.d) - pad;

	if (count_pad != 0)
		return float(k * k);
	return float((min(y0 + k, hh) - max(y0, 0)) * (min(x0 + k, ww) - max(x0, 0)));
}

void
main()
{
	const uint i = pixel_index();
	if (i >= total)
		return;
	const ivec4 at = pixel_at(i);
	V sum = V(0);

#ifdef SPREAD
	const ivec2 low = windows_from(at), high = windows_to(at);

	for (int oy = low.y; oy <= high.y; oy++)
		for (int ox = low.x; ox <= high.x; ox++)
			sum += LDV(x, uint((at.w * h + oy) * w + ox) * cols.d + uint(at.x)) /
			    count(oy, ox, int(height.d), int(width.d));
#else
	for (int ky = 0; ky < k; ky++)
		for (int kx = 0; kx < k; kx++) {
			const int py = at.z * int(stride.d) - pad + ky, px = at.y * int(stride.d) - pad + kx;
			if (py >= 0 && py < h && px >= 0 && px < w)
				sum += LDV(x, uint((at.w * h + py) * w + px) * cols.d + uint(at.x));
		}
	sum /= count(at.z, at.y, h, w);
#endif
	STV(y, i, sum);
}
