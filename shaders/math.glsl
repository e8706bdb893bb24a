/*
 * Functions of four floats, the same on every device to about 1e-6 relative, which drivers' own
 * (lavapipe's exp2 and log2 are short polynomials; Vulkan allows exp an error of 3 + 2|x| units)
 * are not. NaN in is NaN out.
 */

bvec4 is_nan(vec4 x) { return greaterThan(floatBitsToUint(x) & 0x7FFFFFFFu, uvec4(0x7F800000u)); }

// max, min and clamp may drop a NaN: r where both are numbers.
vec4 nan_of(vec4 r, vec4 u, vec4 v) { return mix(mix(r, v, is_nan(v)), u, is_nan(u)); }

// e^r, |r| <= ln(2)/2, where the Taylor series needs 7 terms.
vec4
exp_small(vec4 r)
{
	vec4 p = vec4(1.0 / 5040);

	p = p * r + 1.0 / 720;
	p = p * r + 1.0 / 120;
	p = p * r + 1.0 / 24;
	p = p * r + 1.0 / 6;
	p = p * r + 0.5;
	p = p * r + 1;
	return p * r + 1;
}

// x less k log(2), in two parts.
vec4 exp_rest(vec4 x, vec4 k) { return x - k * 0.693359375 + k * 2.12194440e-4; }

// e^x = 2^k e^r; 2^k by two factors so that neither overflows before the product does.
vec4
exp_p(vec4 x)
{
	const vec4 c = clamp(x, -150, 150), k = roundEven(c * 1.44269504);
	const ivec4 n = ivec4(k), h = n >> 1;
	const vec4 p = exp_small(exp_rest(c, k));

	return mix(p * intBitsToFloat(h + 127 << 23) * intBitsToFloat(n - h + 127 << 23), x,
	    is_nan(x));
}

// The same where the result is a normal number: x in [-87, 88].
vec4
exp_normal(vec4 x)
{
	const vec4 k = roundEven(x * 1.44269504);

	return exp_small(exp_rest(x, k)) * intBitsToFloat(ivec4(k) + 127 << 23);
}

// 2 atanh(s) = log((1 + s) / (1 - s)), s^2 <= 1/9
vec4
atanh2_p(vec4 s)
{
	const vec4 q = s * s;
	vec4 p = vec4(1.0 / 17);

	p = p * q + 1.0 / 15;
	p = p * q + 1.0 / 13;
	p = p * q + 1.0 / 11;
	p = p * q + 1.0 / 9;
	p = p * q + 1.0 / 7;
	p = p * q + 1.0 / 5;
	p = p * q + 1.0 / 3;
	return 2 * s + 2 * s * q * p;
}

// log(x) = e log(2) + log(m), sqrt(1/2) <= m < sqrt(2)
vec4
log_p(vec4 x)
{
	const bvec4 small = lessThan(x, vec4(1.17549435e-38));
	const ivec4 u = floatBitsToInt(mix(x, x * 8388608, small));
	const ivec4 e = (u - 0x3F3504F3 >> 23) - mix(ivec4(0), ivec4(23), small);
	const vec4 m = intBitsToFloat(u - (u - 0x3F3504F3 & 0xFF800000)), f = m - 1;
	vec4 y = atanh2_p(f / (2 + f));

	y = vec4(e) * 0.693359375 + (y - vec4(e) * 2.12194440e-4);
	y = mix(y, vec4(uintBitsToFloat(0xFF800000u)), equal(x, vec4(0)));
	y = mix(y, x, greaterThanEqual(floatBitsToUint(x) & 0x7FFFFFFFu, uvec4(0x7F800000u)));
	return mix(y, vec4(uintBitsToFloat(0x7FC00000u)), lessThan(x, vec4(0)));
}

vec4 sigmoid_p(vec4 x) { return mix(1 / (1 + exp_normal(clamp(-x, -87, 88))), x, is_nan(x)); }

// max(x, 0) + log(1 + e^-|x|)
vec4
softplus_p(vec4 x)
{
	const vec4 e = exp_normal(max(-abs(x), vec4(-87)));

	return nan_of(max(x, vec4(0)), x, x) + atanh2_p(e / (2 + e));
}

// Lambert's continued fraction to x^7 where it holds, (1 - e) / (1 + e) with e = e^-2|x| elsewhere.
vec4
tanh_p(vec4 x)
{
	const vec4 q = x * x, e = exp_normal(max(-2 * abs(x), vec4(-87)));
	const vec4 low = x * (135135 + q * (17325 + q * (378 + q))) /
	    (135135 + q * (62370 + q * (3150 + q * 28)));

	return mix(mix(sign(x) * (1 - e) / (1 + e), low, lessThan(q, vec4(0.5))), x, is_nan(x));
}

// The normal distribution up to x. Its tail from z on is e^(-z^2/2) times a polynomial in
// 1 / (1 + 0.3 z), fitted to 6e-8 relative on [0, 13].
vec4
cdf_p(vec4 x)
{
	const vec4 z = min(abs(x), vec4(13)), t = 1 / (1 + 0.3 * z);
	vec4 p = vec4(0.03827091831);

	p = p * t - 0.1686431376;
	p = p * t + 0.2275772072;
	p = p * t - 0.07526464087;
	p = p * t + 0.1416751037;
	p = p * t + 0.09505136577;
	p = p * t + 0.1218258241;
	p = p * t + 0.1195010051;
	p = p * t + 6.382682943e-6;
	p *= exp_normal(-0.5 * z * z);
	return mix(mix(p, 1 - p, greaterThan(x, vec4(0))), x, is_nan(x));
}

// sin of x + quarter * pi / 2, |x| up to 1e4: pi / 2 taken off in three parts.
vec4
sin_quarters(vec4 x, int quarter)
{
	const vec4 k = roundEven(x * 0.636619772);
	const vec4 r = ((x - k * 1.5703125) - k * 4.83751297e-4) - k * 7.54979013e-8, q = r * r;
	const ivec4 n = ivec4(k) + quarter;
	const vec4 s = r + r * q * (-1.0 / 6 + q * (1.0 / 120 + q * (-1.0 / 5040 + q / 362880)));
	const vec4 c = 1 + q * (-0.5 + q * (1.0 / 24 + q * (-1.0 / 720 + q / 40320)));
	const vec4 y = mix(s, c, equal(n & 1, ivec4(1)));

	return mix(y, -y, equal(n & 2, ivec4(2)));
}

vec4 sin_p(vec4 x) { return sin_quarters(x, 0); }
vec4 cos_p(vec4 x) { return sin_quarters(x, 1); }

// x^p. Whole exponents up to 64 by squaring, so that they are exact where products are; others by
// exp and log, for x >= 0.
vec4
pow_p(vec4 x, float p)
{
	const float n = abs(p);
	vec4 y = vec4(1), b = x;

	if (n != floor(n) || n > 64) {
		y = exp_p(p * log_p(x));
		return mix(y, vec4(p > 0 ? 0 : uintBitsToFloat(0x7F800000u)), equal(x, vec4(0)));
	}
	for (uint k = uint(n); k > 0; k >>= 1) {
		if ((k & 1u) != 0)
			y *= b;
		b *= b;
	}
	return p < 0 ? 1 / y : y;
}
