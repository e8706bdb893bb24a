/* One archive from its first byte to its last: formats, what to do about damage, the log. */
#include "data/archive_unpack.h"

#include "base/err.h"
#include "base/file.h"
#include "data/archive_member.h"
#include "data/archive_name.h"
#include "data/archive_src.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	TAR_BLOCK = 512,
	AGAIN_MAX = 100, /* times that an archive is opened anew behind a damaged place */
	/* what a member may take in a stream besides its bytes: headers of the longest names */
	MEMBER_OVERHEAD = 8192,
	AR_MAGIC = 8,
	AR_HEADER = 60
};

/* ---- opening --------------------------------------------------------------------------------- */

struct reader {
	struct unpack *u;
	struct archive *a;
	struct src src;
	bool streamed;  /* read through src: compressed, or from an offset */
	uint64_t from;  /* bytes of the stream passed over */
	uint64_t fed;   /* bytes that libarchive was given behind those, if streamed */
	const unsigned char *last; /* the last of them, while they stand in src's buffer */
	size_t last_len;
	bool rest;      /* bytes that mean something stand behind the archive's end */
	uint64_t bad;   /* where in the stream a header was bad */
	bool behind;    /* read from behind a bad member, none good since */
	bool orphan;    /* it was a special one, so that the member behind it lacks it */
	char *fault;    /* why the stream broke off, NULL if it did not */
	bool told;      /* and a message about a header or member said so */
};

struct src_limits
unpack_limits(const struct unpack *u)
{
	uint64_t extra = (uint64_t)u->o->max_members * MEMBER_OVERHEAD + SRC_RATIO_FROM;

	return (struct src_limits){ (uint64_t)u->o->max_bytes + extra, u->o->max_ratio };
}

/* Where the stream breaks off, libarchive is told that it ends: it makes the best of what came
 * before, which it does not after an error. */
static la_ssize_t
feed(struct archive *a, void *ctx, const void **p)
{
	struct reader *r = ctx;
	size_t n;

	if (*r->u->stop) {
		archive_set_error(a, EINTR, "stopped");
		return -1;
	}
	if (r->fault || src_read(&r->src, p, &n)) {
		if (!r->fault)
			r->fault = xstrdup(errmsg());
		return 0;
	}
	if (n) {
		r->last = *p;
		r->last_len = n;
	}
	r->fed += n;
	return (la_ssize_t)n;
}

/* A message about something that went wrong while reading: if the stream broke off, that is why. */
static void
say_bad(struct reader *r, const char *member, const char *why)
{
	r->told |= r->fault != NULL;
	/* a checksum is of no one member */
	unpack_say(r->u, LOG_BAD, r->src.fault == SRC_CHECKSUM ? NULL : member,
	    r->fault ? r->fault : why);
}

/* The same about member n, which may have no name. */
static void
say_member(struct reader *r, const char *name, uint64_t n, const char *why)
{
	char number[32];

	snprintf(number, sizeof(number), "member %" PRIu64, n);
	say_bad(r, name && *name ? name : number, why);
}

static void
reader_close(struct reader *r)
{
	if (r->a)
		archive_read_free(r->a);
	src_close(&r->src);
	free(r->fault);
	*r = (struct reader){ .u = r->u };
}

/* All of libarchive's formats. An mtree, which any text may be taken for, must say what it is. */
static void
formats(struct archive *a, const struct src *s)
{
	const void *p = NULL;
	size_t n = 0;

	src_peek(s, &p, &n);
	if (n > 6 && memcmp(p, "#mtree", 6) == 0)
		archive_read_support_format_mtree(a);
	archive_read_support_format_7zip(a);
	archive_read_support_format_ar(a);
	archive_read_support_format_cab(a);
	archive_read_support_format_cpio(a);
	archive_read_support_format_empty(a);
	archive_read_support_format_iso9660(a);
	archive_read_support_format_lha(a);
	archive_read_support_format_rar(a);
	archive_read_support_format_rar5(a);
	archive_read_support_format_tar(a);
	archive_read_support_format_warc(a);
	archive_read_support_format_xar(a);
	archive_read_support_format_zip(a);
}

/* libarchive converts names to the locale's charset, whatever the user's locale is, and composes
 * what comes as Unicode. Of a tar it takes the bytes as they are where the charset lacks a
 * character, so that the names are those that were packed. */
static void
set_locale(const struct unpack *u, const struct src *s)
{
	const void *p = NULL;
	size_t n = 0;
	bool tar;

	src_peek(s, &p, &n);
	tar = n > 262 && memcmp((const char *)p + 257, "ustar", 5) == 0;
	uselocale(tar && !u->o->charset ? u->ascii : u->utf8);
}

/* Opens the archive at byte `from` of its unpacked stream. 1: no format knows it; -1 with a
 * message. */
