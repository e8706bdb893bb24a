#include "model/ldm.h"

#include "base/err.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LDM_NETS = SD_VAE + 1 };
static const char *const prefix[LDM_NETS] = { "cond_stage_model.", "model.diffusion_model.",
	"first_stage_model." };

/* ---- names ----------------------------------------------------------------------------------- */

struct pair {
	const char *ours, *theirs;
};

/* Writes at + theirs + the rest where tail begins with a word of the table and ends or goes on with
 * a dot there. */
static bool
swap_head(const struct pair *table, const char *at, const char *tail, char *out, size_t size)
{
	for (; table->ours; table++) {
		size_t n = strlen(table->ours);

		if (strncmp(tail, table->ours, n) == 0 && (tail[n] == '.' || tail[n] == '\0'))
			return (size_t)snprintf(out, size, "%s%s%s", at, table->theirs, tail + n) <
			    size;
	}
	return false;
}

static bool
unet_place(const struct unet_config *c, const char *name, char *out, size_t size)
{
	static const struct pair outer[] = { { "conv_in", "input_blocks.0.0" },
		{ "time_embedding.linear_1", "time_embed.0" },
		    { "time_embedding.linear_2", "time_embed.2" },
		{ "conv_norm_out", "out.0" }, { "conv_out", "out.2" }, { 0 } };
	static const struct pair resnet[] =
	    { { "norm1", "in_layers.0" }, { "conv1", "in_layers.2" },
		{ "time_emb_proj", "emb_layers.1" }, { "norm2", "out_layers.0" },
		    { "conv2", "out_layers.3" },
		{ "conv_shortcut", "skip_connection" }, { 0 } };
	char at[128];
	int i, k, end = 0, per = c->layers + 1;

	if (swap_head(outer, prefix[SD_UNET], name, out, size))
		return true;
	if (sscanf(name, "down_blocks.%d.resnets.%d.%n", &i, &k, &end) == 2 && end) {
		snprintf(at, sizeof(at), "%sinput_blocks.%d.0.", prefix[SD_UNET], i * per + k + 1);
		return swap_head(resnet, at, name + end, out, size);
	}
	if (sscanf(name, "up_blocks.%d.resnets.%d.%n", &i, &k, &end) == 2 && end) {
		snprintf(at, sizeof(at), "%soutput_blocks.%d.0.", prefix[SD_UNET], i * per + k);
		return swap_head(resnet, at, name + end, out, size);
	}
	if (sscanf(name, "mid_block.resnets.%d.%n", &k, &end) == 1 && end) {
		snprintf(at, sizeof(at), "%smiddle_block.%d.", prefix[SD_UNET], 2 * k);
		return swap_head(resnet, at, name + end, out, size);
	}
	if (sscanf(name, "down_blocks.%d.attentions.%d.%n", &i, &k, &end) == 2 && end)
		snprintf(at, sizeof(at), "input_blocks.%d.1.", i * per + k + 1);
	else if (sscanf(name, "up_blocks.%d.attentions.%d.%n", &i, &k, &end) == 2 && end)
		snprintf(at, sizeof(at), "output_blocks.%d.1.", i * per + k);
	else if (sscanf(name, "mid_block.attentions.%d.%n", &k, &end) == 1 && end)
		snprintf(at, sizeof(at), "middle_block.1.");
	else if (sscanf(name, "down_blocks.%d.downsamplers.0.conv.%n", &i, &end) == 1 && end)
		snprintf(at, sizeof(at), "input_blocks.%d.0.op.", (i + 1) * per);
	else if (sscanf(name, "up_blocks.%d.upsamplers.0.conv.%n", &i, &end) == 1 && end)
		snprintf(at, sizeof(at), "output_blocks.%d.%d.conv.", i * per + c->layers,
		    i < UNET_LEVELS && c->cross_up[i] ? 2 : 1);
	else
		return false;
	return (size_t)snprintf(out, size, "%s%s%s", prefix[SD_UNET], at, name + end) < size;
}

