#!/usr/bin/env bash
# Set-up of a clone: dependencies (node_modules/), build (dist/), with --servers redis-server and nats-server, and
# with --browser chromium, in which the tests look at the dashboard. Does only what is missing or out of date, is quiet when nothing is, and may run twice at once.
# Exit codes: 0 done, 1 a step failed (its output says why), 64 wrong usage, 69 a program is not to be had.
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

# Debian keeps servers in sbin, which is not on everybody's PATH.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# Everything goes to stderr: the stdout belongs to the command that follows (`deploy/hm dump --json`).
exec 3>&1 >&2

say() { echo "setup: $*"; }
have() { command -v "$1" >/dev/null 2>&1; }

check_node() {
  if ! have node || ! have npm; then
    say "Node.js 20.18 or newer, with npm, is needed and not on the PATH."
    exit 69
  fi
  local version
  version=$(node --version)
  local major minor
  IFS=. read -r major minor _ <<<"${version#v}"
  if [ "$major" -lt 20 ] || { [ "$major" -eq 20 ] && [ "$minor" -lt 18 ]; }; then
    say "Node.js 20.18 or newer is needed; $(command -v node) is $version."
    exit 69
  fi
}

code="ingest analyzer nudger reporter common deploy"
installed=node_modules/.setup-lock # what was installed: a copy of the lock file
built=dist/.setup-stamp            # when the build began that dist/ came from

must_install() { ! cmp -s package-lock.json "$installed"; }

must_build() {
  [ -e "$built" ] || return 0
  # Folders too: a file that was removed or renamed changes its folder's time.
  # shellcheck disable=SC2086
  [ -n "$(find $code tsconfig.json package.json "$installed" \( -type d -o -name '*.ts' -o -name '*.tsx' -o -name '*.css' -o -name '*.html' -o -name '*.json' -o -path "$installed" \) -newer "$built" -print)" ]
}

install_dependencies() {
  say "installing dependencies (npm ci)"
  # Development dependencies too, whatever NODE_ENV says: the build needs the compiler.
  npm ci --include=dev --no-audit --no-fund --loglevel=error
  cp package-lock.json "$installed"
}

build() {
  say "building dist/"
  mkdir -p dist
  local began
  began=$(mktemp dist/.setup-began.XXXXXX)
  if ! { node_modules/.bin/tsc -p . && node dist/deploy/build-dashboard.js; }; then
    rm -f "$began"
    say "the build failed."
    exit 1
  fi
  # The compiler wrote every file anew; what is older has no source any more.
  find dist -type f ! -newer "$began" ! -path "$began" ! -path "$built" -exec rm -f {} +
  mv "$began" "$built"
}

# What was asked for and is not there; programs and packages have the same names.
missing_servers() {
  if [ "$servers" = yes ]; then
    have redis-server || echo redis-server
    have nats-server || echo nats-server
  fi
  if [ "$browser" = yes ]; then have chromium || echo chromium; fi
}

no_servers() {
  say "not on the PATH: $(echo $1)"
  say "$2"
  say "Install them in the way of your system, for instance:"
  say "  Debian, Ubuntu:  apt-get install $(echo $1)"
  say "  macOS:           brew install redis nats-server"
  say "or use a Redis and a NATS of your own: set redis.url and mbus in health_manager.yml"
  say "(or REDIS_URL and MBUS_URI); then deploy/hm start needs neither program."
  exit 69
}

# Runs as root. Installs packages without starting or enabling the system services that Debian's packages
# bring: the health manager runs its own servers on free ports, and nothing else was asked for.
# policy-rc.d is Debian's switch for "do not start"; the one that was there, if any, is put back.
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
  apt-get -qq update || echo "setup: apt-get update failed, trying with the package lists that are here"
  if ! said=$(apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 install "$@" 2>&1); then
    echo "$said"
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
  have apt-get || no_servers "$missing" "There is no apt-get here to install them with."
  if [ "$(id -u)" -eq 0 ]; then
    as_root=""
  elif have sudo && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
  elif have sudo && [ -t 0 ] && [ -t 2 ]; then
    say "sudo may ask for your password, to install with apt-get: $(echo $missing)"
    as_root="sudo"
  else
    no_servers "$missing" "Installing them with apt-get needs root or sudo without a password."
  fi
  say "installing with apt-get: $(echo $missing)"
  # shellcheck disable=SC2086
  $as_root sh -c "$apt_install" setup $missing || no_servers "$missing" "apt-get could not install them (its output is above)."
  hash -r
  missing=$(missing_servers)
  [ -z "$missing" ] || no_servers "$missing" "apt-get installed them, yet they are not on the PATH."
}

nothing_to_do() {
  must_install && return 1
  must_build && return 1
  [ -z "$(missing_servers)" ]
}

# One set-up at a time; the second waits, and then finds everything done. flock's lock ends with its holder;
# where it is missing (macOS) a folder is the lock, and one left behind by a kill is to be removed by hand.
lock() {
  mkdir -p .hm
  if have flock; then
    exec 9>.hm/setup.lock
    flock -n 9 || { say "waiting for another set-up of this clone"; flock 9; }
  else
    local waited=0
    until mkdir .hm/setup.lock.d 2>/dev/null; do
      [ "$waited" -gt 0 ] || say "waiting for another set-up of this clone (if there is none: rmdir .hm/setup.lock.d)"
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
