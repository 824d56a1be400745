package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/erbd/erbd/engine/failed"
	"github.com/erbd/erbd/engine/stream"
)

const (
	// heldName is the file that says what the store held; damagedName the folder of what was damaged.
	heldName    = "erbd.held"
	damagedName = "damaged"
	// noteEvery is how often the file is written: what is lost of the messages of that time is not noticed.
	noteEvery = 2 * time.Second
	// showLosses is how long a loss is shown.
	showLosses = 7 * 24 * time.Hour
	maxLosses  = 50
)

// Streams are those that the inventory looks after.
var Streams = []string{stream.RawStream, stream.OutStream, stream.BadStream, "KV_" + failed.Bucket}

// Loss is damage of the store by which messages were lost, or may have been.
type Loss struct {
	At     time.Time `json:"at"`
	Stream string    `json:"stream"`
	// Messages are gone, at most: of some it cannot be told whether they had been dealt with. 0: none is known to be.
	Messages uint64 `json:"messages"`
	// Reason says what was damaged, and where a copy of it is.
	Reason string `json:"reason"`
}

// held is the content of the file.
type held struct {
	// Last is the highest number of a message of each stream that was seen.
	Last map[string]uint64 `json:"last"`
	// Messages is how many there were at that time, and First the number of the first.
	Messages map[string]uint64 `json:"messages"`
	First    map[string]uint64 `json:"first"`
	// Consumers are the checksums of the states of consumers, by their files; only after a clean stop.
	Consumers map[string]string `json:"consumers,omitempty"`
	// Blocks are the numbers of the blocks of each stream; only after a clean stop.
	Blocks map[string][]int `json:"blocks,omitempty"`
	Losses []Loss           `json:"losses,omitempty"`
}

// Inventory remembers what a store held, and compares before the server opens it: the server cuts off what it cannot
// read, and what comes after that in the same block, and says nothing. Its methods are safe for concurrent use.
type Inventory struct {
	dir string
	log *slog.Logger

	mu   sync.Mutex
	held held
}

// NewInventory returns the inventory of the store in dir. Inspect is to be called before the server opens the store,
// Close after the server closed it.
func NewInventory(dir string, log *slog.Logger) *Inventory {
	return &Inventory{dir: dir, log: log, held: nothing()}
}

func nothing() held {
	return held{Last: map[string]uint64{}, Messages: map[string]uint64{}, First: map[string]uint64{}}
}

// Losses are those of the last week, oldest first.
func (v *Inventory) Losses() []Loss {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []Loss
	for _, l := range v.held.Losses {
		if time.Since(l.At) < showLosses {
			out = append(out, l)
		}
	}
	return out
}

// CheckServer records what the server itself says is lost, after it has opened the store.
func (v *Inventory) CheckServer(ctx context.Context, js jetstream.JetStream) {
	for _, name := range Streams {
		answer, err := js.Conn().RequestWithContext(ctx, "$JS.API.STREAM.INFO."+name, nil)
		if err != nil {
			continue
		}
		var info struct {
			State struct {
				Lost *struct {
					Messages []uint64 `json:"msgs"`
				} `json:"lost"`
			} `json:"state"`
		}
		if json.Unmarshal(answer.Data, &info) != nil || info.State.Lost == nil || len(info.State.Lost.Messages) == 0 {
			continue
		}
		v.mu.Lock()
		v.lose(name, uint64(len(info.State.Lost.Messages)), "the message server misses messages that its index lists")
		v.write() //nolint:errcheck // it is logged and shown
		v.mu.Unlock()
	}
}

// Run notes what the store holds until ctx ends.
func (v *Inventory) Run(ctx context.Context, js jetstream.JetStream, down func() bool) {
	t := time.NewTicker(noteEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if !down() {
				v.Note(ctx, js)
			}
		}
	}
}

// Note remembers the last message of each stream.
func (v *Inventory) Note(ctx context.Context, js jetstream.JetStream) {
	last, messages, first := map[string]uint64{}, map[string]uint64{}, map[string]uint64{}
	for _, name := range Streams {
		if s, err := js.Stream(ctx, name); err == nil {
			st := s.CachedInfo().State
			last[name], messages[name], first[name] = st.LastSeq, st.Msgs, st.FirstSeq
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if maps.Equal(last, v.held.Last) && maps.Equal(messages, v.held.Messages) && v.held.Consumers == nil || len(last) < len(Streams) {
		return
	}
	v.held.Last, v.held.Messages, v.held.First = last, messages, first
	v.held.Consumers, v.held.Blocks = nil, nil
	v.write() //nolint:errcheck // a full disk: the guard speaks of it
}

// Close notes the states of consumers and the blocks after the server has closed the store.
func (v *Inventory) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.held.Consumers = map[string]string{}
	for _, path := range v.consumerStates() {
		b, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("note what the store holds: %w", err)
		}
		v.held.Consumers[v.name(path)] = checksum(b)
	}
	v.held.Blocks = map[string][]int{}
	for _, name := range Streams {
		for _, dir := range v.folders(name) {
			indexes, err := blocks(filepath.Join(dir, "msgs"))
			if err != nil {
				return fmt.Errorf("note what the store holds: %w", err)
			}
			v.held.Blocks[name] = slices.DeleteFunc(indexes, func(n int) bool {
				fi, err := os.Stat(filepath.Join(dir, "msgs", strconv.Itoa(n)+blockSuffix))
				return err != nil || fi.Size() == 0
			})
		}
	}
	return v.write()
}

// folders are those of a stream: one, in the account that erbd uses.
func (v *Inventory) folders(name string) []string {
	found, _ := filepath.Glob(filepath.Join(v.dir, "jetstream", "*", "streams", name)) // the pattern is a good one
	return found
}

func checksum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

func (v *Inventory) name(path string) string {
	if rel, err := filepath.Rel(v.dir, path); err == nil {
		return filepath.ToSlash(rel)
	}
	return path
}

// read reads the file; where it cannot be read, nothing is known.
func (v *Inventory) read() error {
	v.held = nothing()
	b, err := os.ReadFile(filepath.Join(v.dir, heldName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(b, &v.held)
	}
	if v.held.Last == nil || v.held.Messages == nil || v.held.First == nil {
		v.held.Last, v.held.Messages, v.held.First = nothing().Last, nothing().Messages, nothing().First
	}
	return err
}

// write replaces the file; mu is held.
func (v *Inventory) write() error {
	if n := len(v.held.Losses); n > maxLosses {
		v.held.Losses = slices.Clone(v.held.Losses[n-maxLosses:])
	}
	b, err := json.Marshal(v.held)
	if err != nil {
		return fmt.Errorf("note what the store holds: %w", err)
	}
	path := filepath.Join(v.dir, heldName)
	if err := os.WriteFile(path+".tmp", b, 0o600); err != nil {
		return errors.Join(fmt.Errorf("note what the store holds: %w", err), os.Remove(path+".tmp"))
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return fmt.Errorf("note what the store holds: %w", err)
	}
	return nil
}
