#!/usr/bin/env bash
# Builds the npm package with its dependencies inside, in the versions of package-lock.json: an installation has what was
# tested, needs no registry, and runs no install script. (npm ignores an npm-shrinkwrap.json in a package file.)
# Usage: npm run pack [-- FOLDER]; FOLDER gets health-manager-<version>.tgz, by default the working directory.
set -euo pipefail
target=$(cd "${1:-.}" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
deploy/setup.sh

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
npm pack --ignore-scripts --silent --pack-destination "$stage" >/dev/null
tar -xzf "$stage"/health-manager-*.tgz -C "$stage"
cp package-lock.json .npmrc "$stage/package/"
cd "$stage/package"
npm ci --omit=dev --ignore-scripts --loglevel=error >/dev/null
# Type declarations and source maps are only for development.
find node_modules -type f \( -name '*.map' -o -name '*.ts' -o -name '*.mts' -o -name '*.cts' \) -delete
# The overrides are applied: the installed tree is that of the lock file.
node --input-type=module -e '
  import { readFileSync, writeFileSync } from "node:fs";
  const { scripts, devDependencies, overrides, ...manifest } = JSON.parse(readFileSync("package.json", "utf8"));
  writeFileSync("package.json", JSON.stringify({ ...manifest, bundleDependencies: true }, null, 2) + "\n");'
npm pack --ignore-scripts --silent --pack-destination "$target"
