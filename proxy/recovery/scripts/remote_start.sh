#!/bin/sh
# pgpool_remote_start of pgherd and Pgpool-II: it starts PostgreSQL on the node that has been recovered. It runs in the
# primary's data folder, as the user that PostgreSQL runs as. That user reaches other machines by ssh without a password.
set -eu
step='start'

ssh_user=$(id -un)
bin=''           # the folder of pg_ctl; empty: as on the primary, else by PATH
start_command='' # run on the node in place of pg_ctl, as 'sudo systemctl start postgresql@15-main'

@target@
[ $# -eq 2 ] || fail "want 2 arguments: host, its data folder; got $#"
[ -n "$bin" ] || bin=$(dirname "$(readlink -f "/proc/$(head -n 1 postmaster.pid)/exe")")

on "$1" "$2" "$bin" "$start_command" <<'TARGET'
set -eu
main() {
    data=$1 bin=$2 start_command=$3
    if [ -x "$bin/pg_ctl" ]; then PATH=$bin:$PATH; fi
    if [ -n "$start_command" ]; then sh -c "$start_command"; return; fi
    for file in /etc/postgresql/*/*/postgresql.conf; do
        if [ ! -e "$data/postgresql.conf" ] && grep -qsF "data_directory = '$data'" "$file"; then
            cluster=${file%/postgresql.conf}
            version=${cluster%/*}
            pg_ctlcluster "${version##*/}" "${cluster##*/}" start
            return
        fi
    done
    log=$data/pgherd_start.log
    # It may take longer to be ready than pg_ctl waits; pgherd waits until it streams.
    if ! pg_ctl -D "$data" -l "$log" -w -t 30 start >/dev/null 2>&1 && ! pg_ctl -D "$data" status >/dev/null 2>&1; then
        echo "start: PostgreSQL does not start in $data; its log ends:" >&2
        tail -n 20 "$log" >&2
        exit 1
    fi
}
main "$@" </dev/null
TARGET
