/*
 * How tensors lie in buffers. Compile with -DF32, -DF16 or -DBF16: T is the stored type of one
 * value, T4 of four (16-bit types: a uvec2, so that no 16-bit arithmetic or storage is needed to
 * move four), and what is computed with is always float. Conversions to 16 bits round to nearest
 * even on every device, where packHalf2x16 leaves the rounding open.
 *
 *	IN4(0, x);                    four values an element; -DTEXEL: read through a texel buffer
 *	OUT4(1, y);                   (a software device loads those 2.5 times as fast)
 *	IN4F(2, scale);               the same, always float
 *	ST4(y, i, LD4(x, i) * LD4F(scale, i));
 *	float v = PICK(x, e);         element e of an IN4 buffer
 *
 * IN1, OUT1, LD1, ST1 go value by value (16-bit storage for 16-bit types), never through texels.
 * Sources that use them: #extension GL_EXT_shader_16bit_storage : require.
 */

vec4 ld4_f32(vec4 v) { return v; }
vec4 st4_f32(vec4 v) { return v; }

vec4 ld4_f16(uvec2 v) { return vec4(unpackHalf2x16(v.x), unpackHalf2x16(v.y)); }

/* Round to nearest even. Below 2^-14 the sum with 0.5 lets the float adder round at f16's last
 * bit. */
uvec4
bits_f16(vec4 v)
{
	uvec4 u = floatBitsToUint(v), sign = u >> 16 & 0x8000u, odd;
	precise vec4 small;

	u &= 0x7FFFFFFFu;
	small = uintBitsToFloat(u) + 0.5;
	odd = u >> 13 & 1u;
	odd = u + 0xC8000FFFu + odd >> 13;
	odd = mix(odd, floatBitsToUint(small) - 0x3F000000u, lessThan(u, uvec4(0x38800000u)));
	odd = mix(odd, uvec4(0x7C00u), greaterThanEqual(u, uvec4(0x477FF000u)));
	odd = mix(odd, uvec4(0x7E00u), greaterThan(u, uvec4(0x7F800000u)));
	return odd | sign;
}

uvec2
st4_f16(vec4 v)
{
	uvec4 h = bits_f16(v);

	return h.xz | h.yw << 16;
}

vec4
ld4_bf16(uvec2 v)
{
	return uintBitsToFloat(uvec4(v.x << 16, v.x & 0xFFFF0000u, v.y << 16, v.y & 0xFFFF0000u));
}

uvec4
bits_bf16(vec4 v)
{
	uvec4 u = floatBitsToUint(v), r = u + 0x7FFFu + (u >> 16 & 1u) >> 16;

	return mix(r, u >> 16 | 0x40u, greaterThan(u & 0x7FFFFFFFu, uvec4(0x7F800000u)));
}

uvec2
st4_bf16(vec4 v)
{
	uvec4 h = bits_bf16(v);

	return h.xz | h.yw << 16;
}

float pick4(vec4 v, uint c) { return c < 2u ? (c == 0u ? v.x : v.y) : (c == 2u ? v.z : v.w); }

#define SSBO(b, access, type, name) \
	layout(set = 0, binding = b, std430) access buffer B_##name { type name[]; }

#if defined(F16)
#define T uint16_t
#define T4 uvec2
#define ld4 ld4_f16
#define st4 st4_f16
#define ld(v) unpackHalf2x16(uint(v)).x
#define st(v) uint16_t(bits_f16(vec4(v)).x)
#define TEXEL_T rg32ui
#define TEXEL_IMAGE uimageBuffer
#define TEXEL_4 .xy
#elif defined(BF16)
#define T uint16_t
#define T4 uvec2
#define ld4 ld4_bf16
#define st4 st4_bf16
#define ld(v) uintBitsToFloat(uint(v) << 16)
#define st(v) uint16_t(bits_bf16(vec4(v)).x)
#define TEXEL_T rg32ui
#define TEXEL_IMAGE uimageBuffer
#define TEXEL_4 .xy
#else
#define T float
#define T4 vec4
#define ld4 ld4_f32
#define st4 st4_f32
#define ld(v) (v)
#define st(v) (v)
#define TEXEL_T rgba32f
#define TEXEL_IMAGE imageBuffer
#define TEXEL_4
#endif

#ifdef TEXEL
#define IN4(b, name) layout(set = 0, binding = b, TEXEL_T) uniform readonly TEXEL_IMAGE name
#define LD4(name, i) ld4(imageLoad(name, int(i)) TEXEL_4)
#define IN4F(b, name) layout(set = 0, binding = b, rgba32f) uniform readonly imageBuffer name
#define LD4F(name, i) imageLoad(name, int(i))
#else
#define IN4(b, name) SSBO(b, readonly, T4, name)
#define LD4(name, i) ld4(name[i])
#define IN4F(b, name) SSBO(b, readonly, vec4, name)
#define LD4F(name, i) name[i]
#endif
/* Software devices store lane by lane: 64 bits at a time halves the number. */
#ifdef TEXEL
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#define WIDE2 uint64_t
#define WIDE4 u64vec2
uint64_t wide(uvec2 v) { return packUint2x32(v); }
u64vec2
wide(vec4 v)
{
	const uvec4 u = floatBitsToUint(v);

	return u64vec2(packUint2x32(u.xy), packUint2x32(u.zw));
}
#else
#define WIDE2 uvec2
#define WIDE4 vec4
uvec2 wide(uvec2 v) { return v; }
vec4 wide(vec4 v) { return v; }
#endif
#if defined(F16) || defined(BF16)
#define OUT4(b, name) SSBO(b, writeonly, WIDE2, name)
#else
#define OUT4(b, name) SSBO(b, writeonly, WIDE4, name)
#endif
#define ST4(name, i, v) name[i] = wide(st4(v))
#define OUT4F(b, name) SSBO(b, writeonly, vec4, name)
#define PICK(name, e) pick4(LD4(name, (e) >> 2), (e) & 3u)
#define PICKF(name, e) pick4(LD4F(name, (e) >> 2), (e) & 3u)

#define IN1(b, name) SSBO(b, readonly, T, name)
#define LD1(name, i) ld(name[i])
#define OUT1(b, name) SSBO(b, writeonly, T, name)
#define ST1(name, i, v) name[i] = st(v)
#define IN1F(b, name) SSBO(b, readonly, float, name)
#define OUT1F(b, name) SSBO(b, writeonly, float, name)