static bool
vae_place(const struct vae_config *c, const char *name, char *out, size_t size)
{
	static const struct pair attention[] =
	    { { "group_norm", "norm" }, { "to_q", "q" }, { "to_k", "k" },
		{ "to_v", "v" }, { "to_out.0", "proj_out" }, { 0 } };
	static const struct pair resnet[] = { { "norm1", "norm1" }, { "conv1", "conv1" },
		{ "norm2", "norm2" }, { "conv2", "conv2" }, { "conv_shortcut", "nin_shortcut" },
		    { 0 } };
	static const struct pair outer[] =
	    { { "conv_in", "conv_in" }, { "conv_norm_out", "norm_out" },
		{ "conv_out", "conv_out" }, { 0 } };
	char at[128];
	const char *half = strncmp(name, "encoder.", 8) == 0 ? "encoder" : "decoder";
	const char *tail = name + 8;
	int i, k, end = 0;

	if (strncmp(name, "quant_conv.", 11) == 0 || strncmp(name, "post_quant_conv.", 16) == 0)
		return (size_t)snprintf(out, size, "%s%s", prefix[SD_VAE], name) < size;
	if (strncmp(name, half, 7) != 0 || name[7] != '.')
		return false;
	snprintf(at, sizeof(at), "%s%s.", prefix[SD_VAE], half);
	if (swap_head(outer, at, tail, out, size))
		return true;
	if (sscanf(tail, "down_blocks.%d.resnets.%d.%n", &i, &k, &end) == 2 && end)
		snprintf(at, sizeof(at), "%s%s.down.%d.block.%d.", prefix[SD_VAE], half, i, k);
	else if (sscanf(tail, "up_blocks.%d.resnets.%d.%n", &i, &k, &end) == 2 && end)
		snprintf(at, sizeof(at), "%s%s.up.%d.block.%d.", prefix[SD_VAE], half,
		    c->levels - 1 - i, k);
	else if (sscanf(tail, "mid_block.resnets.%d.%n", &k, &end) == 1 && end)
		snprintf(at, sizeof(at), "%s%s.mid.block_%d.", prefix[SD_VAE], half, k + 1);
	if (end)
		return swap_head(resnet, at, tail + end, out, size);
	if (sscanf(tail, "mid_block.attentions.0.%n", &end) == 0 && end) {
		snprintf(at, sizeof(at), "%s%s.mid.attn_1.", prefix[SD_VAE], half);
		return swap_head(attention, at, tail + end, out, size);
	}
	if (sscanf(tail, "down_blocks.%d.downsamplers.0.conv.%n", &i, &end) == 1 && end)
		snprintf(at, sizeof(at), "%s.down.%d.downsample.conv.", half, i);
	else if (sscanf(tail, "up_blocks.%d.upsamplers.0.conv.%n", &i, &end) == 1 && end)
		snprintf(at, sizeof(at), "%s.up.%d.upsample.conv.", half, c->levels - 1 - i);
	else
		return false;
	return (size_t)snprintf(out, size, "%s%s%s", prefix[SD_VAE], at, tail + end) < size;
}

