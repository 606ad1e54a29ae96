#!/usr/bin/env bash
# Makes base images for tests where no registry of images can be reached: Debian from debootstrap, with this machine's Node, npm
# and certificates. Usage, as root: base-image.sh ENGINE [OPTION...], for instance `base-image.sh podman --runtime runc`.
# The image is localhost/health-manager-node:test. It prints the engine's output and is done within two minutes.
# Exit codes: 0 done, also if the image is there already; 69 a program is not available.
set -euo pipefail
image=localhost/health-manager-node:test
[ $# -gt 0 ] || { echo "usage: base-image.sh ENGINE [OPTION...]" >&2; exit 64; }
for program in "$1" debootstrap node npm; do
  command -v "$program" >/dev/null || { echo "base-image.sh: expected the program $program, found none" >&2; exit 69; }
done
if "$@" image inspect "$image" >/dev/null 2>&1; then exit 0; fi

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
# shellcheck disable=SC1091
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
debootstrap --variant=minbase "$suite" "$root" >"$root.log" 2>&1 || { cat "$root.log"; rm "$root.log"; exit 1; }
rm "$root.log"
install -m 755 "$(readlink -f "$(command -v node)")" "$root/usr/local/bin/node"
mkdir -p "$root/usr/local/lib/node_modules" "$root/etc/ssl/certs"
cp -r "$(npm root --global)/npm" "$root/usr/local/lib/node_modules/"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
# As the official image: user 1000 is `node`.
chroot "$root" useradd --uid 1000 --create-home --shell /bin/bash node
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"; fi
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
tar -C "$root" -c . | "$@" import \
  --change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' --change 'CMD ["node"]' - "$image"
