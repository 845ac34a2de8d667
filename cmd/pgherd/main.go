// Command pgherd is a PostgreSQL proxy. Called by the name pgpool it takes Pgpool-II's command line.
package main

import "os"

func main() { os.Exit(run(os.Args, start)) }
