//! max_pool_f32_v: -DF32
//! max_pool_f32_t: -DF32 -DTEXEL
//! max_pool_f32_s: -DF32 -DSCALAR
//! max_pool_f16_v: -DF16
//! max_pool_f16_t: -DF16 -DTEXEL
//! max_pool_f16_s: -DF16 -DSCALAR
//! max_pool_bf16_v: -DBF16
//! max_pool_bf16_t: -DBF16 -DTEXEL
//! max_pool_bf16_s: -DBF16 -DSCALAR
//! max_pool_index_f32_v: -DF32 -DINDEX
//! max_pool_index_f32_t: -DF32 -DTEXEL -DINDEX
//! max_pool_index_f32_s: -DF32 -DSCALAR -DINDEX
//! max_pool_index_f16_v: -DF16 -DINDEX
//! max_pool_index_f16_t: -DF16 -DTEXEL -DINDEX
//! max_pool_index_f16_s: -DF16 -DSCALAR -DINDEX
//! max_pool_index_bf16_v: -DBF16 -DINDEX
//! max_pool_index_bf16_t: -DBF16 -DTEXEL -DINDEX
//! max_pool_index_bf16_s: -DBF16 -DSCALAR -DINDEX
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
/*
 * The maximum of each window, NaN if there is one; INDEX: and where the first is, ky K + kx, in a
 * byte a channel. Places outside the image are replaced by the nearest inside, which are in the
 * window too.
 */
#include "pool.glsl"
INV(0, x);
OUTV(1, y);
#ifdef INDEX
OUTINDEX(2, index);
#endif

void
main()
{
	if (gl_GlobalInvocationID.x >= across)
		return;
	const ivec4 at = pixel_at();
	const int y0 = at.z * STRIDE - pad, x0 = at.y * STRIDE - pad;
	vec4 best = vec4(uintBitsToFloat(0xFF800000u)); /* -infinity */
	uvec4 where = uvec4(max(-y0, 0) * K + max(-x0, 0));

	for (int ky = 0; ky < K; ky++) {
		const int iy = clamp(y0 + ky, 0, h - 1);
		const uint row = uint((at.w * h + iy) * w) * cols.d + uint(at.x);

		[[unroll]] for (int kx = 0; kx < K; kx++) {
			const int ix = clamp(x0 + kx, 0, w - 1);
			const vec4 v = vec4(LDV(x, row + uint(ix) * cols.d));
			const bvec4 more = bvec4(uvec4(greaterThan(v, best)) | uvec4(isnan(v)));
			best = mix(best, v, more);
			where = mix(where, uvec4((iy - y0) * K + ix - x0), more);
		}
	}
	STV(y, pixel_index(), V(best));
#ifdef INDEX
	index[pixel_index()] = PACK_INDEX(where);
#endif
}
