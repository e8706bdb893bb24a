#include "model/tokenizer.h"

#include "base/err.h"
#include "base/file.h"
#include "base/intern.h"
#include "base/mem.h"
#include "data/json.h"
#include "model/token_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two neighbours and what they become; better ranks are lower. */
struct merge {
	int32_t a, b, to;
	uint32_t rank;
};

struct tokenizer_tables {
	struct intern token;      /* tokens by their text; number -> id */
	int32_t *id;
	int32_t byte[256][2];     /* id of a byte's symbol, inside and at the end of a word */
	struct merge *merge;      /* hash table, open, a power of two; a == -1 is free */
	size_t cap;
	/* tokens that stand for themselves wherever their text appears */
	struct {
		char text[32];
		size_t len;
		int32_t id;
	} special[3];
	int nspecial;
};

/* ---- reading --------------------------------------------------------------------------------- */

static int32_t
find(const struct tokenizer_tables *t, const char *token)
{
	int n = intern_find(&t->token, token);

	return n < 0 ? -1 : t->id[n];
}

static int
read_vocab(struct tokenizer *tok, const char *path)
{
	struct tokenizer_tables *t = tok->tab;
	struct arena mem = { 0 };
	struct json j;
	char *text;
	int ret = 0;

	if (json_read_file(&j, &text, path))
		return -1;
	if (j.v[0].type != JSON_OBJECT || j.v[0].size == 0)
		ret = err("%s: not an object of tokens", path);
	else
		t->id = xcalloc((size_t)j.v[0].size, sizeof(*t->id));
	for (int i = 0, v = 1; ret == 0 && i < j.v[0].size; i++) {
		const char *name = json_str(&j, v, &mem);
		int64_t id;

		v = j.v[v].next;
		if (!name || json_int(&j, v, &id) || id < 0 || id > 1 << 24) {
			ret = err("%s: entry %d is not a token and its id", path, i + 1);
			break;
		}
		t->id[intern_add(&t->token, name)] = (int32_t)id;
		if (id >= tok->vocab)
			tok->vocab = (int)id + 1;
		v = j.v[v].next;
	}
	arena_release(&mem);
	json_release(&j);
	free(text);
	return ret;
}

static size_t
merge_slot(const struct tokenizer_tables *t, int32_t a, int32_t b)
{
	uint64_t h = ((uint64_t)(uint32_t)a << 32 | (uint32_t)b) * 0x9E3779B97F4A7C15u;
	size_t i = (size_t)(h >> 32) & (t->cap - 1);

	while (t->merge[i].a >= 0 && (t->merge[i].a != a || t->merge[i].b != b))
		i = (i + 1) & (t->cap - 1);
	return i;
}

static int
add_merge(struct tokenizer_tables *t, char *line, uint32_t rank, struct sb *sb)
{
	char *space = strchr(line, ' ');
	int32_t a, b, to;
	struct merge *m;

	if (!space || space == line || !space[1])
		return err("'%s' is not two symbols", line);
	*space = '\0';
	sb_clear(sb);
	sb_puts(sb, line);
	sb_puts(sb, space + 1);
	a = find(t, line);
	b = find(t, space + 1);
	to = find(t, sb->s);
	if (a < 0 || b < 0 || to < 0)
		return err("'%s' and '%s': not in the vocabulary", line, space + 1);
	m = &t->merge[merge_slot(t, a, b)];
	if (m->a < 0)
		*m = (struct merge){ a, b, to, rank };
	return 0;
}

static int
read_merges(struct tokenizer_tables *t, const char *path)
{
	char *text, *line, *end;
	size_t len, lines = 0;
	struct sb sb = { 0 };
	uint32_t rank = 0;
	int ret = 0;

	if (file_read(path, (size_t)64 << 20, &text, &len))
		return -1;
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	for (t->cap = 64; t->cap < 2 * (lines + 2);)
		t->cap *= 2;
	t->merge = xcalloc(t->cap, sizeof(*t->merge));
	for (size_t i = 0; i < t->cap; i++)
		t->merge[i].a = -1;
	for (line = text; ret == 0 && line < text + len; line = end + 1) {
		end = memchr(line, '\n', len - (size_t)(line - text));
		if (!end)
			end = text + len;
		*end = '\0';
		if (end > line && end[-1] == '\r')
			end[-1] = '\0';
		/* the version line stands first; "#" is a symbol like any other below it */
		if (!*line || (line == text && strncmp(line, "#version", 8) == 0))
			continue;
		if (add_merge(t, line, rank++, &sb))
			ret = err("%s: line %u: %s", path, rank, errmsg());
	}
	sb_release(&sb);
	free(text);
	return ret;
}

