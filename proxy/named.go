package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"

	"pgherd/proxy/auth"
	"pgherd/proxy/certs"
	"pgherd/proxy/config"
	"pgherd/proxy/session"
)

// named is the content of the files and expressions that a configuration names.
type named struct {
	policy  *auth.Policy
	tls     *tls.Config // nil without ssl
	nodes   map[int]*certs.Node
	routing *session.Routing // nil: there is nothing to choose between
	patroni *tls.Config      // for Patroni's REST API
}

// Check reads what the configuration names and tries where it listens, as Start does, but
// begins nothing. The error joins everything that would make a start fail, each with the line
// that causes it. The log gets everything of which a start would warn.
func Check(ctx context.Context, c *config.Config, log *slog.Logger) error {
	_, err := readNamed(c, log)
	return errors.Join(err, checkListen(ctx, c))
}

// checkListen says what would keep listeners from being opened.
func checkListen(ctx context.Context, c *config.Config) error {
	return blame(c, listenSettingsOf(c).Check(ctx))
}

// blame finds the lines that errors of listening are about.
func blame(c *config.Config, err error) error {
	f := &faults{config: c}
	f.add("listen_addresses", err)
	return f.err()
}

// readNamed reads what the configuration names. The error joins everything that is
// wrong.
func readNamed(c *config.Config, log *slog.Logger) (n named, err error) {
	f := &faults{config: c}
	n.policy = policyOf(c, f)
	for _, warning := range n.policy.Warnings(c.Auth.QueryUser != "" || c.Streaming.User != "") {
		log.Warn(warning)
	}
	n.tls = clientTLS(c, f, log)
	n.nodes = nodesTLS(c, f)
	n.patroni = patroniTLS(c, f)
	if n.routing = routingOf(c, f); n.routing != nil {
		warnOfRouting(log, c, n.routing)
	}
	return n, f.err()
}

// policyOf reads pool_hba.conf, pool_passwd and the user name maps.
func policyOf(c *config.Config, f *faults) *auth.Policy {
	p := &auth.Policy{AllowClearText: c.Auth.AllowClearText, Resolver: net.DefaultResolver}
	key, err := auth.ReadKey(c.Files.Key)
	if !errors.Is(err, os.ErrNotExist) { // only AES entries need it
		f.addFile("pool_passwd", err)
	}
	if c.Auth.HBA {
		p.HBA, err = auth.LoadHBA(c.Files.HBA)
		f.addFile("enable_pool_hba", err)
	}
	if c.Files.PoolPasswd != "" {
		p.Passwd, err = auth.LoadPasswd(c.Files.PoolPasswd, key)
		f.addFile("pool_passwd", err)
	}
	if c.Files.Ident != "" {
		p.Ident, err = auth.LoadIdent(c.Files.Ident)
		f.addFile("ident_file", err)
	}
	if len(f.list) == 0 {
		f.addFile("enable_pool_hba", p.Validate())
	}
	return p
}

func clientTLS(c *config.Config, f *faults, log *slog.Logger) *tls.Config {
	t := c.ClientTLS
	if !t.On || t.CertFile == "" || t.KeyFile == "" { // config says what is missing
		return nil
	}
	loaded, err := certs.ForClients(&certs.ClientSettings{Cert: t.CertFile, Key: t.KeyFile, CA: t.CAFile, CADir: t.CADir, CRL: t.CRLFile,
		Ciphers: t.Ciphers, Curves: t.ECDHCurve, Passphrase: t.PassphraseCommand}, log)
	f.add("ssl_cert", err)
	return loaded
}

// patroniTLS is how Patroni's REST APIs are asked over https.
func patroniTLS(c *config.Config, f *faults) *tls.Config {
	t, err := certs.ForPatroni(&certs.PatroniSettings{CA: c.Patroni.CAFile,
		Cert: c.Patroni.CertFile, Key: c.Patroni.KeyFile, Passphrase: c.ClientTLS.PassphraseCommand})
	f.add("patroni_ca_file", err)
	return t
}

// nodesTLS reads, once, the files that all nodes have in common.
func nodesTLS(c *config.Config, f *faults) map[int]*certs.Node {
	anyNode, err := certs.ForNodes(certs.Mode(c.ServerTLS.Mode), &certs.NodeSettings{CA: c.ServerTLS.CAFile,
		Cert: c.ServerTLS.CertFile, Key: c.ServerTLS.KeyFile, Passphrase: c.ClientTLS.PassphraseCommand})
	if err != nil {
		f.add("server_tls_sslmode", err)
		return nil
	}
	all := map[int]*certs.Node{}
	for _, n := range c.Nodes {
		all[n.Index] = anyNode.To(n.Host)
	}
	return all
}

// faults are the errors in what a configuration names.
type faults struct {
	config *config.Config
	list   []error
}

// add attributes an error to the line of a parameter, unless the error names another one.
func (f *faults) add(parameter string, err error) {
	for _, one := range each(err) {
		blamed := parameter
		if other, ok := errors.AsType[config.About](one); ok {
			blamed = other.Parameter
		}
		f.list = append(f.list, f.config.Blame(blamed, one))
	}
}

// addFile is add for a file whose errors name its own lines; what is wrong with the file as a
// whole is attributed to the parameter.
func (f *faults) addFile(parameter string, err error) {
	for _, one := range each(err) {
		if _, told := errors.AsType[*auth.LineError](one); !told {
			one = f.config.Blame(parameter, one)
		}
		f.list = append(f.list, one)
	}
}

func (f *faults) err() error { return errors.Join(f.list...) }

// each returns the errors that an error joins.
func each(err error) (all []error) {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	for _, one := range joined.Unwrap() {
		all = append(all, each(one)...)
	}
	return all
}
