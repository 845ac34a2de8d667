package herd

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// listenerScript takes the place of a peer: it listens on the port in its configuration, and sends that file to
// every client. It is in Perl, on which Debian's PostgreSQL depends.
const listenerScript = `use IO::Socket::INET;
open(my $conf, '<', $ARGV[0]) or die; my ($port, $text) = split ' ', <$conf>;
my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 5, ReuseAddr => 1) or die $!;
$SIG{PIPE} = 'IGNORE';
while (my $conn = $server->accept) { print $conn "$text\n"; close $conn }
`

func TestProgramComesAndGoes(t *testing.T) {
	t.Parallel()
	p, err := StartProgram(t.Context(), ProgramSettings{Binary: "perl", Stop: syscall.SIGTERM, Configure: func(dir string, port int) (map[string]string, []string) {
		return map[string]string{"listen.pl": listenerScript, "conf": fmt.Sprintf("%d hello", port)},
			[]string{filepath.Join(dir, "listen.pl"), filepath.Join(dir, "conf")}
	}})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(p.Host, fmt.Sprint(p.Port)), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if said, err := bufio.NewReader(conn).ReadString('\n'); err != nil || said != "hello\n" {
		t.Errorf("it says %q, %v", said, err)
	}
	conn.Close()
	pid := p.PID()
	for range 2 {
		if err := p.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	wantGone(t, p.Dir, pid)
}

func TestProgramThatEndsIsAnError(t *testing.T) {
	t.Parallel()
	var folder string
	_, err := StartProgram(t.Context(), ProgramSettings{Binary: "sh", Stop: syscall.SIGTERM, Configure: func(dir string, _ int) (map[string]string, []string) {
		folder = dir
		return nil, []string{"-c", "echo cannot do it; exit 1"}
	}})
	if err == nil || !strings.Contains(err.Error(), "cannot do it") {
		t.Errorf("%v does not show the program's last words", err)
	}
	if _, err := os.Stat(folder); err == nil {
		t.Errorf("%s is left behind", folder)
	}
}
