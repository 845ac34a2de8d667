package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"pgherd/proxy/config"
)

// options are what a command line says, under either name of the program.
type options struct {
	config, hba, pcp, key string
	discardStatus         bool
	debug                 bool
	foreground            bool
}

func (o *options) addFileFlags(flags *pflag.FlagSet, path string) {
	flags.StringVarP(&o.config, "config-file", "f", path, "configuration `file`")
	flags.StringVarP(&o.hba, "hba-file", "a", "", "who may connect: `file`; pool_hba.conf beside the configuration if not given")
	flags.StringVarP(&o.pcp, "pcp-file", "F", "", "users of pcp commands: `file`; pcp.conf beside the configuration if not given")
	flags.StringVarP(&o.key, "key-file", "k", "", "key for passwords in pool_passwd: `file`; $PGPOOLKEYFILE or ~/.pgpoolkey if not given")
}

func (o *options) addStartFlags(flags *pflag.FlagSet) {
	flags.BoolVarP(&o.discardStatus, "discard-status", "D", false, "do not remember which nodes were down")
	flags.BoolVarP(&o.debug, "debug", "d", false, "log debug messages")
}

// load reads the configuration together with what the command line says about it.
func (o *options) load() (*config.Config, []config.Warning, error) {
	if err := o.absolute(); err != nil {
		return nil, nil, err
	}
	c, warnings, err := config.Load(o.config, o.commandLine())
	if _, missing := os.Stat(o.config); errors.Is(missing, fs.ErrNotExist) {
		err = fmt.Errorf("%w; name a file by -f, or write one: pgherd config sample > FILE", err)
	}
	return c, warnings, err
}

func (o *options) commandLine() config.CommandLine {
	return config.CommandLine{HBA: o.hba, PCP: o.pcp, Key: o.key, DiscardStatus: o.discardStatus, Debug: o.debug, Pid: usualPidFile}
}

// absolute makes the file names independent of the working folder, because a daemon
// changes that.
func (o *options) absolute() error {
	o.key = o.keyFile()
	for _, path := range []*string{&o.config, &o.hba, &o.pcp, &o.key} {
		if *path == "" {
			continue
		}
		full, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = full
	}
	return nil
}

// keyFile is where Pgpool-II looks for the key.
func (o *options) keyFile() string {
	if o.key != "" {
		return o.key
	}
	if path := os.Getenv("PGPOOLKEYFILE"); path != "" {
		return path
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".pgpoolkey")
	}
	return ""
}

// modeFlag is the value of -m: a way to stop, or its first letter.
type modeFlag struct{ mode *string }

func (m modeFlag) String() string { return *m.mode }
func (m modeFlag) Type() string   { return "mode" }

func (m modeFlag) Set(text string) error {
	for _, mode := range []string{smart, fast, immediate} {
		if text == mode || text == mode[:1] {
			*m.mode = mode
			return nil
		}
	}
	return fmt.Errorf("accepted are %s", strings.Join([]string{smart, fast, immediate}, ", "))
}

func addModeFlag(flags *pflag.FlagSet, mode *string) {
	flags.VarP(modeFlag{mode}, "mode", "m", "smart waits for clients to leave, fast closes them, immediate drops everything")
}
