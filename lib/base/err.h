/*
 * Errors come in two kinds. Bad data (a record, an image, an archive member) returns -1 and leaves
 * a message: `return err("png: %s: truncated", path);`, read by the caller with errmsg(). A broken
 * world (usage, memory, a lost device, a bug of ours) ends the program: die(). In both, a format
 * that ends in ':' has ": strerror(errno)" put after it.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum {
	EXIT_OK = 0,      /* all good */
	EXIT_RECORDS = 1, /* some records failed */
	EXIT_FATAL = 2,   /* usage, bad model or data set, write error */
	EXIT_RETRY = 75   /* worth another try: device lost, out of device memory */
};

/* Names the program in messages; argv0's last path component. Restores SIGPIPE's default action. */
void prog_init(const char *argv0);
const char *prog_name(void);

/* "prog: message" on stderr. */
void warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same, then exit. die exits EXIT_FATAL; die_code what it is told. */
_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void die_code(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Sets this thread's message and returns -1. */
int err(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Puts "prefix: " before this thread's message and returns -1. */
int err_prefix(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* This thread's last message; borrowed until the next err(). */
const char *errmsg(void);

/* Runs at every exit of the program through die() or normal end: removes half-written files. */
void on_exit_unlink(const char *path);      /* registers a temporary file (copied) */
void on_exit_unlink_done(const char *path); /* it is whole or gone: forget it */

#endif
