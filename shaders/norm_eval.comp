//! norm_eval:
#version 450
// norm_apply's coefficients (mean, scale, shift: [3, C]) and 1/deviation from running statistics.
layout(local_size_x_id = 0) in;
layout(binding = 0) readonly buffer B0 { float running_mean[]; };
layout(binding = 1) readonly buffer B1 { float running_var[]; };
layout(binding = 2) readonly buffer B2 { float w[]; };
layout(binding = 3) readonly buffer B3 { float b[]; };
layout(binding = 4) writeonly buffer B4 { float coef[]; };
layout(binding = 5) writeonly buffer B5 { float stat[]; }; // [C, 2]: mean, 1/deviation
layout(push_constant) uniform P { uint channels, has_w, has_b; float eps; };

void
main()
{
	const uint c = gl_GlobalInvocationID.x;

	if (c >= channels)
		return;
	const float mean = running_mean[c], inv = 1 / sqrt(running_var[c] + eps);
	coef[c] = mean;
	coef[channels + c] = has_w != 0u ? inv * w[c] : inv;
	coef[2u * channels + c] = has_b != 0u ? b[c] : 0.0;
	stat[2u * c] = mean;
	stat[2u * c + 1u] = inv;
}
