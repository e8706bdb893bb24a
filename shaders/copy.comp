//! copy_ssbo:
//! copy_texel: -DTEXEL
#version 450
// y[i] = x[i] in groups of four floats, four groups an invocation: the device's copy bandwidth.
layout(local_size_x_id = 0) in;
#ifdef TEXEL
layout(binding = 0, rgba32f) uniform readonly imageBuffer X;
#define LD4(i) imageLoad(X, int(i))
#else
layout(binding = 0) readonly buffer XB { vec4 x[]; };
#define LD4(i) x[i]
#endif
layout(binding = 1) writeonly buffer YB { vec4 y[]; };
layout(push_constant) uniform P { uint n; }; // groups of four; a multiple of 4 * local size

void
main()
{
	const uint wg = gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x;
	const uint i = wg * 4 * gl_WorkGroupSize.x + gl_LocalInvocationID.x, s = gl_WorkGroupSize.x;

	if (wg * 4 * gl_WorkGroupSize.x >= n)
		return;
	const vec4 a = LD4(i), b = LD4(i + s), c = LD4(i + 2 * s), d = LD4(i + 3 * s);
	y[i] = a;
	y[i + s] = b;
	y[i + 2 * s] = c;
	y[i + 3 * s] = d;
}
