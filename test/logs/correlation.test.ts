import { expect, test } from 'vitest';
import { type Installation, startInstallation } from '../support/installation.ts';
import { openListener } from '../webhook/listener.ts';

/** Of a test: a batch is written to its end some seconds after its last row. */
const PATIENCE_MS = 120_000;

type Line = Readonly<Record<string, unknown>>;

const PROMPT = 'A very private lighthouse';
const LISTENS = { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' };

const linesOf = (yard: Installation): readonly Line[] => [yard.api, ...yard.workers].flatMap(({ logs }) => logs);

/** The lines that name a request, once all of these are among them. */
async function linesWith(yard: Installation, request: string, all: readonly string[]): Promise<readonly Line[]> {
  const found = () => linesOf(yard).filter((line) => line.request_id === request);
  await yard.until(`lines of ${all} for ${request}`, async () => {
    const said = found().map(({ msg }) => msg);
    return all.every((msg) => said.filter((each) => each === msg).length >= all.filter((each) => each === msg).length);
  });
  return found();
}

test(
  'one id leads from a request to its job, the call, the image and the webhook, in one line each',
  async () => {
    await using listener = await openListener();
    await using yard = await startInstallation({ env: LISTENS });
    const answer = await yard.call('POST', '/v1/jobs', {
      input: { prompt: PROMPT, width: 64, height: 64 },
      webhook: `${listener.url}/hooks/secret-path?token=hidden`,
    });
    const request = answer.headers.get('x-request-id') ?? '';
    const { id } = (await answer.json()) as { id: string };
    const [ended] = await yard.ended([id]);
    const lines = await linesWith(yard, request, ['request', 'job', 'webhook']);
    const [asked, job, webhook] = lines;

    expect(lines.map(({ msg, service }) => [service, msg])).toEqual([
      ['api', 'request'],
      ['worker', 'job'],
      ['worker', 'webhook'],
    ]);
    expect(asked).toMatchObject({
      ...{ method: 'POST', route: '/v1/jobs', status: 202, account: 'default', job_id: id },
      ...{ bytes_in: expect.any(Number), bytes_out: expect.any(Number) },
    });
    expect(Number(asked?.bytes_in)).toBeGreaterThan(PROMPT.length);
    expect(Number(asked?.bytes_out)).toBeGreaterThan(500);
    const { key, bytes } = ended?.output[0] ?? {};
    expect(job).toMatchObject({
      ...{ level: 30, job: id, account: 'default', status: 'succeeded', attempts: 1, uncertain: 0, cost: ended?.cost },
      ...{ outcome: 'image', upstream_status: 200, key, bytes },
      ...{ call: expect.stringMatching(/^call_/), upstream_request: expect.any(String) },
      ...{ wait_ms: expect.any(Number), call_ms: expect.any(Number), store_ms: expect.any(Number) },
    });
    const { wait_ms: wait, call_ms: call, store_ms: store, total_ms: total } = job as Readonly<Record<string, number>>;
    expect(Number(total)).toBeGreaterThanOrEqual(Number(wait));
    // Two clocks have measured: Redis the whole, the worker its parts.
    expect(Number(total)).toBeGreaterThan(Number(call) + Number(store) - 100);
    expect(webhook).toMatchObject({
      ...{
        level: 30,
        type: 'job.succeeded',
        job: id,
        account: 'default',
        attempt: 1,
        outcome: 'delivered',
        status: 204,
      },
      ...{ to: listener.url, event: listener.arrivals[0]?.id, ms: expect.any(Number) },
    });
    expect(JSON.stringify(linesOf(yard))).not.toMatch(/private lighthouse|secret-path|hidden/);
  },
  PATIENCE_MS,
);

test(
  'the rows of a batch, its end and its webhook have the id of the request that submitted it',
  async () => {
    await using listener = await openListener();
    await using yard = await startInstallation({ env: LISTENS });
    const csv = 'prompt,width\na private one,64\nanother private one,64\n';
    const query = new URLSearchParams({
      defaults: '{"height":64}',
      webhook: `${listener.url}/secret-path`,
      webhook_events_filter: 'job.succeeded,batch.completed',
    });
    const answer = await fetch(new URL(`/v1/batches?${query}`, yard.api.url), {
      method: 'POST',
      headers: { 'content-type': 'text/csv', 'idempotency-key': 'once' },
      body: csv,
    });
    expect(answer.status).toBe(202);
    const request = answer.headers.get('x-request-id') ?? '';
    const { id } = (await answer.json()) as { id: string };
    await yard.batchEnded(id);
    const lines = await linesWith(yard, request, ['request', 'job', 'job', 'batch', 'webhook', 'webhook', 'webhook']);

    const rows = lines.filter(({ msg }) => msg === 'job');
    expect(rows.map(({ batch, row, status }) => [batch, row, status]).sort()).toEqual([
      [id, 1, 'succeeded'],
      [id, 2, 'succeeded'],
    ]);
    expect(lines.find(({ msg }) => msg === 'batch')).toMatchObject({
      ...{ batch: id, account: 'default', status: 'completed', total: 2, succeeded: 2, failed: 0 },
      cost: expect.closeTo(rows.reduce((sum, { cost }) => sum + Number(cost), 0)),
    });
    expect(
      lines
        .filter(({ msg }) => msg === 'webhook')
        .map(({ type }) => type)
        .sort(),
    ).toEqual(['batch.completed', 'job.succeeded', 'job.succeeded']);
    expect(JSON.stringify(linesOf(yard))).not.toMatch(/private one|secret-path/);

    // Sent again, it is answered from what was kept, and its line says so and what was made then.
    const again = await fetch(new URL(`/v1/batches?${query}`, yard.api.url), {
      method: 'POST',
      headers: { 'content-type': 'text/csv', 'idempotency-key': 'once' },
      body: csv,
    });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    const [replayed] = await linesWith(yard, again.headers.get('x-request-id') ?? '', ['request']);
    expect(replayed).toMatchObject({ replayed: true, batch_id: id });
    // Nobody is shown the id but in the log.
    const shown = await (await yard.call('GET', `/v1/batches/${id}`)).text();
    expect(shown + listener.arrivals.map(({ body }) => body).join()).not.toContain(request);
  },
  PATIENCE_MS,
);

test(
  'a job that is canceled before a worker has it leaves its line, too, and so does one that fails',
  async () => {
    await using yard = await startInstallation({ env: { RENDER_ATTEMPTS: '1' }, workers: 0 });
    const submit = async (prompt: string) => {
      const answer = await yard.call('POST', '/v1/jobs', { input: { prompt, width: 64, height: 64 } });
      const { id } = (await answer.json()) as { id: string };
      return { id, request: answer.headers.get('x-request-id') ?? '' };
    };
    const canceled = await submit('one');
    await yard.call('POST', `/v1/jobs/${canceled.id}/cancel`, {});
    const ofCanceled = await linesWith(yard, canceled.request, ['request', 'job']);
    expect(ofCanceled.at(-1)).toMatchObject({
      service: 'api',
      job: canceled.id,
      status: 'canceled',
      attempts: 0,
      cost: 0,
    });
    expect(ofCanceled.at(-1)).not.toHaveProperty('wait_ms');

    await yard.upstream.fault({ times: 1, effect: { kind: 'status', status: 500 } });
    const failed = await submit('two');
    await yard.startWorker();
    await yard.ended([failed.id]);
    const ofFailed = await linesWith(yard, failed.request, ['request', 'a call gave no image', 'job']);
    expect(ofFailed.at(-1)).toMatchObject({ msg: 'job', status: 'failed', error_code: 'upstream_failed', attempts: 1 });
  },
  PATIENCE_MS,
);
