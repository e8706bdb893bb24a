/*
 * Record streams: one JSON object per line (phantom-records(5)).
 *
 * A record keeps the bytes it came with: fields that nobody sets go out exactly as they came, in
 * their order; a field that is set keeps its place, a new one goes last.
 *
 * A filter is a function called once a record, run by rec_filter():
 *
 *	static int
 *	one(struct rec *r, struct rec_out *out, void *ctx)
 *	{
 *		const char *file = rec_str(r, "file_name");
 *
 *		if (!file)
 *			return err("no file_name");
 *		rec_set_int(r, "width", w);
 *		rec_emit(out, r);              (none: dropped; several: several records)
 *		return 0;
 *	}
 *
 *	struct rec_opts ro = REC_OPTS;         filled from the command line by REC_OPTIONS rows
 *	return rec_filter(&ro, argv_operands, n, one, NULL);
 */
#ifndef DATA_REC_H
#define DATA_REC_H

#include "base/mem.h"
#include "base/opt.h"
#include "data/json.h"

#include <stdbool.h>
#include <stdint.h>

struct rec_field {
	const char *key;      /* decoded, NUL-terminated */
	const char *raw;      /* the value's bytes as they stand in the line (or as set) */
	size_t rawlen;
	const char *rawkey;   /* the key's bytes with its quotes as they came; NULL: we set it */
	size_t rawkeylen;
	enum json_type type;
	bool changed;
};

struct rec {
	struct arena mem;     /* everything below lives here; rec_clear() empties it */
	const char *line;     /* the input's bytes, without the newline; NULL for a new record */
	size_t len;
	const char *input;    /* file name for messages; borrowed */
	uint64_t lineno;      /* from 1 */
	struct rec_field *f;
	size_t n, cap;
	bool changed;         /* a field was set or removed */
	bool spaced;          /* the line has blanks after ':', so new fields get them too */
	void *aside;          /* what a filter's fn leaves for its `then`; or NULL */
	void (*aside_free)(void *); /* frees it when the record goes */
};

enum { REC_LINE_MAX = 64 << 20 };

/* Parses one line (copied). 0, or -1 with a message. The record must be zeroed or cleared. */
int rec_parse(struct rec *, const char *line, size_t len);
void rec_clear(struct rec *);   /* empty, memory kept */
void rec_release(struct rec *);

/* Fields. Strings are decoded and live as long as the record. NULL/false/-1: absent. */
struct rec_field *rec_get(const struct rec *, const char *key);
const char *rec_str(const struct rec *, const char *key);  /* NULL: absent or no string */
/* 1: read; 0: absent (or null), *out untouched; -1 with a message: of another type or range. */
int rec_num(const struct rec *, const char *key, double *out);
int rec_int(const struct rec *, const char *key, int64_t *out);
int rec_bool(const struct rec *, const char *key, bool *out);
/* A scalar field as text for grouping or templates: strings decoded, numbers and booleans as
 * written; NULL if absent, null, array or object. */
const char *rec_text(const struct rec *, const char *key);
/* "id", or else "file_name", or else "line N". Never NULL. */
const char *rec_id(struct rec *);

void rec_set_str(struct rec *, const char *key, const char *value);
void rec_set_int(struct rec *, const char *key, int64_t value);
void rec_set_num(struct rec *, const char *key, double value);
void rec_set_bool(struct rec *, const char *key, bool value);
void rec_set_raw(struct rec *, const char *key, const char *json, size_t len); /* valid JSON */
void rec_del(struct rec *, const char *key);

/* The record as a line, newline included: untouched bytes where nothing was set. */
void rec_write(const struct rec *, struct sb *);

/* ---- reading --------------------------------------------------------------------------------- */

/* Operands: files or "-" in order; none means standard input, which must not be a terminal (usage
 * error). Lines may be of any length up to 64 MiB; empty lines are skipped; CR LF is accepted. */
struct rec_in {
	const char *const *files;
	size_t nfiles, at;
	int fd;
	const char *name;     /* current input, "-" for standard input */
	uint64_t lineno;      /* of the line last returned, within its file */
	uint64_t count;       /* lines returned so far, over all files */
	char *buf;
	size_t len, cap, pos;
	bool eof, failed;
	void (*before_block)(void *); /* called before a read that may block (to flush output) */
	void *before_block_ctx;
};
void rec_in_open(struct rec_in *, const char *const *files, size_t nfiles);
/* Next line, borrowed until the next call: 1, 0 at the end. A file that cannot be opened or read
 * ends the program (EXIT_FATAL). */
int rec_in_line(struct rec_in *, const char **line, size_t *len);
void rec_in_close(struct rec_in *);

/* ---- writing --------------------------------------------------------------------------------- */

