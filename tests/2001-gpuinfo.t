#!/bin/sh
# gpuinfo: records of the devices there are; clear words where there are none; self-test.
. "${0%/*}/lib.sh"

rc 0 'devices are listed' gpuinfo
like 'as records' "$(cat stdout)" '{"id":"0","kind":"device","name":"*}'
rc 0 'the CPU device can be named' gpuinfo -d cpu
like 'and says so' "$(cat stdout)" '*"type":"cpu"*'
rc 0 'by part of its name' gpuinfo -d LLVMPIPE
rc 0 'by the environment' env PHANTOM_DEVICE=0 gpuinfo
rc 2 'a device that is not there' gpuinfo -d 'no such device'
is 'is named' "$(cat stderr)" "gpuinfo: no Vulkan device 'no such device'; gpuinfo lists those there are"
rc 2 'no driver at all' env VK_ICD_FILENAMES=/nonexistent VK_DRIVER_FILES=/nonexistent gpuinfo
like 'says what to install' "$(cat stderr)" 'gpuinfo: no Vulkan device: install a driver*'
rc 2 'an operand is a usage error' gpuinfo stray
rc 2 '-v is of --self-test' gpuinfo -v
rc 2 'an unknown option too' gpuinfo --nonsense
is 'in one line' "$(wc -l <stderr | tr -d ' ')" 1
rc 2 'a full disk' sh -c 'gpuinfo >/dev/full'
rc 0 'PHANTOM_DISABLE takes features away' env PHANTOM_DISABLE=f16,subgroup gpuinfo -d cpu
like 'f16' "$(cat stdout)" '*"f16":false*"shuffle":false*'
rc 0 'speed is measured' gpuinfo -d cpu --speed
like 'in numbers' "$(cat stdout)" '*"gflop_per_s":[0-9]*"copy_gb_per_s":[0-9]*'
rc 2 'a memory limit must be a size' env PHANTOM_MEMORY=lots gpuinfo

rc 0 'every operator gives the right answer' gpuinfo -d cpu --self-test -v
like 'with a count at the end' "$(tail -n 1 stdout)" '{"kind":"result",*"failed":0*}'
is 'only kernels that measure have none' "$(sed -n 's/.*not run: //p' stderr | tr '\n' ' ')" \
    'copy_ssbo copy_texel fma_rate '
PHANTOM_VALIDATE=1
export PHANTOM_VALIDATE
rc 0 'and the validation layers have nothing to say' gpuinfo -d cpu --self-test
done_testing
