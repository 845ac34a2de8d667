\set FETCH_COUNT 100
select count(*), sum(i) from generate_series(1, 1000) i;
\pset format unaligned
\pset tuples_only on
select i from generate_series(1, 250) i;
\unset FETCH_COUNT
begin;
declare c cursor for select i from generate_series(1, 5) i;
fetch 2 from c;
fetch all from c;
commit;
prepare p(int) as select $1 * 2;
execute p(21);
deallocate p;
