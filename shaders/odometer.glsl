/*
 * Where a pair of strided things is read or written while an index runs over up to six dimensions:
 * set to an index by division, stepped to the next by carrying. Wants the constant DIMS and push
 * constants dim, magic, shift (of dimensions 1 to 5; fastdiv in lib/tensor/op.h), xs, ys.
 * Spelt out by dimension: a loop of a single round is left a loop by Mesa 22, at half the speed.
 */
#define ODOMETER_DOWN(f) \
	if (DIMS > 5) { f(5); }; \
	if (DIMS > 4) { f(4); }; \
	if (DIMS > 3) { f(3); }; \
	if (DIMS > 2) { f(2); }; \
	if (DIMS > 1) { f(1); }

ivec2 odometer; // places in x and y
uint digit_[6];
ivec2 stride_[6], carry_[6]; // carry_[d]: what is added when digit d overflows into d - 1

#define ODOMETER_INIT(d) \
	stride_[d] = ivec2(xs[d], ys[d]); \
	carry_[d] = ivec2(xs[d - 1], ys[d - 1]) - int(dim[d - 1]) * stride_[d]
#define ODOMETER_SET(d) { \
	uint hi, lo; \
	umulExtended(i, magic[d - 1], hi, lo); \
	const uint q = hi + i >> shift[d - 1]; \
	digit_[d] = i - q * dim[d - 1]; \
	odometer += int(digit_[d]) * stride_[d]; \
	i = q; \
}
#define ODOMETER_STEP(d) { \
	digit_[d] += uint(over); \
	over = digit_[d] == dim[d - 1]; \
	digit_[d] = over ? 0 : digit_[d]; \
	odometer += over ? carry_[d] : ivec2(0); \
}

void
odometer_init()
{
	ODOMETER_DOWN(ODOMETER_INIT);
	stride_[0] = ivec2(xs[0], ys[0]);
}

void
odometer_set(uint i)
{
	odometer = ivec2(0);
	ODOMETER_DOWN(ODOMETER_SET);
	odometer += int(i) * stride_[0];
}

void
odometer_step()
{
	bool over = true;

	odometer += stride_[DIMS - 1];
	ODOMETER_DOWN(ODOMETER_STEP);
}
