package herdtest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"pgherd/bench/herd"
)

// SetupLimit is how long pgherd may take to build, and a herd to start and be set up.
const SetupLimit = 2 * time.Minute

// Main is the TestMain of a package whose tests share a herd: it builds pgherd, starts
// the herd, hands both to setUp, runs the tests and stops the herd.
func Main(m *testing.M, settings herd.Settings, setUp func(ctx context.Context, h *herd.Herd, binary string) error) {
	flag.Parse()
	code, err := run(m, settings, setUp)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(code)
}

func run(m *testing.M, settings herd.Settings, setUp func(context.Context, *herd.Herd, string) error) (code int, err error) {
	ctx, cancel := Limited(SetupLimit)
	defer cancel()
	dir, err := os.MkdirTemp("", "herdtest-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	binary, err := herd.Build(ctx, dir)
	if err != nil {
		return 1, err
	}
	h, err := herd.Start(ctx, settings)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, h.Stop()) }()
	if err := setUp(ctx, h, binary); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// Start starts a herd that stops with the test.
func Start(t testing.TB, settings herd.Settings) *herd.Herd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), SetupLimit)
	defer cancel()
	h, err := herd.Start(ctx, settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Stop(); err != nil {
			t.Error(err)
		}
	})
	return h
}
