package config

import (
	"fmt"
	"strconv"
)

var healthParams = inGroup("health_check", []Param{
	{Name: "connect_timeout", Kind: Integer, Unit: Milliseconds, Max: maxInt, Index: NumberOptional, Default: "10000",
		Doc:      "Longest time to connect and log in to node N; 0 for no limit. Not given, server_connect_timeout counts.",
		IntoNode: func(n *Node) any { return &n.ConnectTimeout }},
	{Name: "health_check_period", Kind: Integer, Unit: Seconds, Max: maxInt, Index: NumberOptional, Default: "0",
		Doc:      "How often node N is checked. 0 means each second where failover_mode is internal; nodes are asked for their role and delay by the same check.",
		IntoNode: func(n *Node) any { return &n.Health.Period }},
	{Name: "health_check_timeout", Kind: Integer, Unit: Seconds, Max: maxInt, Index: NumberOptional, Default: "20",
		Doc:      "Longest time of one check; 0 for no limit. It is what finds a node that is stopped, but whose kernel still answers.",
		IntoNode: func(n *Node) any { return &n.Health.Timeout }},
	{Name: "health_check_user", Index: NumberOptional,
		Doc:      "User that checks; empty for sr_check_user.",
		IntoNode: func(n *Node) any { return &n.Health.User }},
	{Name: "health_check_password", Index: NumberOptional, Secret: true,
		Doc:      "That user's password; empty to take it from pool_passwd.",
		IntoNode: func(n *Node) any { return &n.Health.Password }},
	{Name: "health_check_database", Index: NumberOptional, Default: "postgres",
		Doc:      "Database to check in.",
		IntoNode: func(n *Node) any { return &n.Health.Database }},
	{Name: "health_check_max_retries", Kind: Integer, Max: maxInt, Index: NumberOptional, Default: "0",
		Doc:      "Checks without an answer that are repeated before node N counts as down.",
		IntoNode: func(n *Node) any { return &n.Health.Retries }},
	{Name: "health_check_retry_delay", Kind: Integer, Unit: Seconds, Max: maxInt, Index: NumberOptional, Default: "1",
		Doc:      "Time between repeated checks.",
		IntoNode: func(n *Node) any { return &n.Health.RetryDelay }},
	{Name: "health_check_test", Kind: Bool, Default: "off", Context: Startup,
		Doc: "For testers: let the file backend_down_request in work_dir make checks fail."},
})

