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
#extension GL_EXT_control_flow_attributes : require
// The mean of each window; the padding counts if count_pad. SPREAD: its gradient.
#include "pool.glsl"
INV(0, x);
OUTV(1, y);

/* One by how many values of window (oy, ox) of an image of hh by ww count. */
float
share(int oy, int ox, int hh, int ww)
{
	const int y0 = oy * STRIDE - pad, x0 = ox * STRIDE - pad;
	const int inside = (min(y0 + K, hh) - max(y0, 0)) * (min(x0 + K, ww) - max(x0, 0));

	return 1.0 / float(mix(inside, K * K, count_pad != 0));
}

void
main()
{
	if (gl_GlobalInvocationID.x >= across)
		return;
	const ivec4 at = pixel_at();
	const uint plane = uint(at.w * h * w) * cols.d + uint(at.x);
	V sum = V(0);

#ifdef SPREAD
	/* windows o with 0 <= at + pad - o STRIDE < K: from the last on down */
	const int oy = (at.z + pad) / STRIDE, ox = (at.y + pad) / STRIDE;

	[[unroll]] for (int j = 0; j < REACH; j++)
		[[unroll]] for (int i = 0; i < REACH; i++) {
			const int py = clamp(oy - j, 0, h - 1), px = clamp(ox - i, 0, w - 1);
			const bool there = all(bvec4(py == oy - j, px == ox - i,
			    at.z + pad - py * STRIDE < K, at.y + pad - px * STRIDE < K));
			sum += LDV(x, plane + uint(py * w + px) * cols.d) *
			    mix(0.0, share(py, px, height, width), there);
		}
#else
	for (int ky = 0; ky < K; ky++)
		[[unroll]] for (int kx = 0; kx < K; kx++) {
			const int py = at.z * STRIDE - pad + ky, px = at.y * STRIDE - pad + kx;
			const int cy = clamp(py, 0, h - 1), cx = clamp(px, 0, w - 1);
			const V v = LDV(x, plane + uint(cy * w + cx) * cols.d);
			const bool inside = all(equal(ivec2(py, px), ivec2(cy, cx)));
			sum += inside ? v : V(0);
		}
	sum *= share(at.z, at.y, h, w);
#endif
	STV(y, pixel_index(), sum);
}
