/* One value of V of an image [n, height, width, cols] an invocation: workgroups in y and z are rows
 * and samples. The includer declares fastdiv cols and the row's values, across. */
uint
pixel_index()
{
	return (gl_WorkGroupID.z * gl_NumWorkGroups.y + gl_WorkGroupID.y) * across +
	    gl_GlobalInvocationID.x;
}

/* Column, x, y and sample. */
ivec4
pixel_at()
{
	const uint p = div_by(gl_GlobalInvocationID.x, cols);

	return ivec4(gl_GlobalInvocationID.x - p * cols.d, p, gl_WorkGroupID.yz);
}
