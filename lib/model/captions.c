#include "model/captions.h"

#include "base/err.h"
#include "data/rec.h"

#include <inttypes.h>
#include <stdlib.h>

/* Takes over s. */
static void
add(struct captions *c, char *s)
{
	c->v = xgrow(c->v, &c->cap, c->n + 1, sizeof(*c->v));
	c->v[c->n++] = s;
}

/* A record's text, in r until it is cleared; NULL with a message. */
static const char *
text_of(struct rec *r, const char *line, size_t len)
{
	const char *text;

	rec_clear(r);
	if (rec_parse(r, line, len))
		return NULL;
	text = rec_str(r, "text");
	if (!text)
		err("no text");
	return text;
}

int
captions_read(struct captions *c, const char *path)
{
	const char *line, *text;
	struct rec r = { 0 };
	struct rec_in in;
	size_t len;
	int ret = 0;

	rec_in_open(&in, &path, 1);
	while (!ret && rec_in_line(&in, &line, &len)) {
		if (line[0] != '{')
			add(c, xstrndup(line, len));
		else if ((text = text_of(&r, line, len)))
			add(c, xstrdup(text));
		else
			ret = err("%s:%" PRIu64 ": %s", path, in.lineno, errmsg());
	}
	rec_in_close(&in);
	rec_release(&r);
	return ret || c->n ? ret : err("%s: no captions to learn from", path);
}

void
captions_release(struct captions *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->v[i]);
	free(c->v);
	*c = (struct captions){ 0 };
}
