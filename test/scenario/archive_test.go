package scenario_test

import (
	"fmt"
	"strings"
)

// section is a part of a scenario file, with the number of its first line.
type section struct {
	name, text string
	line       int
}

// sections reads the txtar format: a line "-- name --" begins a section. What is
// before the first is a comment.
func sections(text string) ([]section, error) {
	var all []section
	no := 0
	for line := range strings.Lines(text) {
		no++
		name, is := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "-- ")
		name, closed := strings.CutSuffix(name, " --")
		if is && closed {
			all = append(all, section{name: strings.TrimSpace(name), line: no + 1})
			continue
		}
		if len(all) > 0 {
			all[len(all)-1].text += line
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no section: want lines such as %q", "-- script --")
	}
	return all, nil
}

// command is one line of a script.
type command struct {
	line    int
	refusal string // the code that it is to be refused with; empty when it is to be carried out
	name    string
	words   []string
	raw     []string // the same with their quotes
	options map[string]string
	block   []string // the indented lines that follow
	used    map[string]bool
}

// word returns the i-th word after the name, or empty.
func (c *command) word(i int) string {
	if i < len(c.words) {
		return c.words[i]
	}
	return ""
}

// json returns the i-th word as it is written, or empty.
func (c *command) json(i int) string {
	if i < len(c.raw) {
		return c.raw[i]
	}
	return ""
}

// option returns the value of an option, empty when it was not given.
func (c *command) option(name string) string {
	c.used[name] = true
	return c.options[name]
}

// or returns the value of an option, or what to take instead.
func (c *command) or(name, otherwise string) string {
	if v, ok := c.options[name]; ok {
		c.used[name] = true
		return v
	}
	return otherwise
}

// commands reads a script.
func commands(s section) ([]*command, error) {
	var all []*command
	no := s.line - 1
	for line := range strings.Lines(s.text) {
		no++
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || strings.HasPrefix(trimmed, "#") {
			continue
		}
		if line[0] == ' ' || line[0] == '\t' {
			if len(all) == 0 {
				return nil, fmt.Errorf("line %d is indented, and no command is before it", no)
			}
			last := all[len(all)-1]
			last.block = append(last.block, trimmed)
			continue
		}
		c, err := parse(trimmed)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", no, err)
		}
		c.line = no
		all = append(all, c)
	}
	return all, nil
}

func parse(line string) (*command, error) {
	words, err := split(line)
	if err != nil {
		return nil, err
	}
	c := &command{options: map[string]string{}, used: map[string]bool{}}
	if words[0] == "!" {
		if len(words) < 3 {
			return nil, fmt.Errorf("want ! code command")
		}
		c.refusal, words = words[1], words[2:]
	}
	c.name = words[0]
	for _, w := range words[1:] {
		if name, value, ok := strings.Cut(w, "="); ok && isName(name) {
			c.options[name] = unquote(value)
			continue
		}
		c.words, c.raw = append(c.words, unquote(w)), append(c.raw, w)
	}
	return c, nil
}

// isName tells the name of an option from the beginning of anything else.
func isName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_-0123456789") == ""
}

func unquote(w string) string {
	if len(w) >= 2 && w[0] == '"' && w[len(w)-1] == '"' && !strings.Contains(w[1:len(w)-1], `"`) {
		return w[1 : len(w)-1]
	}
	return w
}

// split cuts a line at spaces that are neither within quotes nor brackets.
func split(line string) ([]string, error) {
	var (
		words  []string
		word   strings.Builder
		depth  int
		quoted bool
	)
	for _, c := range line + " " {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ' ' && depth == 0:
			if word.Len() > 0 {
				words = append(words, word.String())
				word.Reset()
			}
			continue
		}
		word.WriteRune(c)
	}
	if quoted || depth != 0 {
		return nil, fmt.Errorf("a quote or a bracket is not closed: %s", line)
	}
	return words, nil
}
