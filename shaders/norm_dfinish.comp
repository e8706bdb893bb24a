//! norm_dfinish_v:
//! norm_dfinish_t: -DTEXEL
#version 450
#extension GL_GOOGLE_include_directive : require
/*
 * From norm_dsum's parts to each sample's and channel's gradient of shift (db) and weight (dw), and
 * to what norm_dx adds for the mean and the variance (where they depend on x: `train`):
 * with h = (x - mean) inv, M values a group, dx = inv (w g - mean(w g) - h mean(w g h)).
 * One workgroup a group and sample.
 */
layout(local_size_x_id = 0) in;
#include "group_sum.glsl"
#ifdef TEXEL
layout(binding = 0, r32f) uniform readonly imageBuffer part;
#define PART(i) imageLoad(part, int(i)).x
#else
layout(binding = 0) readonly buffer B0 { float part[]; };
#define PART(i) part[i]
#endif
layout(binding = 1) readonly buffer B1 { float w[]; };
layout(binding = 2) readonly buffer B2 { float stat[]; };
// [n, 2, C]: factor of x - mean, constant
layout(binding = 3) writeonly buffer B3 { float dcoef[]; };
layout(binding = 4) writeonly buffer B4 { float dw[]; };    // [n, C]
layout(binding = 5) writeonly buffer B5 { float db[]; };    // [n, C]
layout(push_constant) uniform P { uint channels, groups, parts, rows, has_w, train; };

void
main()
{
	const uint g = gl_WorkGroupID.x, n = gl_WorkGroupID.y, lane = gl_LocalInvocationID.x;
	const uint width = channels / groups, c0 = g * width, base = n * parts * 2u * channels + c0;
	const float inv = stat[(n * groups + g) * 2u + 1u];
	float sum = 0, dot = 0;

	for (uint j = 0; j < width; j++) {
		vec2 s = vec2(0);
		for (uint p = lane; p < parts; p += gl_WorkGroupSize.x) {
			const uint at = base + p * 2u * channels + j;
			s.x += PART(at);
			s.y += PART(at + channels);
		}
		s = group_sum(s);
		s.y *= inv;
		if (lane == 0u) {
			db[n * channels + c0 + j] = s.x;
			dw[n * channels + c0 + j] = s.y;
		}
		const float weight = has_w != 0u ? w[c0 + j] : 1.0;
		sum += weight * s.x;
		dot += weight * s.y;
	}
	const float k = train != 0u ? inv / (float(rows) * float(width)) : 0.0;
	for (uint j = lane; j < width; j += gl_WorkGroupSize.x) {
		dcoef[n * 2u * channels + c0 + j] = -k * dot * inv;
		dcoef[(n * 2u + 1u) * channels + c0 + j] = -k * sum;
	}
}
