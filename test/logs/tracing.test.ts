import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { startSimulator } from '@renderyard/simulator/simulator';
import { expect, test } from 'vitest';
import { startInstallation } from '../support/installation.ts';
import { openHttpReceiver } from '../webhook/http-receiver.ts';
import { openCollector } from './otlp-collector.ts';
import { openWitness } from './witness.ts';

/** Of a test: each starts an installation of its own. */
const PATIENCE_MS = 120_000;

const [SERVER, CLIENT, CONSUMER] = [2, 3, 5];
async function openSimulator() {
  const { url, close } = await startSimulator({});
  return { url, [Symbol.asyncDispose]: () => close() };
}

/** As a client sends it: sampled. */
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';

test(
  'a trace leads from the client over the request to the job, its call, its image and the webhook',
  async () => {
    await using collector = await openCollector();
    await using receiver = await openHttpReceiver();
    await using simulator = await openSimulator();
    await using upstream = await openWitness(simulator.url);
    await using yard = await startInstallation({
      env: {
        WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
        SEGMIND_BASE_URL: upstream.url,
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
        OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20collector',
        OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
        OTEL_BSP_SCHEDULE_DELAY: '100',
      },
    });
    const submit = await fetch(new URL('/v1/jobs', yard.api.url), {
      method: 'POST',
      headers: { 'content-type': 'application/json', traceparent: `00-${TRACE}-${PARENT}-01` },
      body: JSON.stringify({ input: { prompt: 'a secret', width: 64, height: 64 }, webhook: `${receiver.url}/secret` }),
    });
    const { id } = (await submit.json()) as { id: string };
    await yard.ended([id]);
    const ours = () => collector.spans.filter(({ traceId }) => traceId === TRACE);
    await yard.until('all spans have come', async () => ours().length === 5);
    const span = (name: string) => ours().find((each) => each.name === name);
    const request = span('POST /v1/jobs');
    const job = span('job');
    expect(request).toMatchObject({
      ...{ service: 'renderyard-api', kind: SERVER, parentSpanId: PARENT, failed: false },
      attributes: { 'http.route': '/v1/jobs', 'renderyard.job': id, 'renderyard.account': 'default' },
    });
    const request_id = submit.headers.get('x-request-id');
    expect(job).toMatchObject({
      ...{ service: 'renderyard-worker', kind: CONSUMER, parentSpanId: request?.spanId },
      attributes: { 'renderyard.job': id, 'renderyard.request_id': request_id, 'renderyard.ending': 'succeeded' },
    });
    expect(span('call')).toMatchObject({
      ...{ kind: CLIENT, parentSpanId: job?.spanId },
      attributes: { 'renderyard.outcome': 'image' },
    });
    expect(span('store')).toMatchObject({ kind: CLIENT, parentSpanId: job?.spanId });
    expect(span('webhook')).toMatchObject({
      ...{ kind: CLIENT, parentSpanId: request?.spanId },
      attributes: { 'renderyard.outcome': 'delivered', 'server.address': '127.0.0.1' },
    });

    // The upstream and the receiver hear nothing of it; the log does.
    expect(upstream.heads.filter(({ method }) => method === 'POST')).toHaveLength(1);
    expect(receiver.received).toHaveLength(1);
    const heard = JSON.stringify([upstream.heads, receiver.received.map(({ headers }) => headers)]);
    expect(heard).not.toMatch(/traceparent|tracestate|baggage/);
    const lines = [yard.api, ...yard.workers].flatMap(({ logs }) => logs).filter((line) => line.trace_id === TRACE);
    expect(lines.map(({ msg }) => msg).sort()).toEqual(['job', 'request', 'webhook']);
    expect(collector.requests.every(({ path, auth }) => path === '/v1/traces' && auth === 'Bearer collector')).toBe(
      true,
    );
    expect(JSON.stringify(collector.spans)).not.toMatch(/a secret|\/secret/);
  },
  PATIENCE_MS,
);

