#!/usr/bin/env bash
# Process 1 of the container: runs `hm` and passes signals on. The system has no default for a signal to process 1, so as process 1
# Node.js would lose a SIGTERM that comes before its program handles it, on a busy host up to a second after the start.
passed=
pass() {
  passed=$1
  [ -z "${child-}" ] || kill "-$1" "$child" 2>/dev/null
}
for signal in TERM INT HUP USR2; do
  # shellcheck disable=SC2064
  trap "pass $signal" "$signal"
done
node dist/deploy/run/cli/main.js "$@" <&0 &
child=$!
# It came before there was a process to pass it to.
[ -z "$passed" ] || kill "-$passed" "$child"
# A signal also ends `wait`; the process then goes on, or its exit code is still known.
while
  passed=
  wait "$child"
  found=$?
  [ "$found" -eq 127 ] || code=$found
  [ -n "$passed" ]
do :; done
exit "$code"
