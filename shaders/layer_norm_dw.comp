//! layer_norm_dw_f32_v: -DF32
//! layer_norm_dw_f32_t: -DF32 -DTEXEL
//! layer_norm_dw_f32_s: -DF32 -DSCALAR
//! layer_norm_dw_f16_v: -DF16
//! layer_norm_dw_f16_t: -DF16 -DTEXEL
//! layer_norm_dw_f16_s: -DF16 -DSCALAR
//! layer_norm_dw_bf16_v: -DBF16
//! layer_norm_dw_bf16_t: -DBF16 -DTEXEL
//! layer_norm_dw_bf16_s: -DBF16 -DSCALAR
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
// Sums over rows of gy and of gy (x - mean) inv, the mean and inv of each row.
layout(local_size_x_id = 0) in;
#include "columns.glsl"
INV(0, x);
INV(1, gy);
IN4F(2, stat); // of a row: mean, inv
OUTVF(3, sum_part); // [chunks * fold, cols]
OUTVF(4, dot_part);

void
main()
{
	const uint begin = column_begin(), end = column_end(), n = column_steps();
	V sum[WIDE], dot_[WIDE];

	[[unroll]] for (uint j = 0; j < WIDE; j++)
		sum[j] = dot_[j] = V(0);
	for (uint t = 0; t < n; t++)
		[[unroll]] for (uint j = 0; j < WIDE; j++) {
			const uint i = begin + t * fold * cols.d + SLOT(j);
			if (i < end) {
				const uint row = (gl_WorkGroupID.y * steps + t) * fold +
				    div_by(SLOT(j), cols);
				const vec4 s = LD4F(stat, row);
				const V g = LDV(gy, i);
				sum[j] += g;
				dot_[j] += g * ((LDV(x, i) - s.x) * s.y);
			}
		}
	[[unroll]] for (uint j = 0; j < WIDE; j++)
		if (SLOT(j) < fold * cols.d) {
			const uint o = gl_WorkGroupID.y * fold * cols.d + SLOT(j);
			sum_part[o] = sum[j];
			dot_part[o] = dot_[j];
		}
}
