selec 1;
select no_such_column;
begin;
select 1/0;
select 'in a failed transaction';
commit;
\set ON_ERROR_ROLLBACK on
begin;
select 'x'::int;
select 'saved by a savepoint';
commit;
select 1 as a; select 1/0; select 'goes on';
insert into no_such_table values (1);
\copy no_such_table from stdin
