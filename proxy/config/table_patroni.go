package config

var patroniParams = inGroup("patroni", []Param{
	{Name: "patroni_url", Index: NumberOptional,
		Doc:      "Address of the REST API of node N's Patroni, as https://db0.example.com:8008; empty for http, backend_hostnameN and port 8008.",
		IntoNode: func(n *Node) any { return &n.Patroni.URL }},
	{Name: "patroni_member", Index: Numbered,
		Doc:      "Name of node N in Patroni; empty where Patroni has the same host and port for it as backend_hostnameN and backend_portN.",
		IntoNode: func(n *Node) any { return &n.Patroni.Member }},
	{Name: "patroni_ca_file", Path: true,
		Doc:  "File with the authorities that the certificates of REST APIs are checked against, in PEM; empty for those of the machine.",
		Into: func(c *Config) any { return &c.Patroni.CAFile }},
	{Name: "patroni_check_period", Kind: Integer, Unit: Seconds, Min: 1, Max: maxInt, Default: "1",
		Doc:  "How often each REST API is asked. A node that seems to be lost has all of them asked at once.",
		Into: func(c *Config) any { return &c.Patroni.Period }},
	{Name: "patroni_check_timeout", Kind: Integer, Unit: Seconds, Min: 1, Max: maxInt, Default: "3",
		Doc:  "Longest time for an answer of a REST API.",
		Into: func(c *Config) any { return &c.Patroni.Timeout }},
})
