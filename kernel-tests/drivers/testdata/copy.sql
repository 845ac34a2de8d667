create temp table psql_copy (a int, b text);
\copy psql_copy from stdin
1	one
2	\N
3	three
\.
copy psql_copy from stdin with (format csv);
4,"four, quoted"
5,
\.
\copy (select * from psql_copy order by a) to stdout with (format csv, header)
\copy psql_copy to 'copied.txt'
truncate psql_copy;
\copy psql_copy from 'copied.txt'
select count(*), sum(a) from psql_copy;
\copy psql_copy from stdin
wrong	line
6	six
\.
select count(*) from psql_copy;
insert into psql_copy select i, repeat('x', 100) from generate_series(1, 30000) i;
\copy psql_copy to 'large.txt'
truncate psql_copy;
\copy psql_copy from 'large.txt'
select count(*), sum(length(b)) from psql_copy;
