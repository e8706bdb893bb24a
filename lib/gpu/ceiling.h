/* What the open device can do at best, measured: the yardstick of every figure in a benchmark. */
#ifndef GPU_CEILING_H
#define GPU_CEILING_H

struct ceiling {
	double flops;  /* f32 multiply-adds in registers, counted as two, per second */
	double bytes; /* copied, read and written counted both, per second, from memory to memory */
	double cached; /* the same of a buffer that fits the last-level cache */
};
/* Takes about a second; medians of several runs. */
void ceiling_measure(struct ceiling *);

#endif
