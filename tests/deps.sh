#!/bin/sh
# deps.sh [--test]: install what is missing to build (and with --test, to test) phantom, by apt.
# Says nothing and does nothing when all is there.
set -eu
want="gcc libc6-dev pkg-config libarchive-dev zlib1g-dev libpng-dev libjpeg-dev libcsv-dev
libjsmn-dev libutf8proc-dev libopenblas-dev libvulkan-dev mesa-vulkan-drivers glslang-tools"
[ "${1-}" != --test ] || want="$want libcmocka-dev perl mandoc parallel shellcheck spirv-tools
vulkan-validationlayers libarchive-tools zip unzip bzip2 lz4 xz-utils zstd python3-numpy"

missing() {
	for p in $want; do
		dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null | grep -q '^installed$' || echo "$p"
	done
}

command -v dpkg-query >/dev/null || {
	echo "phantom: not a Debian system; install by hand: $want" >&2
	exit 0
}
need=$(missing | tr '\n' ' ')
[ -n "$need" ] || exit 0
sudo=
if [ "$(id -u)" != 0 ]; then
	sudo=sudo
	command -v sudo >/dev/null || {
		echo "phantom: missing packages, and neither root nor sudo to install them: $need" >&2
		exit 2
	}
fi
echo "phantom: installing $need" >&2
$sudo apt-get -q update >&2
# shellcheck disable=SC2086 # one word for each package
DEBIAN_FRONTEND=noninteractive $sudo apt-get -q install -y --no-install-recommends $need >&2
need=$(missing | tr '\n' ' ')
[ -z "$need" ] || {
	echo "phantom: could not install: $need" >&2
	exit 2
}
