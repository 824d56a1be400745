// Package daemon is erbd serve: it wires the message server, the transformation of each backend, the delivery of
// each router, the counters and the HTTP endpoint, and owns their goroutines.
//
//	New    starts the server, makes the streams and loads the first Snapshot; it undoes everything when one part fails
//	Run    serves until its context ends, then drains: intake, transformation, delivery, connection, server
//	Reload loads a new Snapshot and swaps it in; a fault keeps the old one
//
// # Acknowledgement of the intake
//
//	filtered, unmapped, wanted by no router, rejected   counted; the message is acknowledged with its other events
//	transformed                                         published to its routers first, then acknowledged
//	no JSON, no event, too large                        kept aside in ERB_BAD, then acknowledged
//	user or course look-up is down                      the message waits in the hands of the stage
//	delivery stream full                                the message waits: back-pressure
//	stopped                                             handed back
//
// # Counters
//
// They begin at 0 with each process, and agree within it, also after a kill with a backlog: accepted events = their
// ends; routed + carried over from another run = settled + open, and open is 0 where nothing waits for the router. Each
// message is counted once however often it is handed out; one that an earlier run had stored is not counted as routed.
// Events that come again and are packed with others than before are routed, and delivered, once more.
//
// Over several processes the sums are exact after a stop. A kill loses what the process counted since it was last
// asked, and an event that it had settled but not acknowledged is settled, and counted, once more by the next one: by
// sums over kills each event has at least one end. Within one process a message can only be settled twice where the
// server stored a part of a taken-apart message and did not say so in time, which shows as an open number below 0.
package daemon
