package config

import "fmt"

const streamingMode = "streaming_replication"

// missingMode refuses a mode that pgherd does not have. To run it as another mode would
// send all writes to one of several nodes, and take the others for its standbys.
func missingMode(c *Config) string {
	if c.Clustering == streamingMode || c.Clustering == "raw" && len(c.Nodes) <= 1 {
		return ""
	}
	name, mode, remedy := clusteringMode, c.Clustering, "set "+clusteringMode+" to "+streamingMode
	hint := "give the nodes streaming replication, and " + remedy
	old := c.settings().get(byName[name], noIndex).old
	if old != "" {
		name, mode = old+", the old name of "+name, mode+","
		hint = "give the nodes streaming replication, and remove it"
	}
	if c.Clustering == "raw" {
		hint = fmt.Sprintf("raw is there for a single node, and %d are given; %s if they replicate", len(c.Nodes), remedy)
	}
	return fmt.Sprintf("%s %s is not supported: %s", name, mode, hint)
}
