/*
 * One Vulkan device: buffers, kernels, and an open command buffer into which everything is
 * recorded.
 *
 *	gpu_open(NULL);
 *	struct gbuf *x = gbuf_new(n * 4, MEM_WORK), *y = gbuf_new(n * 4, MEM_WORK);
 *	gpu_write(x, 0, host, n * 4);
 *	gpu_run(&(struct gpu_call){ .kernel = K_SCALE_F32, .arg = { { x }, { y } }, .nargs = 2,
 *	    .push = &p, .npush = sizeof(p), .groups = { gpu_groups(n, 256) } });
 *	gpu_read(y, 0, host, n * 4);             waits; nothing before it did
 *	gbuf_unref(x), gbuf_unref(y);
 *
 * Nothing runs until a value is read, gpu_wait() is called, or enough work has gathered. Barriers
 * come from what each call reads and writes (its SPIR-V says which bindings it only reads), so
 * calls that do not depend on each other overlap. A buffer may be unreferenced while recorded work
 * still uses it: it returns to the pool, and whatever takes it next is ordered after that work.
 *
 * One thread only. A Vulkan failure ends the program: EXIT_RETRY for a lost device or no memory.
 */
#ifndef GPU_GPU_H
#define GPU_GPU_H

#include "kernel_enum.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct gpu_info {
	char name[256], driver[256];
	uint32_t vendor;
	bool cpu;               /* a software device such as lavapipe */
	bool f16;               /* 16-bit storage: f16 and bf16 tensors */
	bool f16_math;          /* float16_t arithmetic in shaders */
	bool coopmat;           /* products of f16 may go through cooperative matrices, which ... */
	uint32_t coop[3];       /* ... have so many rows, columns, and products summed at a time */
	bool texel;    /* kernels may read through texel buffers of any size needed (CPU devices) */
	bool shuffle;           /* subgroup arithmetic, ballot and shuffle in compute shaders */
	uint32_t subgroup;      /* invocations of a subgroup */
	uint32_t max_local;     /* invocations of a workgroup */
	uint32_t max_shared;    /* bytes of shared memory of a workgroup */
	uint32_t max_groups;    /* workgroups in one dimension: never more than 65,535 are used */
	size_t max_range;       /* bytes one binding may cover */
	size_t align;           /* offsets of bindings are multiples of this (at most 256) */
	uint64_t memory;        /* bytes of the device-local heap; PHANTOM_MEMORY lowers it */
};

/* Opens the device that `want` (NULL: $PHANTOM_DEVICE, else the best) names: its number in the
 * order of gpu_list, or part of its name, or "cpu". No such device: ends the program,
 * EXIT_FATAL. */
void gpu_open(const char *want);
void gpu_close(void);
const struct gpu_info *gpu_info(void);
int gpu_number(void); /* of the open device, in the order of gpu_list */
/* Calls fn for every Vulkan device there is; returns how many (0 without a loader or driver). */
int gpu_list(void (*fn)(int number, const struct gpu_info *, void *), void *ctx);

/* ---- buffers --------------------------------------------------------------------------------- */

/* What a buffer is for: the memory report's rows. */
enum gpu_mem { MEM_PARAM, MEM_GRAD, MEM_OPT, MEM_ACT, MEM_WORK, MEM_PACK, MEM_DATA, MEM_KINDS };

struct gbuf;
/* Contents undefined. Rounded up, so that reading whole 16-byte groups past `bytes` is allowed.
 * From the pool where one fits; ends the program (EXIT_RETRY) when the device is full. */
struct gbuf *gbuf_new(size_t bytes, enum gpu_mem);
struct gbuf *gbuf_ref(struct gbuf *);
void gbuf_unref(struct gbuf *); /* NULL is fine */
size_t gbuf_size(const struct gbuf *);

void gpu_write(struct gbuf *, size_t off, const void *src, size_t n); /* src is free on return */
void gpu_read(struct gbuf *, size_t off, void *dst, size_t n);        /* waits for what it needs */
void gpu_copy(struct gbuf *dst, size_t doff, struct gbuf *src, size_t soff, size_t n);
void gpu_fill(struct gbuf *, size_t off, size_t n, uint32_t word);    /* off, n multiples of 4 */

/* Bytes live, the most that ever were, and kept in the pool; per kind. */
struct gpu_mem_stat {
	uint64_t live[MEM_KINDS], peak[MEM_KINDS], live_all, peak_all, pooled;
};
void gpu_mem(struct gpu_mem_stat *);
void gpu_mem_report(FILE *); /* one record a kind: {"kind":"memory",...} */
void gpu_trim(void);         /* gives pooled memory back to the device; waits */
void gpu_trim_to(uint64_t bytes); /* the same if there is more of it than so much */
/* While it is on, memory is not added to a pool of more than 16 MiB: that is given back first. For
 * work of a few large buffers whose sizes change as it goes. Returns what it was. */
bool gpu_thrift(bool on);
/* From here on nothing runs: buffers have no memory, calls are checked and forgotten, what is read
 * is 0. So a plan of any size can be gone through, and gpu_mem tells what it would take. Off again:
 * the numbers are those from before; buffers made in between must be gone. */
void gpu_count(bool on);
bool gpu_counts(void);

/* ---- kernels --------------------------------------------------------------------------------- */

enum { GPU_MAXARG = 10, GPU_MAXSPEC = 12 };

struct gpu_arg {
	struct gbuf *buf;
	size_t off, len; /* bytes; len 0: to the end */
};

struct gpu_call {
	enum kernel kernel;
	struct gpu_arg arg[GPU_MAXARG];   /* in the order of the shader's bindings 0, 1, ... */
	int nargs;
	uint32_t spec[GPU_MAXSPEC];       /* specialization constants of id 0, 1, ... */
	int nspec;
	const void *push;                 /* push constants: at most 128 bytes */
	size_t npush;
	uint32_t groups[3];               /* workgroups; 0 counts as 1 */
	double flops, bytes;              /* what the call does, for the profile; 0: not said */
};
/* Records one call. Counts of bindings, constants and push bytes must be those of the SPIR-V,
 * limits are asserted: a mistake ends the program naming kernel and cause. A call of no groups is
 * none. */
void gpu_run(const struct gpu_call *);
/* Fills .groups for n invocations of `local` each: two dimensions when one would exceed the limit.
 * Shaders count with gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x and test their n. */
#define gpu_groups(n, local) gpu_groups_x((n), (local)), gpu_groups_y((n), (local))
uint32_t gpu_groups_x(uint64_t n, uint32_t local);
uint32_t gpu_groups_y(uint64_t n, uint32_t local);
const char *gpu_kernel_name(enum kernel);
/* Whether the program was built with this kernel's code, and the open device can run it. */
bool gpu_kernel_usable(enum kernel);
uint64_t gpu_kernel_calls(enum kernel); /* recorded since gpu_open */

void gpu_flush(void); /* hands what was recorded to the device; does not wait */
void gpu_wait(void);  /* all recorded work is done */

/* PHANTOM_PROFILE=1 (or gpu_profile(true)): time of each kernel. */
struct gpu_prof {
	uint64_t n;
	double seconds, flops, bytes;
};
void gpu_profile(bool on);
void gpu_profile_reset(void);
const struct gpu_prof *gpu_profile_of(enum kernel); /* waits first */
void gpu_profile_report(FILE *); /* records {"kind":"profile","kernel":..}, slowest first */

#endif
