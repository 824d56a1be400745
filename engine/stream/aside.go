package stream

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Headers of messages that are kept aside.
const (
	// HeaderReason says why the message could not be read.
	HeaderReason = "Erb-Reason"
	// HeaderOrigin is the subject that it came on.
	HeaderOrigin = "Erb-Origin"
)

// SetAside stores a copy of an unreadable message in BadStream, so that the message itself can be terminated. Doing
// it twice stores one copy. reason is a sentence without event data. A message that is too large with its reason is
// cut to half its length.
func SetAside(ctx context.Context, p *Publisher, m jetstream.Msg, reason string) error {
	id := ""
	if md, err := m.Metadata(); err == nil {
		id = "bad." + md.Stream + "." + MessageID(md)
	}
	out := Message{
		Subject: "erb.bad.message", ID: id, Data: m.Data(),
		Header: nats.Header{HeaderReason: {headerText(reason)}, HeaderOrigin: {m.Subject()}},
	}
	err := p.Publish(ctx, out)
	if errors.Is(err, ErrTooLarge) {
		out.Data = out.Data[:len(out.Data)/2]
		err = p.Publish(ctx, out)
	}
	if err != nil {
		return fmt.Errorf("keep an unreadable message aside: %w", err)
	}
	return nil
}

// MessageID names a stored message within its stream: by its number and its time. A stream that lost its last messages
// gives their numbers out again.
func MessageID(md *jetstream.MsgMetadata) string {
	return strconv.FormatUint(md.Sequence.Stream, 10) + "." + strconv.FormatInt(md.Timestamp.UnixNano(), 36)
}

// headerText makes a text fit for a header.
func headerText(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' {
			b[i] = ' '
		}
	}
	return string(b)
}

// Aside is a message of BadStream.
type Aside struct {
	Sequence uint64
	Time     time.Time
	// Origin is the subject that it came on.
	Origin string
	Reason string
	Data   []byte
}

// AllAside yields the messages of BadStream, oldest first. An error is yielded last.
func AllAside(ctx context.Context, js jetstream.JetStream) iter.Seq2[Aside, error] {
	return func(yield func(Aside, error) bool) {
		s, err := js.Stream(ctx, BadStream)
		if err != nil {
			yield(Aside{}, fmt.Errorf("stream %s: %w", BadStream, err))
			return
		}
		st := s.CachedInfo().State
		for seq := st.FirstSeq; seq > 0 && seq <= st.LastSeq; seq++ {
			m, err := s.GetMsg(ctx, seq)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				continue
			}
			if err != nil {
				yield(Aside{}, fmt.Errorf("read message %d of stream %s: %w", seq, BadStream, err))
				return
			}
			if !yield(Aside{Sequence: seq, Time: m.Time, Origin: m.Header.Get(HeaderOrigin), Reason: m.Header.Get(HeaderReason), Data: m.Data}, nil) {
				return
			}
		}
	}
}
