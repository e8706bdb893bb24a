#include "data/tfevents.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
    "numbers are written as they lie in memory");

/* ---- checksums ------------------------------------------------------------------------------- */

uint32_t
crc32c(const void *p, size_t n)
{
	static uint32_t table[256];
	const uint8_t *s = p;
	uint32_t c = ~0u;

	if (!table[1])
		for (uint32_t i = 256; i-- > 0;) { /* table[1] last: it says that all are there */
			uint32_t v = i;

			for (int k = 0; k < 8; k++)
				v = v & 1 ? v >> 1 ^ 0x82f63b78 : v >> 1;
			table[i] = v;
		}
	for (size_t i = 0; i < n; i++)
		c = table[(c ^ s[i]) & 0xff] ^ c >> 8;
	return ~c;
}

uint32_t
crc32c_masked(const void *p, size_t n)
{
	uint32_t c = crc32c(p, n);

	return (c >> 15 | c << 17) + 0xa282ead8;
}

/* ---- protocol buffers ------------------------------------------------------------------------ */

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static void
put_varint(struct sb *sb, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		sb_putc(sb, (char)(v | 0x80));
	sb_putc(sb, (char)v);
}

static void
put_key(struct sb *sb, unsigned field, enum wire wire)
{
	put_varint(sb, field << 3 | (unsigned)wire);
}

static void
put_int(struct sb *sb, unsigned field, int64_t v)
{
	put_key(sb, field, WIRE_VARINT);
	put_varint(sb, (uint64_t)v);
}

static void
put_bytes(struct sb *sb, unsigned field, const void *p, size_t n)
{
	put_key(sb, field, WIRE_BYTES);
	put_varint(sb, n);
	sb_put(sb, p, n);
}

/* ---- records --------------------------------------------------------------------------------- */

/* One TFRecord with an Event: the time, and `rest`, its other fields. */
static int
put_event(struct tfevents *e, const struct sb *rest)
{
	struct timespec now;
	struct sb sb = { 0 };
	double wall;
	uint64_t len;
	uint32_t crc;

	clock_gettime(CLOCK_REALTIME, &now);
	wall = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
	put_key(&sb, 1, WIRE_64); /* Event.wall_time */
	sb_put(&sb, &wall, sizeof(wall));
	sb_put(&sb, rest->s, rest->len);
	len = sb.len;
	fwrite(&len, sizeof(len), 1, e->fp);
	crc = crc32c_masked(&len, sizeof(len));
	fwrite(&crc, sizeof(crc), 1, e->fp);
	fwrite(sb.s, 1, sb.len, e->fp);
	crc = crc32c_masked(sb.s, sb.len);
	fwrite(&crc, sizeof(crc), 1, e->fp);
	sb_release(&sb);
	return fflush(e->fp) || ferror(e->fp) ? err("%s:", e->path) : 0;
}

/* An event with a Summary of one Value, whose fields but the tag are `value`. */
static int
put_summary(struct tfevents *e, const char *tag, int64_t step, const struct sb *value)
{
	struct sb v = { 0 }, summary = { 0 }, event = { 0 };
	int ret;

	if (strlen(tag) > TFEVENTS_TAG)
		return err("%s: a tag of %zu bytes", e->path, strlen(tag));
	put_bytes(&v, 1, tag, strlen(tag)); /* Value.tag */
	sb_put(&v, value->s, value->len);
	put_bytes(&summary, 1, v.s, v.len); /* Summary.value */
	put_int(&event, 2, step);           /* Event.step */
	put_bytes(&event, 5, summary.s, summary.len);
	ret = put_event(e, &event);
	sb_release(&v);
	sb_release(&summary);
	sb_release(&event);
	return ret;
}

int
tfevents_open(struct tfevents *e, const char *dir)
{
	struct sb version = { 0 };
	char host[256] = "";
	int ret;

	*e = (struct tfevents){ 0 };
	if (make_dirs(dir))
		return -1;
	if (gethostname(host, sizeof(host) - 1) || !*host)
		strcpy(host, "host");
	for (int n = 0; !e->fp; n++) {
		free(e->path);
		e->path = xasprintf("%s/events.out.tfevents.%010lld.%s.%ld.%d", dir,
		    (long long)time(NULL), host, (long)getpid(), n);
		e->fp = fopen(e->path, "wbx");
		if (!e->fp && errno != EEXIST) {
			err("%s:", e->path);
			free(e->path);
			return -1;
		}
	}
	put_bytes(&version, 3, "brain.Event:2", 13); /* Event.file_version */
	ret = put_event(e, &version);
	sb_release(&version);
	if (ret) {
		fclose(e->fp);
		free(e->path);
		*e = (struct tfevents){ 0 };
	}
	return ret;
}

int
tfevents_scalar(struct tfevents *e, const char *tag, int64_t step, double value)
{
	struct sb v = { 0 };
	float f = (float)value;
	int ret;

	put_key(&v, 2, WIRE_32); /* Value.simple_value */
	sb_put(&v, &f, sizeof(f));
	ret = put_summary(e, tag, step, &v);
	sb_release(&v);
	return ret;
}

int
tfevents_image(struct tfevents *e, const char *tag, int64_t step, const struct image *im)
{
	struct sb v = { 0 }, image = { 0 };
	void *png;
	size_t n;
	int ret;

	if (image_encode(im, "png", 0, NULL, &png, &n))
		return err_prefix("%s", e->path);
	if (n > TFEVENTS_IMAGE) {
		free(png);
		return err("%s: an image of %zu bytes", e->path, n);
	}
	put_int(&image, 1, im->h); /* Summary.Image */
	put_int(&image, 2, im->w);
	put_int(&image, 3, im->c); /* colorspace: 1 gray, 3 RGB */
	put_bytes(&image, 4, png, n);
	put_bytes(&v, 4, image.s, image.len); /* Value.image */
	ret = put_summary(e, tag, step, &v);
	sb_release(&v);
	sb_release(&image);
	free(png);
	return ret;
}

int
tfevents_close(struct tfevents *e)
{
	int ret = 0;

	if (e->fp && fclose(e->fp))
		ret = err("%s:", e->path);
	free(e->path);
	*e = (struct tfevents){ 0 };
	return ret;
}
