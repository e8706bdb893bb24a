/* Handles and scopes, the tape, checkpoints. */
#include "grad_check.h"

#include <stdio.h>

static void
values_go_there_and_back(void **state)
{
	const float x[] = { 0, -0.0f, 1, -2.5f, 65504, 65519, 65520, 1e-8f, 6.2e-5f, 3.0517578e-5f,
	    1e30f,
		0.1f, INFINITY, -INFINITY, 2049, 2051 };
	const int32_t ids[] = { 1, -2, 2147483647 };
	const uint8_t bytes[] = { 0, 255, 7, 1, 9 };
	const double f16[] = { 0, 0, 1, -2.5, 65504, 65504, INFINITY, 0, 6.198883056640625e-5,
		3.0517578125e-5, INFINITY, 0.0999755859375, INFINITY, -INFINITY, 2048, 2052 };
	float y[16];
	int32_t i[3];
	uint8_t u[5];

	(void)state;
	scope_open();
	tensor_get(tensor_from(F32, 1, (int64_t[]){ 16 }, x), y);
	assert_memory_equal(x, y, sizeof(x));
	near_above("f16 of the host", tensor_from(F16, 2, (int64_t[]){ 4, 4 }, x), f16, 0, 1);
	near_above("f16 of the device", op_cast(tensor_from(F32, 1, (int64_t[]){ 16 }, x), F16),
	    f16, 0, 1);
	tensor_get(tensor_from(I32, 1, (int64_t[]){ 3 }, ids), i);
	assert_memory_equal(ids, i, sizeof(ids));
	tensor_get(tensor_from(U8, 1, (int64_t[]){ 5 }, bytes), u);
	assert_memory_equal(bytes, u, sizeof(bytes));
	assert_true(tensor_item(tensor_scalar(-3.25)) == -3.25);
	assert_true(tensor_item(tensor_full(BF16, 1, (int64_t[]){ 1 }, 1.5)) == 1.5);
	assert_true(tensor_item(tensor_full(U8, 1, (int64_t[]){ 1 }, 200)) == 200);
	assert_string_equal(tensor_shape(tensor_empty(F16, 2, 64, 1, 3)), "[2,64,1,3] f16");
	scope_close();
}

static void
scopes_drop_what_was_not_kept(void **state)
{
	uint64_t before = live_bytes();
	struct tensor *held, *kept, *two[2];

	(void)state;
	scope_open();
	scope_open();
	tensor_empty(F32, 100000);
	kept = tensor_empty(F32, 10);
	held = tensor_hold(tensor_empty(F32, 10));
	two[0] = two[1] = kept;
	scope_keep_all(two, 2);
	assert_true(live_bytes() - before <= 2 * 256);
	scope_open();
	assert_ptr_equal(scope_keep(kept), kept); /* it is of the scope around already */
	assert_true(kept->refs == 1);
	scope_close();
	assert_true(live_bytes() > before);
	tensor_drop(held);
	assert_true(live_bytes() == before);
	/* nobody's until held */
	held = tensor_hold(tensor_empty(F32, 10));
	tensor_drop(held);
	assert_true(live_bytes() == before);
}

/* loss = mean((relu(x w) + b)^2) with x w by values */
static struct tensor *
small_net(struct tensor *x, struct tensor *w, struct tensor *b)
{
	return op_mean_all(op_square(op_add(op_relu(op_mul(x, w)), b)));
}

static void
gradients_add_up_in_leaves(void **state)
{
	uint64_t before = live_bytes();
	const float x[] = { 1, 2, 3 }, w[] = { 2, -1, 0.5f }, b[] = { 1 };
	/* y = relu(2, -2, 1.5) + 1 = 3, 1, 2.5; dw = 2/3 y x where positive; db = 2/3 sum y */
	const double gw[] = { 2, 0, 5 }, gb[] = { 2 / 3.0 * 6.5 };
	struct tensor *tw, *tb, *loss;

	(void)state;
	scope_open();
	tw = tensor_hold(tensor_from(F32, 1, (int64_t[]){ 3 }, w));
	tb = tensor_hold(tensor_from(F32, 1, (int64_t[]){ 1 }, b));
	tw->requires_grad = tb->requires_grad = true;
	for (int k = 1; k <= 2; k++) {
		double want[3] = { gw[0] * k, gw[1] * k, gw[2] * k }, wantb = gb[0] * k;

		scope_open();
		loss = small_net(tensor_from(F32, 1, (int64_t[]){ 3 }, x), tw, tb);
		assert_true(fabs(tensor_item(loss) - (9 + 1 + 6.25) / 3) < 1e-6);
		backward(loss);
		scope_close();
		near("dw", tw->grad, want, 1e-6);
		near("db", tb->grad, &wantb, 1e-6);
		assert_int_equal(tw->grad->version, k);
	}
	scope_open();
	grads_set(false);
	loss = small_net(tensor_from(F32, 1, (int64_t[]){ 3 }, x), tw, tb);
	grads_set(true);
	assert_null(loss->node);
	scope_close();
	tensor_drop(tw);
	tensor_drop(tb);
	scope_close();
	assert_true(live_bytes() == before);
}

