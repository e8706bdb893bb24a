/*
 * Cooperative matrices (VK_KHR_cooperative_matrix): whether a device has such as the kernels
 * (gemm_coop.comp, wgrad_coop.comp) take, and what turns them on. Where the headers or glslang of
 * the build do not know them there are none.
 */
#include "base/mem.h"
#include "gpu/internal.h"

#include <stdlib.h>
#include <string.h>

#ifdef VK_KHR_cooperative_matrix

static VkPhysicalDeviceVulkanMemoryModelFeatures model = {
	.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES };
static VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix = {
	.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR };

/* Halves in, floats summed, in pieces of a quarter of 32 by 32 and of slices of 32 (coopmat.glsl);
 * what is loaded begins at groups of eight halves. */
static bool
fits(const VkCooperativeMatrixPropertiesKHR *p)
{
	return p->scope == VK_SCOPE_SUBGROUP_KHR && p->AType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
	    p->BType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
	    p->CType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
	    p->ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR && p->MSize % 8 == 0 &&
	    p->NSize % 8 == 0 && p->KSize % 8 == 0 && 32 % p->MSize == 0 && 32 % p->NSize == 0 &&
	    32 % p->KSize == 0;
}

bool
coopmat_find(VkPhysicalDevice dev, uint32_t size[3])
{
	PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR list =
	    (PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)vkGetInstanceProcAddr(
	        gpu.instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
	VkPhysicalDeviceSubgroupSizeControlFeatures control = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES };
	VkPhysicalDeviceFeatures2 f = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
		.pNext = &matrix };
	VkCooperativeMatrixPropertiesKHR *p;
	uint32_t n = 0, most = 0;

	matrix.pNext = &model;
	model.pNext = &control;
	vkGetPhysicalDeviceFeatures2(dev, &f);
	if (!list || !matrix.cooperativeMatrix || !model.vulkanMemoryModel ||
	    !control.subgroupSizeControl || !control.computeFullSubgroups ||
	    !kernel_coded(K_GEMM_COOP_F16))
		return false;
	VK(list(dev, &n, NULL));
	p = xcalloc(n, sizeof(*p));
	for (uint32_t i = 0; i < n; i++)
		p[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
	VK(list(dev, &n, p));
	/* of several the largest up to 16 x 16 x 16, which most GPUs are made for */
	for (uint32_t i = 0; i < n; i++) {
		const uint32_t s[3] = { p[i].MSize, p[i].NSize, p[i].KSize };
		const uint32_t products = s[0] * s[1] * s[2];

		if (!fits(&p[i]) || products > 16 * 16 * 16 || products <= most)
			continue;
		most = products;
		memcpy(size, s, sizeof(s));
	}
	free(p);
	return most > 0;
}

void *
coopmat_features(void *next)
{
	matrix.cooperativeMatrix = model.vulkanMemoryModel = VK_TRUE;
	matrix.cooperativeMatrixRobustBufferAccess = VK_FALSE;
	model.vulkanMemoryModelDeviceScope = VK_FALSE;
	model.vulkanMemoryModelAvailabilityVisibilityChains = VK_FALSE;
	matrix.pNext = &model;
	model.pNext = next;
	return &matrix;
}

#else

bool
coopmat_find(VkPhysicalDevice dev, uint32_t size[3])
{
	(void)dev, (void)size;
	return false;
}

void *
coopmat_features(void *next)
{
	return next;
}

#endif