/* Buffered whole lines: each write(2) ends at a line's end; no line is ever split over two writes
 * unless it is longer than PIPE_BUF itself, and then a lock on the pipe keeps other writers of this
 * kind out. What comes slowly is not held back: lines that are older than a quarter of a second go
 * with the next. A write error ends the program (EXIT_FATAL). */
struct rec_out {
	int fd;
	const char *name;
	struct sb sb;
	bool deferred;        /* collects only (a job of rec_filter): somebody else flushes */
	bool pipe;
	size_t batch;         /* most bytes of several lines in one write */
	double written_s;     /* when something was last written */
};
void rec_out_open(struct rec_out *, int fd, const char *name);
void rec_emit(struct rec_out *, const struct rec *);
/* Whole lines that are records already, each with its newline. */
void rec_out_lines(struct rec_out *, const char *lines, size_t len);
/* One piece that is to stay whole, whatever it holds. */
void rec_out_put(struct rec_out *, const char *piece, size_t len);
void rec_out_flush(struct rec_out *);
void rec_out_close(struct rec_out *); /* flushes; on standard output also closes and checks */

/* ---- filters --------------------------------------------------------------------------------- */

struct rec_opts {
	int64_t jobs;
	bool keep_bad, strict, quiet;
	struct shard shard;
	const char *what;     /* for progress: "records" */
	/* what comes out are no longer these records: one with an error is bad, unless keep_bad
	 * passes it on */
	bool ends;
	int (*then)(struct rec *, struct rec_out *, void *ctx); /* or NULL; see rec_filter() */
};
#define REC_OPTS { .jobs = 1, .shard = shard_default(), .what = "records" }
/* Rows for an option table; ro is a struct rec_opts with static storage. */
#define REC_OPTIONS_COMMON(ro) \
	{ 'k', "keep-bad", OPT_FLAG, &(ro).keep_bad, NULL, \
	    "pass bad records on with an error field", 0, 0 }, \
	{ 0, "strict", OPT_FLAG, &(ro).strict, NULL, "stop at the first bad record", 0, 0 }, \
	{ 0, "shard", OPT_SHARD, &(ro).shard, "I/N", "take only part I of N of the input", 0, 0 }, \
	{ 'q', "quiet", OPT_FLAG, &(ro).quiet, NULL, "no progress", 0, 0 }
#define REC_OPTIONS_JOBS(ro) \
	{ 'j', "jobs", OPT_INT, &(ro).jobs, "N", "work on N records at once", 1, 256 }

/* Called for each good record, perhaps on several threads at once (jobs > 1). 0: fine; -1 with a
 * message: a bad record (what it has emitted before stays). */
typedef int rec_fn(struct rec *, struct rec_out *, void *ctx);

/* Reads all records of the operands, calls fn on each, writes what it emits to standard output in
 * the order of the input, whatever `jobs`. Output is flushed before any read that may block, and a
 * bounded number of records is in flight. Bad lines and bad records: one line on stderr,
 * `tool: input:LINE: id: why`, and then they are dropped, or passed on with an `error` object
 * ({"tool":..,"message":..}, and "input", "line" if the line was no record) under keep_bad; records
 * that carry an `error` object already pass untouched. Returns the program's exit code (EXIT_OK or
 * EXIT_RECORDS; EXIT_FATAL under strict). `then` is called for each record that was fine with fn,
 * one at a time in the order of the input, as fn is but never at once: for what must be done in
 * order with what fn made, which it leaves in r->aside. */
int rec_filter(const struct rec_opts *, const char *const *files, size_t nfiles, rec_fn *,
    void *ctx);
/* The same onto an out that the caller opens and closes, for programs that have more to write. */
int rec_filter_to(const struct rec_opts *, const char *const *files, size_t nfiles,
    struct rec_out *, rec_fn *, void *ctx);

/* For programs that read all records before they write: calls fn(r) for each good record; the rest
 * as rec_filter (bad ones go straight to out when keep_bad). out may be NULL: then a record that
 * carries an error already has nowhere to go and counts as bad. */
int rec_each(const struct rec_opts *, const char *const *files, size_t nfiles, struct rec_out *out,
    int (*fn)(struct rec *, void *ctx), void *ctx);
/* Reports one bad record in the common wording (and passes it on under keep_bad). */
void rec_bad(const struct rec_opts *, struct rec *, struct rec_out *out, const char *why);

/* The file a record's field names: relative names are taken from the folder of the input file that
 * the record stood in (so a saved metadata.jsonl can be read from anywhere), and from the current
 * folder for standard input. NULL with a message if the field is absent or no string. Lives as long
 * as the record. */
const char *rec_path(struct rec *, const char *key);
/* The same for a name that stands elsewhere in the record (in an array); name must live as long. */
const char *rec_path_of(struct rec *, const char *name);

#endif
