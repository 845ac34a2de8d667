package herd

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// owner is the user as whom PostgreSQL runs. PostgreSQL refuses to run as root, so root
// uses another user; any other user runs it as itself (nil).
type owner struct{ cred *syscall.Credential }

func findOwner() (*owner, error) {
	if os.Geteuid() != 0 {
		return &owner{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("read id of user %s: %w", name, err)
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("read group of user %s: %w", name, err)
		}
		return &owner{&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
	}
	return nil, errors.New("find a user to run PostgreSQL as: neither postgres nor nobody exists")
}

// Unprivileged is the user as whom PostgreSQL runs if this process runs as root;
// otherwise nil.
func Unprivileged() (*syscall.Credential, error) {
	own, err := findOwner()
	if err != nil {
		return nil, err
	}
	return own.cred, nil
}

// give makes path the owner's.
func (o *owner) give(path string) error {
	if o.cred == nil {
		return nil
	}
	return os.Chown(path, int(o.cred.Uid), int(o.cred.Gid))
}

// write creates a file that only the owner (and root) can read.
func (o *owner) write(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	return o.give(path)
}
