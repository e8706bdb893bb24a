#include "model/sd_info.h"

static const char *
dtype_word(enum st_dtype d)
{
	static const char *const word[] = { "f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8",
	    "u8",
		"bool" };

	return word[d];
}

static void
info_part(const struct sd_files *f, enum sd_net net, struct rec_out *out)
{
	const struct safetensors *st = &f->net[net].st;
	int64_t n = 0, bytes = 0;
	struct sb sb = { 0 };
	struct rec r = { 0 };

	for (int i = 0; i < st->n; i++) {
		n += st->t[i].n;
		bytes += st->t[i].n * (int64_t)st_dtype_size(st->t[i].dtype);
	}
	rec_set_str(&r, "kind", "component");
	rec_set_str(&r, "component", sd_net_name(net));
	rec_set_int(&r, "tensors", st->n);
	rec_set_int(&r, "parameters", n);
	rec_set_int(&r, "size_bytes", bytes);
	sd_config_put(&f->cfg, net, &sb);
	for (size_t i = 0; i < sb.len; i++)
		if (sb.s[i] == '\n')
			sb.s[i] = ' ';
	rec_set_raw(&r, "config", sb.s, sb.len - 1);
	rec_emit(out, &r);
	for (int i = 0; i < st->n; i++) {
		const struct st_tensor *t = &st->t[i];

		rec_clear(&r);
		sb_clear(&sb);
		sb_putc(&sb, '[');
		for (int k = 0; k < t->ndim; k++)
			sb_printf(&sb, "%s%lld", k ? "," : "", (long long)t->dim[k]);
		sb_putc(&sb, ']');
		rec_set_str(&r, "kind", "tensor");
		rec_set_str(&r, "component", sd_net_name(net));
		rec_set_str(&r, "name", t->name);
		rec_set_str(&r, "dtype", dtype_word(t->dtype));
		rec_set_raw(&r, "shape", sb.s, sb.len);
		rec_set_int(&r, "parameters", t->n);
		rec_emit(out, &r);
	}
	sb_release(&sb);
	rec_release(&r);
}

void
sd_info(const struct sd_files *f, struct rec_out *out)
{
	for (int i = 0; i < SD_NETS; i++)
		if (f->has[i])
			info_part(f, (enum sd_net)i, out);
}