static int
reader_open(struct reader *r, struct unpack *u, uint64_t from)
{
	struct src_limits l = unpack_limits(u);
	int status;

	*r = (struct reader){ .u = u, .from = from };
	if (src_open(&r->src, u->file, &l))
		return -1;
	u->size = r->src.size;
	r->streamed = r->src.nlayers > 1 || from;
	r->a = archive_read_new();
	if (!r->a)
		die("out of memory (libarchive)");
	formats(r->a, &r->src);
	set_locale(u, &r->src);
	if (u->o->charset &&
	    archive_read_set_format_option(r->a, NULL, "hdrcharset", u->o->charset) < ARCHIVE_WARN)
		die("names in %s cannot be read: %s", u->o->charset, archive_error_string(r->a));
	if (r->streamed) {
		if (src_skip(&r->src, from))
			return -1;
		status = archive_read_open(r->a, r, NULL, feed, NULL);
	} else {
		/* formats with a directory at their end need to seek */
		src_close(&r->src);
		status = archive_read_open_filename(r->a, u->file, 1 << 16);
	}
	if (!status)
		return 0;
	return !archive_format(r->a) && !*u->stop ? 1 : src_err(r->a);
}

/* Formats whose members can be reached one by one, so that damage to one need not end the rest. */
static bool
has_directory(struct archive *a)
{
	switch (archive_format(a) & ARCHIVE_FORMAT_BASE_MASK) {
	case ARCHIVE_FORMAT_ZIP:
	case ARCHIVE_FORMAT_7ZIP:
	case ARCHIVE_FORMAT_ISO9660:
	case ARCHIVE_FORMAT_CAB:
	case ARCHIVE_FORMAT_RAR:
	case ARCHIVE_FORMAT_RAR_V5:
	case ARCHIVE_FORMAT_XAR:
	case ARCHIVE_FORMAT_LHA:
		return true;
	default:
		return false;
	}
}

/* ---- members --------------------------------------------------------------------------------- */

enum step {
	STEP_ON,     /* to the next member */
	STEP_END,    /* the archive has ended, or cannot be read on */
	STEP_BEHIND, /* open it anew and go on behind this member */
	STEP_RESYNC, /* a tar: look for the next sound header */
	STEP_OTHER   /* no archive at all */
};

