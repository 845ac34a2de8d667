# This file is beside the script, in the data folder of every node, and is copied with it. It may set the variables above.
if [ -r ./pgherd_recovery.conf ]; then . ./pgherd_recovery.conf; fi

fail() { echo "$step: $*" >&2; exit 1; }

# is_here says that a host is this machine.
is_here() {
    case $1 in localhost | 127.* | ::1 | /*) return 0 ;; esac
    for address in "$1" $(getent ahosts "$1" | awk '{ print $1 }'); do
        for own in localhost 127.0.0.1 ::1 $(hostname) $(hostname -I); do
            if [ "$address" = "$own" ]; then return 0; fi
        done
    done
    return 1
}

# quoted writes its arguments as words for a shell.
quoted() {
    for word; do
        printf "'%s' " "$(printf '%s' "$word" | sed "s/'/'\\\\''/g")"
    done
}

# on HOST ARGUMENTS... runs the shell script of the standard input on that host.
on() {
    on_host=$1
    shift
    if is_here "$on_host"; then
        sh -s -- "$@"
    else
        ssh -T -o BatchMode=yes -o ConnectTimeout=10 "$ssh_user@$on_host" "sh -s -- $(quoted "$@")"
    fi
}
