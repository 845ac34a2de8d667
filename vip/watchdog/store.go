package watchdog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	boltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// store is the log of decisions and raft's votes, in one file. What it holds has checksums, since the file has none.
type store struct{ *boltdb.BoltStore }

// lockLimit is how long another process may keep the file before that is an error.
const lockLimit = time.Second

// ErrDamaged says that the log cannot be relied on. A member must not vote with it: it might forget what it has promised.
var ErrDamaged = errors.New("the log is damaged. While all other members are up and know the leader: remove the folder and start again, " +
	"and this member gets everything from them")

func openStore(directory string) (*store, error) {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, fmt.Errorf("make wd_data_directory: %w", err)
	}
	path := filepath.Join(directory, "decisions.db")
	of := func(err error) error { return fmt.Errorf("open %s: %w", path, err) }
	if err := sound(path); err != nil {
		return nil, of(err)
	}
	// The list of free pages is made anew at each start: a damaged one would have pages overwritten that are in use.
	db, err := boltdb.New(boltdb.Options{Path: path, BoltOptions: &bbolt.Options{Timeout: lockLimit, NoFreelistSync: true}})
	if err != nil {
		return nil, of(err)
	}
	s := &store{db}
	if err := s.check(); err != nil {
		return nil, errors.Join(of(err), db.Close())
	}
	return s, nil
}

// sound reads all that is in the file, before anybody relies on it.
func sound(path string) (err error) {
	if _, failed := os.Stat(path); errors.Is(failed, os.ErrNotExist) {
		return nil
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // of a file that is too short
	defer func() {                                           // bbolt's answer to some damage
		if r := recover(); r != nil {
			err = fmt.Errorf("%w (%v)", ErrDamaged, r)
		}
	}()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockLimit, ReadOnly: true})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return errors.New("another process has it open")
	case err != nil:
		return fmt.Errorf("%w (%v)", ErrDamaged, err)
	}
	defer db.Close()
	return db.View(walk)
}

// What is in the file: a part for the log, and one with these values.
var parts, values = []string{"conf", "logs"}, []string{"CurrentTerm", "LastVoteCand", "LastVoteTerm"}

// walk reads everything. A name that is not known was another one before.
func walk(tx *bbolt.Tx) error {
	var found []string
	err := tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
		found = append(found, string(name))
		return b.ForEach(func(key, value []byte) error {
			if string(name) == parts[0] && !slices.Contains(values, string(key)) {
				return fmt.Errorf("%w (it has a value %q)", ErrDamaged, key)
			}
			crc32.ChecksumIEEE(value)
			return nil
		})
	})
	if err == nil && !slices.Equal(found, parts) {
		err = fmt.Errorf("%w (it has the parts %q)", ErrDamaged, found)
	}
	return err
}

// check looks through the checksums.
func (s *store) check() error {
	first, err := s.FirstIndex()
	if err != nil {
		return err
	}
	last, err := s.LastIndex()
	if err != nil {
		return err
	}
	for i := first; i <= last && last > 0; i++ {
		if err := s.GetLog(i, new(raft.Log)); err != nil {
			return fmt.Errorf("%w (entry %d: %v)", ErrDamaged, i, err)
		}
	}
	for _, name := range values {
		if _, err := s.Get([]byte(name)); err != nil && !errors.Is(err, boltdb.ErrKeyNotFound) {
			return fmt.Errorf("%w (%s: %v)", ErrDamaged, name, err)
		}
	}
	if _, err := s.Get([]byte(values[0])); err != nil && last > 0 {
		return fmt.Errorf("%w (%s: %v)", ErrDamaged, values[0], err)
	}
	return nil
}

// GetLog reads an entry.
func (s *store) GetLog(index uint64, l *raft.Log) error {
	if err := s.BoltStore.GetLog(index, l); err != nil {
		return err
	}
	if l.Index != index || !bytes.Equal(l.Extensions, sum(l)) {
		return errChecksum
	}
	return nil
}

// StoreLog writes an entry.
func (s *store) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// IsMonotonic has raft drop all that is older than a snapshot that it gets from the leader, so that no entry is missing
// between two others: check takes that for damage.
func (s *store) IsMonotonic() bool { return true }

// StoreLogs writes entries. Older ones that they do not go on from were before a snapshot.
func (s *store) StoreLogs(all []*raft.Log) error {
	if err := s.dropGap(all); err != nil {
		return err
	}
	marked := make([]*raft.Log, len(all))
	for i, l := range all {
		m := *l
		m.Extensions = sum(l)
		marked[i] = &m
	}
	return s.BoltStore.StoreLogs(marked)
}

func (s *store) dropGap(all []*raft.Log) error {
	last, err := s.LastIndex()
	if err != nil || last == 0 || len(all) == 0 || all[0].Index <= last+1 {
		return err
	}
	first, err := s.FirstIndex()
	if err != nil {
		return err
	}
	return s.DeleteRange(first, last)
}

func sum(l *raft.Log) []byte {
	head := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte{byte(l.Type)}, l.Index), l.Term)
	return binary.BigEndian.AppendUint32(nil, crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, l.Data))
}

// Set writes a value of raft's, such as whom this member has voted for.
func (s *store) Set(key, value []byte) error { return s.BoltStore.Set(key, seal(value)) }

// Get reads a value.
func (s *store) Get(key []byte) ([]byte, error) {
	value, err := s.BoltStore.Get(key)
	if err != nil {
		return nil, err
	}
	return unseal(value)
}

// SetUint64 writes a number.
func (s *store) SetUint64(key []byte, value uint64) error {
	return s.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

// GetUint64 reads a number.
func (s *store) GetUint64(key []byte) (uint64, error) {
	value, err := s.Get(key)
	if err != nil || len(value) != 8 {
		return 0, err
	}
	return binary.BigEndian.Uint64(value), nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errChecksum = errors.New("its checksum is another")

// seal puts a checksum before bytes.
func seal(data []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, crc32.Checksum(data, castagnoli)), data...)
}

func unseal(data []byte) ([]byte, error) {
	if len(data) < checksumBytes || binary.BigEndian.Uint32(data) != crc32.Checksum(data[checksumBytes:], castagnoli) {
		return nil, errChecksum
	}
	return data[checksumBytes:], nil
}
