package admin

import (
	"cmp"
	"slices"

	"pgherd/proxy/config"
)

// all is the name that stands for every parameter.
const all = "all"

// groups are Pgpool-II's groups of parameters, in the order of SHOW ALL. The group that
// its manual calls watchdog is other_pgpool in its answers.
var groups = []struct {
	name, also string
	params     []string
}{
	{"backend", "", []string{"backend_hostname", "backend_port", "backend_weight", "backend_data_directory",
		"backend_flag", "backend_application_name"}},
	{"other_pgpool", "watchdog", []string{"hostname", "wd_port", "pgpool_port"}},
	{"heartbeat", "", []string{"heartbeat_hostname", "heartbeat_port", "heartbeat_device"}},
	{"health_check", "", []string{"connect_timeout", "health_check_period", "health_check_timeout", "health_check_user",
		"health_check_password", "health_check_database", "health_check_max_retries", "health_check_retry_delay"}},
}

// groupOf is the number of a parameter's group; parameters without a group come last.
func groupOf(param string) int {
	for i, g := range groups {
		if slices.Contains(g.params, param) {
			return i
		}
	}
	return len(groups)
}

// many says that the order shows several parameters.
func (o *Order) many() bool {
	p, own, ok := config.Named(o.name)
	return o.name == all || o.group() >= 0 || ok && p.Indexed() && own == p.Name
}

// group is the number of the group that is named; -1: none.
func (o *Order) group() int {
	for i, g := range groups {
		if o.name == g.name || g.also != "" && o.name == g.also {
			return i
		}
	}
	return -1
}

func (o *Order) show(values map[string]string) ([][]string, error) {
	c, err := o.config().With(values)
	if err != nil {
		return nil, err
	}
	if o.many() {
		return o.showMany(c), nil
	}
	s, ok := c.Show(o.name)
	if !ok {
		return nil, o.unknown()
	}
	return [][]string{{s.Value}}, nil
}

// showMany lists parameters: groups first, each by number; the rest as in the
// manual.
func (o *Order) showMany(c *config.Config) (rows [][]string) {
	p, _, _ := config.Named(o.name)
	wanted := func(s config.Setting) bool {
		return o.name == all || s.Param == p || p == nil && groupOf(s.Param.Name) == o.group()
	}
	list := slices.DeleteFunc(c.Settings(), func(s config.Setting) bool { return !wanted(s) })
	slices.SortStableFunc(list, func(a, b config.Setting) int {
		group := groupOf(a.Param.Name)
		order := cmp.Compare(group, groupOf(b.Param.Name))
		if order == 0 && group < len(groups) {
			order = cmp.Compare(a.Index, b.Index)
		}
		return order
	})
	for _, s := range list {
		rows = append(rows, []string{s.Name, s.Value, s.Param.Doc})
	}
	return rows
}
