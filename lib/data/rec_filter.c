/* The loops of filters: one record after another, or several at once with the order kept. */
#include "data/rec.h"

#include "base/err.h"
#include "base/progress.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What became of a line. */
enum fate { FATE_GOOD, FATE_BAD, FATE_PASSED };

static void
put_error(struct sb *sb, const char *why)
{
	sb_puts(sb, "{\"tool\":");
	json_put_str(sb, prog_name(), strlen(prog_name()));
	sb_puts(sb, ",\"message\":");
	json_put_str(sb, why, strlen(why));
}

/* Control characters of an id or a message would break the line, and terminals. */
static void
one_line_only(struct sb *sb)
{
	for (size_t i = 0; i < sb->len; i++)
		if ((unsigned char)sb->s[i] < 0x20 || sb->s[i] == 0x7f)
			sb->s[i] = '?';
}

void
rec_bad(const struct rec_opts *ro, struct rec *r, struct rec_out *out, const char *why)
{
	const char *input = r->input ? r->input : "-";
	struct rec asitcame = { 0 };
	struct sb sb = { 0 };

	sb_printf(&sb, "%s:%" PRIu64 ": ", input, r->lineno);
	if (rec_get(r, "id") || rec_get(r, "file_name"))
		sb_printf(&sb, "%s: ", rec_id(r));
	sb_puts(&sb, why);
	one_line_only(&sb);
	warn("%s", sb.s);
	if (ro->keep_bad && out) {
		sb_clear(&sb);
		put_error(&sb, why);
		if (!r->n) {
			/* nothing was understood: the record says where to look */
			sb_puts(&sb, ",\"input\":");
			json_put_str(&sb, input, strlen(input));
			sb_printf(&sb, ",\"line\":%" PRIu64, r->lineno);
		}
		sb_putc(&sb, '}');
		/* fields that were set before it went wrong are not passed on */
		if (r->line && rec_parse(&asitcame, r->line, r->len) == 0)
			r = &asitcame;
		rec_set_raw(r, "error", sb.s, sb.len);
		rec_emit(out, r);
		rec_release(&asitcame);
	}
	sb_release(&sb);
}

/* One line through fn; what it emits goes to out. FATE_BAD leaves a message. */
static enum fate
one_line(const struct rec_opts *ro, struct rec *r, const char *line, size_t len,
    struct rec_out *out, rec_fn *fn, void *ctx)
{
	const struct rec_field *e;

	if (rec_parse(r, line, len))
		return FATE_BAD;
	e = rec_get(r, "error");
	if (e && e->type == JSON_OBJECT) {
		if (!out || (ro->ends && !ro->keep_bad)) {
			err("carries an error already: %.*s",
			    (int)(e->rawlen < 300 ? e->rawlen : 300), e->raw);
			return FATE_BAD;
		}
		rec_emit(out, r);
		return FATE_PASSED;
	}
	return fn(r, out, ctx) ? FATE_BAD : FATE_GOOD;
}

/* What is done in order. FATE_BAD leaves a message. */
static enum fate
finish(const struct rec_opts *ro, struct rec *r, struct rec_out *out, enum fate fate, void *ctx)
{
	if (fate != FATE_GOOD || !ro->then)
		return fate;
	return ro->then(r, out, ctx) ? FATE_BAD : FATE_GOOD;
}

/* ---- one after another ----------------------------------------------------------------------- */

static void
flush_out(void *out)
{
	rec_out_flush(out);
}

static int
in_turn(const struct rec_opts *ro, struct rec_in *in, struct rec_out *out, rec_fn *fn, void *ctx)
{
	struct progress pr;
	struct rec r = { 0 };
	int code = EXIT_OK;
	const char *line;
	size_t len;

	if (out) {
		in->before_block = flush_out;
		in->before_block_ctx = out;
	}
	progress_start(&pr, ro->what, 0, ro->quiet);
	while (code != EXIT_FATAL && rec_in_line(in, &line, &len)) {
		if (!shard_has(&ro->shard, in->count - 1))
			continue;
		rec_clear(&r);
		r.input = in->name;
		r.lineno = in->lineno;
		if (finish(ro, &r, out, one_line(ro, &r, line, len, out, fn, ctx), ctx) ==
		    FATE_BAD) {
			/* rec_bad() may set another message */
			char *why = xstrdup(errmsg());

			rec_bad(ro, &r, out, why);
			free(why);
			code = ro->strict ? EXIT_FATAL : EXIT_RECORDS;
		}
		progress_at(&pr, in->count);
	}
	progress_end(&pr);
	rec_release(&r);
	return code;
}

/* ---- several at once ------------------------------------------------------------------------- */

