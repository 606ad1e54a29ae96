#!/usr/bin/env bash
# The image's health check: the process is alive. It does not use /readyz, because a process that waits for Redis is alive but
# not ready, and must not be restarted. It is no Node program, because to start Node costs more CPU than a steady fleet.
set -euo pipefail
port=${HM_HEALTH_PORT:-8080}
exec 3<>"/dev/tcp/127.0.0.1/$port"
printf 'GET /healthz HTTP/1.0\r\n\r\n' >&3
read -r _ status _ <&3
if [ "$status" != 200 ]; then
  echo "http://127.0.0.1:$port/healthz: expected status 200, found $status" >&2
  exit 1
fi
