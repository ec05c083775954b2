import { createHash } from 'node:crypto';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { parse } from 'csv-parse/sync';
import { Webhook } from 'standardwebhooks';
import { beforeAll, expect, test } from 'vitest';
import { watchToTheEnd } from './yard/event-stream.ts';
import { YARD_MS } from './yard/ground.ts';
import { until } from './yard/until.ts';
import { type Json, SMALL, startYard, type Yard } from './yard/yard.ts';
import { readZip } from './yard/zip.ts';

const DEFAULTS = new URLSearchParams({ defaults: JSON.stringify(SMALL) });
const CSV = { 'content-type': 'text/csv' };
/** Rows 3 and 5 are wrong. A cell with a formula, quotes, a line break and letters of many scripts come along. */
const FILE = [
  'id,prompt,steps,note',
  'fox,"A fox, asleep\nin the “snow” 🦊",12,=1+1',
  'hen,Ένα κόκκινο παλτό,,plain',
  'bad,,12,no prompt',
  'owl,فانوس,10,',
  'worse,too many steps,7000,',
  'elk,"says ""hello""",,',
].join('\r\n');

let yard: Yard;
beforeAll(async () => {
  yard = await startYard({ workers: 2 });
  return () => yard[Symbol.asyncDispose]();
}, YARD_MS);

const upload = (csv: string, options: Readonly<Record<string, string>> = {}, headers = {}) =>
  yard.json('POST', `/v1/batches?${new URLSearchParams([...DEFAULTS, ...Object.entries(options)])}`, {
    body: csv,
    headers: { ...CSV, ...headers },
  });
const text = async (path: string) => (await yard.call('GET', path)).text();
const rowsOf = async (id: string): Promise<Json[]> =>
  (await text(`/v1/batches/${id}/results.ndjson`))
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));

test('a CSV becomes images: events, results, rejected rows, a zip, objects in the bucket and a webhook', async () => {
  const webhook = new URL('/hooks/batch', yard.receiver.peerUrl).href;
  const made = await upload(FILE, { name: 'Animals', webhook, webhook_events_filter: 'batch.completed' });
  expect(made).toMatchObject({ status: 'running', name: 'Animals', counts: { total: 4, rejected: 2 } });
  expect(made.report.rejected.errors.map((error: { line: number }) => error.line)).toHaveLength(2);

  const events = await watchToTheEnd(yard, `/v1/batches/${made.id}/events`);
  expect([events.at(0)?.event, events.at(-1)?.event]).toEqual(['snapshot', 'batch.completed']);
  const batch = await yard.json('GET', `/v1/batches/${made.id}`);
  expect(batch).toMatchObject({ status: 'completed', counts: { succeeded: 4, failed: 0, rejected: 2 }, uncertain: 0 });

  const rows = await rowsOf(made.id);
  const billed = (await yard.ledger()).slice(-4);
  expect(rows.map(({ id }) => id)).toEqual(['fox', 'hen', 'owl', 'elk']);
  expect(rows[0].input).toMatchObject({ prompt: 'A fox, asleep\nin the “snow” 🦊', steps: 12, width: 64 });
  expect(new Set(rows.map((row) => row.output[0].sha256))).toEqual(new Set(billed.map((one) => one.image_sha256)));
  expect(batch.cost).toBeCloseTo(
    billed.reduce((sum, { cost }) => sum + cost, 0),
    8,
  );

  const csv: Record<string, string>[] = parse(await text(`/v1/batches/${made.id}/results.csv`), { columns: true });
  expect(csv.map(({ id, status }) => `${id} ${status}`)).toEqual([
    'fox succeeded',
    'hen succeeded',
    'owl succeeded',
    'elk succeeded',
  ]);
  expect(csv.map(({ note }) => note)).toEqual(["'=1+1", 'plain', '', '']);
  const rejected: Record<string, string>[] = parse(await text(`/v1/batches/${made.id}/rejected.csv`), {
    columns: true,
  });
  expect(rejected.map(({ id, rejected_column }) => `${id} ${rejected_column}`)).toEqual(['bad prompt', 'worse steps']);

  const zip = await readZip(await (await yard.call('GET', `/v1/batches/${made.id}/images.zip`)).bytes());
  const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  for (const row of rows) {
    const { key, sha256: hash } = row.output[0];
    const object = await yard.bucket.s3.send(new GetObjectCommand({ Bucket: yard.bucket.name, Key: key }));
    expect(sha256((await object.Body?.transformToByteArray()) ?? new Uint8Array())).toBe(hash);
    expect([...zip].filter(([name, bytes]) => key.endsWith(name) && sha256(bytes) === hash)).toHaveLength(1);
  }
  expect([...zip.keys()]).toContain('results.csv');

  const told = await until('the webhook of the batch', async () => (await yard.received('/hooks/batch'))[0]);
  const { secret } = await yard.json('GET', '/v1/webhooks/default/secret');
  const event = new Webhook(secret).verify(told.body, told.headers) as Json;
  expect([event.type, event.data.id]).toEqual(['batch.completed', made.id]);
});

