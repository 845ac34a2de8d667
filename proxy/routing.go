package proxy

import (
	"fmt"
	"log/slog"
	"regexp"
	"slices"

	"pgherd/proxy/config"
	"pgherd/proxy/route"
	"pgherd/proxy/session"
)

// balances says that there are several nodes, and that reads are to be spread over
// them.
func balances(c *config.Config) bool { return c.Balance.On && len(c.Nodes) > 1 }

// routingOf says where statements go; nil if all of them go to the primary. It reports errors
// in that case too, because another node may be added later.
func routingOf(c *config.Config, f *faults) *session.Routing {
	b := &c.Balance
	balance := balanceOf(b, f)
	if !balances(c) {
		return nil
	}
	return &session.Routing{
		Rules: route.Settings{
			Balance: true, Comments: b.Comments, OnWrite: onWrite[b.OnWrite],
			ReadFunctions: patterns(b.ReadFunctions, wholeName), WriteFunctions: patterns(b.WriteFunctions, wholeName),
			PrimaryPatterns: patterns(b.PrimaryPatterns, anywhere),
		},
		Balance:         balance,
		PerStatement:    b.PerStatement,
		Consistency:     consistencyOf(b),
		ConsistencyWait: b.ConsistencyWait,
	}
}

// balanceOf reads what package config cannot: preferences, and the expression.
func balanceOf(b *config.Balance, f *faults) (out route.Balance) {
	out = route.Balance{Policy: route.Policies[b.Policy], DelayBytes: int64(b.DelayBytes), DelayTime: b.DelayTime, PreferLower: b.PreferLower}
	for _, list := range []struct {
		name, text string
		into       *[]route.Preference
	}{
		{"app_name_redirect_preference_list", b.Applications, &out.Applications},
		{"database_redirect_preference_list", b.Databases, &out.Databases},
		{"user_redirect_preference_list", b.Users, &out.Users},
	} {
		var err error
		*list.into, err = route.ParsePreferences(list.text)
		f.add(list.name, err)
	}
	if b.Expression != "" {
		var err error
		out.Expression, err = route.ParseExpression(b.Expression)
		f.add("balance_expression", err)
	}
	return out
}

// onWrite are the words of disable_load_balance_on_write.
var onWrite = map[string]route.OnWrite{
	"off": route.Off, "transaction": route.Transaction, "trans_transaction": route.TransTransaction, "always": route.Always,
	"dml_adaptive": route.Transaction, "dml_adaptive_global": route.Transaction, // see warnOfRouting
}

// consistencyOf says which writes a read must see. pgherd does not track which tables
// other sessions have written, so with dml_adaptive_global reads see all writes.
func consistencyOf(b *config.Balance) route.Consistency {
	if b.OnWrite == "dml_adaptive_global" {
		return route.Global
	}
	for _, c := range []route.Consistency{route.Eventual, route.Global} {
		if c.String() == b.Consistency {
			return c
		}
	}
	return route.Own
}

// Forms of regular expressions, which ignore case: for a whole name, and for a part of
// a text of several lines.
const (
	wholeName = `^(?i:%s)$`
	anywhere  = `(?is:%s)`
)

// patterns compiles expressions that config has already tried.
func patterns(list []string, form string) (all []*regexp.Regexp) {
	for _, text := range list {
		all = append(all, regexp.MustCompile(fmt.Sprintf(form, text)))
	}
	return all
}

// warnOfRouting warns the operator where routing does not do what one might expect.
func warnOfRouting(log *slog.Logger, c *config.Config, r *session.Routing) {
	if b := &c.Balance; b.OnWrite == "dml_adaptive" || b.OnWrite == "dml_adaptive_global" {
		log.Warn("the reads of a transaction that has written go to the primary, whatever the table", "disable_load_balance_on_write", b.OnWrite,
			"read_consistency", r.Consistency)
	}
	for _, index := range absent(&r.Balance, c.Nodes) {
		log.Warn("a preference names a node that is not configured; the preference is ignored", "node", index)
	}
	if !asksNodes(c) && r.Consistency != route.Eventual {
		log.Warn("without sr_check_user and sr_check_period, reads that have to see a write go to the primary", "read_consistency", r.Consistency)
	}
}

// absent are the nodes that preferences name and the configuration does not have.
func absent(b *route.Balance, all []config.Node) (indexes []int) {
	for _, p := range slices.Concat(b.Applications, b.Databases, b.Users) {
		if p.Index >= 0 && !slices.ContainsFunc(all, func(n config.Node) bool { return n.Index == p.Index }) {
			indexes = append(indexes, p.Index)
		}
	}
	return indexes
}
