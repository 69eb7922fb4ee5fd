#!/bin/bash
# The runner program of a simulated GitHub: takes its configuration, goes online, waits for a job, runs its steps, ends.
# With a configuration that names no simulator it needs no network, and tells nobody but its log: it runs the job that the
# configuration itself holds, or one step of its own.
#
# Like the real one it takes the configuration from ACTIONS_RUNNER_INPUT_JITCONFIG, takes it out of its environment,
# passes SIGTERM on as SIGINT, and ends with 0 however its job went.
# https://github.com/actions/runner/blob/main/src/Misc/layoutroot/run.sh
# https://github.com/actions/runner/blob/main/src/Runner.Listener/Runner.cs
# shellcheck disable=SC2317 # functions that traps call
set -um # -m: what runs in the background has a process group of its own, and may be interrupted
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
umask 077

VERSION=2.335.0
# The listener's own exit codes, which run.sh makes into 0.
TERMINATED=1 DEPRECATED=7

main() {
    local jit=${ACTIONS_RUNNER_INPUT_JITCONFIG:-} signalled='' status
    unset ACTIONS_RUNNER_INPUT_JITCONFIG
    mkdir -p _diag
    listen "$jit" &
    local listener=$!
    trap 'signalled=yes; kill -INT -- "-$listener"' INT TERM
    wait "$listener"
    status=$?
    if [[ -n $signalled ]]; then # the first wait was only interrupted
        wait "$listener"
        status=$?
    fi
    leave "$status"
}

leave() {
    case $1 in
        0) echo 'Runner listener exit with 0 return code, stop the service, no retry needed.' ;;
        "$TERMINATED") echo 'Runner listener exit with terminated error, stop the service, no retry needed.' ;;
        *) echo "Exiting with unknown error code: $1" ;;
    esac
    echo 'Exiting runner...'
    [[ $1 != "$DEPRECATED" || ${ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE:-} != 1 ]] || exit "$DEPRECATED"
    exit 0
}

# The listener: one runner, one job.
listen() {
    set +m # so that an interrupt reaches what it waits for
    DIAG=_diag/Runner_$(date -u +%Y%m%d-%H%M%S)-utc.log
    job=simulated far_side='' token='' name='' cancelled='' steps=()
    configure "$1" || return "$TERMINATED"
    trap 'go_offline; exit 0' INT
    printf '\n√ Connected to GitHub\n\n'
    printf "Current runner version: '%s'\n" "$VERSION"
    if [[ -n $far_side ]]; then
        go_online || return
        say 'Listening for Jobs'
        await_job || return
    else
        say 'Listening for Jobs'
        value SimulatorJob .runner | base64 -d >.answer
        if [[ -s .answer ]]; then
            take_job
        else
            # shellcheck disable=SC2016 # the step's own variables
            steps=("step 1 success $(base64 <<<'Say hello') $(base64 -w 0 <<<'echo "Hello from $RUNNER_NAME on $(uname -sm)"')")
        fi
    fi
    serve
}

configure() {
    [[ -n $1 ]] || fail 'no configuration: ACTIONS_RUNNER_INPUT_JITCONFIG is empty' || return
    # busybox's base64 passes over what is none
    [[ $1 != *[!A-Za-z0-9+/=]* ]] && base64 -d <<<"$1" >.jit 2>/dev/null || fail 'the configuration is not base64' || return
    local file
    for file in .runner .credentials .credentials_rsaparams; do
        value "\\$file" .jit | base64 -d >"$file" 2>/dev/null || fail "the configuration's $file is not base64" || return
        [[ -s $file ]] || fail "the configuration has no $file" || return
    done
    rm .jit
    name=$(value AgentName .runner)
    [[ -n $name ]] || fail 'the configuration names no runner' || return
    far_side=$(value SimulatorUrl .runner)
    token=$(value SimulatorToken .runner)
    note "configured as $name"
}

go_online() {
    until tell "online?version=$VERSION"; do
        case $? in
            4) fail 'Failed to create a session. The runner registration has been deleted from the server.' || return "$TERMINATED" ;;
            3) fail "Runner version v$VERSION is deprecated and cannot receive messages." || return "$DEPRECATED" ;;
            *) retry ;;
        esac
    done
}

await_job() {
    until [[ -s .answer ]]; do
        tell message
        case $? in
            0) ;;
            4) fail 'The runner registration has been deleted from the server.' || return "$TERMINATED" ;;
            *) retry ;;
        esac
    done
    take_job
}

# The job in .answer.
take_job() {
    local run_id attempt event repository title
    mapfile -t steps <.answer
    read -r _ _ run_id attempt event repository title <<<"${steps[0]}"
    unset 'steps[0]'
    rm .answer
    job=$(base64 -d <<<"$title") repository=$(base64 -d <<<"$repository")
    export GITHUB_RUN_ID=$run_id GITHUB_RUN_ATTEMPT=$attempt GITHUB_EVENT_NAME=$event GITHUB_REPOSITORY=$repository
}

retry() {
    say 'Runner connect error: the server cannot be reached. Retrying until reconnected.'
    rm -f .answer
    sleep 5
}

