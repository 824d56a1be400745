package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
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

// pingRouter asks an endpoint for its state without sending anything: xAPI for its versions, Caliper, which has no
// such question, for its methods. Errors hold neither the URL, which may have a secret in it, nor the credentials.
func pingRouter(ctx context.Context, r *route.Router, sensor string) (detail string, err error) {
	cfg := r.Delivery(sensor)
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return "", errors.New("the url cannot be read")
	}
	method := http.MethodOptions
	if cfg.Format == deliver.XAPI {
		method = http.MethodGet
		u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/statements")
		u = u.JoinPath("about")
	}
	ctx, cancel := context.WithTimeout(ctx, min(pingTimeout, cfg.Timeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return "", errors.New("the url cannot be used")
	}
	req.Header.Set("User-Agent", "erbd")
	if cfg.Format == deliver.XAPI {
		req.Header.Set("X-Experience-API-Version", "1.0.3")
	}
	for name, value := range cfg.Headers {
		req.Header.Set(name, value)
	}
	switch cfg.Auth.Scheme {
	case deliver.Basic:
		req.SetBasicAuth(cfg.Auth.Username, cfg.Auth.Password)
	case deliver.Bearer:
		req.Header.Set("Authorization", "Bearer "+cfg.Auth.Token)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return "", cli.Fail(fmt.Errorf("%s does not answer: %w", u.Host, err), "check the router's url, and that the record store runs")
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return answered(cfg.Format, u.Host, resp.StatusCode)
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
