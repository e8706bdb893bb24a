/*
 * Kernels that take four channels at a time, or one where the number of channels is no multiple of
 * four. Compile with a dtype of dtype.glsl, and with TEXEL, or SCALAR: V is what is taken at a
 * time. INV, OUTV: buffers of the dtype; INVF, OUTVF: of floats; indices count values of V.
 */
#include "dtype.glsl"

#ifdef SCALAR
#define V float
#define INV(b, name) IN1(b, name)
#define LDV(name, i) LD1(name, i)
#define OUTV(b, name) OUT1(b, name)
#define STV(name, i, v) ST1(name, i, v)
#define INVF(b, name) IN1F(b, name)
#define LDVF(name, i) name[i]
#define OUTVF(b, name) OUT1F(b, name)
#else
#define V vec4
#define INV(b, name) IN4(b, name)
#define LDV(name, i) LD4(name, i)
#define OUTV(b, name) OUT4(b, name)
#define STV(name, i, v) ST4(name, i, v)
#define INVF(b, name) IN4F(b, name)
#define LDVF(name, i) LD4F(name, i)
#define OUTVF(b, name) OUT4F(b, name)
#endif

/* Small numbers, one a channel: four bytes of a word, or a word of their own. */
#ifdef SCALAR
#define PACK_INDEX(v) (v).x
#define UNPACK_INDEX(u) uvec4(u)
#else
#define PACK_INDEX(v) ((v).x | (v).y << 8 | (v).z << 16 | (v).w << 24)
#define UNPACK_INDEX(u) (uvec4(u) >> uvec4(0, 8, 16, 24) & 255u)
#endif
#define OUTINDEX(b, name) SSBO(b, writeonly, uint, name)
#ifdef TEXEL
#define ININDEX(b, name) layout(set = 0, binding = b, r32ui) uniform readonly uimageBuffer name
#define LDINDEX(name, i) UNPACK_INDEX(imageLoad(name, int(i)).x)
#else
#define ININDEX(b, name) SSBO(b, readonly, uint, name)
#define LDINDEX(name, i) UNPACK_INDEX(name[i])
#endif
#ifdef SCALAR
float total(V v) { return v; }
#else
float total(V v) { return (v.x + v.y) + (v.z + v.w); }
#endif
