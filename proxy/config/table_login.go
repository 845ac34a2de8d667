package config

var loginParams = inGroup("login", []Param{
	{Name: "auth_user",
		Doc:  "User who asks PostgreSQL by auth_query for the passwords of users that are not in pool_passwd; empty to ask nobody. It needs to read pg_authid, or to call a function that does.",
		Into: func(c *Config) any { return &c.Auth.QueryUser }},
	{Name: "auth_password", Secret: true,
		Doc:  "Password of auth_user; empty for the one in pool_passwd.",
		Into: func(c *Config) any { return &c.Auth.QueryPassword }},
	{Name: "auth_dbname", Default: "postgres",
		Doc:  "Database in which auth_query is asked, on the primary.",
		Into: func(c *Config) any { return &c.Auth.QueryDatabase }},
	{Name: "auth_query",
		Default: "SELECT rolname, CASE WHEN rolvaliduntil < pg_catalog.now() THEN NULL ELSE rolpassword END FROM pg_catalog.pg_authid WHERE rolname = $1 AND rolcanlogin",
		Doc:     "Query that gives the name and the stored password (SCRAM verifier or md5 hash) of user $1, in one row or none; NULL is no password. It runs with search_path = pg_catalog: a function of your own needs its schema in front. A user known by a SCRAM verifier logs in to PostgreSQL with keys learnt from its own proof, so that no password is stored anywhere.",
		Into:    func(c *Config) any { return &c.Auth.Query }},
	{Name: "auth_query_cache_ttl", Kind: Integer, Unit: Seconds, Max: maxInt, Default: "60",
		Doc:  "How long what auth_query says of a user is remembered, also that there is no such user; 0 asks at each login. A wrong password makes it be asked again, but not within a second.",
		Into: func(c *Config) any { return &c.Auth.QueryCacheTTL }},
	{Name: "ident_file", Path: true,
		Doc:  "File with user name maps in the format of pg_ident.conf, which option map of method cert in pool_hba.conf names; empty for none.",
		Into: func(c *Config) any { return &c.Files.Ident }},
})
