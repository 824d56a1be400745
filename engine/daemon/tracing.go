package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// tracing makes the spans of rounds and requests. Without an endpoint it makes none and costs nothing. Spans carry
// names, counts and reasons, never data of events.
type tracing struct {
	tracer   trace.Tracer
	provider *sdktrace.TracerProvider // nil without an endpoint
}

// newTracing exports to an OTLP endpoint over HTTP, such as http://collector:4318; "" means no tracing.
// That traces cannot be sent is logged once.
func newTracing(ctx context.Context, endpoint string, log *slog.Logger) (*tracing, error) {
	if endpoint == "" {
		return &tracing{tracer: noop.NewTracerProvider().Tracer("erbd")}, nil
	}
	if !strings.Contains(endpoint, "://") {
		endpoint = "http://" + endpoint
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(strings.TrimSuffix(endpoint, "/")+"/v1/traces"))
	if err != nil {
		return nil, fmt.Errorf("tracing.endpoint: %w", err)
	}
	trouble := &notice{log: log}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { trouble.say("traces cannot be sent", err) }))
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "erbd"))),
	)
	return &tracing{tracer: provider.Tracer("erbd"), provider: provider}, nil
}

// round starts the span of a round of a stage; end it with the function.
func (t *tracing) round(ctx context.Context, backend string, messages int) func(events, statements int) {
	_, span := t.tracer.Start(ctx, "transform", trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(attribute.String("erb.backend", backend), attribute.Int("messaging.batch.message_count", messages)))
	return func(events, published int) {
		span.SetAttributes(attribute.Int("erb.events", events), attribute.Int("erb.published_messages", published))
		span.End()
	}
}

// request records the span of a request that has ended.
func (t *tracing) request(k lane, reason string, items int, took time.Duration) {
	if t.provider == nil {
		return
	}
	end := time.Now()
	_, span := t.tracer.Start(context.Background(), "deliver", trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(end.Add(-took)),
		trace.WithAttributes(attribute.String("erb.backend", k.backend), attribute.String("erb.router", k.router),
			attribute.Int("erb.statements", items), attribute.String("erb.answer", reason)))
	if !strings.HasPrefix(reason, "http_2") {
		span.SetStatus(codes.Error, reason)
	}
	span.End(trace.WithTimestamp(end))
}

// close sends what is left.
func (t *tracing) close(ctx context.Context) error {
	if t.provider == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("tracing: %w", err)
	}
	return nil
}
