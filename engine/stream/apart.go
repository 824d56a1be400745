package stream

import "sync"

// apart remembers of messages that could not be acknowledged which of their items are messages of their own already,
// so that these are not sent and counted twice when the message comes again.
type apart struct {
	mu    sync.Mutex
	items map[uint64]map[int]bool // place of the message in the stream → places in it
}

// add remembers items of the message at seq.
func (a *apart) add(seq uint64, items []int) {
	if len(items) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.items == nil {
		a.items = map[uint64]map[int]bool{}
	}
	if a.items[seq] == nil {
		a.items[seq] = map[int]bool{}
	}
	for _, i := range items {
		a.items[seq][i] = true
	}
}

// has reports whether an item of the message at seq is a message of its own.
func (a *apart) has(seq uint64, item int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.items[seq][item]
}

// forget is called when the message at seq is acknowledged.
func (a *apart) forget(seq uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.items, seq)
}
