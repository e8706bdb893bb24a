#include "model/gen_files.h"

#include "base/err.h"
#include "base/file.h"
#include "base/rng.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static bool
ends(const char *s, const char *with)
{
	size_t n = strlen(s), k = strlen(with);

	return n >= k && strcmp(s + n - k, with) == 0;
}

/* A folder with nothing in it but what is hidden; one that is not there counts. */
static bool
is_empty(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	bool empty = true;

	if (!d)
		return true;
	while (empty && (e = readdir(d)))
		empty = e->d_name[0] == '.';
	closedir(d);
	return empty;
}

/* Bytes of the shortest part of path that is not there; 0: all is. */
static size_t
first_missing(const char *path)
{
	char *part = xstrdup(path);
	size_t n = strlen(part), missing = 0;

	while (n && !file_exists(part)) {
		missing = n;
		while (n && part[n - 1] != '/')
			n--;
		while (n && part[n - 1] == '/')
			n--;
		part[n] = '\0';
	}
	free(part);
	return missing;
}

void
gen_files_undo(struct gen_files *g)
{
	char *part = g->made ? xstrdup(g->dir) : NULL;
	struct stat st;
	size_t n = part ? strlen(part) : 0;

	if (g->rows && fstat(fileno(g->rows), &st) == 0 && st.st_size == 0)
		unlink(g->rows_path);
	if (g->asked)
		unlink(g->asked);
	while (g->made && n >= g->made && (rmdir(part) == 0 || errno == ENOENT)) {
		while (n && part[n - 1] != '/')
			n--;
		while (n && part[n - 1] == '/')
			n--;
		part[n] = '\0';
	}
	free(part);
}

int
gen_files_open(struct gen_files *g, enum gen_layout layout, const char *dir, const char *ext,
    int64_t chunk)
{
	size_t n = strlen(dir);

	*g = (struct gen_files){ .layout = layout, .ext = ext, .per_batch = 1 };
	while (n > 1 && dir[n - 1] == '/')
		n--;
	g->dir = xstrndup(dir, n);
	if (layout == GEN_NSW) {
		char *parent = path_dir(g->dir);
		bool there = file_exists(parent);

		if (!there)
			err("%s: no such folder", parent);
		free(parent);
		if (!there)
			return -1;
		if (!is_empty(g->dir))
			return err("%s: is not empty", g->dir);
	}
	if (layout == GEN_MEP && !ends(g->dir, "image/train"))
		return err("%s: the folder's name must end in image/train", g->dir);
	g->made = first_missing(g->dir);
	if (make_dirs(g->dir)) {
		gen_files_undo(g);
		return -1;
	}
	if (layout == GEN_MEP) {
		g->rows_path = xasprintf("%s/metadata_%lld_tmp.jsonl", g->dir, (long long)chunk);
		g->rows = fopen(g->rows_path, "a");
		if (!g->rows)
			return err("%s:", g->rows_path);
	}
	return 0;
}

int
gen_files_nsw(struct gen_files *g, const char *prompt, const char *phase, const char *plane)
{
	char when[40], zone[8], *path = path_join(g->dir, "metadata.json");
	time_t now = time(NULL);
	struct tm tm;
	struct sb sb = { 0 };
	int ret;

	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	strftime(zone, sizeof(zone), "%z", &tm);
	sb_printf(&sb, "{\"datetime\": \"%s%.3s:%.2s\", \"prompt\": ", when, zone, zone + 3);
	json_put_str(&sb, prompt, strlen(prompt));
	sb_puts(&sb, ", \"phase\": ");
	json_put_str(&sb, phase, strlen(phase));
	/* written with a hyphen there, and read with an underscore */
	sb_puts(&sb, ", \"focal-plane\": ");
	json_put_str(&sb, plane, strlen(plane));
	sb_puts(&sb, ", \"focal_plane\": ");
	json_put_str(&sb, plane, strlen(plane));
	sb_puts(&sb, "}\n");
	ret = file_write(path, sb.s, sb.len);
	sb_release(&sb);
	g->asked = path;
	return ret;
}

/* An id as a file's name: nothing that leads elsewhere or hides it. */
static void
put_plain(struct sb *sb, const char *id)
{
	for (const char *s = id; *s; s++) {
		bool odd =
		    *s == '/' || (unsigned char)*s < 0x20 || *s == 0x7f || (s == id && *s == '.');

		sb_putc(sb, odd ? '_' : *s);
	}
}

