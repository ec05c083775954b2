import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { listen } from '../webhook/receiver.ts';

/** A span as it came over the wire in OTLP's JSON; only what the tests look at. Kinds: 2 server, 3 client, 5 consumer. */
interface ReceivedSpan {
  readonly service: string;
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  /** Undefined for the first of a trace. */
  readonly parentSpanId: string | undefined;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly failed: boolean;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** A collector that takes traces over HTTP, and keeps what it is sent. */
export interface Collector extends AsyncDisposable {
  readonly url: string;
  /** Of what came as JSON. */
  readonly spans: readonly ReceivedSpan[];
  /** All that came, as it came but for compression. */
  readonly requests: readonly {
    readonly path: string;
    readonly type: string;
    readonly auth: string;
    readonly body: Buffer;
  }[];
}

interface OtlpAttribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

interface OtlpTraces {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly OtlpAttribute[] };
    readonly scopeSpans: readonly {
      readonly spans: readonly (Omit<ReceivedSpan, 'attributes' | 'links' | 'service' | 'failed'> & {
        readonly attributes?: readonly OtlpAttribute[];
        readonly links?: ReceivedSpan['links'];
        readonly status?: { readonly code?: number };
      })[];
    }[];
  }[];
}

export async function openCollector(): Promise<Collector> {
  const spans: ReceivedSpan[] = [];
  const requests: Collector['requests'][number][] = [];
  const server = createServer((request, response) => {
    buffer(request).then(
      (sent) => {
        const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent;
        const { url: path = '', headers } = request;
        const type = headers['content-type'] ?? '';
        requests.push({ path, type, auth: headers.authorization ?? '', body });
        if (type === 'application/json') spans.push(...spansOf(JSON.parse(body.toString()) as OtlpTraces));
        response.writeHead(200, { 'content-type': type }).end();
      },
      () => response.destroy(),
    );
  });
  const { port, ...listening } = await listen(server);
  return { ...listening, url: `http://127.0.0.1:${port}`, spans, requests };
}

function spansOf({ resourceSpans }: OtlpTraces): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        ...span,
        service: String(plain(resource.attributes)['service.name']),
        parentSpanId: span.parentSpanId || undefined,
        links: span.links ?? [],
        failed: span.status?.code === 2,
        attributes: plain(span.attributes ?? []),
      })),
    ),
  );
}

function plain(attributes: readonly OtlpAttribute[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