/* A special token's text: a string, or an object with "content". */
static const char *
content(const struct json *j, const char *key, struct arena *mem)
{
	int v = json_get(j, 0, key);

	if (v >= 0 && j->v[v].type == JSON_OBJECT)
		v = json_get(j, v, "content");
	return v >= 0 ? json_str(j, v, mem) : NULL;
}

static int
read_specials(struct tokenizer *tok, const char *dir)
{
	static const char *const files[] = { "tokenizer_config.json", "special_tokens_map.json" };
	static const char *const keys[] = { "bos_token", "eos_token", "pad_token" };
	const char *name[3] = { "<|startoftext|>", "<|endoftext|>", NULL };
	int32_t *to[] = { &tok->bos, &tok->eos, &tok->pad };
	struct tokenizer_tables *t = tok->tab;
	struct arena mem = { 0 };
	int ret = 0;

	for (int f = 0; f < 2 && ret == 0; f++) {
		char *path = path_join(dir, files[f]), *text;
		struct json j;
		int64_t n;

		if (file_exists(path)) {
			ret = json_read_file(&j, &text, path);
			if (ret == 0) {
				int v = json_get(&j, 0, "model_max_length");

				for (int i = 0; i < 3; i++) {
					const char *s = content(&j, keys[i], &mem);

					name[i] = s ? s : name[i];
				}
				if (v >= 0 && json_int(&j, v, &n) == 0 && n > 2 && n < 1 << 20)
					tok->length = (int)n;
				json_release(&j);
				free(text);
			}
		}
		free(path);
	}
	if (!name[2])
		name[2] = name[1];
	for (int i = 0; i < 3 && ret == 0; i++) {
		*to[i] = find(t, name[i]);
		if (*to[i] < 0) {
			ret = err("%s: %s '%s' is not in the vocabulary", dir, keys[i], name[i]);
		} else if (strlen(name[i]) < sizeof(t->special[0].text) &&
		    (i < 2 || *to[2] != tok->eos)) {
			/* the padding token, "!" in SD 2, counts wherever it stands in a text
			 * too */
			strcpy(t->special[t->nspecial].text, name[i]);
			t->special[t->nspecial].len = strlen(name[i]);
			t->special[t->nspecial++].id = *to[i];
		}
	}
	arena_release(&mem);
	return ret;
}

int
tokenizer_open(struct tokenizer *tok, const char *dir)
{
	char *vocab = path_join(dir, "vocab.json"), *merges = path_join(dir, "merges.txt");
	struct sb sb = { 0 };
	int ret;

	*tok = (struct tokenizer){ .tab = xcalloc(1, sizeof(*tok->tab)), .length = 77 };
	ret = read_vocab(tok, vocab) || read_merges(tok->tab, merges) ||
	    read_specials(tok, dir) ? -1 : 0;
	for (int b = 0; b < 256 && ret == 0; b++)
		for (int end = 0; end < 2 && ret == 0; end++) {
			sb_clear(&sb);
			token_letter(&sb, b);
			sb_puts(&sb, end ? "</w>" : "");
			tok->tab->byte[b][end] = find(tok->tab, sb.s);
			if (tok->tab->byte[b][end] < 0)
				ret = err("%s: no token for byte %d", vocab, b);
		}
	sb_release(&sb);
	free(vocab);
	free(merges);
	if (ret)
		tokenizer_close(tok);
	return ret;
}

void
tokenizer_close(struct tokenizer *tok)
{
	if (tok->tab) {
		intern_release(&tok->tab->token);
		free(tok->tab->id);
		free(tok->tab->merge);
		free(tok->tab);
	}
	tok->tab = NULL;
}

/* ---- words to ids ---------------------------------------------------------------------------- */

struct ids {
	int32_t *v;
	int n, max; /* n counts on beyond max */
};

