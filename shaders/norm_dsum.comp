//! norm_dsum_f32_v: -DF32
//! norm_dsum_f32_t: -DF32 -DTEXEL
//! norm_dsum_f32_s: -DF32 -DSCALAR
//! norm_dsum_f16_v: -DF16
//! norm_dsum_f16_t: -DF16 -DTEXEL
//! norm_dsum_f16_s: -DF16 -DSCALAR
//! norm_dsum_bf16_v: -DBF16
//! norm_dsum_bf16_t: -DBF16 -DTEXEL
//! norm_dsum_bf16_s: -DBF16 -DSCALAR
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
// Sums over rows of g and of g (x - mean), where g = gy act'(z), z made again from x.
layout(local_size_x_id = 0) in;
#include "columns.glsl"
#include "act.glsl"
INV(0, x);
INV(1, gy);
INVF(2, coef);  // [n, 3, cols]: mean, scale, shift
OUTVF(3, part); // [n, chunks * fold, 2, cols]

void
main()
{
	const uint begin = column_begin(), end = column_end(), n = column_steps();
	V mean[WIDE], scale[WIDE], shift[WIDE], sum[WIDE], dot[WIDE];

	[[unroll]] for (uint j = 0; j < WIDE; j++) {
		const uint k = gl_WorkGroupID.z * 3u * cols.d + column_of(SLOT(j));
		mean[j] = LDVF(coef, k);
		scale[j] = LDVF(coef, k + cols.d);
		shift[j] = LDVF(coef, k + 2u * cols.d);
		sum[j] = dot[j] = V(0);
	}
	for (uint t = 0; t < n; t++)
		[[unroll]] for (uint j = 0; j < WIDE; j++) {
			const uint i = begin + t * fold * cols.d + SLOT(j);
			if (i < end) {
				const V d = LDV(x, i) - mean[j];
				const V g = LDV(gy, i) * act_slope(d * scale[j] + shift[j]);
				sum[j] += g;
				dot[j] += g * d;
			}
		}
	[[unroll]] for (uint j = 0; j < WIDE; j++)
		if (SLOT(j) < fold * cols.d) {
			const uint o = column_part(SLOT(j));
			part[o] = sum[j];
			part[o + cols.d] = dot[j];
		}
}
