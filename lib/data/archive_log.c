/* What happened to an archive's members, in a file until it is their turn to be told. */
#include "data/archive_unpack.h"

#include "base/err.h"
#include "data/archive_member.h"
#include "data/archive_name.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_SHOWN = 400 };

struct log_head {
	int64_t size;
	uint32_t kind, pathlen, memberlen;
};

void
log_put(FILE *fp, const struct log_entry *e)
{
	struct log_head h = { e->size, (uint32_t)e->kind, (uint32_t)e->path.len,
	    (uint32_t)e->member.len };

	if (fwrite(&h, sizeof(h), 1, fp) != 1 ||
	    fwrite(e->path.s ? e->path.s : "", 1, h.pathlen, fp) != h.pathlen ||
	    fwrite(e->member.s ? e->member.s : "", 1, h.memberlen, fp) != h.memberlen)
		die("write error on a temporary file:");
}

static void
get_str(FILE *fp, struct sb *sb, size_t n)
{
	sb_clear(sb);
	sb->s = xgrow(sb->s, &sb->cap, n + 1, 1);
	if (fread(sb->s, 1, n, fp) != n)
		die("read error on a temporary file:");
	sb->s[n] = '\0';
	sb->len = n;
}

int
log_get(FILE *fp, struct log_entry *e)
{
	struct log_head h;

	if (fread(&h, sizeof(h), 1, fp) != 1) {
		if (ferror(fp))
			die("read error on a temporary file:");
		return 0;
	}
	e->kind = (enum log_kind)h.kind;
	e->size = h.size;
	get_str(fp, &e->path, h.pathlen);
	get_str(fp, &e->member, h.memberlen);
	return 1;
}

/* A name that is too long for a line loses its middle. */
static void
put_name(struct sb *text, const char *name)
{
	struct sb s = { 0 };

	name_show(&s, name);
	if (s.len <= NAME_SHOWN)
		sb_put(text, s.s, s.len);
	else
		sb_printf(text, "%.*s...%s", NAME_SHOWN / 2, s.s, s.s + s.len - NAME_SHOWN / 2);
	sb_puts(text, ": ");
	sb_release(&s);
}

void
unpack_message(struct sb *text, const struct unpack *u, const char *member, const char *why)
{
	put_name(text, u->path);
	if (member && *member)
		put_name(text, member);
	name_show(text, why);
}

void
unpack_say(struct unpack *u, enum log_kind kind, const char *member, const char *why)
{
	struct log_entry e = { .kind = kind };

	unpack_message(&e.path, u, member, why);
	log_put(u->log, &e);
	sb_release(&e.path);
	u->bad |= kind == LOG_BAD;
}

void
unpack_lose(struct unpack *u, ino_t ino)
{
	struct log_entry e = { 0 };
	struct stat st;

	rewind(u->log);
	while (log_get(u->log, &e)) {
		if (e.kind != LOG_FILE || fstatat(u->root, e.path.s, &st, AT_SYMLINK_NOFOLLOW) ||
		    st.st_ino != ino)
			continue;
		unlinkat(u->root, e.path.s, 0);
		sb_put(&u->lost, e.path.s, e.path.len + 1);
	}
	fseek(u->log, 0, SEEK_END);
	sb_release(&e.path);
	sb_release(&e.member);
}