static void
put_id(struct ids *out, int32_t id)
{
	if (out->n < out->max)
		out->v[out->n] = id;
	out->n++;
}

/* Merges the pair of lowest rank until there is none. */
static void
encode_word(const struct tokenizer_tables *t, const char *s, size_t len, struct ids *out)
{
	int32_t small[64], *w = len > 64 ? xcalloc(len, sizeof(*w)) : small;
	size_t n = len;

	for (size_t i = 0; i < len; i++)
		w[i] = t->byte[(unsigned char)s[i]][i + 1 == len];
	for (;;) {
		const struct merge *best = NULL;
		size_t kept = 0;

		for (size_t i = 0; i + 1 < n; i++) {
			const struct merge *m = &t->merge[merge_slot(t, w[i], w[i + 1])];

			if (m->a >= 0 && (!best || m->rank < best->rank))
				best = m;
		}
		if (!best)
			break;
		for (size_t i = 0; i < n; i++) {
			if (i + 1 < n && w[i] == best->a && w[i + 1] == best->b) {
				w[kept++] = best->to;
				i++;
			} else {
				w[kept++] = w[i];
			}
		}
		n = kept;
	}
	for (size_t i = 0; i < n; i++)
		put_id(out, w[i]);
	if (w != small)
		free(w);
}

int
tokenizer_encode(const struct tokenizer *tok, const char *text, size_t len, int32_t *ids, int max)
{
	const struct tokenizer_tables *t = tok->tab;
	struct ids out = { ids, 0, max };
	size_t n, at = 0;
	char *s;

	if (max < 2)
		return err("no room for %d ids", max);
	s = token_normalize(text, len, &n);
	if (!s)
		return -1;
	put_id(&out, tok->bos);
	while (at < n) {
		size_t step = 0, end;
		int special = -1;

		/* a special token ends the word before it */
		for (end = at; end < n && special < 0; end += special < 0)
			for (int k = 0; k < t->nspecial && special < 0; k++)
				if (t->special[k].len <= n - end &&
				    memcmp(s + end, t->special[k].text, t->special[k].len) == 0)
					special = k;
		while (at < end) {
			step = token_word(s + at, end - at);
			if (step)
				encode_word(t, s + at, step, &out);
			at += step ? step : 1;
		}
		if (special >= 0) {
			put_id(&out, t->special[special].id);
			at += t->special[special].len;
		}
	}
	put_id(&out, tok->eos);
	free(s);
	if (out.n > max)
		ids[max - 1] = tok->eos;
	for (int i = out.n; i < max; i++)
		ids[i] = tok->pad;
	return out.n;
}

/* ---- learning -------------------------------------------------------------------------------- */

/* A distinct word of the captions as symbol numbers, and how often it stands there. */
struct word {
	int *sym;
	size_t n;
	int64_t count;
};

struct learner {
	struct intern sym, words; /* symbols by text, in the order they became; words by text */
	struct word *word;
	size_t capword;
};

static void
learn_word(struct learner *l, const char *s, size_t len)
{
	char *text = xstrndup(s, len);
	size_t before = l->words.n;
	int at = intern_add(&l->words, text);
	struct sb sb = { 0 };
	struct word *w;

	l->word = xgrow(l->word, &l->capword, l->words.n, sizeof(*l->word));
	w = &l->word[at];
	if (l->words.n > before) {
		*w = (struct word){ xcalloc(len, sizeof(int)), len, 0 };
		for (size_t i = 0; i < len; i++) {
			sb_clear(&sb);
			token_letter(&sb, (unsigned char)s[i]);
			sb_puts(&sb, i + 1 == len ? "</w>" : "");
			w->sym[i] = intern_add(&l->sym, sb.s);
		}
	}
	w->count++;
	sb_release(&sb);
	free(text);
}

