package main

import (
	"context"
	"sort"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
)

// counter counts, as a tracer of pgx, what is sent to PostgreSQL. Statements in
// a pipeline count one by one. It is safe for concurrent use.
type counter struct {
	statements   atomic.Int64
	transactions atomic.Int64
	byText       bool // whether to keep texts

	mu    sync.Mutex
	texts map[string]int64
}

var (
	_ pgx.QueryTracer = (*counter)(nil)
	_ pgx.BatchTracer = (*counter)(nil)
)

func newCounter(byText bool) *counter { return &counter{byText: byText, texts: map[string]int64{}} }

// TraceQueryStart implements pgx.QueryTracer.
func (c *counter) TraceQueryStart(ctx context.Context, conn *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	c.count(conn, q.SQL)
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (c *counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TraceBatchStart implements pgx.BatchTracer.
func (c *counter) TraceBatchStart(ctx context.Context, conn *pgx.Conn, b pgx.TraceBatchStartData) context.Context {
	texts := make([]string, len(b.Batch.QueuedQueries))
	for i, q := range b.Batch.QueuedQueries {
		texts[i] = q.SQL
	}
	c.count(conn, texts...)
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer. The batch was counted as it was
// sent.
func (c *counter) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (c *counter) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func (c *counter) count(conn *pgx.Conn, texts ...string) {
	const idle = 'I'
	c.statements.Add(int64(len(texts)))
	c.transactions.Add(int64(commits(conn.PgConn().TxStatus() != idle, texts)))
	if !c.byText {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range texts {
		c.texts[label(t)]++
	}
}

// commits returns how many transactions the statements, sent together, commit:
// each commit is one, and so is what runs outside of any transaction, which
// commits by itself.
func commits(open bool, texts []string) (n int) {
	loose := false // statements since the last commit, under no begin
	for _, t := range texts {
		switch first, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(t)), " "); first {
		case "begin", "start":
			open = true
		case "commit":
			n++
			open = false
		case "rollback":
			open = strings.Contains(strings.ToLower(t), " to ")
		default:
			loose = loose || !open
		}
	}
	if loose {
		n++
	}
	return n
}

// label shortens a statement to its first words that are not a comment.
func label(sql string) string {
	var words []string
	for line := range strings.Lines(sql) {
		if text, _, _ := strings.Cut(line, "--"); strings.TrimSpace(text) != "" {
			words = append(words, strings.Fields(text)...)
		}
	}
	const longest = 90
	text := strings.Join(words, " ")
	if len(text) > longest {
		text = text[:longest] + "…"
	}
	return text
}

// counted is a reading of a counter.
type counted struct {
	statements, transactions int64
	texts                    map[string]int64
}

func (c *counter) read() counted {
	r := counted{statements: c.statements.Load(), transactions: c.transactions.Load()}
	if c.byText {
		r.texts = map[string]int64{}
		c.mu.Lock()
		defer c.mu.Unlock()
		for k, v := range c.texts {
			r.texts[k] = v
		}
	}
	return r
}

// since returns what was counted after an earlier reading.
func (r counted) since(earlier counted) counted {
	d := counted{statements: r.statements - earlier.statements, transactions: r.transactions - earlier.transactions}
	if r.texts != nil {
		d.texts = map[string]int64{}
		for k, v := range r.texts {
			if n := v - earlier.texts[k]; n != 0 {
				d.texts[k] = n
			}
		}
	}
	return d
}

// busiest returns the texts, most frequent first.
func (r counted) busiest() []string {
	var texts []string
	for k := range r.texts {
		texts = append(texts, k)
	}
	sort.Slice(texts, func(i, j int) bool {
		if r.texts[texts[i]] != r.texts[texts[j]] {
			return r.texts[texts[i]] > r.texts[texts[j]]
		}
		return texts[i] < texts[j]
	})
	return texts
}
