package route

// Policies by the name in load_balance_policy.
var Policies = map[string]Policy{
	"weight":         {"by weight", ByWeight},
	"least_active":   {"the least busy for its weight", LeastActive},
	"lowest_latency": {"the soonest to answer", LowestLatency},
}
