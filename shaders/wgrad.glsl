/*
 * What the two forms of the weight gradient share: wgrad_cpu.comp and wgrad_gpu.comp.
 *
 *	y[o, j] = sum_p a[p, o] b(p, j)
 *
 * p runs over the pixels of a grid [.., oh, ow]; a has a row for each; j is a tap (ky, kx), then a
 * channel, in quads; b(p, j) is that channel of the input pixel (oy stride + ky dil - top, ox
 * stride + kx dil - left), zero outside. a^T b of two matrices is the case of one tap on a grid of
 * one row. Sums of parts of the pixels go to places of their own and are added up afterwards, in
 * order. Workgroup (x, y, z): tile of columns, tile of rows, and batch * splits + split.
 */
layout(push_constant) uniform P {
	uint pixels, psplit, splits;   // in all; of one split (a multiple of 8)
	uint m, as_, a0;               // rows of y; quads of a pixel of a, the first used
	uint nq;                       // column quads: taps * c
	uint c, cs, c0;          // channel quads of one tap; of a whole input pixel; the first used
	uint ow, oh;                   // the grid that pixels count through
	int stride, dil, top, left;
	uint ih, iw, kw;               // input grid; taps in a row of the kernel
	uint abatch, bbatch;           // quads from one batch to the next
};

// A pixel of the grid: its coordinates, those in the input before the tap, and the quad they have
// there.
// What steps need is kept beside: push constants read within a loop cost a software device dearly.
struct pixel {
	uint x, y;
	int iy, ix, base;
	uint ow, oh;
	// quads to the next point; more at a line's end; more at an image's
	int stride, across, line, image;
	uint ih, iw;
};

pixel
pixel_at(uint p)
{
	const uint n = p / (ow * oh), t = p - n * ow * oh;
	pixel r;

	r.y = t / ow;
	r.x = t - r.y * ow;
	r.iy = int(r.y) * stride;
	r.ix = int(r.x) * stride;
	r.base = ((int(n * ih) + r.iy) * int(iw) + r.ix) * int(cs);
	r.ow = ow;
	r.oh = oh;
	r.stride = stride;
	r.across = stride * int(cs);
	r.line = stride * int(iw * cs) - int(ow) * r.across;
	r.image = (int(ih) - int(oh) * stride) * int(iw * cs);
	r.ih = ih;
	r.iw = iw;
	return r;
}

// The pixel n further, which is of the same line or the first of the next.
pixel
pixel_skip(pixel r, uint n)
{
	const bool line = r.x + n >= r.ow, image = line && r.y + 1 == r.oh;

	r.base += int(n) * r.across + (line ? r.line : 0) + (image ? r.image : 0);
	r.x = line ? 0 : r.x + n;
	r.ix = line ? 0 : r.ix + int(n) * r.stride;
	r.y = image ? 0 : line ? r.y + 1 : r.y;
	r.iy = image ? 0 : line ? r.iy + r.stride : r.iy;
	return r;
}

pixel pixel_next(pixel r) { return pixel_skip(r, 1); }

// What a column quad adds to a pixel.
struct shift {
	int y, x, off;
};

shift
shift_of(uint j)
{
	const uint tap = j / c, row = tap / kw;
	shift s;

	s.y = int(row) * dil - top;
	s.x = int(tap - row * kw) * dil - left;
	s.off = (s.y * int(iw) + s.x) * int(cs) + int(c0 + j - tap * c);
	return s;
}

// The quad of b for a pixel and a column, -1 where there is none.
int
b_at(pixel p, shift s, bool live)
{
	return live && uint(p.iy + s.y) < p.ih && uint(p.ix + s.x) < p.iw ? p.base + s.off : -1;
}