go_offline() {
    note 'shutting down'
    [[ -z $far_side ]] || tell offline
    echo 'Exiting...'
}

# The job, while the listener goes on asking: each question renews the lease, and an answer may be a cancel.
serve() {
    local worker watcher='' result self=$BASHPID
    set -m
    say "Running job: $job"
    mkdir -p _work _temp
    rm -f .cancelled .result
    trap cancel INT USR1
    # What the worker itself says when it dies, and not its steps, is shown with the job.
    work 9>&2 2>.crash &
    worker=$!
    if [[ -n $far_side ]]; then
        watch "$self" &
        watcher=$!
        disown "$watcher" # nobody is told when it is killed
    fi
    while kill -0 "$worker" 2>/dev/null; do wait "$worker"; done
    trap '' INT USR1
    [[ -z $watcher ]] || kill -KILL -- "-$watcher" 2>/dev/null
    # https://github.com/actions/runner/blob/main/src/Runner.Listener/JobDispatcher.cs
    [[ -s .result ]] && : >.crash
    result=$(cat .result 2>/dev/null) || result=failure
    cat .crash
    [[ -z $far_side ]] || until tell "complete?conclusion=$result" .told .crash || (($? != 2)); do retry; done
    case $result in
        success) result=Succeeded ;;
        cancelled) result=Canceled ;;
        *) result=Failed ;;
    esac
    say "Job $job completed with result: $result"
}

watch() {
    while :; do
        tell message || sleep 1
        if grep -qs cancel .answer; then
            kill -USR1 "$1"
            sleep 5
        fi
    done
}

# https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-cancellation
cancel() {
    [[ -z $cancelled ]] || return
    cancelled=yes
    : >.cancelled
    note 'the job is cancelled'
    local step
    step=$(cat .step 2>/dev/null) || return
    {
        kill -INT -- "-$step" && sleep 7.5
        kill -TERM -- "-$step" && sleep 2.5
        kill -KILL -- "-$step"
    } >/dev/null 2>&1 &
    disown "$!"
}

# The worker: step after step. After a failure or a cancel only those that always run.
work() {
    set -m
    DIAG=_diag/Worker_$(date -u +%Y%m%d-%H%M%S)-utc.log
    export RUNNER_NAME=$name RUNNER_TEMP=$PWD/_temp GITHUB_WORKSPACE=$PWD/_work GITHUB_ACTIONS=true CI=true
    local result=success line number when title script
    [[ ! -f .setup_info || -z $far_side ]] || tell log .told .setup_info
    if [[ -n ${ACTIONS_RUNNER_HOOK_JOB_STARTED:-} ]]; then
        step 'Set up runner' "exec bash -e '$ACTIONS_RUNNER_HOOK_JOB_STARTED'" || result=failure
    fi
    for line in "${steps[@]}"; do
        read -r _ number when title script <<<"$line"
        [[ ! -e .cancelled ]] || result=cancelled
        if [[ $result != success && $when != always ]]; then
            report "$number" skipped
        elif step "$(base64 -d <<<"$title")" "$(base64 -d <<<"$script")"; then
            report "$number" success
        elif [[ -e .cancelled ]]; then
            report "$number" cancelled
            result=cancelled
        else
            report "$number" failure
            result=failure
        fi
    done
    if [[ -n ${ACTIONS_RUNNER_HOOK_JOB_COMPLETED:-} ]]; then
        step 'Complete runner' "exec bash -e '$ACTIONS_RUNNER_HOOK_JOB_COMPLETED'" || result=failure
    fi
    [[ ! -e .cancelled ]] || result=cancelled
    printf %s "$result" >.result
}

step() {
    note "step: $1"
    (cd _work && exec bash -e -o pipefail -c "$2" </dev/null 2>&9 9>&-) &
    printf %s $! >.step
    local status
    wait $!
    status=$?
    rm -f .step
    note "step ended with $status"
    return "$status"
}

report() { [[ -z $far_side ]] || tell "step?number=$1&conclusion=$2" .told || true; }

# Tell the simulator something, with the contents of a file if there is one; its answer in .answer, or another file. 2: it cannot be reached, 3: it refuses, 4: it knows no such runner.
# (busybox's own `wget -T` crashes in Debian's static build.)
tell() {
    local said
    said=$(timeout 90 wget -q -O "${2:-.answer}" --header "Authorization: Bearer $token" \
        --post-file "${3:-/dev/null}" "$far_side/$1" 2>&1) && return
    case $said in
        *' 404 '*) return 4 ;;
        *' 403 '*) return 3 ;;
    esac
    return 2
}

# The value of a string in a flat JSON object on one line, without escapes in it.
value() { sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p" "$2"; }

say() {
    printf '%s: %s\n' "$(date -u '+%Y-%m-%d %H:%M:%SZ')" "$1"
    note "$1"
}

note() { printf '[%s INFO] %s\n' "$(date -u '+%Y-%m-%d %H:%M:%SZ')" "$1" >>"$DIAG"; }

fail() {
    printf 'An error occurred: %s\n' "$1" >&2
    note "$1"
    return 1
}

main