/* A loss scale multiplies every gradient; a loss that is a leaf has its own. */
static void
losses_are_scaled(void **state)
{
	struct tensor *x;
	double want;

	(void)state;
	scope_open();
	x = tensor_hold(tensor_scalar(3));
	x->requires_grad = true;
	backward_scaled(op_square(x), 1024);
	near("scaled", x->grad, (want = 6144, &want), 0);
	backward_scaled(x, 0.5);
	near("of a leaf", x->grad, (want = 6144.5, &want), 0);
	tensor_drop(x);
	scope_close();
}

/* A long chain: its nodes go without deep recursion, its memory as the walk passes. */
static void
long_chains_are_freed(void **state)
{
	uint64_t before = live_bytes();
	struct tensor *x, *y, *g;
	double want = 1;

	(void)state;
	scope_open();
	x = tensor_scalar(0.5);
	x->requires_grad = true;
	y = x;
	for (int i = 0; i < 3000; i++)
		y = op_affine(y, 1, 0);
	scope_open();
	grad_of(y, NULL, &x, 1, false, &g);
	near("chain", g, &want, 0);
	scope_close();
	scope_close();
	assert_true(live_bytes() == before);
}

static void
memory_goes_back_during_backward(void **state)
{
	enum { N = 1 << 18 };
	uint64_t before = live_bytes();
	struct tensor *x, *y, *z;

	(void)state;
	scope_open();
	x = random_tensor(F32, 1, -1, 1, N);
	x->requires_grad = true;
	scope_open();
	y = x;
	for (int i = 0; i < 16; i++) {
		struct tensor *last = y;

		scope_open();
		y = tensor_hold(op_affine(op_sigmoid(op_affine(last, 2, 0)), 1, -0.5));
		scope_close();
		if (i)
			tensor_drop(last);
	}
	z = y;
	y = op_mean_all(y);
	/* of each round only sigmoid's output is wanted, not the affine ones */
	tensor_drop(z);
	assert_true(live_bytes() - before < 20 * (uint64_t)N * 4);
	y = scope_keep(y);
	backward(y);
	/* x, its gradient and the scalars are left */
	assert_true(live_bytes() - before < 3 * (uint64_t)N * 4);
	scope_close();
	assert_true(live_bytes() == before);
}

/* d^2 of x^3 y at (2, 3), and a sum of two uses. */
static void
gradients_of_gradients(void **state)
{
	uint64_t before = live_bytes();
	struct tensor *in[2], *g[2], *gg[2], *z;
	double want;

	(void)state;
	scope_open();
	in[0] = tensor_scalar(2);
	in[1] = tensor_scalar(3);
	in[0]->requires_grad = in[1]->requires_grad = true;
	z = op_mul(op_mul(op_mul(in[0], in[0]), in[0]), in[1]);
	grad_of(z, NULL, in, 2, true, g);
	near("dz/dx", g[0], (want = 36, &want), 1e-6);
	near("dz/dy", g[1], (want = 8, &want), 1e-6);
	grad_of(g[0], NULL, in, 2, true, gg);
	near("d2z/dx2", gg[0], (want = 36, &want), 1e-6);
	near("d2z/dxdy", gg[1], (want = 12, &want), 1e-6);
	grad_of(gg[0], NULL, in, 2, false, gg);
	near("d3z/dx3", gg[0], (want = 18, &want), 1e-6);
	near("d3z/dx2dy", gg[1], (want = 12, &want), 1e-6);
	scope_close();
	assert_true(live_bytes() == before);
}

