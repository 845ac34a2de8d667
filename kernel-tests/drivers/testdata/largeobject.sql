\pset tuples_only on
\copy (select repeat('large object ', 20000)) to 'object.txt'
\lo_import 'object.txt'
select length(lo_get(:LASTOID)), md5(lo_get(:LASTOID)) = md5(repeat('large object ', 20000) || E'\n');
\lo_export :LASTOID 'back.txt'
\! cmp object.txt back.txt && echo the same
\lo_unlink :LASTOID
select count(*) from pg_largeobject_metadata where oid = :LASTOID;
