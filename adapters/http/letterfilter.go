package http

import (
	"encoding/json"
	"strings"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

// word reads one of a closed set of words.
func word[W any](into *W, parse func(string) (W, error)) func(string, json.RawMessage) error {
	return func(path string, raw json.RawMessage) error {
		var s string
		if err := readText(path, raw, &s); err != nil {
			return err
		}
		w, err := parseWord(path, s, parse)
		*into = w
		return err
	}
}

// choices are the words of the enumerations, as they are written.
var choices = map[string]string{
	"reason": pascals(deadletter.Reasons()), "status": pascals(deadletter.Statuses()),
}

func pascals[W interface{ String() string }](all []W) string {
	words := make([]string, len(all))
	for i, w := range all {
		words[i] = deadletter.Pascal(w.String())
	}
	return strings.Join(words, ", ")
}

// parseWord parses a word, and never repeats it.
func parseWord[W any](path, s string, parse func(string) (W, error)) (W, error) {
	w, err := parse(s)
	if err != nil {
		of := choices["status"]
		if _, reason := any(w).(deadletter.Reason); reason {
			of = choices["reason"]
		}
		return w, fault.In(path, fault.CodeInvalidField, "%s is none of %s", path, of)
	}
	return w, nil
}

// filter reads the parameters.
func (q *LetterQuery) filter() (ports.LetterFilter, error) {
	f := ports.LetterFilter{Namespace: q.Namespace, Name: q.Name, Version: q.Version, Fingerprint: q.Fingerprint}
	var err error
	if q.ResolutionStatus != "" {
		if f.Status, err = parseWord("resolution_status", q.ResolutionStatus, deadletter.ParseStatus); err != nil {
			return f, err
		}
	}
	if q.Reason != "" {
		for _, s := range strings.Split(q.Reason, ",") {
			r, err := parseWord("reason", s, deadletter.ParseReason)
			if err != nil {
				return f, err
			}
			f.Reasons = append(f.Reasons, r)
		}
	}
	if q.From != "" {
		if err := parseTime("from", q.From, &f.From); err != nil {
			return f, err
		}
	}
	if q.Until != "" {
		err = parseTime("until", q.Until, &f.Until)
	}
	return f, err
}

// filterFields reads the same from a body, where a reason is a word or an array
// of them.
func filterFields(f *ports.LetterFilter) fields {
	return fields{
		"resolution_status": word(&f.Status, deadletter.ParseStatus), "namespace": text(&f.Namespace), "name": text(&f.Name),
		"version": text(&f.Version), "fingerprint": text(&f.Fingerprint), "from": moment(&f.From), "until": moment(&f.Until),
		"reason": func(path string, raw json.RawMessage) error {
			one := func(path string, raw json.RawMessage) error {
				var r deadletter.Reason
				err := word(&r, deadletter.ParseReason)(path, raw)
				f.Reasons = append(f.Reasons, r)
				return err
			}
			if raw[0] == '[' {
				return readItems(path, raw, one)
			}
			return one(path, raw)
		},
	}
}
