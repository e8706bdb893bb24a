#!/bin/sh
# one.sh TEST: runs a test; in ASan builds leaks count except where the Vulkan driver is loaded. A
# shell that runs in the background hands on ignored signals, and tests send them.
case ${1##*/} in
2* | 3* | 4* | 52* | 53* | 54* | 55* | 622* | 9*) leaks=0 ;;
*) leaks=1 ;;
esac
ASAN_OPTIONS=detect_leaks=$leaks${ASAN_OPTIONS:+:$ASAN_OPTIONS}
export ASAN_OPTIONS
case $1 in
*.t) set -- sh "$1" ;;
esac
exec env --default-signal=HUP,INT,QUIT,PIPE,TERM,USR1 "$@"
