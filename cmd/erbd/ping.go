package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/deliver"
	"github.com/erbd/erbd/engine/route"
)

// pingTimeout bounds one question to an endpoint.
const pingTimeout = 10 * time.Second

// ping asks the message server and the endpoints of the routers; routers is nil where their file has faults.
func (a *app) ping(ctx context.Context, c *checks, s *config.Settings, routers *route.Set) {
	b, err := a.connect(ctx, s, "erbd check")
	switch {
	case err == nil:
		detail := "server " + b.features.Version
		if b.features.Warning != "" {
			detail += "; " + b.features.Warning
		}
		b.close()
		c.add("nats", nil, "%s", detail)
	case s.NATS.URL == "" && (errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, nats.ErrNoServers)):
		c.add("nats", nil, "no daemon runs at %s", s.NATS.Listen)
	default:
		c.add("nats", err, "")
	}
	if routers == nil {
		return
	}
	all := routers.All()
	details, errs := make([]string, len(all)), make([]error, len(all))
	var group errgroup.Group
	group.SetLimit(8)
	for i, r := range all {
		group.Go(func() error {
			details[i], errs[i] = pingRouter(ctx, r, s.Caliper.SensorID)
			return nil
		})
	}
	_ = group.Wait()
	for i, r := range all {
		c.add("endpoint "+r.String(), errs[i], "%s", details[i])
	}
}

// pingRouter asks an endpoint for its state without sending anything. Errors hold neither the URL, which may have a
// secret in it, nor the credentials.
func pingRouter(ctx context.Context, r *route.Router, sensor string) (detail string, err error) {
	cfg := r.Delivery(sensor)
	cfg.Timeout = min(pingTimeout, cfg.Timeout)
	c, err := deliver.New(cfg)
	if err != nil {
		return "", err
	}
	defer c.Close()
	status, err := c.Ping(ctx)
	var refused *deliver.TargetError
	switch {
	case errors.As(err, &refused):
		return "", err
	case err != nil:
		return "", cli.Fail(err, "check the router's url, and that the record store runs")
	}
	return answered(cfg.Format, c.Host(), status)
}

// answered says what a status tells about an endpoint.
func answered(format deliver.Format, host string, status int) (string, error) {
	detail := fmt.Sprintf("%s answers %d", host, status)
	err := errors.New(detail)
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return "", cli.Fail(err, "check the router's auth")
	case status >= 300 && status <= 399:
		return "", cli.Fail(err, "redirects are not followed: set the router's url to the final address")
	case format == deliver.Caliper && (status == http.StatusNotFound || status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented):
		return detail + " to OPTIONS: it is there, and may know POST only", nil
	case status == http.StatusNotFound:
		return "", cli.Fail(err, "check the path of the router's url: …/about is asked for")
	case status >= 400:
		return "", err
	}
	return detail, nil
}