/* The most frequent pair of neighbours; the one met first where two are as frequent. */
static bool
best_pair(const struct learner *l, int *a, int *b)
{
	struct intern pairs = { 0 };
	int64_t *count = NULL, best = 0;
	size_t cap = 0;
	char key[32];

	for (size_t i = 0; i < l->words.n; i++)
		for (size_t k = 0; k + 1 < l->word[i].n; k++) {
			size_t before = pairs.n;
			int at;

			snprintf(key, sizeof(key), "%d %d", l->word[i].sym[k],
			    l->word[i].sym[k + 1]);
			at = intern_add(&pairs, key);
			count = xgrow(count, &cap, pairs.n, sizeof(*count));
			if (pairs.n > before)
				count[at] = 0;
			count[at] += l->word[i].count;
		}
	for (size_t i = 0; i < pairs.n; i++)
		if (count[i] > best) {
			best = count[i];
			sscanf(pairs.name[i], "%d %d", a, b);
		}
	free(count);
	intern_release(&pairs);
	return best > 1; /* a pair that stands once is no rule */
}

static void
merge_everywhere(struct learner *l, int a, int b, int to)
{
	for (size_t i = 0; i < l->words.n; i++) {
		struct word *w = &l->word[i];
		size_t kept = 0;

		for (size_t k = 0; k < w->n; k++) {
			bool pair = k + 1 < w->n && w->sym[k] == a && w->sym[k + 1] == b;

			w->sym[kept++] = pair ? to : w->sym[k];
			k += pair;
		}
		w->n = kept;
	}
}

static int
write_tokenizer(const struct learner *l, const struct sb *merges, const char *dir)
{
	static const char config[] =
	    "{\"tokenizer_class\":\"CLIPTokenizer\",\"model_max_length\":77,"
	    "\"do_lower_case\":true,\"bos_token\":\"<|startoftext|>\","
	    "\"eos_token\":\"<|endoftext|>\","
	    "\"unk_token\":\"<|endoftext|>\",\"pad_token\":\"<|endoftext|>\"}\n";
	char *vocab = path_join(dir, "vocab.json"), *rules = path_join(dir, "merges.txt");
	char *conf = path_join(dir, "tokenizer_config.json");
	struct sb sb = { 0 };
	int ret;

	sb_putc(&sb, '{');
	for (size_t i = 0; i < l->sym.n; i++) {
		json_put_str(&sb, l->sym.name[i], strlen(l->sym.name[i]));
		sb_printf(&sb, ": %zu, ", i);
	}
	sb_printf(&sb, "\"<|startoftext|>\": %zu, \"<|endoftext|>\": %zu}\n", l->sym.n,
	    l->sym.n + 1);
	ret = make_dirs(dir) || file_write(vocab, sb.s, sb.len) ||
	        file_write(rules, merges->s, merges->len) ||
	        file_write(conf, config, sizeof(config) - 1)
	    ? -1
	    : 0;
	sb_release(&sb);
	free(vocab);
	free(rules);
	free(conf);
	return ret;
}

int
tokenizer_learn(const char *const *captions, size_t n, int merges, const char *dir)
{
	struct learner l = { 0 };
	struct sb sb = { 0 }, rules = { 0 };
	int ret = 0;

	for (int end = 0; end < 2; end++)
		for (int b = 0; b < 256; b++) {
			sb_clear(&sb);
			token_letter(&sb, b);
			sb_puts(&sb, end ? "</w>" : "");
			intern_add(&l.sym, sb.s);
		}
	for (size_t i = 0; i < n && ret == 0; i++) {
		size_t len, at = 0, step;
		char *s = token_normalize(captions[i], strlen(captions[i]), &len);

		if (!s)
			ret = -1;
		for (; s && at < len; at += step ? step : 1) {
			step = token_word(s + at, len - at);
			if (step)
				learn_word(&l, s + at, step);
		}
		free(s);
	}
	sb_puts(&rules, "#version: 0.2\n");
	for (int m = 0, a, b; m < merges && ret == 0 && best_pair(&l, &a, &b); m++) {
		sb_clear(&sb);
		sb_printf(&sb, "%s%s", l.sym.name[a], l.sym.name[b]);
		sb_printf(&rules, "%s %s\n", l.sym.name[a], l.sym.name[b]);
		merge_everywhere(&l, a, b, intern_add(&l.sym, sb.s));
	}
	if (ret == 0)
		ret = write_tokenizer(&l, &rules, dir);
	for (size_t i = 0; i < l.words.n; i++)
		free(l.word[i].sym);
	free(l.word);
	intern_release(&l.sym);
	intern_release(&l.words);
	sb_release(&sb);
	sb_release(&rules);
	return ret;
}
