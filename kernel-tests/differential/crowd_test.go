package differential

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// A crowd is a number of clients that share the servers with the client whose answers are compared. Between
// two of its transactions another client has had its server, and has set, prepared and broken what it could.
// For the clients of the crowd it is only checked that each of their statements ends as it should. None of
// them sleeps, because a script finds its own statement by that.

// crowded leaves fewer servers than there are clients.
const crowded = "max_db_connections = 3"

// crowdSteps are the statements of these clients. The names of their prepared statements are those
// of the scripts.
var crowdSteps = [][]byte{
	mustEncode("Query", "set datestyle = 'German'; set timezone = 'Asia/Tokyo'; set work_mem = '7MB'; set standard_conforming_strings = off"),
	mustEncode("Query", "set client_encoding = 'LATIN1'; set search_path = pg_catalog; set application_name = 'crowd'"),
	mustEncode("Query", "reset all"),
	mustEncode("Query", "discard all"),
	mustEncode("Query", "select count(*) from generate_series(1, 10000)"),
	mustEncode("Query", "begin; set local intervalstyle = 'iso_8601'; set extra_float_digits = 0; commit"),
	mustEncode("Query", "begin; set work_mem = '9MB'; rollback"),
	mustEncode("Query", "deallocate all; prepare q as select 'of the crowd'; prepare s as select 'of the crowd'; execute q"),
	append(append(mustEncode("Close", "S", "s"), mustEncode("Parse", "s", "select 'of the crowd'")...),
		append(mustEncode("Bind", "", "s"), append(mustEncode("Execute", "", "0"), mustEncode("Sync")...)...)...),
	append(append(mustEncode("Parse", "", "select 'unnamed, of the crowd'"), mustEncode("Bind", "", "")...),
		append(mustEncode("Execute", "", "0"), mustEncode("Sync")...)...),
}

// startCrowd runs n such clients until the end of the test.
func startCrowd(t *testing.T, to target, n int) {
	t.Helper()
	stop, failed := make(chan struct{}), make(chan error, n)
	for i := range n {
		c, err := dial(to, &script{})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer c.conn.Close()
			failed <- c.crowd(rand.New(rand.NewPCG(uint64(i), 0)), stop)
		}()
	}
	t.Cleanup(func() {
		close(stop)
		for range n {
			if err := <-failed; err != nil {
				t.Error(err)
			}
		}
	})
}

func (c *talk) crowd(random *rand.Rand, stop chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		step := crowdSteps[random.IntN(len(crowdSteps))]
		if err := c.conn.SetDeadline(time.Now().Add(stepLimit)); err != nil {
			return err
		}
		if _, err := c.conn.Write(step); err != nil {
			return fmt.Errorf("crowd: %w", err)
		}
		if err := c.succeeds(); err != nil {
			return fmt.Errorf("crowd: %q: %w", step, err)
		}
	}
}

// succeeds reads up to ReadyForQuery, and requires that there is no error.
func (c *talk) succeeds() (wrong error) {
	for {
		kind, body, err := c.read()
		switch {
		case err != nil:
			return err
		case kind == 'E':
			wrong = fmt.Errorf("error %q", body)
		case kind == 'Z':
			return wrong
		}
	}
}