/* Gradients with respect to what is not a leaf, and only where there are some. */
static void
gradients_of_inner_tensors(void **state)
{
	struct tensor *x, *w, *h, *y, *g[3], *sought[3];
	double want;

	(void)state;
	scope_open();
	x = tensor_scalar(2);
	w = tensor_scalar(5);
	x->requires_grad = w->requires_grad = true;
	h = op_square(x);                        /* 4 */
	y = op_add(op_mul(h, w), op_square(h));  /* 20 + 16 */
	sought[0] = h;
	sought[1] = x;
	sought[2] = tensor_scalar(0);
	grad_of(y, NULL, sought, 3, false, g);
	near("dy/dh", g[0], (want = 13, &want), 1e-6);
	near("dy/dx", g[1], (want = 52, &want), 1e-6);
	assert_null(g[2]);
	assert_null(w->grad);
	/* an output that is itself sought */
	y = op_square(x);
	grad_of(y, NULL, &y, 1, false, g);
	near("dy/dy", g[0], (want = 1, &want), 0);
	scope_close();
}

static struct tensor *
block(void *ctx, struct tensor **in, int n)
{
	struct tensor *w = ctx;

	(void)n;
	return op_tanh(op_add(op_mul(op_sigmoid(op_mul(in[0], w)), in[1]), op_exp(in[0])));
}

static void
checkpoint_equals_plain(void **state)
{
	uint64_t before = live_bytes();
	struct tensor *w, *in[2], *plain[3], *t[3];

	(void)state;
	scope_open();
	w = tensor_hold(random_tensor(F32, 3, -1, 1, 7));
	for (int i = 0; i < 2; i++)
		in[i] = random_tensor(F32, 4 + (uint64_t)i, -1, 1, 5, 7);
	t[0] = w;
	t[1] = in[0];
	t[2] = in[1];
	for (int i = 0; i < 3; i++)
		t[i]->requires_grad = true;
	for (int k = 0; k < 2; k++) {
		struct tensor *a, *y[2];

		scope_open();
		a = op_square(in[0]);
		y[0] = a;
		y[1] = in[1];
		for (int j = 0; j < 3; j++)
			y[0] = k ? checkpoint(block, w, y, 2) : block(w, y, 2);
		backward(op_sum_all(op_square(y[0])));
		scope_close();
		for (int i = 0; i < 3; i++) {
			float *p, *c;

			if (!k) {
				plain[i] = t[i]->grad;
				t[i]->grad = NULL;
				continue;
			}
			p = values(plain[i]);
			c = values(t[i]->grad);
			assert_memory_equal(p, c, (size_t)t[i]->n * sizeof(*p));
			free(p);
			free(c);
			tensor_drop(plain[i]);
		}
	}
	tensor_drop(w);
	scope_close();
	assert_true(live_bytes() == before);
}

/* Mistakes that end the program, for 3010-mistakes.t: argument 1 says which. */
static int
mistake(const char *which)
{
	struct tensor *x, *y;

	gpu_open(NULL);
	scope_open();
	x = random_tensor(F32, 1, -1, 1, 4, 3);
	y = tensor_empty(F32, 4);
	if (strcmp(which, "nan") == 0)
		x = op_exp(op_log(x));
	else if (strcmp(which, "shapes") == 0)
		x = op_add(x, y);
	else if (strcmp(which, "types") == 0)
		x = op_mul(x, op_cast(x, F16));
	else if (strcmp(which, "leafless") == 0)
		backward(op_mean_all(x));
	else if (strcmp(which, "twice") == 0) {
		x->requires_grad = true;
		x = op_sum_all(op_exp(x));
		backward(x);
		backward(x);
	}
	printf("%g\n", tensor_item(op_sum_all(x)));
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_go_there_and_back),
		cmocka_unit_test(scopes_drop_what_was_not_kept),
		cmocka_unit_test(gradients_add_up_in_leaves),
		cmocka_unit_test(losses_are_scaled),
		cmocka_unit_test(long_chains_are_freed),
		cmocka_unit_test(memory_goes_back_during_backward),
		cmocka_unit_test(gradients_of_gradients),
		cmocka_unit_test(gradients_of_inner_tensors),
		cmocka_unit_test(checkpoint_equals_plain),
	};

	if (argc > 1)
		return mistake(argv[1]);
	return cmocka_run_group_tests(tests, check_setup, NULL);
}
