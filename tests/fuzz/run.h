/*
 * A main for fuzzers, so that they run wherever the rest is built: a fuzzer defines
 * LLVMFuzzerTestOneInput() and includes this. With -DLIBFUZZER it is left to clang's libFuzzer.
 *
 *	NAME [-t SECONDS] [-n RUNS] [-s SEED] [FILE or FOLDER ...]
 *
 * First every seed file is run as it is, then changed ones, until the time is over or RUNS are
 * done. What an input becomes is a function of SEED and its number. The input that is being run
 * lies in NAME.input: it is there afterwards only if the program crashed.
 */
#ifndef TESTS_FUZZ_RUN_H
#define TESTS_FUZZ_RUN_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifndef LIBFUZZER

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/progress.h"
#include "base/rng.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FUZZ_MAX = 1 << 20 };

static struct fuzz_seed {
	uint8_t *data;
	size_t len;
} *fuzz_seeds;
static size_t fuzz_nseeds, fuzz_cap;

static void
fuzz_add(const char *path)
{
	struct stat st;
	char *data;
	size_t len;

	if (stat(path, &st))
		die("%s:", path);
	if (S_ISDIR(st.st_mode)) {
		struct dirent **list;
		int n = scandir(path, &list, NULL, alphasort);

		for (int i = 0; i < n; i++) {
			char *name = path_join(path, list[i]->d_name);

			if (list[i]->d_name[0] != '.')
				fuzz_add(name);
			free(name);
			free(list[i]);
		}
		if (n >= 0)
			free(list);
		return;
	}
	if (file_read(path, FUZZ_MAX, &data, &len))
		die("%s", errmsg());
	fuzz_seeds = xgrow(fuzz_seeds, &fuzz_cap, fuzz_nseeds + 1, sizeof(*fuzz_seeds));
	fuzz_seeds[fuzz_nseeds++] = (struct fuzz_seed){ (uint8_t *)data, len };
}

/* One change to p[0..*len), which has room for FUZZ_MAX bytes. */
static void
fuzz_change(struct rng *r, uint8_t *p, size_t *len)
{
	static const uint64_t odd[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff,
		0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000,
		0xffffffffffffffff };
	size_t n = *len, at = n ? rng_below(r, n) : 0, size = n ? 1 + rng_below(r, n - at) : 0;

	uint64_t x;
	unsigned width, big;

	if (rng_below(r, 4) && size > 16)
		size = 1 + size % 16;
	switch (rng_below(r, 9)) {
	case 0: /* a bit */
		if (n)
			p[at] ^= (uint8_t)(1u << rng_below(r, 8));
		break;
	case 1: /* a byte */
		if (n)
			p[at] = (uint8_t)rng_u32(r);
		break;
	case 2: /* a number of some width and order */
		x = odd[rng_below(r, sizeof(odd) / sizeof(odd[0]))];
		width = 1u << rng_below(r, 4);
		big = rng_u32(r) & 1;
		for (unsigned i = 0; i < width && at + i < n; i++)
			p[at + i] = (uint8_t)(x >> 8 * (big ? width - 1 - i : i));
		break;
	case 3: /* a piece less */
		memmove(p + at, p + at + size, n - at - size);
		*len = n - size;
		break;
	case 4: /* a piece twice */
		if (n + size <= FUZZ_MAX) {
			memmove(p + at + size, p + at, n - at);
			*len = n + size;
		}
		break;
	case 5: /* a piece of a seed in its place or before it */
		if (fuzz_nseeds && n) {
			const struct fuzz_seed *s = &fuzz_seeds[rng_below(r, fuzz_nseeds)];
			size_t from = s->len ? rng_below(r, s->len) : 0, k = s->len - from;

			if (k > 64)
				k = 1 + rng_below(r, 64);
			if (rng_below(r, 2) && n + k <= FUZZ_MAX) {
				memmove(p + at + k, p + at, n - at);
				*len = n += k;
			}
			memcpy(p + at, s->data + from, k < n - at ? k : n - at);
		}
		break;
	case 6: /* cut off */
		*len = at;
		break;
	case 7: /* a byte repeated */
		memset(p + at, n ? p[at] : 0, size);
		break;
	default: /* a character that grammars care for */
		if (n)
			p[at] = (uint8_t)"{}[]\",:\\\n\r0-9e.+u/ \t;"[rng_below(r, 22)];
	}
}

int
main(int argc, char **argv)
{
	double seconds = 5, start;
	int64_t runs = INT32_MAX, seed = 1, done = 0, nseeds;
	uint8_t *shared, *work = xmalloc(FUZZ_MAX);
	char *trace;
	int c, fd;

	prog_init(argv[0]);
	while ((c = getopt(argc, argv, "t:n:s:")) != -1) {
		if ((c == 't' && parse_float(optarg, 0, 1e9, &seconds)) ||
		    (c == 'n' && parse_int(optarg, 0, INT32_MAX, &runs)) ||
		    (c == 's' && parse_int(optarg, 0, INT64_MAX, &seed)))
			die("-%c: %s", c, errmsg());
		if (c == 'n')
			seconds = 1e9;
		if (c == '?')
			return EXIT_FATAL;
	}
	for (int i = optind; i < argc; i++)
		fuzz_add(argv[i]);
	trace = xasprintf("%s.input", prog_name());
	fd = open(trace, O_RDWR | O_CREAT | O_TRUNC, 0666);
	if (fd < 0 || ftruncate(fd, FUZZ_MAX))
		die("%s:", trace);
	shared = mmap(NULL, FUZZ_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		die("%s:", trace);
	start = now_s();
	nseeds = (int64_t)fuzz_nseeds;
	while (done < runs + nseeds && (done < nseeds || now_s() - start < seconds)) {
		struct rng r;
		uint8_t *tight;
		size_t len = 0;

		rng_init(&r, (uint64_t)seed, (uint64_t)done);
		if (fuzz_nseeds) {
			const struct fuzz_seed *s = &fuzz_seeds[done < nseeds ? (size_t)done :
			    rng_below(&r, fuzz_nseeds)];

			memcpy(work, s->data, len = s->len);
		}
		if (done++ >= nseeds)
			for (uint64_t k = 1 + rng_below(&r, 1u << rng_below(&r, 6)); k > 0; k--)
				fuzz_change(&r, work, &len);
		/* in memory of its own size, so that ASan sees a read too far */
		tight = xmalloc(len);
		memcpy(tight, work, len);
		memcpy(shared, work, len);
		if (ftruncate(fd, (off_t)len ? (off_t)len : 1))
			die("%s:", trace);
		LLVMFuzzerTestOneInput(tight, len);
		free(tight);
		if (ftruncate(fd, FUZZ_MAX))
			die("%s:", trace);
	}
	printf("%s: %" PRId64 " inputs, %.0f a second\n", prog_name(), done,
	    (double)done / (now_s() - start + 1e-9));
	munmap(shared, FUZZ_MAX);
	close(fd);
	unlink(trace);
	free(trace);
	free(work);
	for (size_t i = 0; i < fuzz_nseeds; i++)
		free(fuzz_seeds[i].data);
	free(fuzz_seeds);
	return EXIT_OK;
}

#endif
#endif
