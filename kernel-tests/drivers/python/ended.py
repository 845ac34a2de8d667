"""psycopg 3: notifications and who sent them, connections that break, two-phase commit."""
import select
import threading

import psycopg
from psycopg import errors

from checks import check, raises, run


def told(conn):
    """The number that the client was told when it logged in."""
    return conn.info.backend_pid


def take(conn, n):
    """The next n notifications, from a generator that is then closed."""
    seen, generator = [], conn.notifies()
    for notification in generator:
        seen.append(notification)
        if len(seen) == n:
            generator.close()
    return seen


@check
def notify_callback(conn):
    conn.autocommit = True
    first, second = [], []
    conn.add_notify_handler(first.append)
    conn.add_notify_handler(lambda n: second.append(n.payload))
    conn.execute("listen ended_a")
    conn.execute("notify ended_a, 'n1'")
    conn.execute("select pg_notify('ended_a', 'n2'), pg_notify('ended_b', 'nobody listens')")
    conn.remove_notify_handler(first.append)
    conn.execute("notify ended_a, 'n3'")
    assert [n.pid for n in first] == [told(conn)] * 2, (first, told(conn))
    conn.execute("unlisten ended_a")
    conn.execute("notify ended_a, 'n4'")
    return [[n.channel, n.payload] for n in first], second


@check
def notify_at_commit(conn):
    seen = []
    conn.add_notify_handler(lambda n: seen.append(n.payload))
    conn.execute("listen ended_c")
    conn.commit()
    for keep in [False, True]:
        conn.execute("select pg_notify('ended_c', %s)", [f"kept {keep}"])
        assert not seen, seen
        conn.commit() if keep else conn.rollback()
        conn.execute("select 1")
        conn.rollback()
    return seen


@check
def notify_generator(conn):
    conn.autocommit = True
    conn.execute("listen ended_d")
    with psycopg.connect("", autocommit=True) as other:
        assert told(other) != told(conn)
        sender = threading.Timer(0.3, lambda: other.execute("notify ended_d, 'late'"))
        sender.start()
        late = take(conn, 1)
        sender.join()
        other.execute("notify ended_d, 'other''s'")
        # Once in a transaction, once from a function that the text does not name.
        with other.transaction():
            other.execute("select pg_notify('ended_d', 'in a transaction')")
        other.execute("do $$ begin perform pg_notify('ended_d', 'in a block'); end $$")
        seen = late + take(conn, 3)
        names = {told(conn): "own", told(other): "other"}
        return [[n.payload, names.get(n.pid, f"stranger {n.pid}")] for n in seen]


@check
def notify_timeout(conn):
    """Nothing comes within the limit, then something does; psycopg 3.2 knows limits itself."""
    conn.autocommit = True
    conn.execute("listen ended_e")

    def within(seconds):
        if psycopg.__version__ >= "3.2":
            return [n.payload for n in conn.notifies(timeout=seconds, stop_after=1)]
        ready, _, _ = select.select([conn.fileno()], [], [], seconds)
        return [n.payload for n in take(conn, 1)] if ready else []

    nothing = within(0.2)
    with psycopg.connect("", autocommit=True) as other:
        other.execute("notify ended_e, 'now'")
    return nothing, within(20)


@check
def broken(conn):
    """A session that ends itself, by the number that it was told."""
    kind = type(raises(psycopg.OperationalError, lambda: conn.execute("select pg_terminate_backend(%s)", [told(conn)])))
    states = [kind.__name__, conn.closed, conn.broken, conn.info.transaction_status.name]
    raises(psycopg.OperationalError, lambda: conn.execute("select 1"))
    raises(psycopg.OperationalError, conn.commit)
    conn.close()
    return states, conn.closed, conn.broken


@check
def broken_by_process(conn):
    """The same by the number that PostgreSQL tells, in a transaction that had begun."""
    conn.execute("create temp table ended (a int)")
    kind = type(raises(psycopg.OperationalError, lambda: conn.execute("select pg_terminate_backend(pg_backend_pid())")))
    return kind.__name__, conn.closed, conn.broken


@check
def broken_by_another(conn):
    conn.autocommit = True
    saw = []
    for transaction in [False, True]:
        with psycopg.connect("", autocommit=True) as victim:
            if transaction:
                victim.execute("begin")
                victim.execute("select 1")
            saw.append(conn.execute("select pg_terminate_backend(%s)", [told(victim)]).fetchone()[0])
            saw.append(type(raises(psycopg.OperationalError, lambda: victim.execute("select 1"))).__name__)
            saw += [victim.closed, victim.broken]
    return saw