test(
  'each row has a trace of its own, which refers to the request of its batch',
  async () => {
    await using collector = await openCollector();
    await using yard = await startInstallation({
      env: {
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/v1/traces`,
        OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json',
        OTEL_SERVICE_NAME: 'yard',
        OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
      },
    });
    const { id } = await yard.upload('prompt\none\ntwo\n');
    await yard.batchEnded(id);
    // What waits in the queue is sent when a process stops.
    for (const service of [...yard.workers, yard.api]) await service.stop();
    const upload = collector.spans.find(({ name }) => name === 'POST /v1/batches');
    const jobs = collector.spans.filter(({ name }) => name === 'job');
    expect(upload).toMatchObject({ service: 'yard', attributes: { 'renderyard.batch': id } });
    expect(jobs.map(({ attributes }) => attributes['renderyard.row']).sort()).toEqual([1, 2]);
    for (const { parentSpanId, links } of jobs) {
      expect(parentSpanId).toBeUndefined();
      expect(links).toMatchObject([{ traceId: upload?.traceId, spanId: upload?.spanId }]);
    }
    expect(new Set([upload, ...jobs].map((span) => span?.traceId)).size).toBe(3);
  },
  PATIENCE_MS,
);

test(
  'a row that the store has lost has a span, as its line in the log says',
  async () => {
    await using collector = await openCollector();
    await using yard = await startInstallation({
      workers: 0,
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' },
    });
    const { id } = await yard.upload('prompt\none\n');
    await rm(join(yard.folder, 'store', 'batches', id, 'rows'), { recursive: true });
    const worker = await yard.startWorker();
    const { trace_id } = await worker.untilLog(({ msg }) => msg === 'job');
    await worker.stop();
    expect(collector.spans.filter(({ traceId }) => traceId === trace_id)).toMatchObject([
      { name: 'job', failed: true, attributes: { 'renderyard.batch': id, 'renderyard.ending': 'failed' } },
    ]);
  },
  PATIENCE_MS,
);

test(
  'spans go as protobuf where nothing else is said, and a collector that is away is told of once',
  async () => {
    await using collector = await openCollector();
    await using yard = await startInstallation({
      env: { OTEL_TRACES_EXPORTER: 'otlp', OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '50' },
    });
    await yard.ended(await yard.submit(['one']));
    const sent = () => collector.requests.map(({ body }) => body.toString('latin1')).join();
    await yard.until(
      'the spans have come',
      async () => sent().includes('POST /v1/jobs') && sent().includes('renderyard.outcome'),
    );
    expect(new Set(collector.requests.map(({ type }) => type))).toEqual(new Set(['application/x-protobuf']));
    await collector[Symbol.asyncDispose]();
    const complaint = (msg: unknown) => String(msg).startsWith('spans cannot be exported');
    const [worker] = yard.workers;
    await yard.ended(await yard.submit(['two']));
    await worker?.untilLog(({ msg }) => complaint(msg));
    await yard.ended(await yard.submit(['three']));
    await worker?.stop();
    expect(worker?.logs.filter(({ msg }) => complaint(msg))).toHaveLength(1);
  },
  PATIENCE_MS,
);

test.each([
  ['nothing is set', {}],
  ['the SDK is disabled', { OTEL_SDK_DISABLED: 'true' }],
  ['no exporter is wanted', { OTEL_TRACES_EXPORTER: 'none' }],
])(
  'nothing is traced where %s',
  async (_when, env) => {
    await using collector = await openCollector();
    const endpoint = Object.keys(env).length === 0 ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
    await using yard = await startInstallation({ env: { ...env, ...endpoint, OTEL_BSP_SCHEDULE_DELAY: '10' } });
    await yard.ended(await yard.submit(['one']));
    const services = [...yard.workers, yard.api];
    for (const service of services) await service.stop();
    expect(collector.requests).toEqual([]);
    const lines = services.flatMap(({ logs }) => logs);
    expect(lines.filter(({ msg }) => msg === 'job')).toHaveLength(1);
    expect(lines.filter((line) => 'trace_id' in line)).toEqual([]);
  },
  PATIENCE_MS,
);
