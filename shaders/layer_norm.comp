//! layer_norm_f32_v: -DF32
//! layer_norm_f32_t: -DF32 -DTEXEL
//! layer_norm_f32_s: -DF32 -DSCALAR
//! layer_norm_f16_v: -DF16
//! layer_norm_f16_t: -DF16 -DTEXEL
//! layer_norm_f16_s: -DF16 -DSCALAR
//! layer_norm_bf16_v: -DBF16
//! layer_norm_bf16_t: -DBF16 -DTEXEL
//! layer_norm_bf16_s: -DBF16 -DSCALAR
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
/*
 * y = (x - mean) / sqrt(variance + eps) w + b over each row. A workgroup does ROWS rows, so that w
 * and b are loaded once for all of them. Statistics in one pass: each invocation's sums are of
 * deviations from its own first values (see norm_stat.comp), joined by Chan, Golub and LeVeque's
 * formula.
 */
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint ROWS = 1u;
#include "value.glsl"
#include "group_sum.glsl"
INV(0, x);
INVF(1, w);
INVF(2, b);
OUTV(3, y);
layout(binding = 4) writeonly buffer B4 { vec4 stat[]; }; // of a row: mean, 1/deviation
layout(push_constant) uniform P { uint rows, cols, channels, has_w, has_b; float eps; };

void
main()
{
	const uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
	const uint from = (gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x) * ROWS;
	V first[ROWS], sum[ROWS], sq[ROWS];
	float mean[ROWS], inv[ROWS], count = 0;

	if (from >= rows)
		return;
	[[unroll]] for (uint r = 0; r < ROWS; r++) {
		first[r] = LDV(x, min(from + r, rows - 1u) * cols + min(lane, cols - 1u));
		sum[r] = sq[r] = V(0);
	}
	for (uint c = lane; c < cols; c += lanes) {
		[[unroll]] for (uint r = 0; r < ROWS; r++) {
			const V d = LDV(x, min(from + r, rows - 1u) * cols + c) - first[r];
			sum[r] += d;
			sq[r] += d * d;
		}
		count += 1;
	}
	[[unroll]] for (uint r = 0; r < ROWS; r++) {
		const float reference = vec4(LDV(x, min(from + r, rows - 1u) * cols)).x;
		const V m = sum[r] / max(count, 1) + (first[r] - reference);
		const float off = group_sum(vec2(count * total(m))).x / float(channels);
		const V rest = sq[r] - sum[r] * sum[r] / max(count, 1) + count * (m - off) *
		    (m - off);
		mean[r] = reference + off;
		inv[r] = 1 / sqrt(max(group_sum(vec2(total(rest))).x, 0) / float(channels) + eps);
	}
	for (uint c = lane; c < cols; c += lanes) {
		const V scale = has_w != 0u ? LDVF(w, c) : V(1), shift = has_b != 0u ? LDVF(b, c)
		    : V(0);
		[[unroll]] for (uint r = 0; r < ROWS; r++)
			if (from + r < rows)
				STV(y, (from + r) * cols + c,
				    (LDV(x, (from + r) * cols + c) - mean[r]) * (inv[r] * scale) +
				    shift);
	}
	[[unroll]] for (uint r = 0; r < ROWS; r++)
		if (lane == 0u && from + r < rows)
			stat[from + r] = vec4(mean[r], inv[r], 0, 0);
}
