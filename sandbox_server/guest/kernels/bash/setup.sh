# Read once by the bash session of a context (see ../bash.py). Descriptor 9 is the channel to the guest daemon, which is
# also where the commands come from: stdin.
exec 9>&0
set +o history +o histexpand
declare -A __sandloop_saved=()

# Report the end of execution $1 with the exit code of the command before.
__sandloop_report() {
    local code=$?
    PS1= PS2= PROMPT_COMMAND= # What a virtual environment's activate script sets would show up in the output.
    if ((code == 130)); then
        printf '{"type": "error", "name": "Interrupted", "value": "the execution was interrupted", "traceback": ""}\n' >&9
    elif ((code)); then
        printf '{"type": "error", "name": "ExitCode", "value": "%d", "traceback": ""}\n' "$code" >&9
    fi
    printf '{"type": "done", "id": %d}\n' "$1" >&9
    return "$code"
}

# Export variable $1 as $2 until __sandloop_restore.
__sandloop_set() {
    if [[ -v $1 ]]; then __sandloop_saved[$1]=${!1}; fi
    export "$1=$2"
}

__sandloop_restore() {
    local name
    for name; do
        if [[ -v __sandloop_saved[$name] ]]; then export "$name=${__sandloop_saved[$name]}"; else unset "$name"; fi
    done
    __sandloop_saved=()
}

printf '{"type": "ready"}\n' >&9
