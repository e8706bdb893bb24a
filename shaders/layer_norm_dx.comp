//! layer_norm_dx_f32_v: -DF32
//! layer_norm_dx_f32_t: -DF32 -DTEXEL
//! layer_norm_dx_f32_s: -DF32 -DSCALAR
//! layer_norm_dx_f16_v: -DF16
//! layer_norm_dx_f16_t: -DF16 -DTEXEL
//! layer_norm_dx_f16_s: -DF16 -DSCALAR
//! layer_norm_dx_bf16_v: -DBF16
//! layer_norm_dx_bf16_t: -DBF16 -DTEXEL
//! layer_norm_dx_bf16_s: -DBF16 -DSCALAR
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
// dx = inv (g - mean(g) - h mean(g h)) of each row, with g = gy w and h = (x - mean) inv; ROWS at a
// time.
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint ROWS = 1u;
#include "value.glsl"
#include "group_sum.glsl"
INV(0, x);
INV(1, gy);
INVF(2, w);
layout(binding = 3) readonly buffer B3 { vec4 stat[]; };
OUTV(4, dx);
layout(push_constant) uniform P { uint rows, cols, channels, has_w; };

void
main()
{
	const uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
	const uint from = (gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x) * ROWS;
	V sum[ROWS], dot_[ROWS];
	float mean[ROWS], inv[ROWS];
	vec2 s[ROWS];

	if (from >= rows)
		return;
	[[unroll]] for (uint r = 0; r < ROWS; r++) {
		const vec4 t = stat[min(from + r, rows - 1u)];
		mean[r] = t.x;
		inv[r] = t.y;
		sum[r] = dot_[r] = V(0);
	}
	for (uint c = lane; c < cols; c += lanes) {
		const V scale = has_w != 0u ? LDVF(w, c) : V(1);
		[[unroll]] for (uint r = 0; r < ROWS; r++) {
			const uint i = min(from + r, rows - 1u) * cols + c;
			const V g = LDV(gy, i) * scale;
			sum[r] += g;
			dot_[r] += g * (LDV(x, i) - mean[r]);
		}
	}
	[[unroll]] for (uint r = 0; r < ROWS; r++)
		s[r] = group_sum(vec2(total(sum[r]), total(dot_[r]) * inv[r] * inv[r])) /
		    float(channels);
	for (uint c = lane; c < cols; c += lanes) {
		const V scale = has_w != 0u ? LDVF(w, c) : V(1);
		[[unroll]] for (uint r = 0; r < ROWS; r++)
			if (from + r < rows) {
				const uint i = (from + r) * cols + c;
				const V g = LDV(gy, i) * scale - s[r].x;
				STV(dx, i, inv[r] * (g - (LDV(x, i) - mean[r]) * s[r].y));
			}
	}
}
