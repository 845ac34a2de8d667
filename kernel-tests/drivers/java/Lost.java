import java.sql.*;
import java.util.*;

/** What JDBC makes of a primary that is lost while five connections use it. */
public class Lost {
    interface Body {
        Object run() throws SQLException;
    }

    static Connection connect(boolean autoCommit) throws SQLException {
        Map<String, String> env = System.getenv();
        Connection c = DriverManager.getConnection("jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/"
            + env.get("PGDATABASE") + "?sslmode=disable&loggerLevel=OFF", env.get("PGUSER"), env.get("PGPASSWORD"));
        c.setAutoCommit(autoCommit);
        return c;
    }

    static Object execute(Connection c, String sql) throws SQLException {
        try (PreparedStatement s = c.prepareStatement(sql)) {
            if (!s.execute()) return "None";
            ResultSet r = s.getResultSet();
            r.next();
            return r.getString(1);
        }
    }

    /** What the application is told, and what has become of its connection. */
    static String told(Connection c, Body body) throws SQLException {
        String saw;
        try {
            saw = String.valueOf(body.run());
        } catch (SQLException e) {
            saw = e.getSQLState() + " " + e.getClass().getSimpleName();
        }
        return saw + (c.isClosed() ? ", closed" : ", open");
    }

    static Object committed(Connection c) throws SQLException {
        c.commit();
        return "committed";
    }

    public static void main(String[] args) throws Exception {
        Connection idle = connect(true), statement = connect(false), commit = connect(false), write = connect(true), read = connect(true);
        execute(idle, "set work_mem = '7MB'");
        execute(statement, "insert into lost values (10)");
        execute(commit, "insert into lost values (20)");
        Map<String, String> said = Collections.synchronizedMap(new HashMap<>());
        List<Thread> threads = new ArrayList<>();
        String[][] running = {{"write", "insert into lost select 30 from pg_sleep(60)"}, {"read", "select count(*) from generate_series(1, 6000000)"}};
        for (String[] one : running) {
            Connection c = one[0].equals("write") ? write : read;
            Thread thread = new Thread(() -> {
                try {
                    said.put(one[0], told(c, () -> execute(c, one[1])));
                } catch (SQLException e) {
                    said.put(one[0], e.toString());
                }
            });
            thread.start();
            threads.add(thread);
        }
        System.out.println("ready");
        System.in.read(); // the primary is lost

        System.out.println("idle: " + told(idle, () -> execute(idle, "show work_mem")));
        System.out.println("statement: " + told(statement, () -> execute(statement, "insert into lost values (11)")));
        statement.rollback();
        execute(statement, "insert into lost values (10)");
        System.out.println("tried again: " + told(statement, () -> committed(statement)));
        System.out.println("commit: " + told(commit, () -> committed(commit)));
        commit.rollback();
        execute(commit, "insert into lost values (20)");
        System.out.println("tried again: " + told(commit, () -> committed(commit)));
        for (Thread thread : threads) thread.join();
        System.out.println("write: " + said.get("write"));
        System.out.println("the same connection: " + told(write, () -> execute(write, "select 1")));
        System.out.println("read: " + said.get("read"));
    }
}
