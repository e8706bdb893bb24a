/* What the files of lib/gpu share; not for others. */
#ifndef GPU_INTERNAL_H
#define GPU_INTERNAL_H

#include "gpu/gpu.h"

#include <vulkan/vulkan.h>

/* Ends the program if a Vulkan call fails: EXIT_RETRY where trying again may help. */
#define VK(call) vk_check((call), #call, __FILE__, __LINE__)
void vk_check(VkResult, const char *call, const char *file, int line);

/* A piece of device memory that buffers are cut from; `used` only grows until it holds none. */
struct chunk {
	struct chunk *next;
	VkDeviceMemory memory;
	size_t size, used;
	unsigned buffers;
	char *map; /* host address, where the memory is visible */
};

/* A view through which a shader loads texels. */
struct view {
	VkBufferView view;
	VkFormat format;
	size_t off, len;
};

struct gbuf {
	VkBuffer buffer;
	struct chunk *chunk;
	char *map;           /* host address or NULL */
	size_t size;         /* of its class: what the pool sorts by */
	size_t bytes;        /* what was asked for */
	enum gpu_mem kind;
	unsigned refs;
	bool host;           /* staging memory */
	struct gbuf *next;   /* in the pool */
	/* ordering: the barrier epoch of the last write and read, the submission of the last use */
	uint64_t wrote, read, used;
	struct view *view;
	unsigned nview;
};

enum binding_type { BIND_STORAGE, BIND_TEXEL, BIND_UNIFORM_TEXEL };

struct binding {
	enum binding_type type;
	VkFormat format; /* of texels */
	bool reads, writes;
};

/* What a kernel's SPIR-V says of itself. */
struct reflection {
	struct binding binding[GPU_MAXARG];
	int nbinding;
	uint32_t push; /* bytes of push constants */
	bool coopmat;  /* it computes with cooperative matrices */
	int nspec;     /* highest specialization id, plus one */
};
int reflect(const uint32_t *code, size_t words, struct reflection *); /* -1 with a message */

enum { SLOTS = 4, SLOT_CALLS = 128 };

struct context {
	VkInstance instance;
	VkPhysicalDevice physical;
	VkDevice device;
	VkQueue queue;
	uint32_t family;
	int number;
	struct gpu_info info;
	VkPhysicalDeviceMemoryProperties memory;
	uint64_t max_alloc;
	float tick;              /* nanoseconds of a timestamp */
	bool push_descriptors, subgroup_control, timestamps;
	PFN_vkCmdPushDescriptorSetKHR push_set;
	VkDebugUtilsMessengerEXT messenger;
	uint8_t cache_key[VK_UUID_SIZE];
};
extern struct context gpu;

/* lavapipe.c: before an instance is made */
void lavapipe_prepare(void);
unsigned lavapipe_width(void); /* bits of its vectors, 0: its own choice */

/* coopmat.c: of the extension that the device is known to have, sizes that kernels can take (rows,
 * columns, products summed); and what the device's features go on with to turn them on */
#define COOPMAT_EXTENSION "VK_KHR_cooperative_matrix"
bool coopmat_find(VkPhysicalDevice, uint32_t size[3]);
void *coopmat_features(void *next);

/* memory.c */
extern bool gpu_counting;
struct gbuf *gbuf_staging(size_t bytes); /* host memory; not pooled: free with gbuf_destroy */
void gbuf_destroy(struct gbuf *);
VkBufferView gbuf_view(struct gbuf *, VkFormat, size_t off, size_t len);
void memory_close(void);

/* kernel.c */
const struct reflection *kernel_reflection(enum kernel);
bool kernel_coded(enum kernel); /* the build could compile it */
VkPipeline kernel_pipeline(enum kernel, const uint32_t *spec, int nspec);
VkPipelineLayout kernel_layout(enum kernel);
VkDescriptorSetLayout kernel_set_layout(enum kernel);
void kernel_close(void);

/* record.c */
void record_open(void);
void record_close(void);
bool gbuf_idle(const struct gbuf *); /* no recorded or running work uses it */
void record_wait_for(uint64_t submission);

#endif