/* OpenCLIP's names for SD 2.x, transformers' own for SD 1.x. */
static bool
text_place(const struct clip_config *c, const char *name, struct ldm_place *p)
{
	static const struct pair outer[] = {
		{ "text_model.embeddings.token_embedding.weight", "token_embedding.weight" },
		{ "text_model.embeddings.position_embedding.weight", "positional_embedding" },
		{ "text_model.final_layer_norm", "ln_final" }, { 0 } };
	static const struct pair layer[] = { { "layer_norm1", "ln_1" }, { "layer_norm2", "ln_2" },
		{ "mlp.fc1", "mlp.c_fc" }, { "mlp.fc2", "mlp.c_proj" },
		{ "self_attn.out_proj", "attn.out_proj" }, { 0 } };
	static const char qkv[] = "qkv";
	char at[128], letter;
	int i, end = 0;

	if (c->act != ACT_GELU)
		return (size_t)snprintf(p->name, sizeof(p->name), "%stransformer.%s",
		           prefix[SD_TEXT], name) < sizeof(p->name);
	snprintf(at, sizeof(at), "%smodel.", prefix[SD_TEXT]);
	if (swap_head(outer, at, name, p->name, sizeof(p->name)))
		return true;
	if (sscanf(name, "text_model.encoder.layers.%d.%n", &i, &end) != 1 || !end)
		return false;
	snprintf(at, sizeof(at), "%smodel.transformer.resblocks.%d.", prefix[SD_TEXT], i);
	name += end;
	if (swap_head(layer, at, name, p->name, sizeof(p->name)))
		return true;
	end = 0;
	if (sscanf(name, "self_attn.%c_proj.%n", &letter, &end) != 1 || !end ||
	    !strchr(qkv, letter))
		return false;
	p->part = (int)(strchr(qkv, letter) - qkv);
	p->parts = 3;
	return (size_t)snprintf(p->name, sizeof(p->name), "%sattn.in_proj_%s", at, name + end) <
	    sizeof(p->name);
}

bool
ldm_place(const struct sd_config *c, enum sd_net net, const char *name, struct ldm_place *p)
{
	*p = (struct ldm_place){ .parts = 1 };
	if (net == SD_TEXT)
		return text_place(&c->text, name, p);
	if (net == SD_UNET)
		return unet_place(&c->unet, name, p->name, sizeof(p->name));
	return net == SD_VAE && vae_place(&c->vae, name, p->name, sizeof(p->name));
}

/* ---- reading --------------------------------------------------------------------------------- */

/* What such files hold besides, and what needs no place: running means, tables of the schedule, the
 * parts of OpenCLIP that make no text states. */
static bool
ignored(const struct sd_config *c, const char *name)
{
	static const char *const known[] = { "model_ema.", "cond_stage_model.model.text_projection",
		"cond_stage_model.model.logit_scale", "cond_stage_model.logit_scale",
		"cond_stage_model.text_projection", "cond_stage_model.model.attn_mask",
		"cond_stage_model.transformer.text_model.embeddings.position_ids",
		"first_stage_model.loss." };
	int layer;

	if (!strchr(name, '.'))
		return true;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strncmp(name, known[i], strlen(known[i])) == 0)
			return true;
	return sscanf(name, "cond_stage_model.model.transformer.resblocks.%d.", &layer) == 1 &&
	    layer >= c->text.layers;
}

/* Part `part` of `parts` of the first dimension. */
static struct st_tensor
part_of(const struct st_tensor *t, int part, int parts)
{
	struct st_tensor s = *t;

	if (parts > 1 && s.ndim > 0 && s.dim[0] % parts == 0) {
		s.dim[0] /= parts;
		s.n /= parts;
		s.data =
		    (const char *)t->data + (size_t)part * (size_t)s.n * st_dtype_size(t->dtype);
	}
	return s;
}

static void
split(struct weights *file, const struct sd_config *c, enum sd_net net, struct weights *w,
    bool *used)
{
	struct sd_outline o;

	weights_init(w, file->st.path);
	sd_outline_init(&o, c, net);
	for (int i = 0; i < o.ps->n; i++) {
		const struct param *p = o.ps->p[i];
		const struct st_tensor *t;
		struct st_tensor s;
		struct ldm_place at;

		if (!ldm_place(c, net, p->name, &at) || !(t = st_find(&file->st, at.name)))
			continue;
		used[t - file->st.t] = true;
		s = part_of(t, at.part, at.parts);
		/* matrices may stand as 1 x 1 convolutions */
		if (s.ndim == 4 && p->ndim == 2 && s.dim[2] == 1 && s.dim[3] == 1)
			s.ndim = 2;
		weights_add(w, p->name, &s);
	}
	sd_outline_release(&o);
	for (int i = 0; i < file->st.n; i++)
		if (!used[i] &&
		    strncmp(file->st.t[i].name, prefix[net], strlen(prefix[net])) == 0 &&
		    !ignored(c, file->st.t[i].name))
			weights_add(w, file->st.t[i].name, &file->st.t[i]);
}

