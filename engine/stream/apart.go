package stream

import "sync"

// apart remembers of messages that could not be acknowledged which of their items are messages of their own already,
// so that these are not sent and counted twice when the message comes again.
type apart struct {
	mu    sync.Mutex
	items map[string]map[int]bool // MessageID of the message → places in it
}

// add remembers items of a message.
func (a *apart) add(id string, items []int) {
	if len(items) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.items == nil {
		a.items = map[string]map[int]bool{}
	}
	if a.items[id] == nil {
		a.items[id] = map[int]bool{}
	}
	for _, i := range items {
		a.items[id][i] = true
	}
}

// has reports whether an item of a message is a message of its own.
func (a *apart) has(id string, item int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.items[id][item]
}

// forget is called when a message is acknowledged.
func (a *apart) forget(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.items, id)
}
