package admin

import (
	"strconv"

	"pgherd/proxy/status"
)

var showPoolMemory = command{
	name:    "pool_memory",
	doc:     "How many bytes are kept for all clients and for the client that needs most, and the limits.",
	columns: []string{"kept_for", "bytes", "limit", "parameter"},
	rows: func(s *status.State, _ uint32) [][]string {
		most := 0
		for i := range s.Clients {
			most = max(most, s.Clients[i].Memory)
		}
		return [][]string{
			{"all clients", strconv.FormatInt(s.Memory, 10), strconv.Itoa(s.MemoryLimit), "clients_memory_limit"},
			{"one client", strconv.Itoa(most), strconv.Itoa(s.ClientMemoryLimit), "client_memory_limit"},
		}
	},
}
