#include "model/sd_prior.h"

#include "base/err.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/rng.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_MAX = 64, QUALITY = 95 };

static int
images_in(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int n = 0;

	if (!d)
		return err("%s:", dir);
	while ((e = readdir(d)))
		n += image_is_name(e->d_name);
	closedir(d);
	return n;
}

static char *
name_of(const struct sd_prior *c, int i)
{
	return xasprintf("%s/%d.jpg", c->dir, i);
}

static struct sd_job
job_of(const struct sd_prior *c, int i)
{
	char id[32];

	snprintf(id, sizeof(id), "%d", i);
	return (struct sd_job){ .text = c->prompt, .width = c->size, .height = c->size,
	    .steps = c->steps,
		.guidance = c->guidance, .strength = 1, .sampler = (enum sampler_kind)c->sampler,
		.seed = c->seed ^ rng_stream("class image", id) };
}

/* The numbers of the next images that are not there: at most `most`, and before `left` are made. */
static int
next_missing(const struct sd_prior *c, int *from, int most, int *out)
{
	int n = 0;

	while (n < most) {
		char *path = name_of(c, *from);

		if (!file_exists(path))
			out[n++] = *from;
		free(path);
		++*from;
	}
	return n;
}

static int
make_some(struct sd_sample *s, const struct sd_prior *c, const int *number, int n)
{
	struct sd_job job[BATCH_MAX] = { { 0 } };
	int r = 0;

	for (int i = 0; i < n; i++)
		job[i] = job_of(c, number[i]);
	r = sd_job_check(s, &job[0]) || sd_sample_run(s, job, n) ? -1 : 0;
	for (int i = 0; i < n; i++) {
		char *path = name_of(c, number[i]);

		if (!r)
			r = image_write(&job[i].out, path, QUALITY, NULL);
		image_release(&job[i].out);
		free(path);
	}
	return r;
}

int
sd_prior_fill(struct pipeline *p, const struct sd_prior *c, int (*stop)(void))
{
	int have, from = 0, left, number[BATCH_MAX], r = 0;
	struct progress bar;
	struct sd_sample s;

	if (make_dirs(c->dir) || (have = images_in(c->dir)) < 0)
		return -1;
	left = c->n - have;
	if (left <= 0)
		return 0;
	sd_sample_init(&s, p);
	s.keep = true;
	progress_start(&bar, "class images", (uint64_t)left, c->quiet);
	while (left > 0 && !r) {
		int most = c->batch < BATCH_MAX ? c->batch : BATCH_MAX, n;

		n = next_missing(c, &from, most < left ? most : left, number);
		r = stop && stop() ? 1 : make_some(&s, c, number, n);
		left -= n;
		progress_at(&bar, (uint64_t)(c->n - have - left));
	}
	progress_end(&bar);
	sd_sample_release(&s);
	return r;
}
