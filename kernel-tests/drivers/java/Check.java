import java.io.StringReader;
import java.io.StringWriter;
import java.sql.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.largeobject.*;

/** JDBC against the server that the environment names; one "ok NAME" per check. */
public class Check {
    interface Body {
        void run(Connection c) throws Exception;
    }

    static Connection connect(String options) throws SQLException {
        Map<String, String> env = System.getenv();
        String url = "jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/" + env.get("PGDATABASE")
            + "?sslmode=disable&loggerLevel=OFF" + options;
        return DriverManager.getConnection(url, env.get("PGUSER"), env.get("PGPASSWORD"));
    }

    static void check(String name, String options, Body body) throws Exception {
        try (Connection c = connect(options)) {
            body.run(c);
            if (!c.getAutoCommit()) c.rollback();
            equal("1", one(c, "select 1"));
        } catch (Exception e) {
            throw new Exception(name, e);
        }
        System.out.println("ok " + name);
    }

    static void equal(Object want, Object got) {
        if (!Objects.equals(want, got)) throw new AssertionError("got " + got + ", want " + want);
    }

    static String one(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(sql)) {
            r.next();
            return r.getString(1);
        }
    }

    static void exec(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute(sql);
        }
    }

    interface Failing {
        void run() throws Exception;
    }

    static SQLException fails(String state, Failing f) throws Exception {
        try {
            f.run();
        } catch (SQLException e) {
            equal(state, e.getSQLState());
            return e;
        }
        throw new AssertionError("no error, expected " + state);
    }

    public static void main(String[] args) throws Exception {
        check("types", "", Check::types);
        check("prepared", "&prepareThreshold=1", Check::prepared);
        check("prepared in binary", "&prepareThreshold=-1", Check::prepared);
        check("simple mode", "&preferQueryMode=simple", Check::prepared);
        check("batch", "&prepareThreshold=1", Check::batch);
        check("batch rewritten", "&reWriteBatchedInserts=true", Check::batch);
        check("transactions", "&prepareThreshold=1", Check::transactions);
        check("autosave", "&autosave=always&prepareThreshold=1", Check::autosave);
        check("fetch size", "", Check::fetchSize);
        check("copy", "", Check::copy);
        check("large object", "", Check::largeObject);
        check("cancel", "", Check::cancel);
    }

    static void types(Connection c) throws Exception {
        try (PreparedStatement s = c.prepareStatement("select ?::int, ?::text, ?::numeric, ?::date, ?::int[], ?::bytea, ?::text")) {
            s.setInt(1, 42);
            s.setString(2, "gr\u00fc\u00dfe");
            s.setBigDecimal(3, new java.math.BigDecimal("12.340"));
            s.setDate(4, java.sql.Date.valueOf("2024-02-29"));
            s.setArray(5, c.createArrayOf("int4", new Integer[] {1, null, 3}));
            s.setBytes(6, new byte[] {0, -1});
            s.setNull(7, Types.VARCHAR);
            try (ResultSet r = s.executeQuery()) {
                r.next();
                equal(42, r.getInt(1));
                equal("gr\u00fc\u00dfe", r.getString(2));
                equal(new java.math.BigDecimal("12.340"), r.getBigDecimal(3));
                equal("2024-02-29", r.getDate(4).toString());
                equal(Arrays.asList(1, null, 3), Arrays.asList((Integer[]) r.getArray(5).getArray()));
                equal(-1, (int) r.getBytes(6)[1]);
                equal(null, r.getString(7));
            }
        }
    }

    static void prepared(Connection c) throws Exception {
        try (PreparedStatement s = c.prepareStatement("select 100 / ?::int")) {
            for (int i = 1; i <= 20; i++) {
                s.setInt(1, i);
                try (ResultSet r = s.executeQuery()) {
                    r.next();
                    equal(100 / i, r.getInt(1));
                }
            }
            s.setInt(1, 0);
            fails("22012", s::executeQuery);
            s.setInt(1, 5);
            try (ResultSet r = s.executeQuery()) {
                r.next();
                equal(20, r.getInt(1));
            }
        }
        // More statements than the driver keeps: the oldest are closed.
        for (int i = 0; i < 400; i++) {
            equal(String.valueOf(i), one(c, "select " + i));
        }
    }

    static void batch(Connection c) throws Exception {
        exec(c, "create temp table batch (a int primary key, b text)");
        c.setAutoCommit(false);
        try (PreparedStatement s = c.prepareStatement("insert into batch values (?, ?)")) {
            for (int i = 0; i < 2000; i++) {
                s.setInt(1, i);
                s.setString(2, "x".repeat(i % 100));
                s.addBatch();
            }
            s.executeBatch();
            c.commit();
            equal("2000", one(c, "select count(*) from batch"));
            for (int i : new int[] {5000, 5001, 1, 5002}) {
                s.setInt(1, i);
                s.setString(2, "");
                s.addBatch();
            }
            fails("23505", s::executeBatch);
            c.rollback();
        }
        equal("2000", one(c, "select count(*) from batch"));
        try (Statement s = c.createStatement()) {
            s.addBatch("delete from batch where a < 1000");
            s.addBatch("update batch set b = 'y'");
            equal(Arrays.toString(new int[] {1000, 1000}), Arrays.toString(s.executeBatch()));
        }
        try (PreparedStatement s = c.prepareStatement("insert into batch values (?, 'k')", Statement.RETURN_GENERATED_KEYS)) {
            s.setInt(1, 9000);
            s.executeUpdate();
            ResultSet keys = s.getGeneratedKeys();
            keys.next();
            equal(9000, keys.getInt(1));
        }
        c.commit();
    }

    static void transactions(Connection c) throws Exception {
        exec(c, "create temp table tx (a int)");
        c.setAutoCommit(false);
        exec(c, "insert into tx values (1)");
        Savepoint savepoint = c.setSavepoint("before");
        fails("22012", () -> exec(c, "insert into tx values (1/0)"));
        fails("25P02", () -> exec(c, "select 1"));
        c.rollback(savepoint);
        exec(c, "insert into tx values (2)");
        c.commit();
        equal("2", one(c, "select count(*) from tx"));
        c.rollback();
        c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
        equal("serializable", one(c, "show transaction_isolation"));
        c.rollback();
        c.setReadOnly(true);
        fails("25006", () -> exec(c, "create table never (a int)"));
        c.rollback();
        c.setReadOnly(false);
        c.setAutoCommit(true);
    }

    /** The driver puts a savepoint before every statement: Query inside an extended sequence. */
    static void autosave(Connection c) throws Exception {
        exec(c, "create temp table saved (a int)");
        c.setAutoCommit(false);
        try (PreparedStatement s = c.prepareStatement("insert into saved values (10 / ?::int)")) {
            for (int i : new int[] {1, 0, 2, 0, 5}) {
                s.setInt(1, i);
                if (i == 0) fails("22012", s::executeUpdate);
                else equal(1, s.executeUpdate());
            }
        }
        c.commit();
        equal("{10,5,2}", one(c, "select array_agg(a) from saved"));
        c.commit();
    }

    static void fetchSize(Connection c) throws Exception {
        c.setAutoCommit(false);
        try (Statement s = c.createStatement()) {
            s.setFetchSize(100);
            long sum = 0;
            try (ResultSet r = s.executeQuery("select i from generate_series(1, 1050) i")) {
                while (r.next()) {
                    sum += r.getLong(1);
                    if (r.getLong(1) == 500) equal("inner", one(c, "select 'inner'"));
                }
            }
            equal(1050L * 1051 / 2, sum);
        }
        c.commit();
    }

    static void copy(Connection c) throws Exception {
        exec(c, "create temp table copied (a int, b text)");
        CopyManager copies = c.unwrap(PGConnection.class).getCopyAPI();
        String rows = "1\txxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n".repeat(20000);
        equal(20000L, copies.copyIn("copy copied from stdin", new StringReader(rows)));
        StringWriter out = new StringWriter();
        equal(20000L, copies.copyOut("copy copied to stdout", out));
        equal(rows, out.toString());
        fails("22P02", () -> copies.copyIn("copy copied from stdin", new StringReader("x\ty\n" + rows)));
        equal("20000", one(c, "select count(*) from copied"));
        org.postgresql.copy.CopyIn in = copies.copyIn("copy copied from stdin");
        byte[] row = "1\tx\n".getBytes();
        in.writeToCopy(row, 0, row.length);
        in.cancelCopy();
        equal("20000", one(c, "select count(*) from copied"));
    }

    static void largeObject(Connection c) throws Exception {
        c.setAutoCommit(false);
        LargeObjectManager objects = c.unwrap(PGConnection.class).getLargeObjectAPI();
        byte[] data = new byte[300000];
        new Random(1).nextBytes(data);
        long oid = objects.createLO();
        LargeObject object = objects.open(oid, LargeObjectManager.READWRITE);
        object.write(data);
        object.seek(0);
        if (!Arrays.equals(data, object.read(data.length))) throw new AssertionError("read something else back");
        object.close();
        objects.unlink(oid);
        c.commit();
    }

    static void cancel(Connection c) throws Exception {
        try (Statement s = c.createStatement()) {
            s.setQueryTimeout(1);
            fails("57014", () -> s.execute("select pg_sleep(60)"));
            s.setQueryTimeout(0);
            s.execute("select 1");
        }
        // Another thread cancels until it is done; the statement after that is not hit.
        try (Statement s = c.createStatement()) {
            Thread other = new Thread(() -> {
                try {
                    while (!Thread.interrupted()) {
                        Thread.sleep(200);
                        s.cancel();
                    }
                } catch (InterruptedException e) {
                    // done
                } catch (SQLException e) {
                    throw new RuntimeException(e);
                }
            });
            other.start();
            fails("57014", () -> s.execute("select pg_sleep(60)"));
            other.interrupt();
            other.join();
            s.execute("select 1");
        }
    }
}
