import { beforeAll, describe, expect, test } from 'vitest';
import { type Program, YARD_MS } from './yard/ground.ts';
import { until } from './yard/until.ts';
import { type Json, SMALL, startYard, type Yard } from './yard/yard.ts';

const PROMPT = 'a prompt that is nobody else’s business';
let yard: Yard;
let job: Json;
let request = '';

beforeAll(async () => {
  yard = await startYard({ workers: 2 });
  const webhook = new URL('/hooks/observed?token=of-the-user', yard.receiver.peerUrl).href;
  const answer = await yard.call('POST', '/v1/jobs', {
    body: { input: { prompt: PROMPT, ...SMALL }, webhook },
    headers: { prefer: 'wait=30' },
  });
  job = await answer.json();
  request = answer.headers.get('x-request-id') ?? '';
  await until('the webhook has arrived', async () => (await yard.received('/hooks/observed?token=of-the-user'))[0]);
  return () => yard[Symbol.asyncDispose]();
}, YARD_MS);

const watched = (program: Program, path: string) => fetch(new URL(path, program.operationsUrl));
const everyProgram = () => [yard.api, ...yard.workers];
/** All lines of the services, as what they are; every one of them has to be JSON. */
const records = () =>
  everyProgram().flatMap(({ name, lines }) =>
    lines
      // Of npm, and of Node.
      .filter((line) => line.startsWith('{'))
      .map((line): Json => ({ program: name, ...JSON.parse(line) })),
  );

describe('health', () => {
  test('is told by API and workers without a key: that they live, and whether they can work, check by check', async () => {
    for (const program of everyProgram()) {
      expect(await (await watched(program, '/health/live')).json()).toEqual({ status: 'live' });
      const ready: Json = await (await watched(program, '/health/ready')).json();
      expect(ready.status).toBe('ready');
      const names = ready.checks.map(({ name, ok }: Json) => ok && name);
      expect(names).toEqual(expect.arrayContaining(['redis', 'store', 'settings']));
      expect((await watched(program, '/v1/jobs')).status).toBe(404);
      expect((await fetch(new URL('/metrics', program.operationsUrl), { method: 'POST' })).status).toBe(405);
    }
    expect((await yard.call('GET', '/health/ready', { key: null })).status).toBe(200);
  });
});

/** The samples of an exposition by name and labels; of histograms too. */
function samplesOf(text: string): ReadonlyMap<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}
const sum = (samples: ReadonlyMap<string, number>, begins: string) =>
  [...samples].reduce((all, [name, value]) => (name.startsWith(begins) ? all + value : all), 0);

describe('metrics', () => {
  test('are told by API and workers, and count what was done', async () => {
    const api = samplesOf(await (await watched(yard.api, '/metrics')).text());
    expect(api.get('renderyard_redis_up')).toBe(1);
    expect(api.get('renderyard_store_up')).toBe(1);
    expect(sum(api, 'renderyard_http_requests_total{')).toBeGreaterThan(0);
    const workers = await Promise.all(yard.workers.map(async (worker) => (await watched(worker, '/metrics')).text()));
    const counted = workers.map(samplesOf);
    expect(counted.reduce((all, samples) => all + sum(samples, 'renderyard_jobs_ended_total{'), 0)).toBe(1);
    expect(counted.reduce((all, samples) => all + sum(samples, 'renderyard_calls_total{'), 0)).toBe(1);
    expect(counted.reduce((all, samples) => all + sum(samples, 'renderyard_webhook_attempts_total{'), 0)).toBe(1);
    for (const samples of counted)
      expect([...samples.keys()].some((name) => name.startsWith('nodejs_eventloop_lag'))).toBe(true);
    // What is counted in Redis is the same wherever it is asked for.
    for (const name of ['renderyard_rate_limit_calls', 'renderyard_credits_reserved', 'renderyard_slots_limit'])
      expect(counted.map((samples) => samples.get(name))).toEqual(counted.map(() => api.get(name)));
  });

  test('name no job, no prompt, no account and no path', async () => {
    for (const program of everyProgram()) {
      const text = await (await watched(program, '/metrics')).text();
      for (const secret of [job.id, PROMPT, 'hooks/observed', yard.keys.shop, yard.upstreamKey])
        expect(text).not.toContain(secret);
    }
  });

  test("need a key on the API's own port", async () => {
    expect((await yard.call('GET', '/metrics', { key: null })).status).toBe(401);
    const answer = await yard.call('GET', '/metrics');
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, expect.stringContaining('text/plain')]);
  });
});

describe('logs', () => {
  test('follow a request to its job, its call and its webhook by one id', async () => {
    expect(request).toMatch(/^req_/);
    const found = await until('the log has all of it', async () => {
      const of = records().filter((record) => JSON.stringify(record).includes(request));
      return (
        of.some(({ program }) => program === 'api') && of.filter((one) => one.program === 'worker').length >= 2 && of
      );
    });
    const told = (program: string, what: (record: Json) => boolean) =>
      found.filter((record) => record.program === program && what(record));
    expect(told('worker', ({ msg }) => msg === 'job')).toMatchObject([
      { job: job.id, status: 'succeeded', attempts: 1 },
    ]);
    expect(told('worker', ({ delivery }) => delivery !== undefined)).toHaveLength(1);
  });

  test('hold no prompt, no key and no URL of a user', async () => {
    const text = everyProgram()
      .flatMap(({ lines }) => lines)
      .join('\n');
    for (const secret of [PROMPT, yard.keys.shop, yard.keys.other, yard.upstreamKey, 'of-the-user', 'hooks/observed'])
      expect(text).not.toContain(secret);
  });
});
