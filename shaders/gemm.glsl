/*
 * What the two forms of the product kernel share: gemm_cpu.comp (registers and shuffles, for
 * software devices) and gemm_gpu.comp (tiles in shared memory).
 *
 *	y[m, n] = act(sum_k a(m, k) w[k, n] + bias[n])
 *
 * Row m is a pixel of an image grid [.., oh, ow]; k runs over taps (ky, kx), then channels, in
 * groups of four ("quads"); a(m, k) is the channel of the input pixel (oy stride + ky dil - top, ox
 * stride + kx dil - left), zero outside. A plain product is the case of a 1x1 kernel on a grid of
 * one row. With 16-bit storage k goes in groups of eight, which is what one 16-byte load brings.
 * Workgroup z is batch * splits + split of k; x and y count tiles (tile_of).
 */
layout(push_constant) uniform P {
	uint m, down, across;      // rows in all; tiles down and across
	uint nq, q0, qend;      // quads of a row of y; the first of this call, the end of a batch's
	uint k, ksplit, splits;    // quads of k in all, of one split (even); how many splits
	uint ow, oh;               // the grid that rows count through
	int stride, dil, top, left;
	uint ih, iw;               // input grid
	uint c, cs, c0;          // channel quads of one tap; of a whole input pixel; the first used
	uint kw;                   // taps in a row of the kernel
	uint on, oy, ox, o0;       // row m of the grid is pixel n on + y oy + x ox + o0 of y
	uint abatch, bbatch, ybatch, psplit; // quads from batch to batch; pixels between splits
	uint bias;                 // 1: there is one
	float slope;              // of ACT 0: y below zero is multiplied by it (1: linear, 0: ReLU)
	int wnext;                 // of weights that are not packed (gemm_cpu.glsl)
};

const uint NOWHERE = 0xFFFFFFFFu;

// n / d for n below 2^31, without the division that software devices do lane by lane: two estimates
// in float, each within a few units of what is left, then the last unit.
uint
quotient(uint n, uint d)
{
	const float by = 1 / float(d);
	uint q = uint(float(n) * by);
	int rest = int(n - q * d);
	const int more = int(floor(float(rest) * by));

	q += more;
	rest -= more * int(d);
	return q + (rest >= int(d) ? 1 : 0) - (rest < 0 ? 1 : 0);
}

// Tiles go across bands of a few rows of tiles, down within a band: so what is read of a and
// written of y stays near, and a tile of w serves a whole band.
struct tile {
	uint row, col;
};

tile
tile_of()
{
	const uint id = gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x;
	const uint band = quotient(id, 8 * across) * 8, high = min(8, down - band);
	tile t;

	t.col = quotient(id - band * across, high);
	t.row = band + id - band * across - t.col * high;
	return t;
}

// Where row r of the grid lies in the input (its first tap) and in the output.
struct place {
	int y, x, base; // base: quad of (y, x) in the input
	uint dst;       // pixel of y, or NOWHERE
};

place
place_of(uint r)
{
	const uint n = quotient(r, ow * oh), t = r - n * ow * oh, py = quotient(t, ow),
	    px = t - py * ow;
	place p;

	p.y = int(py) * stride - top;
	p.x = int(px) * stride - left;
	p.base = ((int(n * ih) + p.y) * int(iw) + p.x) * int(cs) + int(c0);
	p.dst = r < m ? n * on + py * oy + px * ox + o0 : NOWHERE;
	if (r >= m)
		p.y = -0x40000000;
	return p;
}

// Position in k: the tap (already times dil), the quad within it, and their offset in the input.
// What steps need is kept beside: push constants read within a loop cost a software device dearly.
struct step {
	int ky, kx, off;
	uint q, k;
	int dil, line;               // from tap to tap; a row of them
	int across, down, width;     // the same in quads: a tap, a row of the input, a row of taps
	uint c, ih, iw;
};

step
step_at(uint at)
{
	const uint tap = quotient(at, c), row = quotient(tap, kw);
	step s;

	s.dil = dil;
	s.line = int(kw) * dil;
	s.across = dil * int(cs);
	s.down = dil * int(iw * cs);
	s.width = s.line * int(cs);
	s.c = c;
	s.ih = ih;
	s.iw = iw;
	s.q = at - tap * c;
	s.ky = int(row) * dil;
	s.kx = int(tap - row * kw) * dil;
	s.off = (s.ky * int(iw) + s.kx) * int(cs) + int(s.q);
	s.k = at;
	return s;
}

// The next quad. Without branches: every lane of a software device would pay for them.
step
step_next(step s)
{
	const bool tap = s.q + 1 == s.c, line = tap && s.kx + s.dil == s.line;

	s.off += 1 + (tap ? s.across - int(s.c) : 0);
	s.off += line ? s.down - s.width : 0;
	s.k++;
	s.q = tap ? 0 : s.q + 1;
	s.kx = line ? 0 : tap ? s.kx + s.dil : s.kx;
	s.ky = line ? s.ky + s.dil : s.ky;
	return s;
}

// The texel or element of the input at step s of place p; -1 where there is none.
int
input_at(place p, step s, uint kend)
{
	const bool in_ = uint(p.y + s.ky) < s.ih && uint(p.x + s.kx) < s.iw && s.k < kend;

	return in_ ? p.base + s.off : -1;
}
