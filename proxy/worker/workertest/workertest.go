// Package workertest stands in for a worker in the tests of packages that hand it
// connections.
package workertest

import (
	"net"
	"os"

	"pgherd/proxy/worker"
)

// Conn makes a connection of a Socket's descriptor again, with its TLS.
func Conn(s worker.Socket) (net.Conn, error) {
	file := os.NewFile(uintptr(s.FD), "socket")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil || s.TLS == nil {
		return conn, err
	}
	s.Transport.Conn = conn
	return s.TLS, nil
}
