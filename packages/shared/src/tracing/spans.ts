import {
  type Attributes,
  type Context,
  isSpanContextValid,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api';

export type { Span } from '@opentelemetry/api';

/** What a span is of: a request that came in, work that was queued, or a request that goes out. */
export type SpanRole = 'server' | 'consumer' | 'client';
const KINDS: Readonly<Record<SpanRole, SpanKind>> = {
  server: SpanKind.SERVER,
  consumer: SpanKind.CONSUMER,
  client: SpanKind.CLIENT,
};

export interface SpanOptions {
  readonly role: SpanRole;
  /** The span that it is a part of, or the `traceparent` of one of another process; a trace of its own if left out. */
  readonly parent?: Span | string | undefined;
  /** The `traceparent` of a span that it belongs to without being a part of it. */
  readonly link?: string | undefined;
  /** When it began, in milliseconds since 1970; now if left out. */
  readonly startedAt?: number;
  readonly attributes?: Attributes;
}

/**
 * Begins a span. Without an SDK (see start-tracing.ts) it records nothing and costs next to nothing; it has the ids of its
 * parent then, where that was traced by another process.
 */
export function startSpan(name: string, { role, parent, link, startedAt, attributes }: SpanOptions): Span {
  const linked = parseTraceparent(link);
  return trace.getTracer('renderyard').startSpan(
    name,
    {
      kind: KINDS[role],
      ...(attributes === undefined ? {} : { attributes }),
      ...(startedAt === undefined ? {} : { startTime: startedAt }),
      ...(linked === undefined ? {} : { links: [{ context: linked } satisfies Link] }),
    },
    contextOf(parent),
  );
}

function contextOf(parent: Span | string | undefined): Context {
  if (typeof parent === 'object') return trace.setSpan(ROOT_CONTEXT, parent);
  const remote = parseTraceparent(parent);
  return remote === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote);
}

/** Ends a span; with `failure`, in a few words, as one that failed. */
export function endSpan(span: Span, attributes: Attributes = {}, failure?: string): void {
  span.setAttributes(attributes);
  if (failure !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: failure });
  span.end();
}

/** The id of a span's trace, as a field of a line of the log; nothing where there is none. */
export function traceField(span: Span): { readonly trace_id?: string } {
  const context = span.spanContext();
  return isSpanContextValid(context) ? { trace_id: context.traceId } : {};
}

/** A span for another process to go on from: W3C Trace Context, “traceparent”. Undefined where there is none. */
export function traceparentOf(span: Span): string | undefined {
  const context = span.spanContext();
  if (!isSpanContextValid(context)) return undefined;
  return `00-${context.traceId}-${context.spanId}-${context.traceFlags.toString(16).padStart(2, '0')}`;
}

/**
 * The same, read. https://www.w3.org/TR/trace-context/, 3.2: of a later version the fields known here stand first. What
 * is malformed counts as none.
 */
export function parseTraceparent(text: string | undefined): SpanContext | undefined {
  const match = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(text ?? '');
  if (match === null || (match[1] === '00' && match[5] !== undefined)) return undefined;
  const [, , traceId = '', spanId = '', flags = ''] = match;
  const context = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED, isRemote: true };
  return isSpanContextValid(context) ? context : undefined;
}
