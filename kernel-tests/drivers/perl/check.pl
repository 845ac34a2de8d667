# DBD::Pg against the server that the environment names; one "ok NAME WHAT_IT_SAW" per check.
use strict;
use warnings;
use DBI;
use DBD::Pg qw(:pg_types :async);
use Time::HiRes qw(sleep time);

$| = 1;
my $limit = 30;    # seconds to wait for something that is to come

my $state;          # of the last error: a statement takes it along when it goes

sub session {
    return DBI->connect('dbi:Pg:', undef, undef,
        { RaiseError => 1, PrintError => 0, AutoCommit => 1, HandleError => sub { $state = $_[1]->state; 0 } });
}

# What a value looks like in a line.
sub show {
    my ($v) = @_;
    return 'undef' unless defined $v;
    return '[' . join(',', map { show($_) } @$v) . ']' if ref $v eq 'ARRAY';
    return '{' . join(',', map { "$_=" . show($v->{$_}) } sort keys %$v) . '}' if ref $v eq 'HASH';
    return $v;
}

sub is {
    my ($what, $got, $want) = @_;
    my ($g, $w) = (show($got), show($want));
    die "$what: $g, want $w\n" if $g ne $w;
}

# The SQLSTATE of what fails.
sub state_of {
    my ($code) = @_;
    return eval { $code->(); 1 } ? 'no error' : $state;
}

my @checks;
sub check { push @checks, [@_] }

check types => sub {
    my ($dbh) = @_;
    my $sth = $dbh->prepare('select ?::int a, ?::text b, ?::bytea c, ?::int[] d, ?::bool e, ?::numeric(10,2) f, ?::timestamp g');
    $sth->bind_param(3, undef, { pg_type => PG_BYTEA });
    $sth->execute(7, "t\x{e9}'\\", "a\0\xff", [1, undef, 3], 't', '12.5', '2024-02-29 01:02:03.5');
    my $row = $sth->fetchrow_arrayref;
    is(row => $row, [7, "t\x{e9}'\\", "a\0\xff", [1, undef, 3], 1, '12.50', '2024-02-29 01:02:03.5']);
    return [$sth->{NAME}, $sth->{TYPE}, $sth->{pg_type}, $sth->{PRECISION}, $sth->{SCALE}, $sth->{NULLABLE}];
};

check table_info => sub {
    my ($dbh) = @_;
    $dbh->do('drop table if exists perl_info; create table perl_info (id serial primary key, a varchar(20) not null, b numeric(8,3) default 1)');
    my $columns = $dbh->column_info(undef, 'public', 'perl_info', '%')->fetchall_arrayref(
        { COLUMN_NAME => 1, TYPE_NAME => 1, COLUMN_SIZE => 1, NULLABLE => 1, COLUMN_DEF => 1, pg_type => 1 });
    my @tables = map { $_->[2] } @{ $dbh->table_info(undef, 'public', 'perl_info', 'TABLE')->fetchall_arrayref };
    my @key = $dbh->primary_key(undef, 'public', 'perl_info');
    $dbh->do(q{insert into perl_info (a) values ('x')});
    # The id is asked of the sequence, in the transaction that has drawn it.
    $dbh->begin_work;
    $dbh->do(q{insert into perl_info (a) values ('y')});
    my $id = $dbh->last_insert_id(undef, 'public', 'perl_info', undef);
    $dbh->commit;
    is(id => $id, 2);
    my $types = $dbh->type_info(DBI::SQL_INTEGER());
    return [$columns, \@tables, \@key, $id, $types->{TYPE_NAME}];
};

check prepared => sub {
    my ($dbh) = @_;
    my @saw;
    for my $way ({ pg_server_prepare => 1, pg_switch_prepared => 0 }, { pg_server_prepare => 1, pg_switch_prepared => 3 },
        { pg_server_prepare => 0 }, { pg_server_prepare => 1, pg_prepare_now => 1 }) {
        my $sth = $dbh->prepare('select ?::int + 1', $way);
        for my $i (1 .. 5) {
            $sth->execute($i);
            push @saw, $sth->fetchrow_array;
        }
    }
    is(sums => \@saw, [map { (2 .. 6) } 1 .. 4]);
    # Of two statements, one is gone; a placeholder of each kind.
    my $one = $dbh->prepare('select $1::text || $2', { pg_prepare_now => 1 });
    my $two = $dbh->prepare('select :x::text || :y::text', { pg_prepare_now => 1 });
    $one->execute('a', 'b');
    is(one => $one->fetchall_arrayref, [['ab']]);
    undef $one;
    $two->bind_param(':x', 'c');
    $two->bind_param(':y', 'd');
    $two->execute;
    is(two => $two->fetchall_arrayref, [['cd']]);
    return [state_of(sub { $dbh->prepare('select 1/?::int', { pg_prepare_now => 1 })->execute(0) }),
        state_of(sub { $dbh->prepare('select no_such_column', { pg_prepare_now => 1 }) })];
};

