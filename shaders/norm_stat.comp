//! norm_stat_f32_v: -DF32
//! norm_stat_f32_t: -DF32 -DTEXEL
//! norm_stat_f32_s: -DF32 -DSCALAR
//! norm_stat_f16_v: -DF16
//! norm_stat_f16_t: -DF16 -DTEXEL
//! norm_stat_f16_s: -DF16 -DSCALAR
//! norm_stat_bf16_v: -DBF16
//! norm_stat_bf16_t: -DBF16 -DTEXEL
//! norm_stat_bf16_s: -DBF16 -DSCALAR
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
/*
 * Mean and sum of squared deviations of each column over its rows, in one pass: deviations from the
 * first value that the invocation meets are summed. That value is one of those summed, so its
 * distance from the mean is at most sqrt(count) standard deviations (Samuelson's inequality), and
 * what the difference below cancels is bounded by the count.
 */
layout(local_size_x_id = 0) in;
#include "columns.glsl"
INV(0, x);
OUTVF(1, part); // [n, chunks * fold, 2, cols]: mean, then squares; 0 where there are no rows

void
main()
{
	const uint begin = column_begin(), end = column_end(), n = column_steps();
	V first[WIDE], sum[WIDE], sq[WIDE];
	float count[WIDE];

	[[unroll]] for (uint j = 0; j < WIDE; j++) {
		first[j] = LDV(x, min(begin + SLOT(j), end - 1u));
		sum[j] = sq[j] = V(0);
		count[j] = 0;
	}
	for (uint t = 0; t < n; t++)
		[[unroll]] for (uint j = 0; j < WIDE; j++) {
			const uint i = begin + t * fold * cols.d + SLOT(j);
			if (i < end) {
				const V d = LDV(x, i) - first[j];
				sum[j] += d;
				sq[j] += d * d;
				count[j] += 1;
			}
		}
	[[unroll]] for (uint j = 0; j < WIDE; j++)
		if (SLOT(j) < fold * cols.d) {
			const V mean = sum[j] / max(count[j], 1);
			const uint o = column_part(SLOT(j));
			part[o] = count[j] > 0 ? first[j] + mean : V(0);
			part[o + cols.d] = max(sq[j] - sum[j] * mean, V(0));
		}
}
