//! resize_nearest_f32_v: -DF32
//! resize_nearest_f32_t: -DF32 -DTEXEL
//! resize_nearest_f32_s: -DF32 -DSCALAR
//! resize_nearest_f16_v: -DF16
//! resize_nearest_f16_t: -DF16 -DTEXEL
//! resize_nearest_f16_s: -DF16 -DSCALAR
//! resize_nearest_bf16_v: -DBF16
//! resize_nearest_bf16_t: -DBF16 -DTEXEL
//! resize_nearest_bf16_s: -DBF16 -DSCALAR
//! resize_nearest_spread_f32_v: -DF32 -DSPREAD
//! resize_nearest_spread_f32_t: -DF32 -DTEXEL -DSPREAD
//! resize_nearest_spread_f32_s: -DF32 -DSCALAR -DSPREAD
//! resize_nearest_spread_f16_v: -DF16 -DSPREAD
//! resize_nearest_spread_f16_t: -DF16 -DTEXEL -DSPREAD
//! resize_nearest_spread_f16_s: -DF16 -DSCALAR -DSPREAD
//! resize_nearest_spread_bf16_v: -DBF16 -DSPREAD
//! resize_nearest_spread_bf16_t: -DBF16 -DTEXEL -DSPREAD
//! resize_nearest_spread_bf16_s: -DBF16 -DSCALAR -DSPREAD
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
// y[oy, ox] = x[floor(oy h / height), floor(ox w / width)]. SPREAD: its gradient, x [h, w] being
// the larger image's; each value sums those that were made of it.
layout(local_size_x_id = 0) in;
#include "value.glsl"
#include "fastdiv.glsl"
INV(0, x);
OUTV(1, y);
/* cols: of y; h, w: of x; height, width: of y */
layout(push_constant) uniform P { fastdiv cols; uint across; fastdiv height, width; int h, w; };
#include "pixels.glsl"

void
main()
{
	if (gl_GlobalInvocationID.x >= across)
		return;
	const uint i = pixel_index();
	const ivec4 at = pixel_at();
#ifdef SPREAD
	/* those o with floor(o height / h) = at.z: from ceil(at.z h / height) on */
	const uint y0 = div_by(uint(at.z * h) + height.d - 1u, height);
	const uint y1 = div_by(uint((at.z + 1) * h) + height.d - 1u, height);
	const uint x0 = div_by(uint(at.y * w) + width.d - 1u, width);
	const uint x1 = div_by(uint((at.y + 1) * w) + width.d - 1u, width);
	V v = V(0);

	for (uint oy = y0; oy < y1; oy++)
		for (uint ox = x0; ox < x1; ox++)
			v += LDV(x, ((uint(at.w * h) + oy) * uint(w) + ox) * cols.d + uint(at.x));
#else
	const uint iy = div_by(uint(at.z * h), height), ix = div_by(uint(at.y * w), width);
	const V v = LDV(x, ((uint(at.w * h) + iy) * uint(w) + ix) * cols.d + uint(at.x));
#endif
	STV(y, i, v);
}
