package load

import (
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"time"
)

func query(sql string) []byte { return message('Q', append([]byte(sql), 0)) }

// Drain runs sql as a simple query, skips the answer, and returns how many bytes that was.
func (c *Conn) Drain(sql string) (int64, error) {
	if err := c.send(query(sql)); err != nil {
		return 0, err
	}
	return c.until('Z')
}

// CopyIn runs COPY ... FROM STDIN and sends chunk, which is whole lines, count times.
func (c *Conn) CopyIn(sql string, chunk []byte, count int) (int64, error) {
	if err := c.send(query(sql)); err != nil {
		return 0, err
	}
	if _, err := c.until('G'); err != nil {
		return 0, err
	}
	data := message('d', chunk)
	for range count {
		if err := c.send(data); err != nil {
			return 0, err
		}
	}
	if err := c.send(message('c', nil)); err != nil {
		return 0, err
	}
	_, err := c.until('Z')
	return int64(len(data)) * int64(count), err
}

// Sip runs sql and reads chunk bytes of its answer after every pause, until the given
// moment. The rest stays unread, and the Conn cannot be used any more.
func (c *Conn) Sip(sql string, chunk int, pause time.Duration, until time.Time) (int64, error) {
	if err := c.send(query(sql)); err != nil {
		return 0, err
	}
	var received int64
	sip := make([]byte, chunk)
	for time.Now().Before(until) {
		if err := c.arm(); err != nil {
			return received, err
		}
		n, err := io.ReadFull(c.stream, sip)
		received += int64(n)
		if err != nil {
			return received, err
		}
		time.Sleep(pause)
	}
	return received, nil
}

// TrickleSQL makes rows one by one, with gap between them: an empty column, the moment
// when the row was made, and so much padding that PostgreSQL's own buffer (8 KB) never
// holds it back.
func TrickleSQL(rows int, gap time.Duration) string {
	return fmt.Sprintf("SELECT pg_sleep(%g), extract(epoch FROM clock_timestamp()), repeat('x', 16384) FROM generate_series(1, %d)",
		gap.Seconds(), rows)
}

// Trickle runs TrickleSQL. It returns the time from the request to the first bytes of
// the first row, and the ages of all rows.
func (c *Conn) Trickle(rows int, gap time.Duration) (first time.Duration, ages []time.Duration, err error) {
	begin := time.Now()
	if err := c.send(query(TrickleSQL(rows, gap))); err != nil {
		return 0, nil, err
	}
	// The age of a row is read from its first bytes, long before its last ones are there.
	in := newPeeker(c)
	for {
		kind, length, err := in.head()
		if err != nil {
			return first, ages, err
		}
		switch kind {
		case 'D':
			now, made, err := in.rowStamp()
			if err != nil {
				return first, ages, err
			}
			if ages == nil {
				first = now.Sub(begin)
			}
			ages = append(ages, now.Sub(made))
		case 'E':
			return first, ages, fmt.Errorf("server says: an error after %d rows", len(ages))
		}
		if err := in.skip(length); err != nil {
			return first, ages, err
		}
		if kind == 'Z' {
			return first, ages, nil
		}
	}
}

// parseStamp reads seconds since 1970 with a fraction.
func parseStamp(text string) (time.Time, error) {
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read a row's moment: %w", err)
	}
	return time.UnixMicro(int64(seconds * 1e6)), nil
}

func fieldLength(bytes []byte) int { return int(int32(binary.BigEndian.Uint32(bytes))) }
