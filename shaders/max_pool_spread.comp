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
// The gradient of max_pool: each input value is given those of the windows whose maximum it was.
// TAKE, the transpose of that: each window takes the value at its maximum.
layout(local_size_x_id = 0) in;
#include "value.glsl"
#include "fastdiv.glsl"
INV(0, x);
ININDEX(1, index);
OUTV(2, y);
/* cols, width, height, total: of y; h, w: of x */
layout(push_constant) uniform P { fastdiv cols, width, height, stride; uint total; int h, w, k, pad; };
#include "pixels.glsl"
#include "windows.glsl"

void
main()
{
	const uint i = pixel_index();
	if (i >= total)
		return;
	const ivec4 at = pixel_at(i);
	vec4 v = vec4(0);

#ifdef TAKE
	const uvec4 where = LDINDEX(index, i);
	const int y0 = at.z * int(stride.d) - pad, x0 = at.y * int(stride.d) - pad;

	for (int ky = 0; ky < k; ky++)
		for (int kx = 0; kx < k; kx++) {
			const int iy = y0 + ky, ix = x0 + kx;
			if (iy >= 0 && iy < h && ix >= 0 && ix < w)
				v = mix(v, vec4(LDV(x, uint((at.w * h + iy) * w + ix) * cols.d + uint(at.x))),
				    equal(where, uvec4(ky * k + kx)));
		}
#else
	/* windows oy with 0 <= at.z + pad - oy stride < k */
	const ivec2 low = windows_from(at), high = windows_to(at);

	for (int oy = low.y; oy <= high.y; oy++)
		for (int ox = low.x; ox <= high.x; ox++) {
			const uint o = uint((at.w * h + oy) * w + ox) * cols.d + uint(at.x);
			const int ky = at.z + pad - oy * int(stride.d), kx = at.y + pad - ox * int(stride.d);
			v += mix(vec4(0), vec4(LDV(x, o)), equal(LDINDEX(index, o), uvec4(ky * k + kx)));
		}
#endif
	STV(y, i, V(v));
}
