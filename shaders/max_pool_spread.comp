//! max_pool_spread_f32_v: -DF32
//! max_pool_spread_f32_t: -DF32 -DTEXEL
//! max_pool_spread_f32_s: -DF32 -DSCALAR
//! max_pool_spread_f16_v: -DF16
//! max_pool_spread_f16_t: -DF16 -DTEXEL
//! max_pool_spread_f16_s: -DF16 -DSCALAR
//! max_pool_spread_bf16_v: -DBF16
//! max_pool_spread_bf16_t: -DBF16 -DTEXEL
//! max_pool_spread_bf16_s: -DBF16 -DSCALAR
//! max_pool_take_f32_v: -DF32 -DTAKE
//! max_pool_take_f32_t: -DF32 -DTEXEL -DTAKE
//! max_pool_take_f32_s: -DF32 -DSCALAR -DTAKE
//! max_pool_take_f16_v: -DF16 -DTAKE
//! max_pool_take_f16_t: -DF16 -DTEXEL -DTAKE
//! max_pool_take_f16_s: -DF16 -DSCALAR -DTAKE
//! max_pool_take_bf16_v: -DBF16 -DTAKE
//! max_pool_take_bf16_t: -DBF16 -DTEXEL -DTAKE
//! max_pool_take_bf16_s: -DBF16 -DSCALAR -DTAKE
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
/*
 * The gradient of max_pool: each input value is given those of the windows whose maximum it was.
 * TAKE, the transpose of that: each window takes the value at its maximum.
 */
#include "pool.glsl"
INV(0, x);
OUTV(1, y);
ININDEX(2, index);

void
main()
{
	if (gl_GlobalInvocationID.x >= across)
		return;
	const ivec4 at = pixel_at();
	const uint plane = uint(at.w * h * w) * cols.d + uint(at.x);
	vec4 v = vec4(0);

#ifdef TAKE
	const uvec4 where = LDINDEX(index, pixel_index());
	const int y0 = at.z * STRIDE - pad, x0 = at.y * STRIDE - pad;

	for (int ky = 0; ky < K; ky++)
		[[unroll]] for (int kx = 0; kx < K; kx++) {
			const int iy = clamp(y0 + ky, 0, h - 1), ix = clamp(x0 + kx, 0, w - 1);
			v = mix(v, vec4(LDV(x, plane + uint(iy * w + ix) * cols.d)),
			    equal(where, uvec4(ky * K + kx)));
		}
#else
	/* windows o with 0 <= at + pad - o STRIDE < K: from the last on down */
	const int oy = (at.z + pad) / STRIDE, ox = (at.y + pad) / STRIDE;

	[[unroll]] for (int j = 0; j < REACH; j++)
		[[unroll]] for (int i = 0; i < REACH; i++) {
			const int py = clamp(oy - j, 0, h - 1), px = clamp(ox - i, 0, w - 1);
			const int ky = at.z + pad - py * STRIDE, kx = at.y + pad - px * STRIDE;
			const bool there = all(bvec4(py == oy - j, px == ox - i, ky < K, kx < K));
			const uint o = plane + uint(py * w + px) * cols.d;
			v += mix(vec4(0), vec4(LDV(x, o)),
			    equal(LDINDEX(index, o), uvec4(mix(-1, ky * K + kx, there))));
		}
#endif
	STV(y, pixel_index(), V(v));
}
