package herd

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// TestCut checks that a node that is cut off answers nobody over the network, also nobody who connects anew, that its Unix socket
// goes on, and that all goes on once it is mended.
func TestCut(t *testing.T) {
	t.Parallel()
	h := start(t, Settings{})
	dsn := fmt.Sprintf("host=127.0.0.1 port=%d user=%s password=%s dbname=%s sslmode=disable", h.Nodes()[0].Port, User, User, Database)
	conn, err := pgconn.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := h.Cut(0, os.Getpid()); err != nil {
		t.Skip(err)
	}
	answered := make(chan error, 1)
	go func() { answered <- conn.Exec(t.Context(), "SELECT 1").Close() }()
	impatient, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if other, err := pgconn.Connect(impatient, dsn); err == nil {
		other.Close(context.Background())
		t.Error("a new connection gets through")
	}
	if _, err := h.Exec(t.Context(), "SELECT 1"); err != nil {
		t.Errorf("the Unix socket: %v", err)
	}
	select {
	case err := <-answered:
		t.Fatalf("there is an answer in spite of the cut, error %v", err)
	default:
	}
	if err := h.Mend(0, os.Getpid()); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
}