# The first run is of the unnamed statement, the second prepares one.
check altered => sub {
    my ($dbh) = @_;
    my @saw;
    $dbh->do('drop table if exists perl_altered; create table perl_altered (a int, b int); insert into perl_altered values (1, 2)');
    my $sth = $dbh->prepare('select * from perl_altered where ? > 0');
    my $row = sub { $sth->execute(1); return $sth->fetchall_arrayref };
    is(before => [map { $row->() } 1 .. 3], [([[1, 2]]) x 3]);
    $dbh->do('alter table perl_altered alter b type text using b || $$!$$');
    push @saw, state_of($row), state_of($row);    # DBD::Pg does not prepare anew
    $sth = $dbh->prepare('select * from perl_altered where ? > 0');
    is(after => [map { $row->() } 1 .. 3], [([[1, '2!']]) x 3]);
    # In a transaction, and taken back with it.
    $dbh->begin_work;
    is(within => $row->(), [[1, '2!']]);
    $dbh->do('alter table perl_altered drop column b');
    push @saw, state_of($row), state_of(sub { $dbh->do('select 1') });
    $dbh->rollback;
    is(again => $row->(), [[1, '2!']]);
    is(saw => \@saw, ['0A000', '0A000', '0A000', '25P02']);
    return \@saw;
};

check ping => sub {
    my ($dbh) = @_;
    my @saw = ($dbh->ping, $dbh->pg_ping);
    $dbh->begin_work;
    push @saw, $dbh->ping;
    $dbh->do('select 1');
    push @saw, $dbh->ping;
    state_of(sub { $dbh->do('select 1/0') });
    push @saw, $dbh->ping;
    $dbh->rollback;
    push @saw, $dbh->ping;
    is(alive => [map { $_ > 0 ? 1 : 0 } @saw], [(1) x 6]);
    my $other = session();
    is(ended => $dbh->selectrow_array('select pg_terminate_backend(?::int)', undef, $other->{pg_pid}), 1);
    my $until = time + $limit;
    my $dead;
    1 while ($dead = $other->ping) > 0 && time < $until && sleep 0.01;
    is(dead => $dead, 0);
    return [@saw, $dead, $other->pg_ping, state_of(sub { $other->do('select 1') })];
};

check notifies => sub {
    my ($dbh) = @_;
    my $other = session();
    $dbh->do('listen perl_channel');
    is(nothing => $dbh->pg_notifies, undef);
    $dbh->do(q{notify perl_channel, 'own'});
    $other->do(q{notify perl_channel, 'other'});
    $other->begin_work;
    $other->do(q{select pg_notify('perl_channel', ?)}, undef, 'at commit');
    $other->commit;
    my %names = ($dbh->{pg_pid} => 'own', $other->{pg_pid} => 'other');
    my @saw;
    for (my $until = time + $limit; @saw < 3 && time < $until; sleep 0.01) {
        while (my $n = $dbh->pg_notifies) {
            push @saw, [$n->[0], $names{ $n->[1] } || "stranger $n->[1]", $n->[2]];
        }
    }
    is(notified => \@saw, [map { ['perl_channel', @$_] } ['own', 'own'], ['other', 'other'], ['other', 'at commit']]);
    $dbh->do('unlisten *');
    return \@saw;
};

check savepoints => sub {
    my ($dbh) = @_;
    $dbh->do('drop table if exists perl_saved; create table perl_saved (a int)');
    $dbh->begin_work;
    my $insert = $dbh->prepare('insert into perl_saved values (?)', { pg_prepare_now => 1 });
    $insert->execute(1);
    $dbh->pg_savepoint('one');
    $insert->execute(2);
    $dbh->pg_savepoint('two');
    my $state = state_of(sub { $insert->execute('x') });
    $dbh->pg_rollback_to('two');
    $insert->execute(3);
    $dbh->pg_release('two');
    my $within = $dbh->selectcol_arrayref('select a from perl_saved order by 1');
    $dbh->pg_rollback_to('one');
    $insert->execute(4);
    $dbh->commit;
    my $kept = $dbh->selectcol_arrayref('select a from perl_saved order by 1');
    is(kept => [$within, $kept], [[1, 2, 3], [1, 4]]);
    return $state;
};

