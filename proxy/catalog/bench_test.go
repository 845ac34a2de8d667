package catalog

import "testing"

// large is a database of 2,000 functions of about 1 KB, 5,000 tables with a default, a check and a foreign key,
// every fifth of them with a trigger, and 500 views.
const large = `DO $do$ BEGIN
FOR i IN 1..2000 LOOP
  EXECUTE format('CREATE FUNCTION f%s() RETURNS trigger LANGUAGE plpgsql AS %L', i,
    'BEGIN ' || repeat('UPDATE some_table SET x = y + 1 WHERE z = NEW.z; ', 20) || ' RETURN NEW; END');
END LOOP;
FOR i IN 1..5000 LOOP
  EXECUTE format('CREATE TABLE t%s (id serial PRIMARY KEY, a int CHECK (a > 0), b timestamptz DEFAULT now(), p int REFERENCES t%s ON DELETE CASCADE)', i, greatest(1, i / 2));
  IF i % 5 = 0 THEN EXECUTE format('CREATE TRIGGER t BEFORE INSERT ON t%s FOR EACH ROW EXECUTE FUNCTION f%s()', i, i % 2000 + 1); END IF;
  IF i % 10 = 0 THEN EXECUTE format('CREATE VIEW v%s AS SELECT x.id, y.a, count(*) FROM t%s x JOIN t%s y ON x.id = y.p GROUP BY 1, 2', i, i, i - 1); END IF;
  IF i % 500 = 0 THEN COMMIT; END IF; -- each needs locks
END LOOP; END $do$`

// BenchmarkQuestion measures the whole answer, the answer that nothing changed, and Read.
func BenchmarkQuestion(b *testing.B) {
	d := start(b)
	d.exec(b, large)
	b.Run("not analyzed", func(b *testing.B) {
		for b.Loop() {
			d.rows(b, Question(nil))
		}
	})
	d.exec(b, "ANALYZE")
	s := d.snapshot(b, nil)
	rows := d.rows(b, Question(nil))
	b.Run("whole", func(b *testing.B) {
		for b.Loop() {
			d.rows(b, Question(nil))
		}
		b.ReportMetric(float64(len(rows)), "rows")
	})
	b.Run("unchanged", func(b *testing.B) {
		for b.Loop() {
			d.rows(b, Question(s))
		}
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			if _, err := Read(nil, rows); err != nil {
				b.Fatal(err)
			}
		}
	})
}
