package config

// Blame turns an error in what a parameter names into one with the line that sets the
// parameter, or the file if none does.
func (c *Config) Blame(parameter string, err error) error {
	p := Problem{File: c.File, Text: parameter + ": " + err.Error()}
	if c.settings != nil {
		if file, line := c.settings().source([]string{parameter}); file != "" {
			p.File, p.Line = file, line
		}
	}
	return p
}

// About is an error of what a parameter names.
type About struct {
	Parameter string
	error
}

// Unwrap is the error without its parameter.
func (a About) Unwrap() error { return a.error }

// Of says which parameter an error is about; nil stays nil.
func Of(parameter string, err error) error {
	if err == nil {
		return nil
	}
	return About{parameter, err}
}
