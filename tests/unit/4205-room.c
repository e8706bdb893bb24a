/*
 * What generating takes of the device's memory: what sd_room tells beside what a run took, and the
 * batch and the tile that follow from it.
 */
#include "scratch.h"

#include "model/sd_init.h"
#include "model/sd_room.h"
#include "model/sd_sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char *mini, *tiny; /* models in the scratch folder */

static void
must(int ret)
{
	if (ret)
		die("%s", errmsg());
}

static char *
make_model(const char *name)
{
	char *tok = path_join(scratch, "learned"), *path = path_join(scratch, name);
	struct sd_files f = { .path = xstrdup(path), .tokenizer = tok };

	must(make_dirs(tok) || make_dirs(path));
	must(tokenizer_learn(NULL, 0, 0, tok));
	must(sd_config_named(&f.cfg, name));
	f.cfg.text.vocab = 514;
	for (int i = 0; i < SD_CLASSES; i++) {
		f.has[i] = true;
		sd_init_net(&f.net[i], path, &f.cfg, (enum sd_net)i, 1);
	}
	must(sd_files_write(&f, path, ST_F32, 0, NULL));
	sd_files_close(&f);
	return path;
}

struct told {
	uint64_t unet, decode, peak;
};

/* In a process of its own, whose peak is its own. */
static struct told
run(int n, int w, int h, double guidance, enum dtype dtype, bool lean)
{
	struct told t = { 0 };
	struct sd_job job[8];
	struct gpu_mem_stat m;
	struct pipeline p;
	struct sd_sample s;
	int fd[2], status;

	if (pipe(fd))
		die("pipe:");
	fflush(stdout);
	if (fork() == 0) {
		gpu_open(NULL);
		must(pipeline_open(&p, mini,
		    &(struct pipeline_opts){ .dtype = dtype, .lean = lean }));
		sd_sample_init(&s, &p);
		for (int i = 0; i < n; i++) {
			job[i] = (struct sd_job){ .text = "x", .width = w, .height = h, .steps = 2,
				.guidance = guidance, .strength = 1, .sampler = SAMPLER_DDIM,
				.seed = (uint64_t)i };
			must(sd_job_check(&s, &job[i]));
		}
		t.unet = sd_room_unet(&p, (guidance != 1 ? 2 : 1) * n, h / 4, w / 4);
		t.decode = sd_room_decode(&p, h / 4, w / 4, 0);
		/* in the second every copy of weights is there from the start */
		must(sd_sample_run(&s, job, n));
		must(sd_sample_run(&s, job, n));
		gpu_mem(&m);
		t.peak = m.peak_all;
		if (write(fd[1], &t, sizeof(t)) != sizeof(t))
			die("pipe:");
		_exit(0);
	}
	close(fd[1]);
	if (read(fd[0], &t, sizeof(t)) != sizeof(t))
		die("the run ended early");
	close(fd[0]);
	wait(&status);
	return t;
}

/* Observed: 0.980 to 0.993 (the text states and what is on its way to the device are not
 * counted). */
static void
told_and_taken(void **state)
{
	static const struct {
		int n, w, h;
		double guidance;
		enum dtype dtype;
		bool lean;
	} c[] = { { 1, 32, 32, 1, F32, false }, { 2, 64, 64, 7.5, F32, false },
		{ 1, 128, 96, 7.5, F32, false }, { 8, 128, 128, 7.5, F32, false },
		{ 4, 96, 96, 1, F16, false }, { 2, 128, 128, 7.5, F32, true },
		{ 1, 100, 60, 7.5, F32, true }, { 4, 96, 96, 1, F16, true } };

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(*c); i++) {
		struct told t =
		    run(c[i].n, c[i].w, c[i].h, c[i].guidance, c[i].dtype, c[i].lean);
		uint64_t told = t.unet > t.decode ? t.unet : t.decode;

		print_message(
		    "%d of %d x %d, guidance %g, %s%s: told %.3f MB (U-Net %.3f, decoding %.3f), "
		    "taken %.3f: ratio %.4f\n",
		    c[i].n, c[i].w, c[i].h, c[i].guidance, dtype_name(c[i].dtype),
		    c[i].lean ? ", lean" : "",
		    (double)told / 1e6, (double)t.unet / 1e6, (double)t.decode / 1e6,
		    (double)t.peak / 1e6, (double)told / (double)t.peak);
		assert_true((double)told >= 0.98 * (double)t.peak);
		assert_true((double)told <= 1.05 * (double)t.peak);
	}
}

/* The batch and the tile of a device with so much memory, in a process of their own. */
static void
fit(const char *memory, int w, int h, int *batch, int *tile)
{
	struct sd_job job = { .text = "x", .width = w, .height = h, .steps = 2, .guidance = 7.5,
		.strength = 1, .sampler = SAMPLER_DDIM };
	int fd[2], status, got[2];
	struct pipeline p;
	struct sd_sample s;

	if (pipe(fd))
		die("pipe:");
	fflush(stdout);
	if (fork() == 0) {
		setenv("PHANTOM_MEMORY", memory, 1);
		gpu_open(NULL);
		must(pipeline_open(&p, tiny, &(struct pipeline_opts){ .dtype = F32 }));
		sd_sample_init(&s, &p);
		got[0] = sd_sample_batch(&s, &job);
		got[1] = sd_sample_tile(&s, &job);
		if (got[0] != sd_sample_batch(&s, &job) || got[1] != sd_sample_tile(&s, &job))
			die("asked again, another answer");
		print_message(
		    "  decoding whole %.1f MB, by 32 %.1f, by 16 %.1f; U-Net for one %.1f\n",
		    (double)sd_room_decode(&p, h / 4, w / 4, 0) / 1e6,
		    (double)sd_room_decode(&p, h / 4, w / 4, 32) / 1e6,
		    (double)sd_room_decode(&p, h / 4, w / 4, 16) / 1e6,
		    (double)sd_room_unet(&p, 2, h / 4, w / 4) / 1e6);
		fflush(stdout);
		if (got[0] > 1 &&
		    sd_room_unet(&p, 2 * got[0], h / 4, w / 4) > 0.9 * (double)gpu_info()->memory)
			die("a batch of %d does not fit", got[0]);
		if (sd_room_decode(&p, h / 4, w / 4, got[1]) > 0.9 * (double)gpu_info()->memory)
			die("tiles of %d do not fit", got[1]);
		if (write(fd[1], got, sizeof(got)) != sizeof(got))
			die("pipe:");
		_exit(0);
	}
	close(fd[1]);
	if (read(fd[0], got, sizeof(got)) != sizeof(got))
		fail_msg("the process ended early");
	close(fd[0]);
	wait(&status);
	*batch = got[0];
	*tile = got[1];
}

static void
fitting(void **state)
{
	int batch, tile, less;

	(void)state;
	fit("4G", 64, 64, &batch, &tile);
	print_message("64 x 64 in 4 GB: batch %d, tile %d\n", batch, tile);
	assert_true(batch > 1 && tile == 0);
	fit("115M", 64, 64, &less, &tile);
	print_message("in 115 MB: batch %d, tile %d\n", less, tile);
	assert_true(less >= 1 && less < batch && tile == 0);
	fit("125M", 256, 256, &batch, &tile);
	print_message("256 x 256 in 125 MB: batch %d, tile %d\n", batch, tile);
	assert_true(batch == 1 && tile > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(told_and_taken),
		cmocka_unit_test(fitting),
	};

	prog_init("4205-room");
	scratch_make();
	mini = make_model("mini");
	tiny = make_model("tiny");
	return cmocka_run_group_tests(tests, NULL, scratch_remove);
}
