/* One value of V of an image [n, height, width, cols] an invocation, counted in two dimensions of
 * workgroups. The includer declares fastdivs cols, width, height and the number of values, total. */
uint pixel_index()
{
	return (gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x) * gl_WorkGroupSize.x +
	    gl_LocalInvocationID.x;
}

/* Column, x, y and sample of value i. */
ivec4
pixel_at(uint i)
{
	const uint p = div_by(i, cols), q = div_by(p, width), n = div_by(q, height);

	return ivec4(i - p * cols.d, p - q * width.d, q - n * height.d, n);
}
