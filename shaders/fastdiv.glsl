/* x / d for x below 2^31, by a multiplication: m from fastdiv() on the host (Granlund and
 * Montgomery, Division by invariant integers using multiplication, 1994). */
struct fastdiv {
	uint d, magic, shift;
};

uint
div_by(uint x, fastdiv m)
{
	uint hi, lo;

	umulExtended(x, m.magic, hi, lo);
	return (hi + x) >> m.shift;
}
