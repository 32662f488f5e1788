package postgres

import "strings"

// listed is what a filter of tasks selects, as $1 to $14 of lister.selection.
// Statements are planned for their arguments, so that what is not asked for
// costs nothing; see beginList. The offsets keep the planner from reading all
// failures there are.
const listed = `
      ($1::text[] is null or t.namespace = any ($1))
  and ($2::text[] is null or t.state = any ($2))
  and ($3::bigint[] is null or t.template_id = any ($3))
  and ($4::text is null or t.initiator = $4)
  and ($5::text is null or t.source_system = $5)
  and ($6::text[] is null or t.tags ?& $6)
  and ($7::uuid is null or t.correlation_id = $7)
  and ($8::timestamptz is null or t.created_at >= $8)
  and ($9::timestamptz is null or t.created_at < $9)
  and ($10::timestamptz is null or t.updated_at >= $10)
  and ($11::timestamptz is null or t.updated_at < $11)
  and ($12::timestamptz is null or t.completed_at >= $12)
  and ($13::timestamptz is null or t.completed_at < $13)
  and ($14::text is null
    or (t.failed > 0 or t.retrying > 0 or t.state = 'error') and exists (
      select from tasker.workflow_steps s
      where s.task_id = t.task_id and s.state in ('error', 'waiting_for_retry')
        and (s.failure->>'message' ilike $14 or s.failure->>'error_type' ilike $14) offset 0)
    or t.letters > 0 and exists (
      select from tasker.tasks_dlq d
      join tasker.dlq_failures f on f.dlq_entry_uuid = d.dlq_entry_uuid
      where d.task_id = t.task_id and (f.message ilike $14 or f.error_type ilike $14) offset 0))`

// The bounds of the ids of what is selected.
const (
	taskBounds   = ` t.task_id >= $15 and t.task_id < $16`
	letterBounds = ` d.task_id >= $15 and d.task_id < $16`
)

// $17 says whether the list is one of tasks that have ended.
const sqlCountTasks = `-- name: CountTasks :one
select count(*) from tasker.tasks t
where` + taskBounds + ` and (not $17::boolean or t.completed_at is not null) and` + listed

// Only the two ends, each found by itself.
const sqlListEnds = `-- name: ListEnds :one
select (select t.task_id from tasker.tasks t order by t.task_id limit 1),
       (select t.task_id from tasker.tasks t order by t.task_id desc limit 1)`

// What ended in a span of time, by its time; updated_at is the same then.
const endedWithin = `
      t.completed_at is not null
  and t.completed_at >= coalesce(greatest($10::timestamptz, $12::timestamptz), '-infinity')
  and t.completed_at < coalesce(least($11::timestamptz, $13::timestamptz), 'infinity')`

// Whether few have: more than $5 are many.
const sqlCountEnded = `-- name: CountEnded :one
select count(*) from (
  select from tasker.tasks t
  where t.completed_at >= coalesce(greatest($1::timestamptz, $2::timestamptz), '-infinity')
    and t.completed_at < coalesce(least($3::timestamptz, $4::timestamptz), 'infinity')
  limit $5
) few`

// gathered makes one row of the $17 rows that a leg reads in the order of the
// list: how many there were, which of them are selected, and the last one.
func gathered(rows string) string {
	return `
select count(*)::integer as read,
       coalesce(array_agg(y.task_id) filter (where y.hit), '{}') as ids, coalesce(array_agg(y.at) filter (where y.hit), '{}') as times,
       (array_agg(y.task_id))[count(*)::integer] as last_id, (array_agg(y.at))[count(*)::integer] as last_at
from (` + rows + `) y`
}

// directed is a statement for the newest first, and one for the oldest first.
type directed struct{ desc, asc string }

func bothWays(name, sql string) directed {
	sql = "-- name: " + name + " :many\n" + sql
	return directed{
		desc: strings.NewReplacer("{<}", "<", "{desc}", "desc", "{far}", "'infinity'").Replace(sql),
		asc:  strings.NewReplacer("{<}", ">", "{desc}", "asc", "{far}", "'-infinity'").Replace(sql),
	}
}

