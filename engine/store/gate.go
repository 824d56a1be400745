package store

import (
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/erbd/erbd/engine/stream"
)

// codeResources is the server's "insufficient resources", which publishers take for a reason to try again later.
const codeResources jetstream.ErrorCode = 10023

// gate answers publishers while the store is closed: without it they would wait for an answer, or be told that
// nobody listens.
type gate struct{ sub *nats.Subscription }

// shut makes every publish on the intake be refused for a reason. The connection must be one that stays inside.
func shut(nc *nats.Conn, reason string) (*gate, error) {
	answer, err := json.Marshal(struct {
		Error  jetstream.APIError `json:"error"`
		Stream string             `json:"stream"`
		Seq    uint64             `json:"seq"`
	}{jetstream.APIError{Code: 503, ErrorCode: codeResources, Description: reason}, stream.RawStream, 0})
	if err != nil {
		return nil, fmt.Errorf("answer publishers: %w", err)
	}
	sub, err := nc.Subscribe(stream.RawSubjects, func(m *nats.Msg) {
		if m.Reply != "" {
			m.Respond(answer) //nolint:errcheck // the publisher waits and asks again
		}
	})
	if err != nil {
		return nil, fmt.Errorf("answer publishers: %w", err)
	}
	return &gate{sub}, nc.Flush()
}

// open ends the answers before the store gives its own.
func (g *gate) open(nc *nats.Conn) {
	if g == nil {
		return
	}
	g.sub.Unsubscribe() //nolint:errcheck // the connection is closed, and the subscription with it
	nc.Flush()          //nolint:errcheck // as above
}
