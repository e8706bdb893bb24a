#!/bin/sh
# run.sh BUILD: every test, shell and C, under prove; its summary is the last thing printed.
set -eu
cd "${0%/*}/.."
BUILD=$PWD/$1
export BUILD CMOCKA_MESSAGE_OUTPUT=TAP
# each run has a cache of its own: what a test needs it makes
XDG_CACHE_HOME=${XDG_CACHE_HOME:-$BUILD/cache}
export XDG_CACHE_HOME
set -- tests/[0-9]*.t
[ -e "$1" ] || shift
# Leaks are looked for in what does not touch the device: a Vulkan driver keeps memory of its own, and
# is unloaded before the leak checker could name it.
exec prove --failures --exec tests/one.sh "$BUILD"/unit/[0-9]* "$@"
