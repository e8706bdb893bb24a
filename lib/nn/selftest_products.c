/* References of products: matrices, attention, convolutions. */
#include "nn/selftest_table.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void
selftest_matmul(const struct selftest_check *c, double *const *in, double *out)
{
	bool t = c->variant;
	int64_t m = c->in[0].dim[t], k = c->in[0].dim[!t], n = c->in[1].dim[!t];

	for (int64_t i = 0; i < m; i++)
		for (int64_t j = 0; j < n; j++) {
			double s = 0;

			for (int64_t l = 0; l < k; l++)
				s += in[0][t ? l * m + i : i * k + l] *
				    in[1][t ? j * k + l : l * n + j];
			out[i * n + j] = s;
		}
}

void
selftest_linear(const struct selftest_check *c, double *const *in, double *out)
{
	int64_t m = c->in[0].dim[0], k = c->in[0].dim[1], n = c->in[1].dim[0];

	for (int64_t i = 0; i < m; i++)
		for (int64_t j = 0; j < n; j++) {
			double s = in[2][j];

			for (int64_t l = 0; l < k; l++)
				s += in[0][i * k + l] * in[1][j * k + l];
			out[i * n + j] = s;
		}
}

void
selftest_attention(const struct selftest_check *c, double *const *in, double *out)
{
	int64_t T = c->in[0].dim[1], S = c->in[1].dim[1], C = c->in[0].dim[2], d = C / 2;
	double *p = xcalloc((size_t)S, sizeof(*p));

	for (int64_t r = 0; r < c->in[0].dim[0] * T * 2; r++) {
		int64_t h = r % 2, t = r / 2 % T, n = r / 2 / T;
		double sum = 0;

		for (int64_t s = 0; s < S; s++) {
			double dot = 0;

			for (int64_t i = 0; i < d; i++)
				dot += in[0][(n * T + t) * C + h * d + i] *
				    in[1][(n * S + s) * C + h * d + i];
			sum += p[s] = exp(dot / sqrt((double)d));
		}
		for (int64_t i = 0; i < d; i++) {
			double v = 0;

			for (int64_t s = 0; s < S; s++)
				v += p[s] / sum * in[2][(n * S + s) * C + h * d + i];
			out[(n * T + t) * C + h * d + i] = v;
		}
	}
	free(p);
}

const struct selftest_conv_shape selftest_convs[] =
    { { 3, 1, 1, 1 }, { 3, 2, 1, 1 }, { 1, 1, 0, 1 },
	{ 3, 1, 1, 8 }, { 7, 2, 3, 1 }, { 5, 2, 2, 8 }, { 3, 1, 1, 2 } };

void
selftest_conv(const struct selftest_check *c, double *const *in, double *out)
{
	const int64_t *d = c->in[0].dim, *w = c->in[1].dim;
	int s = selftest_convs[c->variant].s, p = selftest_convs[c->variant].p,
	    g = selftest_convs[c->variant].g;
	int64_t k = w[1], oh = (d[1] + 2 * p - k) / s + 1, ow = (d[2] + 2 * p - k) / s + 1, at = 0;

	for (int64_t n = 0; n < d[0]; n++)
		for (int64_t y = 0; y < oh; y++)
			for (int64_t x = 0; x < ow; x++)
				for (int64_t o = 0; o < w[0]; o++) {
					double sum = in[2][o];
					int64_t first = o / (w[0] / g) * w[3];

					for (int64_t t = 0; t < k * k; t++) {
						int64_t iy = y * s + t / k - p,
						        ix = x * s + t % k - p;

						if (iy < 0 || iy >= d[1] || ix < 0 || ix >= d[2])
							continue;
						for (int64_t i = 0; i < w[3]; i++)
							sum += in[0][((n * d[1] + iy) * d[2] + ix) *
							               d[3] +
							           first + i] *
							    in[1][(o * k * k + t) * w[3] + i];
					}
					out[at++] = sum;
				}
}

void
selftest_conv_t(const struct selftest_check *c, double *const *in, double *out)
{
	const int64_t *d = c->in[0].dim, *w = c->in[1].dim;
	int64_t oh = 2 * d[1], ow = 2 * d[2];

	memset(out, 0, (size_t)(d[0] * oh * ow * w[3]) * sizeof(*out));
	for (int64_t i = 0; i < selftest_count(&c->in[0]); i++) {
		int64_t o = i % d[3], x = i / d[3] % d[2], y = i / d[3] / d[2] % d[1];
		int64_t n = i / d[3] / d[2] / d[1];

		for (int64_t t = 0; t < 9; t++) {
			int64_t oy = 2 * y + t / 3 - 1, ox = 2 * x + t % 3 - 1;

			if (oy < 0 || oy >= oh || ox < 0 || ox >= ow)
				continue;
			for (int64_t k = 0; k < w[3]; k++)
				out[((n * oh + oy) * ow + ox) * w[3] + k] +=
				    in[0][i] * in[1][(o * 9 + t) * w[3] + k];
		}
	}
}