static enum step
bad_header(struct reader *r, const char *member, int status)
{
	struct unpack *u = r->u;
	struct archive *a = r->a;
	bool tar = (archive_format(a) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;
	bool sound = false;
	int type = 0;

	if (tar && !r->fault) {
		/* libarchive gave up on the header where it stands, or that it has just read */
		r->bad = (uint64_t)(status == ARCHIVE_FATAL ? archive_filter_bytes(a, 0) :
		    archive_read_header_position(a));
		sb_clear(&u->p);
		if (status == ARCHIVE_FATAL && r->bad >= TAR_BLOCK)
			type = tar_look(u, r->from + r->bad - TAR_BLOCK, &u->p, &sound);
		if (sound) {
			r->bad -= TAR_BLOCK;
		} else {
			sb_clear(&u->p);
			type = tar_look(u, r->from + r->bad, &u->p, &sound);
		}
		r->orphan = tar_special(type);
		if (!member || !*member)
			member = u->p.s;
		/* it may have given up in the middle of a block */
		r->bad -= r->bad % TAR_BLOCK;
	}
	src_err(a);
	/* behind a member that was cut off nothing was to be expected */
	if (r->behind && strstr(errmsg(), "runcated"))
		return STEP_END;
	say_bad(r, member, errmsg());
	if (status != ARCHIVE_FATAL)
		return STEP_ON;
	return tar && !r->fault && !*u->stop && !strstr(errmsg(), "runcated") ?
	    STEP_RESYNC : STEP_END;
}

static enum step
one(struct reader *r, struct archive_entry *e, const char *name)
{
	struct unpack *u = r->u;
	struct log_entry le = { 0 };
	bool fatal = false;
	enum step step = STEP_ON;

	if (u->members >= (uint64_t)u->o->max_members) {
		char text[80];

		snprintf(text, sizeof(text), "has more than %" PRId64 " members (--max-members)",
		    u->o->max_members);
		unpack_say(u, LOG_BAD, NULL, text);
		return STEP_END;
	}
	u->members++;
	++*u->count;
	sb_puts(&le.member, name ? name : "");
	if (member_unpack(u, r->a, e, &le, &fatal) == 0) {
		sb_clear(&u->p);
		name_utf8(&u->p, le.member.s);
		sb_clear(&le.member);
		sb_puts(&le.member, u->p.s);
		if (le.path.len)
			log_put(u->log, &le);
	} else {
		say_member(r, name, u->members, errmsg());
		if (u->over || *u->stop)
			step = STEP_END;
		else if (fatal)
			step = has_directory(r->a) && !r->streamed ? STEP_BEHIND : STEP_END;
	}
	sb_release(&le.path);
	sb_release(&le.member);
	return step;
}

static bool
any_byte(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return true;
	return false;
}

/* Is there a byte that is not zero behind byte `at` of the file? */
static bool
any_behind(const char *path, uint64_t at)
{
	unsigned char b[1 << 16];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool found = false;
	ssize_t n;

	if (fd < 0)
		return false;
	while (!found && (n = pread(fd, b, sizeof(b), (off_t)at)) > 0) {
		found = any_byte(b, (size_t)n);
		at += (uint64_t)n;
	}
	close(fd);
	return found;
}

/* libarchive takes part of a header for the end, and looks at nothing behind the end of a tar. */
static void
look_at_end(struct reader *r)
{
	struct unpack *u = r->u;
	int format = archive_format(r->a) & ARCHIVE_FORMAT_BASE_MASK;
	uint64_t at = (uint64_t)archive_read_header_position(r->a);
	uint64_t all = r->streamed ? r->fed : u->size, left, rest;
	bool tar = format == ARCHIVE_FORMAT_TAR;

	if ((!tar && format != ARCHIVE_FORMAT_AR) || r->fault)
		return;
	if (!tar && !at)
		at = AR_MAGIC;
	left = all > at ? all - at : 0;
	if (left && left < (tar ? TAR_BLOCK : AR_HEADER)) {
		sb_clear(&u->p);
		if (stream_look(u, r->from + at, (size_t)left, &u->p))
			say_bad(r, tar ? u->p.s : NULL, "cut off in a header");
	} else if (tar && left) {
		/* what libarchive was given and did not take, as far as it is still there */
		rest = left - TAR_BLOCK < r->last_len ? left - TAR_BLOCK : r->last_len;
		r->rest = r->streamed
		    ? any_byte(r->last + (r->last_len - rest), (size_t)rest)
		    : any_behind(u->file, at + TAR_BLOCK);
		if (r->rest && !r->streamed)
			unpack_say(u, LOG_WARN, NULL, BYTES_BEHIND);
	}
}

/* A zip file read from its place, not through src: only then is its directory within reach. */
static bool
plain_zip(const struct reader *r)
{
	return !r->streamed &&
	    (archive_format(r->a) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_ZIP;
}

/* What libarchive would have us pass over, and yet means that the member is not what was packed. */
static const char *
doubt(const struct reader *r, int status)
{
	const char *s = status == ARCHIVE_WARN ? archive_error_string(r->a) : NULL;

	if (s && strstr(s, "malformed pax"))
		return "the header that completes its own is damaged";
	/* sizes or checksums of a zip's directory and of the header before the member */
	return s && strncmp(s, "Inconsistent ", 13) == 0 ? s : NULL;
}

static const char *
entry_name(struct archive_entry *e)
{
	const char *s = e ? archive_entry_pathname(e) : NULL;

	return s ? s : e ? archive_entry_pathname_utf8(e) : NULL;
}

/* Reads from an opened reader, passing over the first `skip` members; *done counts those read. */
static enum step
members(struct reader *r, uint64_t skip, uint64_t *done)
{
	enum step step = STEP_ON;
	bool lost = false; /* between a bad header and the next good one */

	*done = 0;
	while (step == STEP_ON) {
		struct archive_entry *e = NULL;
		int status = archive_read_next_header(r->a, &e);
		const char *why, *name;

		if (*r->u->stop)
			return STEP_END;
		if (plain_zip(r) && !r->u->zip_read) {
			zip_dir_read(&r->u->zip, r->u->file);
			r->u->zip_read = true;
		}
		if (status == ARCHIVE_EOF) {
			look_at_end(r);
			return STEP_END;
		}
		if (status != ARCHIVE_OK && status != ARCHIVE_WARN) {
			if (!lost || status == ARCHIVE_FATAL)
				step = bad_header(r, entry_name(e), status);
			lost = true;
			continue;
		}
		lost = false;
		if ((*done)++ < skip)
			continue;
		r->behind = false;
		name = entry_name(e);
		why = r->orphan ? "the header that completes its own is damaged"
		    : doubt(r, status);
		if (!why && name && plain_zip(r) && !r->u->o->charset)
			why = zip_dir_check(&r->u->zip, *done - 1, &name);
		if (why)
			say_member(r, name, *done, why);
		else
			step = one(r, e, name);
		r->orphan = false;
	}
	return step;
}

static void
drain(struct reader *r)
{
	const void *p;
	size_t n = 1;

	while (!r->fault && n && !*r->u->stop) {
		if (src_read(&r->src, &p, &n))
			r->fault = xstrdup(errmsg());
		else
			r->rest = r->rest || any_byte(p, n);
	}
}

/* What stands behind the last member is read too: the checksum of the whole comes last. */
static void
verify(struct reader *r)
{
	struct unpack *u = r->u;

	bool tar = (archive_format(r->a) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;

	drain(r);
	if (r->src.garbage || (tar && r->rest))
		unpack_say(u, LOG_WARN, NULL, BYTES_BEHIND);
	/* all members came out, and yet the stream is not what was packed */
	u->withdrawn = r->src.fault == SRC_CHECKSUM || (r->src.fault == SRC_DAMAGED && !r->told);
	if (r->fault && !r->told)
		say_bad(r, NULL, r->fault);
	if (u->withdrawn)
		unpack_say(u, LOG_BAD, NULL,
		    "none of its members is kept, as nobody can tell which are damaged");
}

/* The first header was not known to any format. */
static enum step
unknown(struct reader *r, bool first)
{
	struct unpack *u = r->u;
	uint64_t at = 0;
	bool sound, packed = r->src.nlayers > 1;

	/* damage may be why it is unknown, and show only further on */
	if (packed && name_is_tar(path_base(u->path)))
		drain(r);
	if (r->fault) {
		say_bad(r, NULL, r->fault);
		return STEP_END;
	}
	if (!first) /* a damaged tar whose next header is no better */
		return STEP_RESYNC;
	if (tar_find(u, &at, true, false)) {
		sb_clear(&u->p);
		r->orphan = tar_special(tar_look(u, 0, &u->p, &sound));
		unpack_say(u, LOG_BAD, u->p.s, "its header is damaged");
		return STEP_RESYNC;
	}
	if (u->maybe && !packed)
		unpack_say(u, LOG_WARN, NULL, "no archive, passed over");
	else if (!u->size)
		unpack_say(u, LOG_BAD, NULL, "empty file");
	else if (packed && !name_is_tar(path_base(u->path)))
		unpack_single(u, false);
	else
		unpack_say(u, LOG_BAD, NULL, packed ? "compressed, but no archive"
		    : "no archive of a known format");
	return STEP_END;
}

/* No bytes are an archive to libarchive, and zeros an empty tar: to us only where the name says
 * so. */
static bool
nothing(const struct reader *r)
{
	int format = archive_format(r->a);
	bool tar = (format & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;

	return format == ARCHIVE_FORMAT_EMPTY ||
	    (tar && !r->u->members && !r->u->bad && !name_is_tar(path_base(r->u->path)));
}

static void
archive(struct unpack *u)
{
	uint64_t from = 0, skip = 0, done;
	struct reader r;

	for (int again = 0; again <= AGAIN_MAX; again++) {
		enum step step = STEP_OTHER;
		int status = reader_open(&r, u, from);
		bool other;

		if (status < 0) {
			unpack_say(u, LOG_BAD, NULL, errmsg());
			reader_close(&r);
			return;
		}
		r.behind = skip > 0;
		if (!status)
			step = members(&r, skip, &done);
		other = step == STEP_OTHER || (step == STEP_END && nothing(&r));
		if (other)
			step = unknown(&r, !from);
		if (step == STEP_BEHIND)
			skip = done;
		if (step == STEP_RESYNC) {
			from += r.bad + TAR_BLOCK;
			if (!tar_find(u, &from, false, r.orphan))
				step = STEP_END;
		}
		if (step == STEP_END && !other && r.streamed && !u->over)
			verify(&r);
		else if (step == STEP_END && plain_zip(&r) && !u->zip.there && !u->bad &&
		    !*u->stop)
			unpack_say(u, LOG_BAD, NULL,
			    "its directory is cut off: members are taken as they stand");
		reader_close(&r);
		if (step == STEP_END)
			return;
	}
	unpack_say(u, LOG_BAD, NULL, "damaged in too many places: the rest is left out");
}

void
unpack_one(struct unpack *u)
{
	locale_t old = uselocale((locale_t)0);

	u->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	u->ascii = newlocale(LC_CTYPE_MASK, "C", (locale_t)0);
	u->dirfd = -1;
	if (u->copy)
		unpack_single(u, true);
	else
		archive(u);
	uselocale(old);
	if (u->utf8)
		freelocale(u->utf8);
	if (u->ascii)
		freelocale(u->ascii);
	if (u->dirfd >= 0)
		close(u->dirfd);
	u->dirfd = -1;
	zip_dir_release(&u->zip);
	sb_release(&u->dirname);
	sb_release(&u->target);
	sb_release(&u->p);
}

void
unpack_release(struct unpack *u)
{
	if (u->log)
		fclose(u->log);
	sb_release(&u->lost);
	*u = (struct unpack){ .root = -1 };
}
