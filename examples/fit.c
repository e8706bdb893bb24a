/*
 * The engine from C: a net of two hidden layers learns to tell two interleaved half circles apart,
 * by plain gradient descent. Prints the loss as it falls and, last, the share that it gets right.
 */
#include "base/err.h"
#include "base/file.h"
#include "base/rng.h"
#include "tensor/ops.h"

#include <math.h>

enum { POINTS = 512, HIDDEN = 32, STEPS = 400, LAYERS = 3 };

/* A parameter lives outside all scopes; normal numbers times scale. */
static struct tensor *
parameter(uint64_t seed, double scale, int64_t rows, int64_t cols)
{
	struct tensor *t;

	scope_open();
	t = tensor_hold(op_affine(op_normal(cols ? 2 : 1, (int64_t[]){ rows, cols }, seed), scale,
	    0));
	scope_close();
	t->requires_grad = true;
	return t;
}

/* p -= rate dp, in place, and the gradient starts again from nothing. */
static void
descend(struct tensor *p, double rate)
{
	tensor_accumulate(p, op_affine(p->grad, -rate, 0), false);
	p->grad = tensor_drop(p->grad);
}

int
main(int argc, char **argv)
{
	const int64_t width[] = { 2, HIDDEN, HIDDEN, 1 };
	static float point[POINTS][2], side[POINTS];
	struct tensor *w[LAYERS], *b[LAYERS], *x, *y, *h, *loss;
	struct rng r;

	(void)argc;
	prog_init(argv[0]);
	gpu_open(NULL);
	rng_init(&r, 1, rng_stream("moons", NULL));
	for (int i = 0; i < POINTS; i++) {
		double angle = 3.14159265 * rng_double(&r), up = i % 2 ? 1 : -1;

		point[i][0] =
		    (float)(up * cos(angle) + (i % 2 ? 0 : 1) - 0.5 + 0.1 * rng_normal(&r));
		point[i][1] =
		    (float)(up * sin(angle) + (i % 2 ? 0 : 0.5) - 0.25 + 0.1 * rng_normal(&r));
		side[i] = (float)(i % 2);
	}
	scope_open();
	x = tensor_from(F32, 2, (int64_t[]){ POINTS, 2 }, point);
	y = tensor_from(F32, 2, (int64_t[]){ POINTS, 1 }, side);
	for (int k = 0; k < LAYERS; k++) {
		w[k] = parameter(2 * (uint64_t)k, sqrt(2.0 / (double)width[k]), width[k + 1],
		    width[k]);
		b[k] = parameter(2 * (uint64_t)k + 1, 0, width[k + 1], 0);
	}
	for (int step = 0; step <= STEPS; step++) {
		scope_open();
		h = x;
		for (int k = 0; k < LAYERS; k++)
			h = k < LAYERS - 1 ? op_relu(op_linear(h, w[k], b[k]))
			    : op_linear(h, w[k], b[k]);
		loss = op_bce_with_logits(h, y, NULL);
		if (step % 100 == 0)
			printf("{\"kind\":\"step\",\"step\":%d,\"loss\":%.4f}\n", step,
			    tensor_item(loss));
		if (step == STEPS) { /* right where the sign of h is that of the side */
			struct tensor *right = op_greater_s(op_mul(h, op_affine(y, 2, -1)), 0);

			printf("{\"kind\":\"result\",\"metric\":\"accuracy\",\"value\":%.4f}\n",
			    tensor_item(op_mean_all(right)));
		}
		backward(loss);
		for (int k = 0; k < LAYERS; k++) {
			descend(w[k], 0.5);
			descend(b[k], 0.5);
		}
		scope_close();
	}
	for (int k = 0; k < LAYERS; k++) {
		tensor_drop(w[k]);
		tensor_drop(b[k]);
	}
	scope_close();
	stdout_close();
	return EXIT_OK;
}
