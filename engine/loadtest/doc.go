// Package loadtest measures a whole daemon: a process of its own runs "erbd serve" on a store of its own, and this one
// publishes the events of a workload to it and receives the statements. So what the daemon costs, its message server
// included, is told apart from what publishing and receiving cost.
//
// A run has three parts: events as fast as the daemon takes and delivers them; events at a steady rate, for the time
// from publishing to delivery; and, where a backlog is asked for, events that wait for routers that are down, which a
// daemon that starts anew then delivers.
package loadtest
