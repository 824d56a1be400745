package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/minio/highwayhash"

	"github.com/erbd/erbd/engine/stream"
)

const (
	// inspectTime bounds the inspection; the newest blocks, which a crash damages first, are read first.
	inspectTime = 20 * time.Second
	blockSuffix = ".blk"
	indexName   = "index.db"
	metaName    = "meta.inf"
	metaSum     = "meta.sum"
	stateName   = "o.dat"
	// compressed begins a block that the server compressed, which erbd never asks for.
	compressed = "cmp"
)

// Inspect looks at the files of the store, which no server may have open, and mends what it can, so that the server
// does not give up more than what is damaged: unreadable parts are cut out of message blocks, consumers whose state
// makes no sense start over with what is left in the stream. What was damaged is kept in the folder damaged. It
// records what was lost, and returns an error only where the store cannot be read or written.
func (v *Inventory) Inspect() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.read(); err != nil {
		v.log.Warn("what the store held when erbd was stopped is not known: lost messages may not be noticed", "error", err)
	}
	end := time.Now().Add(inspectTime)
	for _, name := range Streams {
		dirs := v.folders(name)
		if len(dirs) == 0 && v.held.Last[name] > 0 {
			v.loseLast(name, 0, "all files of the stream are gone")
		}
		for _, dir := range dirs {
			if err := v.inspectStream(name, dir, end); err != nil {
				return fmt.Errorf("inspect the store: %w", err)
			}
		}
	}
	v.held.Consumers, v.held.Blocks = nil, nil
	return v.write()
}

// lose records a loss; mu is held.
func (v *Inventory) lose(name string, messages uint64, reason string) {
	l := Loss{At: now(), Stream: name, Messages: messages, Reason: reason}
	v.held.Losses = append(v.held.Losses, l)
	v.log.Error("the store is damaged", "stream", name, "messages_lost_at_most", messages, "reason", reason)
}

func (v *Inventory) inspectStream(name, dir string, end time.Time) error {
	consumers, sound, err := v.inspectConsumers(name, dir)
	if err != nil {
		return err
	}
	// An intake that the server opened without a consumer would forget events for which nobody waits. So it has to be
	// made anew, too, which Topology.Ensure does on its files: it lets events in when all consumers are there.
	if !soundMeta(dir, name) || !sound && name == stream.RawStream {
		if sound {
			v.lose(name, 0, "the settings of the stream are damaged: it is made anew, with the messages that it has")
		}
		if err := removeAll(filepath.Join(dir, metaName), filepath.Join(dir, metaSum)); err != nil {
			return err
		}
	}
	found, err := v.inspectBlocks(name, filepath.Join(dir, "msgs"), end)
	if err != nil || found == nil {
		return err
	}
	if noted := v.held.Last[name]; noted > found.last {
		v.loseLast(name, found.last, fmt.Sprintf("the last messages are gone: %d was stored, the files end at %d", noted, found.last))
	}
	if name != stream.RawStream && name != stream.OutStream {
		return nil // messages stay there when a consumer is done with them
	}
	return v.inspectOrphans(name, found, consumers)
}

// inspectOrphans makes consumers start over that neither wait for a message of theirs nor had it removed: a crash let
// the one be written and not the other, or the state is damaged. The server would remove such a message unseen.
func (v *Inventory) inspectOrphans(name string, found *contents, consumers []*consumer) error {
	over := map[*consumer]int{}
	for subject, numbers := range found.live {
		var mine []*consumer
		for _, c := range consumers {
			if c.filter == "" || c.filter == subject {
				mine = append(mine, c)
			}
		}
		for _, seq := range numbers {
			if found.isRemoved(seq) || slices.ContainsFunc(mine, func(c *consumer) bool { return c.waits(subject, seq) }) {
				continue
			}
			for _, c := range mine {
				over[c]++
			}
		}
	}
	for c, n := range over {
		v.log.Warn("a consumer does not wait for messages that are there: it starts over with what the stream has", "stream", name, "consumer", c.name, "messages", n)
		if err := os.Remove(c.state); err != nil {
			return err
		}
	}
	return nil
}

