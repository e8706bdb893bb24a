//! resize_twice_f32_v: -DF32
//! resize_twice_f32_t: -DF32 -DTEXEL
//! resize_twice_f32_s: -DF32 -DSCALAR
//! resize_twice_f16_v: -DF16
//! resize_twice_f16_t: -DF16 -DTEXEL
//! resize_twice_f16_s: -DF16 -DSCALAR
//! resize_twice_bf16_v: -DBF16
//! resize_twice_bf16_t: -DBF16 -DTEXEL
//! resize_twice_bf16_s: -DBF16 -DSCALAR
//! resize_twice_spread_f32_v: -DF32 -DSPREAD
//! resize_twice_spread_f32_t: -DF32 -DTEXEL -DSPREAD
//! resize_twice_spread_f32_s: -DF32 -DSCALAR -DSPREAD
//! resize_twice_spread_f16_v: -DF16 -DSPREAD
//! resize_twice_spread_f16_t: -DF16 -DTEXEL -DSPREAD
//! resize_twice_spread_f16_s: -DF16 -DSCALAR -DSPREAD
//! resize_twice_spread_bf16_v: -DBF16 -DSPREAD
//! resize_twice_spread_bf16_t: -DBF16 -DTEXEL -DSPREAD
//! resize_twice_spread_bf16_s: -DBF16 -DSCALAR -DSPREAD
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
// Each pixel of x [n, height, width, cols] becomes 2 by 2 of y. SPREAD: its gradient, to x's shape.
layout(local_size_x_id = 0) in;
#include "value.glsl"
#include "fastdiv.glsl"
INV(0, x);
OUTV(1, y);
layout(push_constant) uniform P { fastdiv cols; uint across; };
#include "pixels.glsl"

void
main()
{
	if (gl_GlobalInvocationID.x >= across)
		return;
	const ivec4 at = pixel_at();
	const uint row = (gl_WorkGroupID.z * gl_NumWorkGroups.y + gl_WorkGroupID.y) * 4u * across;
	const uint i = row + uint(2 * at.y) * cols.d + uint(at.x);
#ifdef SPREAD
	STV(y, pixel_index(), (LDV(x, i) + LDV(x, i + cols.d)) +
	    (LDV(x, i + 2u * across) + LDV(x, i + 2u * across + cols.d)));
#else
	const V v = LDV(x, pixel_index());

	STV(y, i, v);
	STV(y, i + cols.d, v);
	STV(y, i + 2u * across, v);
	STV(y, i + 2u * across + cols.d, v);
#endif
}
