//! norm_apply_f32_v: -DF32
//! norm_apply_f32_t: -DF32 -DTEXEL
//! norm_apply_f32_s: -DF32 -DSCALAR
//! norm_apply_f16_v: -DF16
//! norm_apply_f16_t: -DF16 -DTEXEL
//! norm_apply_f16_s: -DF16 -DSCALAR
//! norm_apply_bf16_v: -DBF16
//! norm_apply_bf16_t: -DBF16 -DTEXEL
//! norm_apply_bf16_s: -DBF16 -DSCALAR
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
// y = act((x - mean) scale + shift), with the three of each sample and channel.
layout(local_size_x_id = 0) in;
#include "columns.glsl"
#include "act.glsl"
INV(0, x);
INVF(1, coef); // [n, 3, cols]
OUTV(2, y);

void
main()
{
	const uint begin = column_begin(), end = column_end(), n = column_steps();
	V mean[WIDE], scale[WIDE], shift[WIDE];

	[[unroll]] for (uint j = 0; j < WIDE; j++) {
		const uint k = gl_WorkGroupID.z * 3u * cols.d + column_of(SLOT(j));
		mean[j] = LDVF(coef, k);
		scale[j] = LDVF(coef, k + cols.d);
		shift[j] = LDVF(coef, k + 2u * cols.d);
	}
	for (uint t = 0; t < n; t++)
		[[unroll]] for (uint j = 0; j < WIDE; j++) {
			const uint i = begin + t * fold * cols.d + SLOT(j);
			if (i < end && SLOT(j) < fold * cols.d)
				STV(y, i, act((LDV(x, i) - mean[j]) * scale[j] + shift[j]));
		}
}
