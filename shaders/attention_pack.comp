//! attention_pack_f32_v: -DF32
//! attention_pack_f32_t: -DF32 -DTEXEL
//! attention_pack_f32_s: -DF32 -DSCALAR
//! attention_pack_f16_v: -DF16
//! attention_pack_f16_t: -DF16 -DTEXEL
//! attention_pack_f16_s: -DF16 -DSCALAR
//! attention_pack_bf16_v: -DBF16
//! attention_pack_bf16_t: -DBF16 -DTEXEL
//! attention_pack_bf16_s: -DBF16 -DSCALAR
//! attention_unpack_f32_v: -DF32 -DUNPACK
//! attention_unpack_f32_t: -DF32 -DTEXEL -DUNPACK
//! attention_unpack_f32_s: -DF32 -DSCALAR -DUNPACK
//! attention_unpack_f16_v: -DF16 -DUNPACK
//! attention_unpack_f16_t: -DF16 -DTEXEL -DUNPACK
//! attention_unpack_f16_s: -DF16 -DSCALAR -DUNPACK
//! attention_unpack_bf16_v: -DBF16 -DUNPACK
//! attention_unpack_bf16_t: -DBF16 -DTEXEL -DUNPACK
//! attention_unpack_bf16_s: -DBF16 -DSCALAR -DUNPACK
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
/*
 * Sequences [n, t, heads, d] in the order that attention.comp reads them in, and back: for each n
 * and head, blocks of B rows, of each the quads of d one after the other, of each quad its B rows;
 * d and rows are filled up with zeros. SCALAR: d is no multiple of four.
 */
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint B = 16u;
#include "value.glsl"
#include "fastdiv.glsl"
#ifdef UNPACK
layout(binding = 0) readonly buffer B0 { vec4 packed[]; };
OUTV(1, x);
#else
INV(0, x);
layout(binding = 1) writeonly buffer B1 { vec4 packed[]; };
#endif
/* quads of d; blocks of rows; rows; quads or values of a row of x, and of a head */
layout(push_constant) uniform P { fastdiv quads; uint blocks, rows, row, head, d; };

void
main()
{
	/* workgroups: x over blocks and their quads and rows, y heads, z samples */
	const uint i = gl_GlobalInvocationID.x, r = i % B, q = i / B;
	const uint block = div_by(q, quads), c = q - block * quads.d, t = block * B + r;
	const uint to =
	    ((gl_WorkGroupID.z * gl_NumWorkGroups.y + gl_WorkGroupID.y) * blocks * quads.d + q) *
	    B + r;
	const uint from = (gl_WorkGroupID.z * rows + t) * row + gl_WorkGroupID.y * head;

	if (block >= blocks)
		return;
#ifdef UNPACK
	if (t < rows && 4u * c < d) {
		const vec4 v = packed[to];
#ifdef SCALAR
		for (uint k = 0; k < 4u; k++)
			if (4u * c + k < d)
				STV(x, from + 4u * c + k, v[k]);
#else
		STV(x, from + c, v);
#endif
	}
#else
	vec4 v = vec4(0);
	if (t < rows) {
#ifdef SCALAR
		for (uint k = 0; k < 4u; k++)
			if (4u * c + k < d)
				v[k] = LDV(x, from + 4u * c + k);
#else
		if (4u * c < d)
			v = LDV(x, from + c);
#endif
	}
	packed[to] = v;
#endif
}
