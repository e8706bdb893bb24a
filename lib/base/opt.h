/*
 * Options from one table: getopt_long's strings, --help, --version and range checks all follow from
 * it, so that they cannot disagree.
 *
 *	static struct opts { int64_t jobs; const char *out; bool quiet; } o = { .jobs = 1 };
 *	static const struct opt table[] = {
 *		{ 'j', "jobs", OPT_INT, &o.jobs, "N", "work on N records at once", 1, 256 },
 *		{ 'o', "output", OPT_STR, &o.out, "DIR", "write below DIR" },
 *		{ 'q', "quiet", OPT_FLAG, &o.quiet, NULL, "no progress" },
 *		{ 0 },
 *	};
 *	argv += opt_parse(argc, argv, table, "[options] [FILE ...]", "what it does, in a line");
 *
 * A row without help text is an alias (another program's spelling of the same option); it works and
 * stays out of --help. Rows that are less often wanted stand at the end, below a row of type
 * OPT_TITLE, with "" for help: they are only named there, several in a line, and the page has the
 * rest. Wrong usage ends the program with EXIT_FATAL and one line.
 */
#ifndef BASE_OPT_H
#define BASE_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum opt_type {
	OPT_END = 0,
	OPT_FLAG,   /* bool: set true; a --no-NAME spelling sets it false */
	OPT_INT,    /* int64_t in [min, max] */
	OPT_U64,    /* uint64_t, any (seeds) */
	OPT_FLOAT,  /* double in [min, max]; finite */
	OPT_STR,    /* const char *: points into argv; empty only if `arg` is TEXT */
	OPT_CHOICE, /* int: index of the value in choices, a '|'-separated list given as `arg` */
	OPT_SIZE,   /* int64_t bytes with optional K M G T (powers of 1024), in [min, max] */
	OPT_LIST,   /* struct opt_list: may be given again and again; each as OPT_STR */
	OPT_SHARD,  /* struct shard: i/n with 1 <= i <= n */
	OPT_REFUSED, /* another program's option that has no place here; `arg` says why */
	OPT_TITLE   /* no option: its help stands before the names of those that follow */
};

struct opt_list {
	const char **v;
	size_t n, cap;
};

/* This process's part of a stream: records whose number modulo n is i-1. n == 0: all of it. */
struct shard {
	int64_t i, n;
};

struct opt {
	int letter;       /* 0: long name only */
	const char *name; /* long name; NULL: letter only */
	enum opt_type type;
	void *dst;
	const char *arg;  /* name of the argument in --help */
	const char *help; /* NULL: an alias, not shown; "": only named */
	double min, max;  /* both 0: no limits */
};

/* Parses argv; returns the index of the first operand (as optind). */
int opt_parse(int argc, char **argv, const struct opt *table, const char *synopsis,
    const char *summary);
/* Ends the program: one line, then where help is to be had. */
_Noreturn void usage_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Was the option that sets dst on the command line, by whichever of its names? */
bool opt_said(const void *dst);
/* Wrong usage, "--NAME goes with WHAT", if it was though what it needs is not there. */
void opt_wants(const void *dst, bool there, const char *what);

/* One row's value from text, as on the command line (for the environment): 0, or -1 with a
 * message. */
int opt_set(const struct opt *, const char *arg);

/* A number that fills the whole of s, in [min, max]: 0, or -1 with a message. */
int parse_int(const char *s, int64_t min, int64_t max, int64_t *out);
int parse_float(const char *s, double min, double max, double *out);

/* --shard's default: SLURM_ARRAY_TASK_ID/_COUNT (from _MIN), or JOB_COMPLETION_INDEX with
 * JOB_COMPLETION_COUNT; all of the stream when neither is set. */
struct shard shard_default(void);
bool shard_has(const struct shard *, uint64_t record); /* record: its number from 0 */

#endif