int
ldm_read(struct weights *file, struct sd_config *c, struct weights *net)
{
	bool *used;

	/* the oldest files leave out a name that later ones have */
	for (int i = 0; i < file->st.n; i++) {
		static const char old[] = "cond_stage_model.transformer.";
		const char *name = file->st.t[i].name;

		if (strncmp(name, old, sizeof(old) - 1) == 0 &&
		    strncmp(name + sizeof(old) - 1, "text_model.", 11) != 0) {
			char *full = xasprintf("%stext_model.%s", old, name + sizeof(old) - 1);

			weights_rename(file, name, full);
			free(full);
		}
	}
	if (ldm_config(&file->st, c))
		return -1;
	used = xcalloc((size_t)file->st.n + 1, sizeof(*used));
	for (int i = 0; i < LDM_NETS; i++)
		split(file, c, (enum sd_net)i, &net[i], used);
	free(used);
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Puts a net's tensors under their places. Parts come one after another, in order. */
static int
gather(struct weights *out, const struct sd_config *c, enum sd_net net, const struct weights *w)
{
	for (int i = 0; i < w->st.n; i++) {
		const struct st_tensor *t = &w->st.t[i];
		struct st_tensor s = *t;
		struct ldm_place at;

		if (!ldm_place(c, net, t->name, &at))
			return err("%s: %s has no place in a single file", w->st.path, t->name);
		if (net == SD_VAE && strstr(t->name, "attentions") && t->ndim == 2) {
			s.ndim = 4;
			s.dim[2] = s.dim[3] = 1;
		}
		if (at.parts > 1) {
			size_t bytes = (size_t)t->n * sizeof(float);
			struct st_tensor *whole = (struct st_tensor *)st_find(&out->st, at.name);
			float *v;

			if (!whole) {
				s.dim[0] *= at.parts;
				s.n *= at.parts;
				s.dtype = ST_F32;
				s.data = weights_alloc(out, bytes * (size_t)at.parts);
				s.get = NULL;
				weights_add(out, at.name, &s);
				whole = &out->st.t[out->st.n - 1];
			}
			v = (float *)whole->data;
			st_get_f32(t, v + (size_t)at.part * (size_t)t->n);
			continue;
		}
		weights_add(out, at.name, &s);
	}
	return 0;
}

int
ldm_write(const char *path, const struct sd_config *c, const struct weights *net,
    enum st_dtype dtype, const char *const *meta)
{
	struct weights out;
	const char **m;
	char *dir = path_dir(path), *base = xstrdup(path_base(path));
	struct sb sb[LDM_NETS + 1] = { { 0 } };
	size_t n = 0;
	int ret = 0;

	for (const char *const *p = meta; p && p[0]; p += 2)
		n += 2;
	m = xcalloc(n + 2 * LDM_NETS + 3, sizeof(*m));
	if (n)
		memcpy(m, meta, n * sizeof(*m));
	weights_init(&out, path);
	for (int i = 0; i < LDM_NETS && ret == 0; i++) {
		ret = gather(&out, c, (enum sd_net)i, &net[i]);
		sd_config_put(c, (enum sd_net)i, &sb[i]);
		m[n++] = ldm_meta((enum sd_net)i);
		m[n++] = sb[i].s;
	}
	m[n++] = "phantom.scheduler";
	m[n++] = c->scheduler.s ? c->scheduler.s : "{}";
	if (strcmp(path_ext(base), ".safetensors") == 0)
		base[strlen(base) - strlen(".safetensors")] = '\0';
	if (ret == 0)
		ret = weights_write(&out, dir, base, dtype, 0, m);
	for (int i = 0; i < LDM_NETS; i++)
		sb_release(&sb[i]);
	weights_close(&out);
	free(m);
	free(dir);
	free(base);
	return ret;
}
