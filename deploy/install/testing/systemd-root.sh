#!/usr/bin/env bash
# Makes the root folder of a Debian with systemd, Redis and NATS, for the test that boots it. Usage, as root: systemd-root.sh FOLDER
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: systemd-root.sh FOLDER" >&2; exit 64; }
# shellcheck disable=SC1091
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
debootstrap --variant=minbase --include=systemd-sysv,dbus "$suite" "$1"
printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
chmod 755 "$1/usr/sbin/policy-rc.d"
chroot "$1" apt-get update
DEBIAN_FRONTEND=noninteractive chroot "$1" apt-get install -y --no-install-recommends redis-server nats-server
rm "$1/usr/sbin/policy-rc.d"