test('a dry run tells the same and makes nothing', async () => {
  const before = (await yard.json('GET', '/v1/batches')).data.length;
  const plan = await upload(FILE, { dry_run: 'true' });
  expect(plan).toMatchObject({ object: 'batch_dry_run', accepted: true, images: 4 });
  expect(plan.preview[0].input.prompt).toContain('A fox');
  expect((await yard.json('GET', '/v1/batches')).data).toHaveLength(before);
});

test('the same upload with the same idempotency key is one batch', async () => {
  const headers = { 'idempotency-key': 'animals-1' };
  const csv = 'prompt\na seal\n';
  const first = await upload(csv, {}, headers);
  expect((await upload(csv, {}, headers)).id).toBe(first.id);
  await watchToTheEnd(yard, `/v1/batches/${first.id}/events`);
  expect((await yard.ledger()).filter(({ prompt }) => prompt === 'a seal')).toHaveLength(1);
});

test('a paused batch begins nothing, a resumed one goes on, a canceled one ends for good', async () => {
  const csv = ['prompt', ...Array.from({ length: 200 }, (_, i) => `leaf ${i}`)].join('\n');
  const { id } = await upload(csv);
  const batch = () => yard.json('GET', `/v1/batches/${id}`);
  const ended = async () => (await batch()).counts.succeeded;
  await until('some rows have ended', async () => (await ended()) > 0);
  const paused = await yard.json('POST', `/v1/batches/${id}/pause`);
  expect(paused).toMatchObject({ status: 'paused', hold: { reason: 'batch_paused' } });
  await until('no call is in flight', async () => (await batch()).counts.processing === 0);
  const calls = (await yard.ledger()).length;
  // Another job is rendered meanwhile: the workers work, only not on this.
  await yard.json('POST', '/v1/jobs', {
    body: { input: { prompt: 'beside', ...SMALL } },
    headers: { prefer: 'wait=30' },
  });
  expect((await yard.ledger()).length).toBe(calls + 1);
  const before = await ended();
  await yard.json('POST', `/v1/batches/${id}/resume`);
  await until('more rows have ended', async () => (await ended()) > before);
  await yard.json('POST', `/v1/batches/${id}/cancel`);
  const last = await until('it is canceled', async () => {
    const now = await batch();
    return now.status === 'canceled' && now;
  });
  const { total, succeeded, canceled } = last.counts;
  expect(succeeded + canceled).toBe(total);
  expect(canceled).toBeGreaterThan(0);
  expect((await yard.ledger()).filter(({ prompt }) => prompt.startsWith('leaf'))).toHaveLength(succeeded);
  const changes = (await yard.json('GET', `/v1/batches/${id}/changes`)).data;
  expect(changes.map(({ by, action }: Json) => `${by} ${action}`)).toEqual([
    'shop cancel',
    'shop resume',
    'shop pause',
    'shop create',
  ]);
}, 60_000);
