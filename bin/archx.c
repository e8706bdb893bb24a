/* archx: unpack archives safely, one record a file. */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/order.h"
#include "data/archive.h"
#include "data/archive_name.h"

#include <dirent.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct unpack_opts o = UNPACK_OPTS;
static const char *manifest;
static bool list;

static const struct opt table[] = {
	{ 'o', "output", OPT_STR, &o.dest, "DIR",
	    "unpack below DIR, which is absent or empty", 0, 0 },
	{ 0, "list", OPT_FLAG, &list, NULL, "write records, unpack nothing", 0, 0 },
	{ 0, "manifest", OPT_STR, &manifest, "FILE",
	    "the folder must hold just the files it names", 0, 0 },
	{ 0, "dirs", OPT_FLAG, &o.dirs, NULL, "records of folders and symbolic links too", 0, 0 },
	{ 'j', "jobs", OPT_INT, &o.jobs, "N", "unpack N archives at once", 1, 256 },
	{ 0, "max-bytes", OPT_SIZE, &o.max_bytes, "SIZE",
	    "stop at an archive of more bytes (64G)", 1, 8e18 },
	{ 0, "max-members", OPT_INT, &o.max_members, "N",
	    "stop at an archive of more members (4000000)", 1, 1e12 },
	{ 0, "max-ratio", OPT_FLOAT, &o.max_ratio, "X",
	    "stop when 16M and X times its size came out (200)", 1, 1e15 },
	{ 0, "charset", OPT_STR, &o.charset, "NAME",
	    "charset of names that do not say theirs", 0, 0 },
	{ 0, "sync", OPT_FLAG, &o.sync, NULL,
	    "have each archive's files on the disk before they show", 0, 0 },
	{ 'q', "quiet", OPT_FLAG, &o.quiet, NULL, "no progress", 0, 0 },
	{ 0, NULL, OPT_END, NULL, NULL, NULL, 0, 0 },
};

/* The human embryo time-lapse data set as published: seven focal planes and three tables. */
static const char nsw[] = "embryo_dataset_F-45.tar.gz\nembryo_dataset_F-30.tar.gz\n"
	"embryo_dataset_F-15.tar.gz\nembryo_dataset.tar.gz\nembryo_dataset_F15.tar.gz\n"
	"embryo_dataset_F30.tar.gz\nembryo_dataset_F45.tar.gz\nembryo_dataset_annotations.tar.gz\n"
	"embryo_dataset_time_elapsed.tar.gz\nembryo_dataset_grades.csv\n";

struct names {
	char **v;
	size_t n, cap;
};

static struct unpack_item *items;
static size_t nitems, capitems;
static struct outfile spooled;

static void
add_name(struct names *l, const char *s, size_t n)
{
	l->v = xgrow(l->v, &l->cap, l->n + 1, sizeof(*l->v));
	l->v[l->n++] = xstrndup(s, n);
}

static void
add_item(struct unpack_item it)
{
	items = xgrow(items, &capitems, nitems + 1, sizeof(*items));
	items[nitems++] = it;
}

/* Names in a folder, in byte order. */
static struct names
folder(const char *path)
{
	struct names l = { 0 };
	DIR *dp = opendir(path);
	struct dirent *d;

	if (!dp)
		die("%s: cannot be read:", path);
	while ((d = readdir(dp)))
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			add_name(&l, d->d_name, strlen(d->d_name));
	closedir(dp);
	if (l.n)
		qsort(l.v, l.n, sizeof(*l.v), order_names);
	return l;
}

/* One name a line; empty lines and lines that begin with # are passed over. */
static struct names
read_manifest(const char *file)
{
	struct names l = { 0 };
	char *text = NULL;
	size_t len;

	if (strcmp(file, "nsw") == 0)
		text = xstrdup(nsw);
	else if (file_read(file, 64 << 20, &text, &len))
		die("%s", errmsg());
	for (const char *s = text; *s;) {
		size_t n = strcspn(s, "\n"), m = n && s[n - 1] == '\r' ? n - 1 : n;

		if (m && *s != '#')
			add_name(&l, s, m);
		s += n + (s[n] == '\n');
	}
	free(text);
	if (!l.n)
		die("%s: names no files", file);
	return l;
}

static void
free_names(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct names){ 0 };
}