// loseLast records the loss of all messages after a number. Some may have come to their end before; where all had,
// nothing was lost.
func (v *Inventory) loseLast(name string, last uint64, reason string) {
	if lost := min(v.held.Last[name]-last, v.held.Messages[name]); lost > 0 {
		v.lose(name, lost, reason)
	}
	v.held.Last[name] = last
}

// blocks are the numbers of the blocks in a folder, the newest first.
func blocks(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var indexes []int
	for _, e := range entries {
		number, ok := strings.CutSuffix(e.Name(), blockSuffix)
		if n, err := strconv.Atoi(number); ok && err == nil {
			indexes = append(indexes, n)
		}
	}
	slices.Sort(indexes)
	slices.Reverse(indexes)
	return indexes, nil
}

// contents are the messages of a stream, as its blocks say.
type contents struct {
	last uint64
	// live may list messages that were removed; see isRemoved.
	live    map[string][]uint64
	removed []uint64 // sorted
}

func (c *contents) isRemoved(seq uint64) bool {
	_, is := slices.BinarySearch(c.removed, seq)
	return is
}

// inspectBlocks reads the blocks of a stream and mends those that are damaged. It returns nil where the blocks could
// not all be read.
func (v *Inventory) inspectBlocks(name, dir string, end time.Time) (*contents, error) {
	indexes, err := blocks(dir)
	if err != nil {
		return nil, err
	}
	noted := v.held.Blocks[name]
	all := slices.Concat(indexes, noted)
	slices.Sort(all)
	all = slices.Compact(all)
	slices.Reverse(all)
	found := &contents{live: map[string][]uint64{}}
	var gaps []gap
	var reasons []string
	next := uint64(0) // the first number of the block after, 0 where there is none
	for i, index := range all {
		if time.Now().After(end) {
			v.log.Warn("the store is large: its older blocks were not looked through for damage", "stream", name, "blocks", len(all), "read", i)
			return nil, nil
		}
		path := filepath.Join(dir, strconv.Itoa(index)+blockSuffix)
		data, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		if strings.HasPrefix(string(data), compressed) {
			return nil, nil
		}
		b, err := readBlock(name, index, data)
		if err != nil {
			return nil, err
		}
		if n := len(gaps); n > 0 && gaps[n-1].before == 0 {
			gaps[n-1].before = b.last // the gap reaches into this block
		}
		found.removed = append(found.removed, b.removed...)
		for subject, numbers := range b.live {
			found.live[subject] = append(found.live[subject], numbers...)
		}
		found.last = max(found.last, b.last)
		// The server begins a block before it writes to it, and removes one of which nothing is left.
		if len(data) == 0 && (slices.Contains(noted, index) || i > 0) {
			gaps = append(gaps, gap{after: next})
			reasons = append(reasons, fmt.Sprintf("block %d is gone", index))
			if err := removeAll(path, filepath.Join(dir, indexName)); err != nil {
				return nil, err
			}
		}
		if n := len(b.gaps); n > 0 && b.gaps[n-1].to == len(data) {
			b.gaps[n-1].after = next
			if i == 0 && v.held.Last[name] <= b.last {
				b.gaps = b.gaps[:n-1] // a write that a crash cut short: nobody has an acknowledgement for it
			}
		}
		if len(b.gaps) > 0 {
			if err := v.mend(name, path, b); err != nil {
				return nil, err
			}
			size := 0
			for _, g := range slices.Backward(b.gaps) {
				size += g.to - g.from
				gaps = append(gaps, g)
			}
			reasons = append(reasons, fmt.Sprintf("%d of %d bytes of block %d are unreadable, a copy is in %s", size, len(data), index, filepath.Join(v.dir, damagedName)))
		}
		if b.first > 0 {
			next = b.first
		}
	}
	slices.Sort(found.removed)
	if len(reasons) > 0 {
		v.lose(name, found.missing(gaps, v.held.First[name]), strings.Join(reasons, "; "))
	}
	return found, nil
}

