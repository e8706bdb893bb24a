#!/bin/sh
# leaks.sh TEST: runs a test; in ASan builds leaks count except where the Vulkan driver is loaded.
case ${1##*/} in
2* | 3* | 4* | 52* | 53* | 54* | 9*) leaks=0 ;;
*) leaks=1 ;;
esac
ASAN_OPTIONS=detect_leaks=$leaks${ASAN_OPTIONS:+:$ASAN_OPTIONS}
export ASAN_OPTIONS
case $1 in
*.t) exec sh "$1" ;;
esac
exec "$1"
