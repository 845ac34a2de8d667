package herd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// ProxySettings say how to run pgherd in front of some nodes.
type ProxySettings struct {
	Binary  string   // the program; see Build
	Nodes   []Node   // backend_hostname0, 1, ...
	Port    int      // 0 is a free one
	Config  string   // further pgpool.conf lines; they come last, so they win
	Options []string // of the command line, such as -D
	HBA     string   // pool_hba.conf instead of scram-sha-256 for everybody
}

// Proxy is a running pgherd with a configuration folder of its own.
type Proxy struct {
	Host string
	Port int
	Dir  string // its configuration, sockets and log

	watcher *watcher
	running *process
}

// StartProxy returns when pgherd accepts connections; after an error nothing is left behind.
func StartProxy(ctx context.Context, settings ProxySettings) (*Proxy, error) {
	dir, err := os.MkdirTemp("", "pgherd-")
	if err != nil {
		return nil, fmt.Errorf("make pgherd's folder: %w", err)
	}
	p := &Proxy{Host: "127.0.0.1", Port: settings.Port, Dir: dir}
	if p.watcher, err = watch(dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := p.start(ctx, settings); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

func (p *Proxy) start(ctx context.Context, settings ProxySettings) error {
	if err := p.claimPort(); err != nil {
		return err
	}
	if err := p.writeFiles(settings); err != nil {
		return err
	}
	running, err := spawn(exec.Command(settings.Binary, append([]string{"-n", "-f", p.file("pgpool.conf")}, settings.Options...)...), p.Log(), nil, syscall.SIGKILL, "")
	if err != nil {
		return err
	}
	p.running = running
	return p.running.waitAccept(ctx, p.Addr())
}

// claimPort finds a free port, or makes sure that the wanted one is free, because
// otherwise another program there would be taken for pgherd.
func (p *Proxy) claimPort() error {
	listener, err := net.Listen("tcp", p.Addr())
	if err != nil {
		return fmt.Errorf("find a port for pgherd: %w", err)
	}
	p.Port = listener.Addr().(*net.TCPAddr).Port
	return listener.Close()
}

// Addr is where pgherd listens, as host:port.
func (p *Proxy) Addr() string { return net.JoinHostPort(p.Host, fmt.Sprint(p.Port)) }

// Log is the file that holds what pgherd wrote to its output.
func (p *Proxy) Log() string { return p.file("pgherd.log") }

// PID is pgherd's process.
func (p *Proxy) PID() int { return p.running.pid() }

// Done is closed when pgherd has ended, whoever ended it.
func (p *Proxy) Done() <-chan struct{} { return p.running.done }

// Stop ends pgherd (fast shutdown, SIGINT) and removes its folder. It may be called twice.
func (p *Proxy) Stop() error {
	var err error
	if p.running != nil && !p.running.ended() {
		err = p.running.stop(syscall.SIGINT)
	}
	return errors.Join(err, p.watcher.end())
}

func (p *Proxy) file(name string) string { return filepath.Join(p.Dir, name) }

func (p *Proxy) writeFiles(settings ProxySettings) error {
	hba := settings.HBA
	if hba == "" {
		hba = "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n"
	}
	var passwords strings.Builder
	for _, user := range []string{Superuser, User, UserMD5} {
		fmt.Fprintf(&passwords, "%s:TEXT%s\n", user, user)
	}
	return errors.Join(
		os.WriteFile(p.file("pgpool.conf"), []byte(p.config(settings)), 0o600),
		os.WriteFile(p.file("pool_hba.conf"), []byte(hba), 0o600),
		os.WriteFile(p.file("pool_passwd"), []byte(passwords.String()), 0o600),
		os.WriteFile(p.file("pcp.conf"), nil, 0o600),
	)
}

func (p *Proxy) config(settings ProxySettings) string {
	var conf strings.Builder
	fmt.Fprintf(&conf, `listen_addresses = '127.0.0.1'
port = %d
unix_socket_directories = '%[2]s'
pcp_listen_addresses = ''
pcp_socket_dir = '%[2]s'
pid_file_name = '%[2]s/pgherd.pid'
work_dir = '%[2]s'
logdir = '%[2]s'
enable_pool_hba = on
pool_passwd = 'pool_passwd'
sr_check_user = '%[3]s'
sr_check_password = '%[3]s'
sr_check_period = 1
health_check_user = '%[3]s'
health_check_password = '%[3]s'
health_check_period = 1
`, p.Port, p.Dir, Superuser)
	for i, n := range settings.Nodes {
		fmt.Fprintf(&conf, "backend_hostname%d = '%s'\nbackend_port%d = %d\nbackend_weight%d = 1\n", i, n.Host, i, n.Port, i)
		fmt.Fprintf(&conf, "backend_application_name%d = 'node%d'\n", i, n.Index)
		fmt.Fprintf(&conf, "backend_data_directory%d = '%s'\n", i, n.Dir)
	}
	return conf.String() + settings.Config + "\n"
}
