\set SHOW_CONTEXT never
set client_min_messages = warning;
drop table if exists psql_item;
reset client_min_messages;
create table psql_item (id int primary key, name text not null default 'none', made date);
\d psql_item
insert into psql_item values (1, 'one', '2024-01-01'), (2, 'two', null) returning id;
select * from psql_item order by id;
\x on
select * from psql_item order by id;
\x off
begin;
update psql_item set name = 'changed' where id = 1;
select name from psql_item where id = 1;
rollback;
select name from psql_item where id = 1 \gset found_
\echo :found_name
select 'select ' || i from generate_series(1, 3) i \gexec
select 1 \; select 2;
select 3 as described, 'x'::text as as_text \gdesc
select format('%s-%s', 'a', null);
explain (costs off) select * from psql_item where id = 1;
listen psql_channel;
notify psql_channel, 'hello';
unlisten *;
do $$ begin raise notice 'a notice'; raise warning 'a warning'; end $$;
drop table psql_item;
