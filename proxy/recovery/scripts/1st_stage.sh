#!/bin/sh
# recovery_1st_stage_command of pgherd and Pgpool-II. It makes the node that is to be recovered a standby of the primary: by
# pg_rewind if the data there permit that, else by pg_basebackup, which replaces them. It runs in the primary's data folder,
# as the user that PostgreSQL runs as. That user reaches other machines by ssh without a password. On each machine it has
# what PostgreSQL asks for in ~/.pgpass, or in the file that passfile names.
set -eu
step='arguments'

replication_user=$(id -un) # the standby logs in to the primary as this role; pg_rewind does so, too
admin_user=$(id -un)       # this role logs in to the primary on its own machine, for CHECKPOINT and the slot
ssh_user=$(id -un)
passfile=''                # on the machine of the node; empty for ~/.pgpass
bin=''                     # the folder of pg_rewind and pg_basebackup; empty: as on the primary, else by PATH
use_slot=yes               # no: the standby has no replication slot
slot_prefix=node           # the number of the node follows
name_prefix=node           # of application_name, which synchronous_standby_names names
rewind=yes                 # no: always make a fresh copy

@target@
[ $# -eq 7 ] || fail "want 7 arguments: data folder, host, its data folder, port of the primary, node, its port, host of the primary; got $#"
primary_data=$1 host=$2 data=$3 primary_port=$4 node=$5 port=$6 primary_host=$7
for number in "$primary_port" "$node" "$port"; do
    case $number in '' | *[!0-9]*) fail "$number is not a number" ;; esac
done
case $data in /*) ;; *) fail "the data folder of the node, $data, is not a full path" ;; esac
cd "$primary_data"

if is_here "$host"; then
    [ "$(readlink -f "$data")" != "$(pwd -P)" ] || fail "the node has the data folder of the primary"
    [ -z "$(ls pg_tblspc)" ] || fail "the primary has tablespaces, whose folders a copy on the same machine cannot have as well"
else
    case $primary_host in localhost | 127.* | ::1 | /*) fail "$host cannot reach the primary as $primary_host" ;; esac
fi

step='primary'
postmaster=$(head -n 1 postmaster.pid)
running=$(dirname "$(readlink -f "/proc/$postmaster/exe")")
[ -n "$bin" ] || bin=$running
sockets=$(sed -n 5p postmaster.pid)
ask() { "$running/psql" -XAtq -w -v ON_ERROR_STOP=1 -h "${sockets:-$primary_host}" -p "$primary_port" -U "$admin_user" -d postgres -c "$1" </dev/null; }
ask CHECKPOINT # so that a new primary tells its timeline
slot=''
if [ "$use_slot" = yes ]; then
    slot=$slot_prefix$node
    case $slot in *[!a-z0-9_]*) fail "$slot cannot be the name of a slot" ;; esac
    ask "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '$slot' AND NOT active AND wal_status = 'lost'" >/dev/null
    ask "SELECT pg_create_physical_replication_slot('$slot', true) WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '$slot')" >/dev/null
fi
system=$("$running/pg_controldata" -D . | sed -n 's/^Database system identifier: *//p')

# The rest runs on the machine of the node.
on "$host" "$data" "$primary_host" "$primary_port" "$port" "$replication_user" "$passfile" "$bin" "$slot" "$name_prefix$node" "$rewind" "$system" <<'TARGET'
set -eu
main() {
    data=$1 primary_host=$2 primary_port=$3 port=$4 user=$5 passfile=$6 bin=$7 slot=$8 name=$9
    shift 9
    rewind=$1 system=$2
    step='node'
    kept=''
    umask 077
    if [ -x "$bin/pg_basebackup" ]; then PATH=$bin:$PATH; fi
    export LC_ALL=C
    conninfo=$(conninfo)
    own_configuration

    check_folder
    if can_rewind; then
        step=pg_rewind
        if settle && pg_rewind $rewind_options -D "$data" --source-server="$conninfo dbname=postgres"; then
            echo "pg_rewind: done"
        else
            echo "pg_rewind: failed; the node gets a fresh copy"
            copy
        fi
    else
        echo "pg_rewind: not possible, because $reason; the node gets a fresh copy"
        copy
    fi
    configure
    echo "node: its data are those of a standby of $primary_host port $primary_port, application_name $name${slot:+, slot $slot}"
}

fail() { echo "$step: $*" >&2; exit 1; }

