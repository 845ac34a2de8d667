package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Items of lists that have a form of their own.

// poolModes are the words that say when a server goes back to its pool.
var poolModes = []string{"session", "transaction", "statement"}

const anyName = "*"

// parseModeEntry reads database[/user]:mode.
func parseModeEntry(item string) (PoolMode, error) {
	names, mode, ok := strings.Cut(item, ":")
	if !ok {
		return PoolMode{}, errors.New("there is no mode; write database:mode or database/user:mode")
	}
	mode = strings.ToLower(strings.TrimSpace(mode))
	if !slices.Contains(poolModes, mode) {
		return PoolMode{}, fmt.Errorf("mode %s is not accepted; accepted: %s", excerpt(mode), strings.Join(poolModes, ", "))
	}
	database, user, divided := strings.Cut(names, "/")
	if !divided {
		user = anyName
	}
	database, user = strings.TrimSpace(database), strings.TrimSpace(user)
	switch {
	case database == "":
		return PoolMode{}, errors.New("no database; * is any")
	case user == "":
		return PoolMode{}, errors.New("no user after the /; * is any")
	case strings.Contains(user, "/"):
		return PoolMode{}, errors.New("more than one /")
	}
	return PoolMode{Database: named(database), User: named(user), Mode: mode}, nil
}

// named is "" for any.
func named(name string) string {
	if name == anyName {
		return ""
	}
	return name
}

func checkModeEntry(item string) error {
	_, err := parseModeEntry(item)
	return err
}

// poolModesOf reads entries that were checked.
func poolModesOf(items []string) []PoolMode {
	var list []PoolMode
	for _, item := range items {
		entry, _ := parseModeEntry(item)
		list = append(list, entry)
	}
	return list
}

// checkPattern returns an error unless the item is a regular expression of package
// regexp.
func checkPattern(item string) error {
	_, err := regexp.Compile(item)
	return err
}
