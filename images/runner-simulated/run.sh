#!/bin/sh
# The runner program of a simulated GitHub: takes its configuration, says and writes what the real one does, runs one
# step, ends. It needs no network. With one, and a configuration that names the simulator, it reports there.
#
# Like the real one it takes the configuration from ACTIONS_RUNNER_INPUT_JITCONFIG and takes it out of its environment.
# https://github.com/actions/runner/blob/main/src/Runner.Listener/Runner.cs
set -eu
cd /home/runner || exit 1
umask 077

fail() {
    printf 'An error occurred: %s\n' "$1" >&2
    exit 1
}

now() { date -u '+%Y-%m-%d %H:%M:%SZ'; }

# The value of a string in a flat JSON object on one line, without escapes in it.
value() { sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p" "$2"; }

# Tell the simulator something; its answer on stdout. (busybox's own `wget -T` crashes in Debian's static build.)
tell() { timeout 5 wget -q -O - --post-data '' "$far_side/$1?token=$token"; }

jit=${ACTIONS_RUNNER_INPUT_JITCONFIG:-}
unset ACTIONS_RUNNER_INPUT_JITCONFIG
[ -n "$jit" ] || fail 'no configuration: ACTIONS_RUNNER_INPUT_JITCONFIG is empty'

case $jit in *[!A-Za-z0-9+/=]*) fail 'the configuration is not base64' ;; esac
printf %s "$jit" | base64 -d >.jit 2>/dev/null || fail 'the configuration is not base64'
unset jit
for file in .runner .credentials .credentials_rsaparams; do
    value "\\$file" .jit | base64 -d >"$file" 2>/dev/null || fail "the configuration's $file is not base64"
    [ -s "$file" ] || fail "the configuration has no $file"
done
rm .jit

name=$(value AgentName .runner)
[ -n "$name" ] || fail 'the configuration names no runner'
far_side=$(value SimulatorUrl .runner)
token=$(value SimulatorToken .runner)
job=simulated

printf '\n√ Connected to GitHub\n\n'
printf "Current runner version: '2.335.0'\n"
if [ -n "$far_side" ]; then tell online || fail 'the simulator knows no such runner'; fi
printf '%s: Listening for Jobs\n' "$(now)"
if [ -n "$far_side" ]; then
    tell job >.job || fail 'the simulator knows no such runner'
    job=$(value name .job)
    [ -n "$job" ] || fail 'no job is waiting for a runner with these labels'
fi
printf '%s: Running job: %s\n' "$(now)" "$job"

mkdir -p _work
result=Succeeded
(cd _work && RUNNER_NAME=$name sh -c 'echo "Hello from $RUNNER_NAME on $(uname -sm)"') || result=Failed
if [ -n "$far_side" ]; then tell complete || fail 'the simulator knows no such runner'; fi
printf '%s: Job %s completed with result: %s\n' "$(now)" "$job" "$result"
