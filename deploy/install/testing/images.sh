#!/usr/bin/env bash
# Makes images for tests where no registry of images can be reached. Usage, as root: images.sh ENGINE [OPTION...], for instance
# `images.sh podman --runtime runc`. It is done within some minutes, and at once if the images are there.
#   localhost/health-manager-node:test     Debian from debootstrap, with this machine's Node, npm and certificates
#   localhost/health-manager-servers:test  that, with Debian's Redis, NATS, Prometheus and Alertmanager
# Exit codes: 0 done, 64 wrong usage, 69 a program is not available.
set -euo pipefail
node=localhost/health-manager-node:test
servers=localhost/health-manager-servers:test
[ $# -gt 0 ] || { echo "usage: images.sh ENGINE [OPTION...]" >&2; exit 64; }
for program in "$1" debootstrap node npm; do
  command -v "$program" >/dev/null || { echo "images.sh: expected the program $program, found none" >&2; exit 69; }
done
has() { "$engine" "${options[@]}" image inspect "$1" >/dev/null 2>&1; }
engine=$1
options=("${@:2}")

if ! has "$node"; then
  root=$(mktemp -d)
  trap 'rm -rf "$root" "$root.log"' EXIT
  # shellcheck disable=SC1091
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  debootstrap --variant=minbase "$suite" "$root" >"$root.log" 2>&1 || { cat "$root.log" >&2; exit 1; }
  install -m 755 "$(readlink -f "$(command -v node)")" "$root/usr/local/bin/node"
  mkdir -p "$root/usr/local/lib/node_modules" "$root/etc/ssl/certs"
  cp -r "$(npm root --global)/npm" "$root/usr/local/lib/node_modules/"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
  # As in the official image: user 1000 is `node`.
  chroot "$root" useradd --uid 1000 --create-home --shell /bin/bash node
  if [ -e /etc/ssl/certs/ca-certificates.crt ]; then cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"; fi
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
  tar -C "$root" -c . | "$engine" "${options[@]}" import \
    --change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' --change 'CMD ["node"]' - "$node"
fi
if ! has "$servers"; then
  DOCKER_BUILDKIT=0 "$engine" "${options[@]}" build --network host -t "$servers" - <<EOF
FROM $node
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends redis-server nats-server prometheus prometheus-alertmanager && rm -rf /var/lib/apt/lists/*
EOF
fi
