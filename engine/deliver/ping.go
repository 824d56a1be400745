package deliver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Ping asks the endpoint for its state with the router's credentials, without sending an item: xAPI for its versions
// (GET …/about), Caliper, which has no such question, for its methods (OPTIONS). It returns the status of the answer.
// Errors hold neither the URL, which may have a secret in it, nor the credentials.
func (c *Client) Ping(ctx context.Context) (status int, err error) {
	method, target := http.MethodOptions, c.url
	if c.cfg.Format == XAPI {
		u, err := url.Parse(c.cfg.URL)
		if err != nil {
			return 0, errors.New("the url cannot be read")
		}
		u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/statements")
		method, target = http.MethodGet, u.JoinPath("about").String()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		return 0, errors.New("the url cannot be used")
	}
	req.Header = c.header.Clone()
	req.Header.Del("Content-Type")
	resp, err := c.http.Do(req)
	if err != nil {
		if o, refused := c.refusedTarget(err); refused {
			return 0, o.Err
		}
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return 0, fmt.Errorf("%s does not answer: %w", c.host, err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody))
	return resp.StatusCode, nil
}
