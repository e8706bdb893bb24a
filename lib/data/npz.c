#include "data/npz.h"

#include "base/err.h"
#include "base/file.h"
#include "data/npy.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 20 };

static int
broken(struct archive *a, const char *path)
{
	const char *why = archive_error_string(a);

	return err("%s: %s", path, why ? why : "damaged");
}

/* The bytes of the member at hand. */
static int
member(struct archive *a, struct sb *sb, int64_t *total, const char *path)
{
	char *buf = xmalloc(CHUNK);
	la_ssize_t n;

	while ((n = archive_read_data(a, buf, CHUNK)) > 0 && (*total += n) <= NPZ_MAX)
		sb_put(sb, buf, (size_t)n);
	free(buf);
	if (n < 0)
		return broken(a, path);
	return n > 0 ? err("%s: more than 4 GiB", path) : 0;
}

static int
members(struct npz *z, struct archive *a, const char *path)
{
	struct archive_entry *e;
	int64_t total = 0;
	int r;

	while ((r = archive_read_next_header(a, &e)) == ARCHIVE_OK) {
		const char *name = archive_entry_pathname(e);
		size_t len = name ? strlen(name) : 0;
		struct sb sb = { 0 };

		if (len < 5 || strcmp(name + len - 4, ".npy") != 0)
			continue;
		if (z->n == NPZ_MEMBERS)
			return err("%s: more than %d arrays", path, NPZ_MEMBERS);
		name = arena_strndup(&z->mem, name, len - 4);
		if (member(a, &sb, &total, path)) {
			sb_release(&sb);
			return -1;
		}
		z->bytes[z->n] = sb.s;
		if (npy_parse(&z->t[z->n++], sb.s, sb.len))
			return err_prefix("%s: %s", path, name);
		z->t[z->n - 1].name = name;
	}
	return r == ARCHIVE_EOF ? 0 : broken(a, path);
}

int
npz_read(struct npz *z, const char *path)
{
	struct archive *a = archive_read_new();
	int rc;

	*z = (struct npz){ 0 };
	if (!a)
		die("out of memory (libarchive)");
	archive_read_support_format_zip(a);
	if (archive_read_open_filename(a, path, CHUNK) != ARCHIVE_OK)
		rc = broken(a, path);
	else
		rc = members(z, a, path);
	archive_read_free(a);
	if (rc)
		npz_release(z);
	return rc;
}

const struct st_tensor *
npz_find(const struct npz *z, const char *name)
{
	for (int i = 0; i < z->n; i++)
		if (strcmp(z->t[i].name, name) == 0)
			return &z->t[i];
	return NULL;
}

void
npz_release(struct npz *z)
{
	for (int i = 0; i < z->n; i++)
		free(z->bytes[i]);
	arena_release(&z->mem);
	*z = (struct npz){ 0 };
}

/* ---- writing --------------------------------------------------------------------------------- */

static int
put(struct archive *a, const struct st_tensor *t)
{
	const size_t bytes = (size_t)t->n * st_dtype_size(t->dtype);
	struct archive_entry *e = archive_entry_new();
	char *name = xasprintf("%s.npy", t->name);
	struct sb head = { 0 };
	int rc;

	if (!e)
		die("out of memory (libarchive)");
	npy_header(t, &head);
	archive_entry_set_pathname(e, name);
	archive_entry_set_size(e, (la_int64_t)(head.len + bytes));
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0644);
	archive_entry_set_mtime(e, 315532800, 0); /* 1980-01-01, the first that a zip can say */
	rc = archive_write_header(a, e) != ARCHIVE_OK ||
	    archive_write_data(a, head.s, head.len) != (la_ssize_t)head.len ||
	    archive_write_data(a, t->data, bytes) != (la_ssize_t)bytes;
	archive_entry_free(e);
	sb_release(&head);
	free(name);
	return rc;
}

int
npz_write(const char *path, const struct st_tensor *t, int n)
{
	struct archive *a = archive_write_new();
	struct outfile f;
	int rc;

	if (!a)
		die("out of memory (libarchive)");
	if (outfile_open(&f, path)) {
		archive_write_free(a);
		return -1;
	}
	rc = archive_write_set_format_zip(a) != ARCHIVE_OK ||
	    archive_write_zip_set_compression_store(a) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK || /* no padding */
	    archive_write_open_FILE(a, f.fp) != ARCHIVE_OK;
	for (int i = 0; i < n && !rc; i++)
		rc = put(a, &t[i]);
	rc = rc || archive_write_close(a) != ARCHIVE_OK;
	if (rc)
		broken(a, path);
	archive_write_free(a);
	if (!rc)
		return outfile_commit(&f);
	outfile_abort(&f);
	return -1;
}
