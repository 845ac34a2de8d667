"""psycopg 3 against the server that the environment names; one "ok NAME" per check."""
import datetime
import decimal
import json
import threading
import time

import psycopg
from psycopg import errors
from psycopg.types.json import Jsonb

from checks import check, raises, run

@check
def types(conn):
    for value in [1, 2**40, -1.5, "text", "", decimal.Decimal("12.340"), datetime.date(2024, 2, 29),
                  datetime.datetime(2024, 2, 29, 1, 2, 3, 456), True, None, [1, 2, None], b"\x00\xff"]:
        got = conn.execute("select %s", [value]).fetchone()[0] if not isinstance(value, str) \
            else conn.execute("select %s::text", [value]).fetchone()[0]
        assert got == value, (got, value)
    assert conn.execute("select %s", [Jsonb({"a": [1, None]})]).fetchone()[0] == {"a": [1, None]}


@check
def binary(conn):
    with conn.cursor(binary=True) as cursor:
        cursor.execute("select %b::int, %b::timestamp", [7, datetime.datetime(2024, 1, 1)])
        assert cursor.fetchone() == (7, datetime.datetime(2024, 1, 1))


@check
def prepared(conn):
    conn.prepare_threshold = 2
    for i in range(20):
        assert conn.execute("select %s::int + 1", [i]).fetchone()[0] == i + 1
    for i in range(200):  # more than are kept: the oldest are deallocated
        assert conn.execute(f"select {i} + %s::int", [1], prepare=True).fetchone()[0] == i + 1
    raises(errors.DivisionByZero, lambda: conn.execute("select 1/%s::int", [0], prepare=True))
    conn.rollback()
    assert conn.execute("select 1 + %s::int", [1], prepare=True).fetchone()[0] == 2


@check
def pipeline(conn):
    with conn.pipeline():
        cursors = [conn.execute("select %s::int", [i]) for i in range(200)]
        assert [c.fetchone()[0] for c in cursors] == list(range(200))


@check
def pipeline_error(conn):
    conn.autocommit = True
    with conn.pipeline() as pipe:
        good = conn.execute("select 1")
        pipe.sync()
        assert good.fetchone()[0] == 1
        # The error is raised by whichever call happens to read it.
        raises(errors.DivisionByZero, lambda: conn.execute("select 1/0").fetchone())
        pipe.sync()
        assert conn.execute("select 2").fetchone()[0] == 2


@check
def transactions(conn):
    conn.autocommit = True
    conn.execute("create temp table tx (a int)")
    with conn.transaction():
        conn.execute("insert into tx values (1)")
        try:
            with conn.transaction():
                conn.execute("insert into tx values (2)")
                conn.execute("select 1/0")
        except errors.DivisionByZero:
            pass
    assert conn.execute("select array_agg(a) from tx").fetchone()[0] == [1]


@check
def copy(conn):
    conn.execute("create temp table copied (a int, b text)")
    with conn.cursor() as cursor:
        with cursor.copy("copy copied from stdin") as copy:
            for i in range(20000):
                copy.write_row((i, "x" * (i % 50)))
        with cursor.copy("copy (select * from copied order by a) to stdout") as copy:
            copy.set_types(["int4", "text"])
            rows = list(copy.rows())
    assert len(rows) == 20000 and rows[49] == (49, "x" * 49)


@check
def copy_error(conn):
    conn.execute("create temp table copied (a int)")
    conn.commit()

    def client_fails():
        with conn.cursor().copy("copy copied from stdin") as copy:
            copy.write("1\n")
            raise KeyError("client fails")

    def data_fail():
        with conn.cursor().copy("copy copied from stdin") as copy:
            copy.write("x\n" + "1\n" * 1000000)

    raises((KeyError, errors.QueryCanceled), client_fails)  # by version
    conn.rollback()
    raises(errors.InvalidTextRepresentation, data_fail)
    conn.rollback()
    assert conn.execute("select count(*) from copied").fetchone()[0] == 0


@check
def server_cursor(conn):
    with conn.cursor(name="served") as cursor:
        cursor.itersize = 100
        cursor.execute("select i from generate_series(1, 1000) i")
        assert sum(row[0] for row in cursor) == 500500
    with conn.cursor(name="scrolled", scrollable=True) as cursor:
        cursor.execute("select i from generate_series(1, 10) i")
        cursor.scroll(5)
        assert cursor.fetchone()[0] == 6


@check
def listen(conn):
    conn.autocommit = True
    conn.execute("listen py_channel")
    with psycopg.connect("", autocommit=True) as other:
        other.execute("select pg_notify('py_channel', i::text) from generate_series(1, 3) i")
    seen = []
    for notification in conn.notifies():
        seen.append(notification.payload)
        if len(seen) == 3:
            break
    assert seen == ["1", "2", "3"], seen
    conn.execute("unlisten *")


@check
def cancel(conn):
    # The first row proves that the statement runs when the cancel is sent.
    conn.autocommit = True
    stop = threading.Event()

    def cancel_until_done():
        while not stop.wait(0.2):
            conn.cancel()

    thread = threading.Thread(target=cancel_until_done)
    thread.start()
    try:
        raises(errors.QueryCanceled, lambda: conn.execute("select pg_sleep(60)"))
    finally:
        stop.set()
        thread.join()
    # A cancel that came late would hit this one.
    for attempt in range(3):
        try:
            assert conn.execute("select 'alive'").fetchone()[0] == "alive"
            return
        except errors.QueryCanceled:
            time.sleep(0.2)
    raise AssertionError("still cancelled after the last cancel")


@check
def notices(conn):
    seen = []
    conn.add_notice_handler(lambda diagnostic: seen.append(diagnostic.message_primary))
    conn.execute("do $$ begin for i in 1..50 loop raise notice 'n%', i; end loop; end $$")
    assert seen == [f"n{i}" for i in range(1, 51)], json.dumps(seen)


run()