// A list by creation has no times: ids say the order.
const noTime = `coalesce($18::timestamptz, 'epoch') as at`

var (
	// All tasks, along the primary key.
	sqlWalkTasks = bothWays("WalkTasks", gathered(`
  select t.task_id, `+noTime+`, (`+listed+`) as hit
  from tasker.tasks t
  where`+taskBounds+` and t.task_id {<} $19
  order by t.task_id {desc} limit $17`))

	// Each namespace and state is one run of tasks_by_state in the order of ids.
	// The rows are read by the order of that whole index, on beyond the end of the
	// run, so that no other index will do: along the primary key, all tasks would
	// be looked at for a state that none is in.
	sqlWalkStates = bothWays("WalkStates", `
select r.leg::integer, g.*
from unnest($18::text[], $19::text[], $20::uuid[]) with ordinality as r(namespace, state, after, leg)
cross join lateral (`+gathered(`
  select z.task_id, z.at, z.hit
  from (
    select t.task_id, timestamptz 'epoch' as at, t.namespace = r.namespace and t.state = r.state and`+taskBounds+` as own,
           (`+listed+`) as hit
    from tasker.tasks t
    where (t.namespace, t.state, t.task_id) {<} (r.namespace, r.state, r.after)
    order by t.namespace {desc}, t.state {desc}, t.task_id {desc} limit $17
  ) z where z.own`)+`) g`)

	// Tasks that have had a dead letter, by what is in it.
	sqlWalkLetters = bothWays("WalkLetters", gathered(`
  select l.task_id, `+noTime+`,
         case when exists (
             select from tasker.dlq_failures f
             where f.dlq_entry_uuid = l.dlq_entry_uuid and (f.message ilike $14 or f.error_type ilike $14) offset 0)
           then (select (`+listed+`) from tasker.tasks t where t.task_id = l.task_id)
           else false end as hit
  from (
    select d.task_id, d.dlq_entry_uuid from tasker.tasks_dlq d
    where`+letterBounds+` and d.task_id {<} $19
    order by d.task_id {desc}, d.ordinal {desc} limit $17
  ) l`))

	// Ended tasks of a correlation: the index holds them by the span of time that
	// their id is from, so each of the spans $20 to $21 is asked.
	sqlWalkCorrelation = bothWays("WalkCorrelation", gathered(`
  select t.task_id, `+noTime+`, (`+listed+`) as hit
  from generate_series($20::integer, $21::integer) as b(span)
  cross join lateral (
    select t.* from tasker.tasks t
    where tasker.id_span(t.task_id) = b.span and t.correlation_id = $7 and t.completed_at is not null offset 0
  ) t
  where`+taskBounds+` and t.task_id {<} $19
  order by t.task_id {desc} limit $17`))

	// Ended tasks of a span of time that holds few of them, by their ids.
	sqlWalkEndedFew = bothWays("WalkEndedFew", gathered(`
  select t.task_id, `+noTime+`, (`+listed+`) as hit
  from (select t.* from tasker.tasks t where`+endedWithin+` offset 0) t
  where`+taskBounds+` and t.task_id {<} $19
  order by t.task_id {desc} limit $17`))

	// Ended tasks by the time of their end.
	sqlWalkEnded = bothWays("WalkEnded", gathered(`
  select t.task_id, t.completed_at as at, (`+listed+`) as hit
  from tasker.tasks t
  where`+endedWithin+` and`+taskBounds+` and (t.completed_at, t.task_id) {<} (coalesce($18::timestamptz, {far}), $19)
  order by t.completed_at {desc}, t.task_id {desc} limit $17`))

	// Open tasks by their last change: all of them are read, since an index that
	// held the time would have to be told of every change.
	sqlWalkOpen = bothWays("WalkOpen", gathered(`
  select t.task_id, t.updated_at as at, (`+listed+`) as hit
  from tasker.tasks t
  where t.namespace = any ($20::text[]) and t.state = any ($21::text[]) and`+taskBounds+`
    and (t.updated_at, t.task_id) {<} (coalesce($18::timestamptz, {far}), $19)
  order by t.updated_at {desc}, t.task_id {desc} limit $17`))
)
