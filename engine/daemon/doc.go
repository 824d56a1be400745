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
package daemon