static bool
has(const struct names *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], name) == 0)
			return true;
	return false;
}

/* Names the members of a that b lacks. */
static size_t
differ(const char *dir, const struct names *a, const struct names *b, const char *what)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++) {
		struct sb name = { 0 };

		if (!has(b, a->v[i])) {
			name_show(&name, a->v[i]);
			warn("%s: %s: %s", dir, what, name.s);
			n++;
		}
		sb_release(&name);
	}
	return n;
}

static void
add_folder(const char *dir)
{
	struct names have = folder(dir), want;

	if (manifest) {
		want = read_manifest(manifest);
		if (differ(dir, &want, &have, "missing") + differ(dir, &have, &want, "extra"))
			die("%s: does not hold what the manifest names", dir);
		free_names(&have);
	} else {
		want = have;
	}
	for (size_t i = 0; i < want.n; i++) {
		char *path = path_join(dir, want.v[i]);
		bool packed = name_is_archive(want.v[i]);
		struct stat st;

		bool there = stat(path, &st) == 0;

		if (!there && manifest)
			die("%s:", path);
		/* what cannot be opened is one bad archive of many */
		if (!there || S_ISREG(st.st_mode)) {
			add_item((struct unpack_item){ path, NULL, manifest && !packed,
			    !manifest && !packed });
			continue;
		}
		if (manifest)
			die("%s: is no file", path);
		if (!S_ISDIR(st.st_mode))
			warn("%s: is no file, passed over", path);
		free(path);
	}
	free_names(&want);
}

/* Archives are opened more than once: standard input becomes a file for that time. */
static void
spool(void)
{
	const char *dir = getenv("TMPDIR");
	char *path = path_join(dir && *dir ? dir : "/tmp", "archx-stdin"), buf[1 << 16];
	size_t n;

	if (spooled.fp)
		usage_error("- may stand once only");
	if (outfile_open(&spooled, path))
		die("%s", errmsg());
	while ((n = fread(buf, 1, sizeof(buf), stdin)) > 0)
		if (fwrite(buf, 1, n, spooled.fp) != n)
			die("%s: write error:", spooled.temp);
	if (ferror(stdin))
		die("standard input cannot be read:");
	if (fflush(spooled.fp))
		die("%s: write error:", spooled.temp);
	add_item((struct unpack_item){ "stdin", spooled.temp, false, false });
	free(path);
}

static void
add_operand(const char *path)
{
	struct stat st;

	if (strcmp(path, "-") == 0) {
		if (manifest)
			usage_error("--manifest wants a folder, which - is not");
		spool();
		return;
	}
	if (stat(path, &st) || access(path, R_OK))
		die("%s:", path);
	if (S_ISDIR(st.st_mode))
		add_folder(path);
	else if (manifest)
		usage_error("--manifest wants a folder, which %s is not", path);
	else if (S_ISREG(st.st_mode))
		add_item((struct unpack_item){ path, NULL, false, false });
	else
		die("%s: is no file", path);
}

int
main(int argc, char **argv)
{
	struct sb utf8 = { 0 };
	struct rec_out out;
	int status;

	argv += opt_parse(argc, argv, table, "[options] -o DIR | --list  ARCHIVE | FOLDER | - ...",
	    "Unpacks archives safely; writes a record for each file.");
	if (!*argv)
		usage_error("no archive given");
	if (!o.dest == !list)
		usage_error("one of -o DIR and --list is wanted");
	opt_wants(&o.sync, !list || !o.sync, "-o");
	if (manifest && argv[1])
		usage_error("--manifest wants one folder");
	if (o.charset) {
		iconv_t cd = iconv_open("UTF-8", o.charset);

		if (cd == (iconv_t)-1)
			usage_error("--charset: '%s' is not known", o.charset);
		iconv_close(cd);
	}
	name_utf8(&utf8, o.dest ? o.dest : "-");
	if (!utf8.len || (o.dest && strcmp(utf8.s, o.dest) != 0))
		usage_error("-o: the name of the folder is empty or no UTF-8");
	while (*argv)
		add_operand(*argv++);
	rec_out_open(&out, STDOUT_FILENO, "standard output");
	status = unpack_all(&o, items, nitems, &out);
	rec_out_close(&out);
	if (spooled.fp)
		outfile_abort(&spooled);
	sb_release(&utf8);
	return status;
}
