package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
)

// Ask has the pgherd of a socket run a command. An error is an *Error where pgherd has told it.
func Ask(ctx context.Context, path, command string) (Answer, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	body, err := json.Marshal(request{command})
	if err != nil {
		return Answer{}, err
	}
	asked, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://pgherd/run", bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	got, err := client.Do(asked)
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
		return Answer{}, fmt.Errorf("no pgherd answers at %s; is it running?", path)
	case errors.Is(err, syscall.EACCES):
		return Answer{}, fmt.Errorf("connect to %s: permission denied; run it as the user that pgherd runs as, or as root", path)
	case err != nil:
		return Answer{}, fmt.Errorf("ask pgherd: %w", err)
	}
	defer got.Body.Close()
	var r reply
	if err := json.NewDecoder(io.LimitReader(got.Body, answerLimit)).Decode(&r); err != nil {
		return Answer{}, fmt.Errorf("read pgherd's answer: %w", err)
	}
	switch {
	case r.Error != nil:
		return Answer{}, r.Error
	case r.Answer == nil:
		return Answer{}, errors.New("read pgherd's answer: it is empty")
	}
	return *r.Answer, nil
}
