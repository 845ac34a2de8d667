package config

import (
	"fmt"
	"maps"
)

// Named finds a parameter by a name as a file would have it, and its own
// spelling of that name. The number of a per-index one may be missing.
func Named(name string) (p *Param, own string, ok bool) {
	p, index, ok := resolve(name)
	if !ok || index > MaxIndex {
		return nil, "", false
	}
	return p, p.nameAt(index), true
}

// Check says what is wrong with text as a value of p; nil if nothing is.
func (p *Param) Check(text string) error {
	_, err := p.parse(text)
	return err
}

// ActsOnSessions says that a session that sets p for itself notices it.
func (p *Param) ActsOnSessions() bool { return p.Context == Session && p.InEffect() && !p.Process }

// With is the configuration of a session that has set parameters for itself:
// values as a file would have them, by name. All must be of context Session.
func (c *Config) With(values map[string]string) (*Config, error) {
	s := *c.settings()
	s.set = maps.Clone(s.set)
	for name, text := range values {
		p, own, ok := Named(name)
		if !ok || p.Context != Session {
			return nil, fmt.Errorf("set %s: no parameter that a session can set", excerpt(name))
		}
		v, err := p.parse(text)
		if err != nil {
			return nil, fmt.Errorf("set %s: %w", own, err)
		}
		s.set[key{p, noIndex}] = entry{value: v}
	}
	return build(c.File, &s), nil
}
