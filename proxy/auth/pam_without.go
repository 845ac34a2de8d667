//go:build !cgo

package auth

import "errors"

func loadPAM() error { return errors.New("this pgherd was built without cgo, which PAM needs") }

func askPAM(*pamQuestion) error { return loadPAM() }
