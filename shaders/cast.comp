//! cast_f32_f16: -DFROM_F32 -DTO_F16
//! cast_f32_bf16: -DFROM_F32 -DTO_BF16
//! cast_f16_f32: -DFROM_F16 -DTO_F32
//! cast_f16_bf16: -DFROM_F16 -DTO_BF16
//! cast_bf16_f32: -DFROM_BF16 -DTO_F32
//! cast_bf16_f16: -DFROM_BF16 -DTO_F16
//! cast_u8_f32: -DFROM_U8 -DTO_F32
//! cast_i32_f32: -DFROM_I32 -DTO_F32
//! cast_f32_u8: -DFROM_F32 -DTO_U8
//! cast_f32_i32: -DFROM_F32 -DTO_I32
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "dtype.glsl"
#include "flat.glsl"
// y = x in another type. To integers: nearest, within the type's range (i32: -2^31 to 2^31 - 128).
#if defined(FROM_F32)
#define FROM vec4
#define FROM_LD ld4_f32
#elif defined(FROM_F16)
#define FROM uvec2
#define FROM_LD ld4_f16
#elif defined(FROM_BF16)
#define FROM uvec2
#define FROM_LD ld4_bf16
#elif defined(FROM_U8)
#define FROM uint
#define FROM_LD(v) vec4(uvec4(v, v >> 8, v >> 16, v >> 24) & 0xFFu)
#else
#define FROM ivec4
#define FROM_LD vec4
#endif
#if defined(TO_F32)
#define TO vec4
#define TO_ST st4_f32
#elif defined(TO_F16)
#define TO uvec2
#define TO_ST st4_f16
#elif defined(TO_BF16)
#define TO uvec2
#define TO_ST st4_bf16
#elif defined(TO_U8)
#define TO uint
uint
TO_ST(vec4 v)
{
	const uvec4 u = uvec4(roundEven(clamp(v, 0, 255)));

	return u.x | u.y << 8 | u.z << 16 | u.w << 24;
}
#else
#define TO ivec4
ivec4 TO_ST(vec4 v) { return ivec4(roundEven(clamp(v, -2147483648.0, 2147483520.0))); }
#endif
SSBO(0, readonly, FROM, x);
SSBO(1, writeonly, TO, y);
layout(push_constant) uniform P { uint groups; };

void
main()
{
	FLAT(i, groups) {
		const FROM v = x[i];

		y[i] = TO_ST(FROM_LD(v));
	}
}