check copy => sub {
    my ($dbh) = @_;
    $dbh->do('drop table if exists perl_copied; create table perl_copied (a int, b text)');
    $dbh->do('copy perl_copied from stdin');
    $dbh->pg_putcopydata("$_\tx" . 'y' x ($_ % 50) . "\n") for 1 .. 20000;
    $dbh->pg_putcopyend;
    $dbh->do('copy (select * from perl_copied order by a) to stdout');
    my ($line, $lines, $bytes) = ('', 0, 0);
    while ($dbh->pg_getcopydata($line) >= 0) { $lines++; $bytes += length $line }
    $dbh->do('copy perl_copied from stdin');
    $dbh->pg_putcopydata("no number\tx\n");
    my $state = state_of(sub { $dbh->pg_putcopyend });
    is(copied => [$lines, $dbh->selectrow_array('select count(*) from perl_copied')], [20000, 20000]);
    return [$bytes, $state];
};

check async => sub {
    my ($dbh) = @_;
    my @saw;
    my $sth = $dbh->prepare('select pg_sleep(0.2), ?::int', { pg_async => PG_ASYNC });
    $sth->execute(5);
    push @saw, $dbh->pg_ready ? 'at once' : 'later';
    my $until = time + $limit;
    1 while !$dbh->pg_ready && time < $until && sleep 0.01;
    push @saw, $dbh->pg_result, $sth->fetchrow_arrayref->[1];
    # One that is canceled, before and after it can be seen running.
    for my $wait (0, 0.2) {
        $dbh->do('select pg_sleep(60)', { pg_async => PG_ASYNC });
        sleep $wait;
        my $began = time;
        push @saw, $dbh->pg_cancel ? 'canceled' : 'done';
        die "a cancel was lost\n" if time - $began > $limit;
        push @saw, $dbh->selectrow_array(q{select 'alive'});
    }
    # A new one instead of an old one.
    $dbh->do('select pg_sleep(60)', { pg_async => PG_ASYNC });
    push @saw, $dbh->do('select 1', { pg_async => PG_ASYNC + PG_OLDQUERY_CANCEL }), $dbh->pg_result;
    is(saw => \@saw, ['later', 1, 5, ('canceled', 'alive') x 2, '0E0', 1]);
    return \@saw;
};

check cursor => sub {
    my ($dbh) = @_;
    $dbh->begin_work;
    $dbh->do('declare perl_cursor scroll cursor for select generate_series(1, 100)');
    my $fetch = $dbh->prepare('fetch 10 from perl_cursor');
    my $sum = 0;
    for (1 .. 10) { $fetch->execute; $sum += $_->[0] for @{ $fetch->fetchall_arrayref } }
    $dbh->commit;
    is(sum => $sum, 5050);
    return state_of(sub { $dbh->do('fetch 1 from perl_cursor') });
};

check large_object => sub {
    my ($dbh) = @_;
    $dbh->begin_work;
    my $oid = $dbh->pg_lo_creat($dbh->{pg_INV_WRITE});
    my $file = $dbh->pg_lo_open($oid, $dbh->{pg_INV_WRITE});
    my $wrote = $dbh->pg_lo_write($file, "large\0object" x 5000, 60000);
    $dbh->pg_lo_lseek($file, 5, 0);
    my $buffer = '';
    $dbh->pg_lo_read($file, $buffer, 7);
    $dbh->pg_lo_close($file);
    $dbh->pg_lo_unlink($oid);
    $dbh->commit;
    is(read => [$wrote, $buffer], [60000, "\0object"]);
    return $wrote;
};

check settings => sub {
    my ($dbh) = @_;
    $dbh->do(q{set datestyle to 'German, DMY'});
    $dbh->do(q{set client_encoding to 'LATIN1'});
    my @saw = $dbh->selectrow_array(q{select date '2024-02-29', current_setting('client_encoding')});
    $dbh->do('reset all');
    return [@saw, $dbh->selectrow_array(q{select date '2024-02-29', current_setting('client_encoding')}), $dbh->{pg_server_version}];
};

for (@checks) {
    my ($name, $run) = @$_;
    my $dbh = session();
    my $saw = eval { show($run->($dbh)) };
    die "$name: $@" unless defined $saw;
    is("usable after $name" => $dbh->selectrow_arrayref('select 1'), [1]);
    $dbh->disconnect;
    print "ok $name $saw\n";
}
