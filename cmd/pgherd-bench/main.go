// Command pgherd-bench measures pgherd beside other ways to reach PostgreSQL.
package main

import (
	"os"

	"pgherd/bench"
)

func main() { os.Exit(bench.Main(os.Args)) }
