// Package stream is erbd on NATS JetStream: the embedded server, connections, the streams and consumers, packed
// messages, publishing, and the workers that deliver.
//
// # Flow
//
//	erb.raw.>                  ERB_RAW  interest, one durable per backend: transform_<backend>
//	erb.out.<backend>.<router> ERB_OUT  work queue, one durable per router: deliver_<backend>_<router>
//	erb.bad.>                  ERB_BAD  what could not be read, bounded, oldest out first
//
// An intake message is one event, a JSON array of events, or a packed message (PackEvents); Events reads all three. A
// delivery message is packed (Pack): each Item is what one event became for one router, and has exactly one outcome,
// however many statements and attempts it takes.
//
// # Acknowledgement table of the delivery
//
// What a Worker does with a message once every statement in it has an outcome:
//
//	delivered, duplicate            acknowledged, waiting for the server's word (DoubleAck)
//	transient, attempts left        all of the message: NakWithDelay(countdown + jitter, or Retry-After if longer)
//	                                some of it: the failed events are published as messages of their own, together,
//	                                with their attempts in a header; then the message is acknowledged
//	transient and exhausted,        critical: put into the bucket, then acknowledged
//	permanent                       else: dropped, counted, logged once per reason, acknowledged
//	bucket full or out of reach     not acknowledged; the router pauses and tries the bucket again
//	pause (endpoint down, 401,      not acknowledged; the consumer is paused for all workers of the router; this one
//	403, 404, redirect)             keeps its messages and looks again; no attempt is used
//	stopped with no outcome         published anew with the attempts made before, then acknowledged; where that fails
//	                                the message itself comes again, and the delivery counts as an attempt
//	unreadable                      stored in ERB_BAD, then terminated with the reason
//	close to MaxDeliver             as permanent; what the server gives up all the same the Backstop rescues
//
// Messages in the hands of a worker are kept there by InProgress every third of AckWait. A crash between a delivery
// and its acknowledgement sends the statements again, with the same ids, and the record store finds duplicates.
//
// Attempts are: those in the header of the message, plus its deliveries, of which the first does not count where the
// header names a time to wait for. A crash therefore uses an attempt; a pause,
// a stop and a full bucket do not.
//
// # Wiring
//
//	e, _ := StartEmbedded(…)                      or Connect for an external server
//	nc, _ := e.Connect("erbd"); js, _ := jetstream.New(nc)
//	f, _ := Detect(ctx, nc, js)                   log f.Warning
//	Topology{…}.Ensure(ctx, js, f)                at the start and at each reload; it deletes nothing
//	Topology.Stale                                at the start: remove the transform durables of disabled backends
//	pub := NewPublisher(nc, js, f, durable)
//	pub.Run, _ = BeginRun(ctx, js)                before anything is published, for exact counters
//	store, _ := failed.Open(ctx, js, …)
//	one goroutine per router: NewWorker(…).Run(ctx); one for NewBackstop(…).Run(ctx)
//
// The transform stage fetches from transform_<backend>, packs what several intake messages became for a router (a
// Packer for OutSubject(backend, router) with an id made of the range of their stream sequences and the router), so that
// doing it again stores nothing twice, and acknowledges the intake messages after Publish returned nil. ErrFull is
// back-pressure: publish again later. Close the workers first, then the connection, then the server.
package stream
