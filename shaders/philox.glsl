/*
 * Philox 4x32-10 (Salmon et al. 2011) as in lib/base/rng.c, and normal numbers that are the same to
 * the last bit on every device: nothing but additions, multiplications and integers, none of them
 * contracted.
 */
uvec4
philox(uvec4 c, uvec2 key)
{
	for (int round = 0; round < 10; round++) {
		uint h0, l0, h1, l1;

		umulExtended(0xD2511F53u, c.x, h0, l0);
		umulExtended(0xCD9E8D57u, c.z, h1, l1);
		c = uvec4(h1 ^ c.y ^ key.x, l1, h0 ^ c.w ^ key.y, l0);
		key += uvec2(0x9E3779B9u, 0xBB67AE85u);
	}
	return c;
}

// In [0, 1), 24 bits.
vec4 uniform_of(uvec4 w) { return vec4(w >> 8) * 5.9604644775390625e-8; }

// Box-Muller: radius sqrt(-2 log u) with u in (0, 1], angle by quadrant and an offset within it.
vec2
normal_pair(uvec2 w)
{
	const int u = floatBitsToInt(float((w.x >> 8) + 1) * 5.9604644775390625e-8);
	const int e = u - 0x3F3504F3 >> 23;
	precise float f, p, l, y, q, s, c, a;

	// log(1 + f) = f p(f), sqrt(1/2) <= 1 + f < sqrt(2), minimax to 4e-9
	f = intBitsToFloat(u - (e << 23)) - 1;
	p = -0.0763304722;
	p = p * f + 0.129234833;
	p = p * f - 0.132480572;
	p = p * f + 0.141793712;
	p = p * f - 0.166082157;
	p = p * f + 0.200020633;
	p = p * f - 0.250016195;
	p = p * f + 0.333333249;
	p = p * f - 0.49999988;
	p = p * f + 1;
	l = f * p;
	l = l + float(e) * 0.693147181;
	l = l * -2;
	l = max(l, 1e-20);
	// 1 / sqrt(l) by Newton from the exponent's half
	y = intBitsToFloat(0x5F3759DF - (floatBitsToInt(l) >> 1));
	for (int k = 0; k < 4; k++) {
		q = l * y;
		q = q * y;
		q = q * -0.5;
		q = q + 1.5;
		y = y * q;
	}
	l = l * y;
	// an angle in [-pi/4, pi/4)
	a = float(int(w.y >> 6 & 0xFFFFFFu) - 0x800000);
	a = a * 9.36267571e-8;
	q = a * a;
	s = q * 2.75573192e-6;
	s = s - 1.98412698e-4;
	s = s * q;
	s = s + 8.33333333e-3;
	s = s * q;
	s = s - 0.166666667;
	s = s * q;
	s = s * a;
	s = s + a;
	c = q * 2.48015873e-5;
	c = c - 1.38888889e-3;
	c = c * q;
	c = c + 4.16666667e-2;
	c = c * q;
	c = c - 0.5;
	c = c * q;
	c = c + 1;
	s = s * l;
	c = c * l;
	switch (w.y >> 30) {
	case 0: return vec2(c, s);
	case 1: return vec2(-s, c);
	case 2: return vec2(-c, -s);
	}
	return vec2(s, -c);
}

vec4 normal_of(uvec4 w) { return vec4(normal_pair(w.xy), normal_pair(w.zw)); }