var failoverParams = inGroup("failover", []Param{
	{Name: "failover_mode", Kind: Enum, Options: []string{"internal", "off"}, Default: "internal", Context: Startup,
		Doc:  "What happens when the primary is lost. internal: pgherd promotes a standby by SQL, where there are two nodes or more and sr_check_user may do that. off: pgherd promotes nobody, and follows a standby that somebody else has promoted.",
		Into: func(c *Config) any { return &c.Failover.Mode }},
	{Name: "failover_wait_timeout", Kind: Integer, Unit: Seconds, Min: 1, Max: maxInt, Default: "30",
		Doc:  "How long a request or a log-in waits for a primary, where failover_mode is internal.",
		Into: func(c *Config) any { return &c.Failover.Wait }},
	{Name: "restart_grace", Kind: Integer, Unit: Seconds, Max: maxInt, Default: "5",
		Doc:  "How long a primary that was shut down may take to come back before a standby takes its place. Not with failover_on_backend_shutdown.",
		Into: func(c *Config) any { return &c.Failover.RestartGrace }},
	{Name: "failover_data_loss", Kind: Enum, Options: []string{"refuse", "allow"}, Default: "refuse",
		Doc:  "Whether a standby may be promoted that may lack commits which synchronous replication has acknowledged. With asynchronous replication the standby with the most WAL is promoted in any case.",
		Into: func(c *Config) any { return &c.Failover.DataLoss }},
	{Name: "unreplicated_commit", Kind: Enum, Options: []string{"error", "warning"}, Default: "error",
		Doc:  "How a commit is reported whose wait for synchronous standbys was ended, by a cancel or a shutdown: PostgreSQL sends a warning and reports success, though a failover may lose it. error: the client gets SQLSTATE 08007 instead.",
		Into: func(c *Config) any { return &c.Failover.Unreplicated }},
	{Name: "failover_candidates", Kind: List, Item: nodeNumber,
		Doc:  "Numbers of nodes, separated by commas: of standbys that have the same WAL the first in this list is promoted.",
		Into: func(c *Config) any { return &c.Failover.Candidates }},
	{Name: "failover_command",
		Doc: "Command to run when a node is taken out; letters such as %d and %h stand for the nodes concerned."},
	{Name: "failback_command",
		Doc: "Command to run when a node is taken back."},
	{Name: "follow_primary_command",
		Doc: "Command to run for each other node once there is a new primary."},
	{Name: "failover_on_backend_error", Alias: "fail_over_on_backend_error", Kind: Bool, Default: "on",
		Doc:  "A node that refuses connections twice in a row counts as down at once, instead of after health_check_max_retries.",
		Into: func(c *Config) any { return &c.Failover.OnError }},
	{Name: "failover_on_backend_shutdown", Kind: Bool, Default: "off",
		Doc:  "A node that tells its clients that an administrator is shutting it down counts as down at once, instead of after restart_grace.",
		Into: func(c *Config) any { return &c.Failover.OnShutdown }},
	{Name: "search_primary_node_timeout", Kind: Integer, Unit: Seconds, Max: maxInt, Default: "300",
		Doc:  "How long to look for a new primary after a failover before the log calls for an operator; 0 for never. The search goes on.",
		Into: func(c *Config) any { return &c.Failover.SearchPrimary }},
	{Name: "detach_false_primary", Kind: Bool, Default: "off",
		Doc: "Take out a second node that claims to be primary. pgherd always puts it in quarantine."},
	{Name: "auto_failback", Kind: Bool, Default: "off",
		Doc:  "Take a standby back that was down since before a failover, once it streams from the new primary. One that was only cut off comes back by itself in any case.",
		Into: func(c *Config) any { return &c.Failover.AutoFailback }},
	{Name: "auto_failback_interval", Kind: Integer, Unit: Seconds, Max: maxInt, Default: "60",
		Doc:  "Shortest time between two such returns of a node.",
		Into: func(c *Config) any { return &c.Failover.FailbackAfter }},
	{Name: "failover_when_quorum_exists", Kind: Bool, Default: "on", Context: Startup,
		Doc: "With the watchdog, take a node out only while most peers are there."},
	{Name: "failover_require_consensus", Kind: Bool, Default: "on", Context: Startup,
		Doc: "With the watchdog, take a node out only if most peers agree that it is down."},
	{Name: "allow_multiple_failover_requests_from_node", Kind: Bool, Default: "off", Context: Startup,
		Doc: "Let one peer's repeated reports count as several votes."},
	{Name: "enable_consensus_with_half_votes", Kind: Bool, Default: "off", Context: Startup,
		Doc: "Let exactly half of the votes decide."},
})

var recoveryParams = inGroup("recovery", []Param{
	{Name: "recovery_user",
		Doc:  "User as whom online recovery runs its scripts on the primary, which needs the rights of pg_execute_server_program; empty for sr_check_user.",
		Into: func(c *Config) any { return &c.Recovery.User }},
	{Name: "recovery_password", Secret: true,
		Doc:  "That user's password; empty to take it from pool_passwd.",
		Into: func(c *Config) any { return &c.Recovery.Password }},
	{Name: "recovery_database", Default: "postgres",
		Doc:  "Database in which online recovery runs its scripts.",
		Into: func(c *Config) any { return &c.Recovery.Database }},
	{Name: "recovery_1st_stage_command",
		Doc:  "Script in the data folder of the primary that copies it to the node being recovered. It gets the arguments that it has in Pgpool-II: the data folder, the host of the node, its data folder, the port of the primary, the number of the node, its port, the host of the primary.",
		Into: func(c *Config) any { return &c.Recovery.Command }},
	{Name: "recovery_2nd_stage_command",
		Doc: "Script that brings the copy up to date while clients are kept out; not for streaming replication."},
	{Name: "recovery_timeout", Kind: Integer, Unit: Seconds, Max: maxInt, Default: "90",
		Doc:  "Longest time for a recovered node to answer and to stream from the primary.",
		Into: func(c *Config) any { return &c.Recovery.Timeout }},
	{Name: "client_idle_limit_in_recovery", Kind: Integer, Unit: Seconds, Min: -1, Max: maxInt, Default: "0", Context: Session,
		Doc: "client_idle_limit during the second stage; -1 closes clients at once, 0 for never."},
})

// nodeNumber is what is wrong with the number of a node; nil: nothing.
func nodeNumber(item string) error {
	if n, err := strconv.Atoi(item); err != nil || n < 0 || n > MaxIndex {
		return fmt.Errorf("%q is not the number of a node, which is from 0 to %d", item, MaxIndex)
	}
	return nil
}
