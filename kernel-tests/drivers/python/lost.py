"""What psycopg 3, or psycopg2, makes of a primary that is lost while five connections use it."""
import importlib
import sys
import threading

module = importlib.import_module(sys.argv[1])


def connect(autocommit):
    conn = module.connect("")
    conn.autocommit = autocommit
    return conn


def execute(conn, sql):
    cursor = conn.cursor()
    cursor.execute(sql)
    return cursor.fetchone()[0] if cursor.description else None


def told(conn, function):
    """What the application is told, and what has become of its connection."""
    try:
        saw = str(function())
    except module.Error as error:
        state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
        saw = f"{state} {type(error).__name__}"
    return saw + (", closed" if conn.closed else ", open")


idle, statement, commit, write, read = [connect(auto) for auto in (True, False, False, True, True)]
execute(idle, "set work_mem = '7MB'")
execute(statement, "insert into lost values (10)")
execute(commit, "insert into lost values (20)")
said = {}
threads = [
    threading.Thread(target=lambda: said.update(write=told(write, lambda: execute(write, WRITE)))),
    threading.Thread(target=lambda: said.update(read=told(read, lambda: execute(read, READ)))),
]
WRITE = "insert into lost select 30 from pg_sleep(60)"
READ = "select count(*) from generate_series(1, 6000000)"
for thread in threads:
    thread.start()
print("ready", flush=True)
sys.stdin.readline()  # the primary is lost

print("idle:", told(idle, lambda: execute(idle, "show work_mem")))
print("statement:", told(statement, lambda: execute(statement, "insert into lost values (11)")))
statement.rollback()
execute(statement, "insert into lost values (10)")
statement.commit()
print("tried again:", told(statement, lambda: "committed"))
print("commit:", told(commit, commit.commit))
commit.rollback()
execute(commit, "insert into lost values (20)")
print("tried again:", told(commit, lambda: commit.commit() or "committed"))
for thread in threads:
    thread.join()
print("write:", said["write"])
print("the same connection:", told(write, lambda: execute(write, "select 1")))
print("read:", said["read"])
