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
/*
 * y = (x - mean) / sqrt(variance + eps) w + b over each row, the variance from a second pass. A
 * workgroup does `each` rows.
 */
layout(local_size_x_id = 0) in;
#include "value.glsl"
#include "group_sum.glsl"
INV(0, x);
INVF(1, w);
INVF(2, b);
OUTV(3, y);
layout(binding = 4) writeonly buffer B4 { vec4 stat[]; }; // of a row: mean, 1/deviation
layout(push_constant) uniform P { uint rows, each, cols, channels, has_w, has_b; float eps; };

void
main()
{
	const uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
	const uint from = (gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x) * each;
	const uint to = min(rows, from + each);
	const float inverse = 1 / float(channels);

	for (uint row = from; row < to; row++) {
		const uint base = row * cols;
		V sum = V(0), sq = V(0);

		/* deviations from the row's first value: a large mean does not drown them */
		const float first = vec4(LDV(x, base)).x;
		for (uint c = lane; c < cols; c += lanes)
			sum += LDV(x, base + c) - first;
		const float mean = first + group_sum(vec2(total(sum))).x * inverse;
		for (uint c = lane; c < cols; c += lanes) {
			const V d = LDV(x, base + c) - mean;
			sq += d * d;
		}
		const float inv = 1 / sqrt(group_sum(vec2(total(sq))).x * inverse + eps);
		for (uint c = lane; c < cols; c += lanes) {
			V v = (LDV(x, base + c) - mean) * inv;
			if (has_w != 0u)
				v *= LDVF(w, c);
			if (has_b != 0u)
				v += LDVF(b, c);
			STV(y, base + c, v);
		}
		if (lane == 0u)
			stat[row] = vec4(mean, inv, 0, 0);
	}
}
