//! norm_dx_f32_v: -DF32
//! norm_dx_f32_t: -DF32 -DTEXEL
//! norm_dx_f32_s: -DF32 -DSCALAR
//! norm_dx_f16_v: -DF16
//! norm_dx_f16_t: -DF16 -DTEXEL
//! norm_dx_f16_s: -DF16 -DSCALAR
//! norm_dx_bf16_v: -DBF16
//! norm_dx_bf16_t: -DBF16 -DTEXEL
//! norm_dx_bf16_s: -DBF16 -DSCALAR
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
// dx = scale gy act'(z) + p (x - mean) + q, z made again from x.
layout(local_size_x_id = 0) in;
#include "columns.glsl"
#include "act.glsl"
INV(0, x);
INV(1, gy);
INVF(2, coef);  // [n, 3, cols]: mean, scale, shift
INVF(3, dcoef); // [n, 2, cols]: p, q
OUTV(4, dx);

void
main()
{
	const uint begin = column_begin(), end = column_end(), n = column_steps();
	V mean[WIDE], scale[WIDE], shift[WIDE], p[WIDE], q[WIDE];

	[[unroll]] for (uint j = 0; j < WIDE; j++) {
		const uint c = column_of(SLOT(j)), k = gl_WorkGroupID.z * 3u * cols.d + c;
		mean[j] = LDVF(coef, k);
		scale[j] = LDVF(coef, k + cols.d);
		shift[j] = LDVF(coef, k + 2u * cols.d);
		p[j] = LDVF(dcoef, gl_WorkGroupID.z * 2u * cols.d + c);
		q[j] = LDVF(dcoef, (gl_WorkGroupID.z * 2u + 1u) * cols.d + c);
	}
	for (uint t = 0; t < n; t++)
		[[unroll]] for (uint j = 0; j < WIDE; j++) {
			const uint i = begin + t * fold * cols.d + SLOT(j);
			if (i < end && SLOT(j) < fold * cols.d) {
				const V d = LDV(x, i) - mean[j];
				const V g = LDV(gy, i) * act_slope(d * scale[j] + shift[j]);
				STV(dx, i, scale[j] * g + (p[j] * d + q[j]));
			}
		}
}
