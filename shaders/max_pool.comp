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
// The maximum of each window, NaN if there is one; INDEX: and where the first is, ky k + kx, in a byte
// a channel.
layout(local_size_x_id = 0) in;
#include "value.glsl"
#include "fastdiv.glsl"
INV(0, x);
OUTV(1, y);
#ifdef INDEX
OUTINDEX(2, index);
#endif
layout(push_constant) uniform P { fastdiv cols, width, height, stride; uint total; int h, w, k, pad; };
#include "pixels.glsl"

void
main()
{
	const uint i = pixel_index();
	if (i >= total)
		return;
	const ivec4 at = pixel_at(i);
	const int y0 = at.z * int(stride.d) - pad, x0 = at.y * int(stride.d) - pad;
	vec4 best = vec4(uintBitsToFloat(0xFF800000u)); /* -infinity */
	uvec4 where = uvec4(max(-y0, 0) * k + max(-x0, 0));

	for (int ky = 0; ky < k; ky++)
		for (int kx = 0; kx < k; kx++) {
			const int iy = y0 + ky, ix = x0 + kx;
			if (iy >= 0 && iy < h && ix >= 0 && ix < w) {
				const vec4 v = vec4(LDV(x, uint((at.w * h + iy) * w + ix) * cols.d + uint(at.x)));
				const bvec4 more = bvec4(uvec4(greaterThan(v, best)) | uvec4(isnan(v)));
				best = mix(best, v, more);
				where = mix(where, uvec4(ky * k + kx), more);
			}
		}
	STV(y, i, V(best));
#ifdef INDEX
	index[i] = PACK_INDEX(where);
#endif
}