static void
put_mep(struct sb *sb, const struct gen_files *g, const char *id, int64_t k, const char *label,
    const char *prompt_idx, uint64_t seed)
{
	static const char letters[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	struct rng r;

	put_plain(sb, label);
	sb_puts(sb, "_prompt_");
	put_plain(sb, prompt_idx);
	sb_printf(sb, "_batch%lld_im%lld_", (long long)(k / g->per_batch),
	    (long long)(k % g->per_batch));
	rng_init(&r, seed, rng_stream("file name", id));
	for (int i = 0; i < 25; i++)
		sb_putc(sb, letters[rng_below(&r, sizeof(letters) - 1)]);
}

char *
gen_files_name(struct gen_files *g, const char *id, int64_t k, int64_t n, const char *label,
    const char *prompt_idx, uint64_t seed)
{
	struct sb sb = { 0 };
	size_t before = g->names.n;
	char *path = NULL;

	if (g->layout == GEN_NSW) {
		sb_printf(&sb, "img%llu", (unsigned long long)g->count++);
	} else if (g->layout == GEN_MEP) {
		put_mep(&sb, g, id, k, label, prompt_idx, seed);
	} else {
		put_plain(&sb, id);
		if (n > 1)
			sb_printf(&sb, "-%lld", (long long)k);
	}
	sb_puts(&sb, g->ext);
	if (sb.len > 240)
		err("a file's name of %zu bytes is too long", sb.len);
	else if (intern_add(&g->names, sb.s), g->names.n == before)
		err("%s: another image of this run has that name", sb.s);
	else
		path = path_join(g->dir, sb.s);
	sb_release(&sb);
	return path;
}

void
gen_files_row(struct gen_files *g, const char *path, const char *label, const char *label_name,
    const char *text, const char *prompt_idx)
{
	struct sb sb = { 0 };

	sb_puts(&sb, "{\"file_name\": ");
	json_put_str(&sb, path_base(path), strlen(path_base(path)));
	sb_puts(&sb, ", \"path\": ");
	json_put_str(&sb, path, strlen(path));
	sb_printf(&sb, ", \"label\": %s, \"label_name\": ", label);
	json_put_str(&sb, label_name, strlen(label_name));
	sb_puts(&sb, ", \"text\": ");
	json_put_str(&sb, text, strlen(text));
	sb_printf(&sb, ", \"prompt_idx\": %s}\n", prompt_idx);
	if (fwrite(sb.s, 1, sb.len, g->rows) != sb.len || fflush(g->rows))
		die("%s:", g->rows_path);
	sb_release(&sb);
}

/* Appends a file to metadata.jsonl under a lock. */
static int
merge_rows(const struct gen_files *g)
{
	char *to = path_join(g->dir, "metadata.jsonl"), *data = NULL;
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	size_t len = 0;
	int fd = open(to, O_WRONLY | O_APPEND | O_CREAT, 0666), ret = 0;

	if (fd < 0 || fcntl(fd, F_SETLKW, &lock))
		ret = err("%s:", to);
	else if (file_read(g->rows_path, (size_t)1 << 32, &data, &len))
		ret = -1;
	else if (write(fd, data, len) != (ssize_t)len || fsync(fd))
		ret = err("%s:", to);
	else if (unlink(g->rows_path))
		ret = err("%s:", g->rows_path);
	if (fd >= 0)
		close(fd);
	free(data);
	free(to);
	return ret;
}

int
gen_files_close(struct gen_files *g)
{
	int ret = 0;

	if (g->rows) {
		if (fclose(g->rows))
			ret = err("%s:", g->rows_path);
		if (ret == 0)
			ret = merge_rows(g);
	}
	intern_release(&g->names);
	free(g->rows_path);
	free(g->asked);
	free(g->dir);
	*g = (struct gen_files){ 0 };
	return ret;
}

const char *
gen_mep_label(const char *text)
{
	static const char *const label[] = { "tumor", "normal", "cancer", "healthy" };
	const char *of = strstr(text, " of "), *tissue = of ? strstr(of, "tissue") : NULL;

	for (size_t i = 0; tissue && i < sizeof(label) / sizeof(*label); i++) {
		const char *at = strstr(of, label[i]);

		if (at && at < tissue)
			return label[i];
	}
	return "unknown";
}

/* ---- in the image ---------------------------------------------------------------------------- */

void
gen_text_make(struct gen_text *t, const struct sd_job *j, const char *model, const char *lora,
    enum noise_kind noise)
{
	static const char *const sampler[] = { "DDPM", "DDIM", "PLMS", "Euler", "Euler a", "Heun",
	    "DPM++ 2M",
		"DPM++ 2M Karras", "DPM++ 2M SDE", "UniPC", "LCM", "LMS" };
	struct sb *p = &t->parameters;

	*t = (struct gen_text){ 0 };
	sb_printf(p, "%s\n", j->text ? j->text : "");
	if (j->negative && *j->negative)
		sb_printf(p, "Negative prompt: %s\n", j->negative);
	sb_printf(p, "Steps: %d, Sampler: %s, CFG scale: %g, Seed: %llu, Size: %dx%d, Model: %s",
	    j->steps, sampler[j->sampler], j->guidance, (unsigned long long)j->seed, j->width,
	    j->height, model);
	if (lora)
		sb_printf(p, ", Lora: %s", lora);
	if (j->rescale > 0)
		sb_printf(p, ", CFG rescale: %g", j->rescale);
	if (j->init)
		sb_printf(p, ", Denoising strength: %g", j->strength);
	sb_printf(p, ", RNG: %s, Version: phantom %s", noise == NOISE_TORCH_CPU ? "CPU" : "Philox",
	    PHANTOM_VERSION);
	sb_puts(&t->xmp, "<?xpacket begin=\"\xef\xbb\xbf\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>"
	    "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">"
	    "<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">"
	    "<rdf:Description rdf:about=\"\" "
	    "xmlns:Iptc4xmpExt=\"http://iptc.org/std/Iptc4xmpExt/2008-02-29/\" "
	    "Iptc4xmpExt:DigitalSourceType="
	    "\"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia\"/>"
	    "</rdf:RDF></x:xmpmeta><?xpacket end=\"r\"?>");
	t->pair[0] = "parameters";
	t->pair[1] = p->s;
	t->pair[2] = "XML:com.adobe.xmp";
	t->pair[3] = t->xmp.s;
}

void
gen_text_release(struct gen_text *t)
{
	sb_release(&t->parameters);
	sb_release(&t->xmp);
}
