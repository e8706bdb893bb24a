/* The pooling windows, of h by w, that a value lies in: o with 0 <= y + pad - o stride < k. x, y of each. */
ivec2
windows_from(ivec4 at)
{
	const ivec2 s = max(at.yz + pad - k + int(stride.d), 0);

	return ivec2(div_by(uint(s.x), stride), div_by(uint(s.y), stride));
}

ivec2
windows_to(ivec4 at)
{
	return min(ivec2(div_by(uint(at.y + pad), stride), div_by(uint(at.z + pad), stride)),
	    ivec2(w, h) - 1);
}
