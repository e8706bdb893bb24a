//! norm_finish_v:
//! norm_finish_t: -DTEXEL
//! norm_finish_run_v: -DRUNNING
//! norm_finish_run_t: -DRUNNING -DTEXEL
#version 450
#extension GL_GOOGLE_include_directive : require
/*
 * From norm_stat's parts to the mean and 1/sqrt(variance + eps) of each group of channels, and to
 * each channel's mean, scale and shift for norm_apply. One workgroup a group and sample. Groups of
 * one channel and one sample: batch norm, which also moves the running statistics.
 * Two passes over the parts: the exact mean first, then M2 = sum M2_i + n_i (mean_i - mean)^2
 * (Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm, 1979).
 */
layout(local_size_x_id = 0) in;
#include "group_sum.glsl"
#include "fastdiv.glsl"
#ifdef TEXEL
layout(binding = 0, r32f) uniform readonly imageBuffer part;
#define PART(i) imageLoad(part, int(i)).x
#else
layout(binding = 0) readonly buffer B0 { float part[]; };
#define PART(i) part[i]
#endif
layout(binding = 1) readonly buffer B1 { float w[]; };
layout(binding = 2) readonly buffer B2 { float b[]; };
layout(binding = 3) writeonly buffer B3 { float coef[]; };  // [n, 3, C]: mean, scale, shift
layout(binding = 4) writeonly buffer B4 { float stat[]; };  // [n, groups, 2]: mean, 1/deviation
#ifdef RUNNING
layout(binding = 5) buffer B5 { float running_mean[]; };
layout(binding = 6) buffer B6 { float running_var[]; };
#endif
layout(push_constant) uniform P {
	fastdiv width, fold; // channels of a group
	uint channels, groups, parts, rows, steps, has_w, has_b;
	float eps, momentum;
};

/* Rows that went into part p. */
float
count(uint p)
{
	const uint chunk = div_by(p, fold), from = chunk * steps * fold.d + p - chunk * fold.d;

	return from < rows ? float(min(steps, div_by(rows - from + fold.d - 1u, fold))) : 0.0;
}

void
main()
{
	const uint g = gl_WorkGroupID.x, n = gl_WorkGroupID.y, lane = gl_LocalInvocationID.x;
	const uint items = parts * width.d, c0 = g * width.d;
	const uint base = n * parts * 2u * channels + c0;
	const float total = float(rows) * float(width.d), first = PART(base);
	float sum = 0, sq = 0;

	for (uint i = lane; i < items; i += gl_WorkGroupSize.x) {
		const uint p = div_by(i, width);
		sum += count(p) * (PART(base + p * 2u * channels + i - p * width.d) - first);
	}
	const float mean = first + group_sum(vec2(sum)).x / total;
	for (uint i = lane; i < items; i += gl_WorkGroupSize.x) {
		const uint p = div_by(i, width), at = base + p * 2u * channels + i - p * width.d;
		const float d = PART(at) - mean;
		sq += PART(at + channels) + count(p) * d * d;
	}
	sq = group_sum(vec2(sq)).x;
	const float inv = 1 / sqrt(sq / total + eps);
	for (uint j = lane; j < width.d; j += gl_WorkGroupSize.x) {
		const uint o = n * 3u * channels + c0 + j;
		coef[o] = mean;
		coef[o + channels] = has_w != 0u ? inv * w[c0 + j] : inv;
		coef[o + 2u * channels] = has_b != 0u ? b[c0 + j] : 0.0;
	}
	if (lane == 0u) {
		stat[(n * groups + g) * 2u] = mean;
		stat[(n * groups + g) * 2u + 1u] = inv;
#ifdef RUNNING
		running_mean[g] += momentum * (mean - running_mean[g]);
		running_var[g] += momentum * (sq / (total - 1) - running_var[g]);
#endif
	}
}
