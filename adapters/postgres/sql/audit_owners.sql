select i.instance_no, i.started_at, i.expires_at,
       exists (
         select from pg_locks l
         where l.locktype = 'advisory' and l.classid = $1::integer::oid and l.objid = i.instance_no::oid and l.granted
           and l.database = (select oid from pg_database where datname = current_database()))
from tasker.instances i
