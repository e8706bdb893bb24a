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
// dx = inv (g - mean(g) - h mean(g h)) of each row, with g = gy w and h = (x - mean) inv.
layout(local_size_x_id = 0) in;
#include "value.glsl"
#include "group_sum.glsl"
INV(0, x);
INV(1, gy);
INVF(2, w);
layout(binding = 3) readonly buffer B3 { vec4 stat[]; };
OUTV(4, dx);
layout(push_constant) uniform P { uint rows, each, cols, channels, has_w; };

void
main()
{
	const uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
	const uint from = (gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x) * each;
	const uint to = min(rows, from + each);

	for (uint row = from; row < to; row++) {
		const uint base = row * cols;
		const float mean = stat[row].x, inv = stat[row].y;
		V sum = V(0), dot_ = V(0);

		for (uint c = lane; c < cols; c += lanes) {
			V g = LDV(gy, base + c);
			if (has_w != 0u)
				g *= LDVF(w, c);
			sum += g;
			dot_ += g * (LDV(x, base + c) - mean);
		}
		const vec2 s = group_sum(vec2(total(sum), total(dot_) * inv)) / float(channels);
		for (uint c = lane; c < cols; c += lanes) {
			V g = LDV(gy, base + c);
			if (has_w != 0u)
				g *= LDVF(w, c);
			STV(dx, base + c, inv * (g - s.x - (LDV(x, base + c) - mean) * inv * s.y));
		}
	}
}
