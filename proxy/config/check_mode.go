package config

import "fmt"

const streamingMode = "streaming_replication"

// missingMode: a mode that is not there must not run as another one would, which
// sends all writes to one of several nodes and takes the others for its standbys.
func missingMode(c *Config) string {
	if c.Clustering == streamingMode || c.Clustering == "raw" && len(c.Nodes) <= 1 {
		return ""
	}
	hint := "give the nodes streaming replication, and set backend_clustering_mode to " + streamingMode
	if c.Clustering == "raw" {
		hint = fmt.Sprintf("raw is there for a single node, and %d are given; set backend_clustering_mode to %s if they replicate", len(c.Nodes), streamingMode)
	}
	return fmt.Sprintf("backend_clustering_mode %s is not supported: %s", c.Clustering, hint)
}

// oldMode is Pgpool-II's former way to ask for native replication.
func oldMode(*Config) string {
	return "replication_mode on, the old name of backend_clustering_mode native_replication, is not supported: " +
		"give the nodes streaming replication, and remove it"
}