# value quotes a value of a connection string.
value() { printf "'%s'" "$(printf '%s' "$1" | sed "s/[\\\\']/\\\\&/g")"; }

conninfo() {
    printf 'host=%s port=%s user=%s application_name=%s' "$(value "$primary_host")" "$primary_port" "$(value "$user")" "$(value "$name")"
    if [ -n "$passfile" ]; then printf ' passfile=%s' "$(value "$passfile")"; fi
}

# own_configuration finds a configuration outside the data folder, as Debian has it.
own_configuration() {
    outside='' rewind_options=''
    if [ -e "$data/postgresql.conf" ]; then return; fi
    for file in /etc/postgresql/*/*/postgresql.conf; do
        if grep -qsF "data_directory = '$data'" "$file"; then outside=$file; fi
    done
    if [ -n "$outside" ] && pg_rewind --help | grep -q config-file; then rewind_options="--config-file=$outside"; fi
}

# check_folder refuses a folder that is not a stopped node's.
check_folder() {
    if [ ! -e "$data" ]; then mkdir -p "$data"; fi
    if [ -z "$(ls -A "$data")" ]; then return; fi
    [ -e "$data/PG_VERSION" ] || fail "$data is neither empty nor a data folder of PostgreSQL"
    if pg_ctl -D "$data" status >/dev/null 2>&1; then fail "PostgreSQL runs in $data: stop it first"; fi
    if [ -z "$outside" ]; then keep; fi
}

# keep saves the node's own configuration: both ways of copying replace it.
keep() {
    kept=$(mktemp -d)
    trap 'if [ -n "$kept" ]; then echo "$step: failed; the configuration that the node had is in $kept" >&2; fi' EXIT
    for file in postgresql.conf pg_hba.conf pg_ident.conf; do
        if [ -f "$data/$file" ]; then cp -p "$data/$file" "$kept/"; fi
    done
}

# can_rewind says whether pg_rewind can do it, else the reason.
can_rewind() {
    control=$(pg_controldata -D "$data" 2>/dev/null) || control=''
    if [ "$rewind" != yes ]; then reason='the settings say so'
    elif [ -z "$control" ]; then reason='there is no data folder that can be read'
    elif [ -e "$data/backup_label" ]; then reason='the data are an unfinished copy'
    elif ! echo "$control" | grep -q "^Database system identifier: *$system\$"; then reason='the data are of another system'
    elif ! echo "$control" | grep -q -e '^wal_log_hints setting: *on' -e '^Data page checksum version: *[1-9]'; then
        reason='the node has neither wal_log_hints nor checksums'
    else return 0; fi
    return 1
}

# settle lets a standby that has crashed replay what it must, alone: pg_rewind does that for a primary only.
settle() {
    if [ ! -e "$data/standby.signal" ] || echo "$control" | grep -q '^Database cluster state: *shut down'; then return 0; fi
    alone=$(mktemp -d)
    options="-c hot_standby=off -c primary_conninfo= -c restore_command= -c listen_addresses= -c unix_socket_directories=$alone"
    if [ -n "$outside" ]; then options="$options -c config_file=$outside"; fi
    if pg_ctl -D "$data" -l "$alone/log" -w -o "$options" start >/dev/null && pg_ctl -D "$data" -m fast -w stop >/dev/null; then
        rm -rf "$alone"
        return 0
    fi
    pg_ctl -D "$data" -m immediate -w stop >/dev/null 2>&1 || true
    tail -n 5 "$alone/log"
    rm -rf "$alone"
    return 1
}

# copy replaces the data. A pg_wal that is on another disk stays there.
copy() {
    step=pg_basebackup
    set --
    if [ -L "$data/pg_wal" ]; then
        wal=$(readlink -f "$data/pg_wal")
        find "$wal" -mindepth 1 -delete
        set -- --waldir="$wal"
    fi
    for link in "$data"/pg_tblspc/*; do
        if [ -d "$link" ]; then find "$link/" -mindepth 1 -delete; fi
    done
    find "$data" -mindepth 1 -delete
    chmod 700 "$data"
    if [ -n "$slot" ]; then set -- "$@" --slot="$slot"; fi
    pg_basebackup -D "$data" -d "$conninfo" -X stream --checkpoint=fast -w "$@"
}

# parameter writes a line of postgresql.auto.conf.
parameter() { printf "%s = '%s'\n" "$1" "$(printf '%s' "$2" | sed "s/\\\\/&&/g; s/'/''/g")"; }

# configure makes the copy a standby. Of several lines of one parameter PostgreSQL takes the last.
configure() {
    step=configuration
    for file in "$kept"/*.conf; do
        if [ -n "$kept" ] && [ -e "$file" ]; then cp -p "$file" "$data/"; fi
    done
    {
        parameter primary_conninfo "$conninfo"
        parameter primary_slot_name "$slot"
        parameter recovery_target_timeline latest
    } >>"$data/postgresql.auto.conf"
    if [ "$(postgres -D "$data" ${outside:+-c "config_file=$outside"} -C port)" != "$port" ]; then
        parameter port "$port" >>"$data/postgresql.auto.conf"
    fi
    rm -rf "$data/recovery.signal" "$data/postmaster.pid" "$data"/pg_replslot/*
    : >"$data/standby.signal"
    if [ -n "$kept" ]; then rm -rf "$kept"; kept=''; fi
}

main "$@" </dev/null
TARGET
