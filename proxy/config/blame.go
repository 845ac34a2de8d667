package config

// Blame is an error of what a parameter names, with the line that sets it: of the file if
// none does.
func (c *Config) Blame(parameter string, err error) error {
	p := Problem{File: c.File, Text: parameter + ": " + err.Error()}
	if c.settings != nil {
		if file, line := c.settings().source([]string{parameter}); file != "" {
			p.File, p.Line = file, line
		}
	}
	return p
}
