//! cast_f32_f16: -DF32 -DTO_F16
//! cast_f32_bf16: -DF32 -DTO_BF16
//! cast_f16_f32: -DF16 -DTO_F32
//! cast_f16_bf16: -DF16 -DTO_BF16
//! cast_bf16_f32: -DBF16 -DTO_F32
//! cast_bf16_f16: -DBF16 -DTO_F16
//! cast_f32_u8: -DF32 -DTO_U8
//! cast_f32_i32: -DF32 -DTO_I32
//! cast_u8_f32: -DFROM_U8 -DTO_F32
//! cast_i32_f32: -DFROM_I32 -DTO_F32
//! cast_f32_f16_t: -DF32 -DTO_F16 -DTEXEL
//! cast_f32_bf16_t: -DF32 -DTO_BF16 -DTEXEL
//! cast_f16_f32_t: -DF16 -DTO_F32 -DTEXEL
//! cast_bf16_f32_t: -DBF16 -DTO_F32 -DTEXEL
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "dtype.glsl"
#include "flat.glsl"
// y = x in another type. To integers: nearest, within the type's range (i32: -2^31 to 2^31 - 128).
#if defined(FROM_U8)
SSBO(0, readonly, uint, x);
#define FROM(i) vec4(uvec4(x[i], x[i] >> 8, x[i] >> 16, x[i] >> 24) & 0xFFu)
#elif defined(FROM_I32)
SSBO(0, readonly, ivec4, x);
#define FROM(i) vec4(x[i])
#else
IN4(0, x);
#define FROM(i) LD4(x, i)
#endif
#if defined(TO_U8)
SSBO(1, writeonly, uint, y);
uint
to(vec4 v)
{
	const uvec4 u = uvec4(roundEven(clamp(v, 0, 255)));

	return u.x | u.y << 8 | u.z << 16 | u.w << 24;
}
#elif defined(TO_I32)
SSBO(1, writeonly, ivec4, y);
ivec4 to(vec4 v) { return ivec4(roundEven(clamp(v, -2147483648.0, 2147483520.0))); }
#elif defined(TO_F16)
SSBO(1, writeonly, WIDE2, y);
WIDE2 to(vec4 v) { return wide(st4_f16(v)); }
#elif defined(TO_BF16)
SSBO(1, writeonly, WIDE2, y);
WIDE2 to(vec4 v) { return wide(st4_bf16(v)); }
#else
SSBO(1, writeonly, WIDE4, y);
WIDE4 to(vec4 v) { return wide(v); }
#endif
layout(push_constant) uniform P { uint groups; };

void
main()
{
	FLAT_AGAIN(i, groups)
		y[i] = to(FROM(i));
}
