//! attention_delta:
#version 450
// Of each row: the sum of a b, both packed as attention_pack.comp does it.
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint B = 16u;
layout(binding = 0) readonly buffer B0 { vec4 a[]; };
layout(binding = 1) readonly buffer B1 { vec4 b[]; };
layout(binding = 2) writeonly buffer B2 { float sum[]; };
layout(push_constant) uniform P { uint rows, quads; }; // rows of all samples and heads, filled up

void
main()
{
	const uint row = gl_GlobalInvocationID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x *
	    gl_WorkGroupSize.x;
	const uint base = row / B * quads * B + row % B;
	float s = 0;

	if (row >= rows)
		return;
	for (uint c = 0; c < quads; c++)
		s += dot(a[base + c * B], b[base + c * B]);
	sum[row] = s;
}