@check
def broken_in_a_block(conn):
    """The context managers see it as well: the transaction's and the connection's."""
    conn.autocommit = True

    def block():
        with psycopg.connect("") as mine:
            with mine.transaction():
                mine.execute("select 1")
                conn.execute("select pg_terminate_backend(%s)", [told(mine)])
                mine.execute("select 2")
    return type(raises(psycopg.OperationalError, block)).__name__


@check
def closed_not_broken(conn):
    with psycopg.connect("") as other:
        other.close()
        saw = [other.closed, other.broken, str(raises(psycopg.OperationalError, lambda: other.execute("select 1")))]
    return saw, conn.closed, conn.broken


def prepared():
    with psycopg.connect("", autocommit=True) as other:
        return other.execute("select count(*) from pg_prepared_xacts where owner = current_user").fetchone()[0]


def count():
    # In a transaction that writes, so that it is the primary's value at this moment.
    with psycopg.connect("") as other:
        other.execute("create temp table of_the_primary (a int)")
        return other.execute("select count(*) from ended_tpc").fetchone()[0]


def begun(conn, name):
    """A transaction of two phases with one row in it."""
    conn.rollback()
    xid = conn.xid(1, name, "branch")
    conn.tpc_begin(xid)
    conn.execute("insert into ended_tpc values (%s)", [name])
    return xid


@check
def tpc_start(conn):
    conn.autocommit = True
    conn.execute("drop table if exists ended_tpc")
    conn.execute("create table ended_tpc (a text)")
    return count()


@check
def tpc_one_phase(conn):
    saw = []
    begun(conn, "ended commit")
    conn.tpc_commit()
    saw += [count(), prepared()]
    begun(conn, "ended rollback")
    conn.tpc_rollback()
    return saw + [count(), prepared(), conn.info.transaction_status.name]


@check
def tpc_two_phases(conn):
    saw = []
    for end in [conn.tpc_commit, conn.tpc_rollback]:
        begun(conn, "ended two")
        conn.tpc_prepare()
        saw += [count(), prepared()]
        end()
        saw += [count(), prepared()]
    return saw


@check
def tpc_recovered(conn):
    """Another session ends what was prepared by one that has left."""
    saw = []
    for end in ["tpc_commit", "tpc_rollback"]:
        with psycopg.connect("") as preparer:
            begun(preparer, f"ended {end}")
            preparer.tpc_prepare()
            preparer.close()
        for xid in conn.tpc_recover():
            if xid.gtrid == f"ended {end}":
                saw.append([xid.format_id, xid.gtrid, xid.bqual, xid.owner, xid.database, xid.prepared is not None])
                break
        else:
            raise AssertionError(f"ended {end} was not recovered")
        saw.append(conn.info.transaction_status.name)  # the look-up leaves no transaction open
        getattr(conn, end)(xid)
        saw += [count(), prepared()]
    return saw


@check
def tpc_errors(conn):
    saw = []
    xid = begun(conn, "ended error")
    raises(psycopg.ProgrammingError, conn.commit)
    raises(psycopg.ProgrammingError, conn.rollback)
    raises(errors.DivisionByZero, lambda: conn.execute("select 1/0"))
    # PREPARE TRANSACTION of what has failed is a ROLLBACK.
    saw.append(type(raises(psycopg.Error, lambda: (conn.tpc_prepare(), conn.tpc_commit()))).__name__)
    with psycopg.connect("", autocommit=True) as other:
        saw.append(raises(errors.UndefinedObject, lambda: other.tpc_rollback(xid)).sqlstate)
        # What cannot be prepared: a temporary table was used.
        other.autocommit = False
        other.tpc_begin("ended temporary")
        other.execute("create temp table ended_temporary (a int)")
        saw.append(raises(errors.FeatureNotSupported, other.tpc_prepare).sqlstate)
        other.close()
    conn.close()
    return saw, count(), prepared()


@check
def tpc_name_taken(conn):
    xid = begun(conn, "ended twice")
    conn.tpc_prepare()
    with psycopg.connect("") as other:
        begun(other, "ended twice")
        state = raises(errors.DuplicateObject, other.tpc_prepare).sqlstate
        other.close()
    assert prepared() == 1
    conn.tpc_commit()
    return state, str(xid), count(), prepared()


run()
