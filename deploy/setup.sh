#!/usr/bin/env bash
# Sets up a clone: installs the dependencies (node_modules/) and builds dist/. With --servers it also installs
# redis-server and nats-server, with --browser chromium for the tests of the dashboard. It does only what is missing or
# out of date, prints nothing when there is nothing to do, and may run several times at once.
# Exit codes: 0 done, 1 a step failed (its output has the reason), 64 wrong usage, 69 a program is not available.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

servers=no
browser=no
for argument in "$@"; do
  case $argument in
    --servers) servers=yes ;;
    --browser) browser=yes ;;
    *)
      echo "usage: deploy/setup.sh [--servers] [--browser]" >&2
      exit 64
      ;;
  esac
done

# Debian installs servers in sbin, which may be missing in the PATH of a user.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# All output goes to stderr, because stdout belongs to the command that follows (`deploy/hm dump --json`).
exec 3>&1 >&2

log() { echo "setup: $*"; }
have() { command -v "$1" >/dev/null 2>&1; }

check_node() {
  if ! have node || ! have npm; then
    log "Node.js 20.18 or newer, with npm, is needed and not on the PATH."
    exit 69
  fi
  local version
  version=$(node --version)
  local major minor
  IFS=. read -r major minor _ <<<"${version#v}"
  if [ "$major" -lt 20 ] || { [ "$major" -eq 20 ] && [ "$minor" -lt 18 ]; }; then
    log "Node.js 20.18 or newer is needed; $(command -v node) is $version."
    exit 69
  fi
}

code="ingest analyzer nudger reporter common deploy"
installed=node_modules/.setup-lock # a copy of the lock file of the installed dependencies
built=dist/.setup-stamp            # its time is the start of the build that wrote dist/

must_install() { ! cmp -s package-lock.json "$installed"; }

must_build() {
  [ -e "$built" ] || return 0
  # Folders, too: a removed or renamed file changes the time of its folder.
  # shellcheck disable=SC2086
  [ -n "$(find $code README.md SECURITY.md CHANGELOG.md tsconfig.json package.json "$installed" \( -type d -o -name '*.ts' -o -name '*.tsx' -o -name '*.css' -o -name '*.html' -o -name '*.md' -o -name '*.json' -o -path "$installed" \) -newer "$built" -print)" ]
}

install_dependencies() {
  log "installing dependencies (npm ci)"
  # With development dependencies, whatever NODE_ENV is, because the build needs the compiler.
  # No dependency needs its install script: esbuild and msgpackr have their programs in packages of their own.
  npm ci --include=dev --ignore-scripts --no-audit --no-fund --loglevel=error
  cp package-lock.json "$installed"
}

build() {
  log "building dist/"
  mkdir -p dist
  local began
  began=$(mktemp dist/.setup-began.XXXXXX)
  if ! { node_modules/.bin/tsc -p . && node dist/deploy/build-dashboard.js && node dist/deploy/build-docs.js; }; then
    rm -f "$began"
    log "the build failed."
    exit 1
  fi
  # The compiler has written all files anew. An older file has no source any more.
  find dist -type f ! -newer "$began" ! -path "$began" ! -path "$built" -exec rm -f {} +
  mv "$began" "$built"
}

# The requested programs that are missing. Their packages have the same names.
missing_servers() {
  if [ "$servers" = yes ]; then
    have redis-server || echo redis-server
    have nats-server || echo nats-server
  fi
  if [ "$browser" = yes ]; then have chromium || echo chromium; fi
}

no_servers() {
  log "not on the PATH: $(echo $1)"
  log "$2"
  log "Install them with your system's package manager, for instance:"
  log "  Debian, Ubuntu:  apt-get install $(echo $1)"
  log "  macOS:           brew install redis nats-server"
  log "or use a Redis and a NATS of your own: set redis.url and mbus in health_manager.yml"
  log "(or REDIS_URL and MBUS_URI); then deploy/hm start needs neither program."
  exit 69
}

# Runs as root. Installs packages without starting or enabling the system services of Debian's packages, because the
# health manager runs its own servers on free ports.
# policy-rc.d is Debian's switch against service starts. An existing one is restored afterwards.
apt_install='
  set -eu
  export DEBIAN_FRONTEND=noninteractive
  policy=/usr/sbin/policy-rc.d
  kept=$policy.before-health-manager
  put_back() {
    if [ -e "$kept" ] || [ -L "$kept" ]; then mv -f "$kept" "$policy"; else rm -f "$policy"; fi
  }
  if [ -e "$policy" ] || [ -L "$policy" ]; then mv "$policy" "$kept"; fi
  trap put_back EXIT
  trap "exit 1" HUP INT TERM
  printf "#!/bin/sh\nexit 101\n" >"$policy"
  chmod 755 "$policy"
  apt-get -qq update || echo "setup: apt-get update failed, using the present package lists"
  if ! output=$(apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 install "$@" 2>&1); then
    echo "$output"
    exit 1
  fi
  for service in "$@"; do
    if command -v systemctl >/dev/null 2>&1; then systemctl disable "$service" >/dev/null 2>&1 || true; fi
    if [ -e "/etc/init.d/$service" ]; then update-rc.d "$service" disable >/dev/null 2>&1 || true; fi
  done
'

install_servers() {
  local missing as_root
  missing=$(missing_servers)
  [ -n "$missing" ] || return 0
  have apt-get || no_servers "$missing" "This system has no apt-get."
  if [ "$(id -u)" -eq 0 ]; then
    as_root=""
  elif have sudo && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
  elif have sudo && [ -t 0 ] && [ -t 2 ]; then
    log "sudo may ask for your password, to install with apt-get: $(echo $missing)"
    as_root="sudo"
  else
    no_servers "$missing" "Installing them with apt-get needs root or sudo without a password."
  fi
  log "installing with apt-get: $(echo $missing)"
  # shellcheck disable=SC2086
  $as_root sh -c "$apt_install" setup $missing || no_servers "$missing" "apt-get could not install them (its output is above)."
  hash -r
  missing=$(missing_servers)
  [ -z "$missing" ] || no_servers "$missing" "apt-get installed them, but they are not on the PATH."
}

nothing_to_do() {
  must_install && return 1
  must_build && return 1
  [ -z "$(missing_servers)" ]
}

# One set-up runs at a time; a second one waits and then finds nothing to do. A lock of flock ends with its holder.
# Without flock (macOS) a folder is the lock. After a kill it must be removed by hand.
lock() {
  local mask
  mask=$(umask)
  umask 077 # only this user may read the folder: see deploy/run/launcher/folder-lock.ts
  mkdir -p .hm
  if have flock; then
    exec 9>.hm/setup.lock
    umask "$mask"
    flock -n 9 || { log "waiting for another set-up of this clone"; flock 9; }
  else
    umask "$mask"
    local waited=0
    until mkdir .hm/setup.lock.d 2>/dev/null; do
      [ "$waited" -gt 0 ] || log "waiting for another set-up of this clone (if there is none: rmdir .hm/setup.lock.d)"
      waited=$((waited + 1))
      sleep 1
    done
    trap 'rmdir .hm/setup.lock.d' EXIT
  fi
}

check_node
if nothing_to_do; then exit 0; fi
lock
if must_install; then install_dependencies; fi
if must_build; then build; fi
install_servers