/*
 * A ring of slots. The reader (the calling thread) fills slot head, workers take slot take, the
 * writer empties slot tail, so that the order stays and a bounded number is in flight.
 * tail <= take <= head <= tail + nslots.
 */
struct slot {
	struct rec r;
	struct sb line;
	struct rec_out out; /* deferred */
	enum fate fate;
	char *why;          /* of a bad record */
	bool done;
};

struct pool {
	const struct rec_opts *ro;
	struct rec_out *out;
	rec_fn *fn;
	void *ctx;
	struct rec_in *in;
	struct progress pr;
	pthread_mutex_t lock;
	pthread_cond_t filled, done, emptied;
	struct slot *slot;
	size_t nslots;
	uint64_t head, take, tail;
	bool ended;         /* nothing more will be filled */
	bool stop;          /* strict, and a record was bad */
	bool idle;          /* the writer waits, all it had is written */
	/* nobody is woken who does not wait: a wake costs more than a record */
	size_t idle_workers;
	bool reader_waits;
	int stopfd[2];      /* wakes a reader that waits for input */
	int code;
};

static void *
work(void *vp)
{
	struct pool *p = vp;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct slot *s;
		enum fate fate;
		char *why = NULL;

		p->idle_workers++;
		while (p->take == p->head && !p->ended && !p->stop)
			pthread_cond_wait(&p->filled, &p->lock);
		p->idle_workers--;
		if (p->stop || p->take == p->head)
			break;
		s = &p->slot[p->take++ % p->nslots];
		pthread_mutex_unlock(&p->lock);
		fate = one_line(p->ro, &s->r, s->line.s, s->line.len, &s->out, p->fn, p->ctx);
		if (fate == FATE_BAD)
			why = xstrdup(errmsg());
		pthread_mutex_lock(&p->lock);
		s->fate = fate;
		s->why = why;
		s->done = true;
		if (s == &p->slot[p->tail % p->nslots])
			pthread_cond_signal(&p->done);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* Writes the results in order; flushes before it waits for one. */
static void *
write_results(void *vp)
{
	struct pool *p = vp;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct slot *s = &p->slot[p->tail % p->nslots];

		if (p->tail == p->head ? !p->ended : !s->done) {
			if (p->out->sb.len) {
				pthread_mutex_unlock(&p->lock);
				rec_out_flush(p->out);
				pthread_mutex_lock(&p->lock);
				continue;
			}
			p->idle = true;
			if (p->reader_waits)
				pthread_cond_signal(&p->emptied);
			pthread_cond_wait(&p->done, &p->lock);
			p->idle = false;
			continue;
		}
		if (p->tail == p->head)
			break;
		pthread_mutex_unlock(&p->lock);
		rec_out_lines(p->out, s->out.sb.s, s->out.sb.len);
		if (!s->why && finish(p->ro, &s->r, p->out, s->fate, p->ctx) == FATE_BAD)
			s->why = xstrdup(errmsg());
		if (s->why) {
			rec_bad(p->ro, &s->r, p->out, s->why);
			p->code = p->ro->strict ? EXIT_FATAL : EXIT_RECORDS;
		}
		progress_at(&p->pr, p->tail + 1);
		pthread_mutex_lock(&p->lock);
		free(s->why);
		s->why = NULL;
		s->done = false;
		p->tail++;
		if (p->reader_waits)
			pthread_cond_signal(&p->emptied);
		if (p->code == EXIT_FATAL) {
			p->stop = true;
			pthread_cond_broadcast(&p->filled);
			if (write(p->stopfd[1], "", 1) < 0)
				die("pipe:");
			break;
		}
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* The reader's wait: for input or for the end that strict makes. Without a file at hand (it cannot
 * be opened or read, or is a fifo to be opened) it waits until all that was read has been
 * written. */
static void
wait_input(void *vp)
{
	struct pool *p = vp;
	struct pollfd fd[2] = { { .fd = p->in->fd, .events = POLLIN },
		{ .fd = p->stopfd[0], .events = POLLIN } };

	if (p->in->fd >= 0) {
		while (poll(fd, 2, -1) < 0 && errno == EINTR)
			;
		p->in->failed = fd[1].revents != 0;
		return;
	}
	pthread_mutex_lock(&p->lock);
	p->reader_waits = true;
	while (!p->stop && !(p->tail == p->head && p->idle))
		pthread_cond_wait(&p->emptied, &p->lock);
	p->reader_waits = false;
	p->in->failed = p->stop;
	pthread_mutex_unlock(&p->lock);
}

static void
read_lines(struct pool *p)
{
	const char *line;
	size_t len;

	while (rec_in_line(p->in, &line, &len)) {
		struct slot *s;

		if (!shard_has(&p->ro->shard, p->in->count - 1))
			continue;
		pthread_mutex_lock(&p->lock);
		p->reader_waits = true;
		while (p->head - p->tail == p->nslots && !p->stop)
			pthread_cond_wait(&p->emptied, &p->lock);
		p->reader_waits = false;
		if (p->stop) {
			pthread_mutex_unlock(&p->lock);
			break;
		}
		s = &p->slot[p->head % p->nslots];
		pthread_mutex_unlock(&p->lock);
		rec_clear(&s->r);
		s->r.input = p->in->name;
		s->r.lineno = p->in->lineno;
		sb_clear(&s->line);
		sb_put(&s->line, line, len);
		sb_clear(&s->out.sb);
		pthread_mutex_lock(&p->lock);
		p->head++;
		if (p->idle_workers)
			pthread_cond_signal(&p->filled);
		pthread_mutex_unlock(&p->lock);
	}
}

static void
start(pthread_t *t, void *(*run)(void *), struct pool *p)
{
	if ((errno = pthread_create(t, NULL, run, p)))
		die("cannot start a thread:");
}

static int
at_once(const struct rec_opts *ro, struct rec_in *in, struct rec_out *out, rec_fn *fn, void *ctx)
{
	size_t jobs = (size_t)ro->jobs;
	struct pool p = { .ro = ro, .out = out, .fn = fn, .ctx = ctx, .in = in,
		.nslots = 4 * jobs };
	pthread_t *t = xcalloc(jobs + 1, sizeof(*t));

	p.slot = xcalloc(p.nslots, sizeof(*p.slot));
	for (size_t i = 0; i < p.nslots; i++)
		p.slot[i].out = (struct rec_out){ .fd = -1, .name = out->name, .deferred = true };
	pthread_mutex_init(&p.lock, NULL);
	pthread_cond_init(&p.filled, NULL);
	pthread_cond_init(&p.done, NULL);
	pthread_cond_init(&p.emptied, NULL);
	if (pipe(p.stopfd))
		die("pipe:");
	in->before_block = wait_input;
	in->before_block_ctx = &p;
	progress_start(&p.pr, ro->what, 0, ro->quiet);
	for (size_t i = 0; i < jobs; i++)
		start(&t[i], work, &p);
	start(&t[jobs], write_results, &p);

	read_lines(&p);

	pthread_mutex_lock(&p.lock);
	p.ended = true;
	pthread_cond_broadcast(&p.filled);
	pthread_cond_signal(&p.done);
	pthread_mutex_unlock(&p.lock);
	for (size_t i = 0; i <= jobs; i++)
		pthread_join(t[i], NULL);
	progress_end(&p.pr);
	for (size_t i = 0; i < p.nslots; i++) {
		rec_release(&p.slot[i].r);
		sb_release(&p.slot[i].line);
		sb_release(&p.slot[i].out.sb);
		free(p.slot[i].why);
	}
	close(p.stopfd[0]);
	close(p.stopfd[1]);
	pthread_mutex_destroy(&p.lock);
	pthread_cond_destroy(&p.filled);
	pthread_cond_destroy(&p.done);
	pthread_cond_destroy(&p.emptied);
	free(p.slot);
	free(t);
	return p.code;
}

/* ---- both ------------------------------------------------------------------------------------ */

int
rec_filter_to(const struct rec_opts *ro, const char *const *files, size_t nfiles,
    struct rec_out *out, rec_fn *fn, void *ctx)
{
	struct rec_in in;
	int code;

	rec_in_open(&in, files, nfiles);
	code = (ro->jobs > 1 ? at_once : in_turn)(ro, &in, out, fn, ctx);
	rec_in_close(&in);
	return code;
}

int
rec_filter(const struct rec_opts *ro, const char *const *files, size_t nfiles, rec_fn *fn,
    void *ctx)
{
	struct rec_out out;
	int code;

	rec_out_open(&out, 1, "standard output");
	code = rec_filter_to(ro, files, nfiles, &out, fn, ctx);
	rec_out_close(&out);
	return code;
}

struct each {
	int (*fn)(struct rec *, void *);
	void *ctx;
};

static int
call_each(struct rec *r, struct rec_out *out, void *ve)
{
	const struct each *e = ve;

	(void)out;
	return e->fn(r, e->ctx);
}

int
rec_each(const struct rec_opts *ro, const char *const *files, size_t nfiles, struct rec_out *out,
    int (*fn)(struct rec *, void *ctx), void *ctx)
{
	struct each e = { fn, ctx };
	struct rec_in in;
	int code;

	rec_in_open(&in, files, nfiles);
	code = in_turn(ro, &in, out, call_each, &e);
	rec_in_close(&in);
	return code;
}