// missing counts the messages in gaps that had not been removed, at most; the stream began with first when that was
// noted. Those of a gap at the end are counted by what was noted of the last message.
func (c *contents) missing(gaps []gap, first uint64) (n uint64) {
	for _, g := range gaps {
		for seq := max(g.before+1, first); seq < g.after; seq++ {
			if !c.isRemoved(seq) {
				n++
			}
		}
	}
	return n
}

// removeAll removes files that may not be there.
func removeAll(paths ...string) (err error) {
	for _, path := range paths {
		if e := os.Remove(path); !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// mend replaces a block by what can be read of it. The index does not fit any more; the server makes a new one.
func (v *Inventory) mend(name, path string, b *block) error {
	if err := v.keep(name, path); err != nil {
		return err
	}
	if err := os.WriteFile(path+".tmp", b.without(), 0o600); err != nil {
		return errors.Join(err, os.Remove(path+".tmp"))
	}
	if err := removeAll(filepath.Join(filepath.Dir(path), indexName)); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// keep links a damaged file into the folder of damaged ones.
func (v *Inventory) keep(name, path string) error {
	dir := filepath.Join(v.dir, damagedName)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	to := filepath.Join(dir, fmt.Sprintf("%s-%s-%d", name, strings.ReplaceAll(v.name(path), "/", "_"), time.Now().UnixNano()))
	return os.Link(path, to)
}

// consumerStates are the files of all consumers of all streams of erbd.
func (v *Inventory) consumerStates() (paths []string) {
	for _, name := range Streams {
		found, _ := filepath.Glob(filepath.Join(v.dir, "jetstream", "*", "streams", name, "obs", "*", stateName))
		paths = append(paths, found...)
	}
	return paths
}

// inspectConsumers reads the files of a stream's consumers. A consumer whose state is damaged gets all messages again
// that the stream still has. sound is false where the settings of one are damaged: the server does not know it until
// Topology.Ensure makes it anew, on its state.
func (v *Inventory) inspectConsumers(name, dir string) (consumers []*consumer, sound bool, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, "obs"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, false, err
	}
	sound = true
	for _, e := range entries {
		folder := filepath.Join(dir, "obs", e.Name())
		path := filepath.Join(folder, stateName)
		state, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, false, err
		}
		if err == nil {
			noted, clean := v.held.Consumers[v.name(path)]
			c, ok := readConsumer(state)
			if ok && (!clean || noted == checksum(state)) {
				c.name, c.state = e.Name(), path
				meta, _ := os.ReadFile(filepath.Join(folder, metaName)) // without it, it is for all subjects
				c.filter = filterOf(meta)
				consumers = append(consumers, c)
			} else {
				v.lose(name, 0, fmt.Sprintf("the state of consumer %s is damaged: it starts over with what the stream still has; a copy is in %s", e.Name(), filepath.Join(v.dir, damagedName)))
				if err := v.keep(name, path); err != nil {
					return nil, false, err
				}
				if err := os.Remove(path); err != nil {
					return nil, false, err
				}
			}
		}
		if soundMeta(folder, name+"/"+e.Name()) {
			continue
		}
		sound = false
		v.lose(name, 0, fmt.Sprintf("the settings of consumer %s are damaged: it is made anew, on its state", e.Name()))
		if err := removeAll(filepath.Join(folder, metaName), filepath.Join(folder, metaSum)); err != nil {
			return nil, false, err
		}
	}
	return consumers, sound, nil
}

// soundMeta reports whether the settings in a folder fit their checksum, which is keyed by a name.
func soundMeta(dir, name string) bool {
	b, err := os.ReadFile(filepath.Join(dir, metaName))
	if err != nil {
		return false
	}
	want, err := os.ReadFile(filepath.Join(dir, metaSum))
	if err != nil {
		return false
	}
	key := sha256.Sum256([]byte(name))
	sum, err := highwayhash.New64(key[:])
	if err != nil {
		return false
	}
	sum.Write(b) //nolint:errcheck // a hash takes everything
	return string(want) == hex.EncodeToString(sum.Sum(nil))
}
