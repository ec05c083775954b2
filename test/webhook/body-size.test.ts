import { recordKey } from '@renderyard/shared/batch/batch-layout';
import { newId } from '@renderyard/shared/ids';
import { viewJob } from '@renderyard/shared/job/job-view';
import { readJob } from '@renderyard/shared/job/read-job';
import type { OutboxEvent } from '@renderyard/shared/webhook/event';
import { BODY_BYTES } from '@renderyard/shared/webhook/fit-body';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { putImage, succeeded } from '../batch-results/batch-bench.ts';
import { batchHash, type ComposeBench, eventOf, jobHash, openComposeBench } from './composing.ts';

let bench: ComposeBench;
beforeAll(async () => {
  bench = await openComposeBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

/** Any text of up to so many characters, few or many; among them what JSON makes six times as long. */
const textUpTo = (most: number) =>
  fc
    .tuple(
      fc.oneof(fc.constantFrom('\u0000', '\ud800', 'é', '🦊', '"', 'a'), fc.string({ unit: 'binary', maxLength: 9 })),
      fc.oneof(fc.constantFrom(0, 1, 50, 3000), fc.integer({ min: 0, max: 12_000 })),
    )
    .map(([part, times]) => part.repeat(times).slice(0, most));
const text = textUpTo(100_000);
const dictionaryOf = (values: fc.Arbitrary<string>) =>
  fc.dictionary(fc.string({ maxLength: 5 }), values, { maxKeys: 3 });
const anything = dictionaryOf(text);
const bytes = (value: string) => Buffer.byteLength(value);

/** Composes, and checks what holds of every body. */
async function compose(event: OutboxEvent, identity: Record<string, unknown>) {
  const body = await bench.compose(event);
  expect(bytes(body)).toBeLessThan(BODY_BYTES);
  const { type, timestamp, data } = JSON.parse(body);
  expect({ type, timestamp }).toEqual({ type: event.type, timestamp: new Date(event.at).toISOString() });
  expect(data).toMatchObject(identity);
  return data;
}

test('the body of a job stays under 20,000 bytes, is whole if it can be, and keeps what it must', async () => {
  const seen = { whole: 0, less: 0, least: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.record({ input: anything, metadata: anything, detail: text, key: text, webhook: text }),
      async (of) => {
        const hash = jobHash({
          input: JSON.stringify(of.input),
          metadata: JSON.stringify(of.metadata),
          error: JSON.stringify({ code: 'upstream_rejected', detail: of.detail }),
          output: JSON.stringify([{ key: of.key }]),
          webhook: of.webhook,
        });
        const event = eventOf({ job: hash });
        const data = await compose(event, { id: hash.id, object: 'job', status: 'failed', cost: 0.012345678 });
        const job = readJob(hash);
        if (job === undefined) throw new Error('The hash is that of a job.');
        // What GET answers is JSON as well.
        const view = JSON.parse(JSON.stringify(viewJob(job, { publicUrl: bench.publicUrl, holds: [], now: event.at })));
        const { input: _input, metadata: _metadata, ...rest } = view;
        const bodyOf = (fields: object) =>
          JSON.stringify({ type: event.type, timestamp: new Date(event.at).toISOString(), data: fields });
        const less = { ...rest, truncated: true };
        if (bytes(bodyOf(view)) < BODY_BYTES) {
          expect(data).toEqual(view);
          seen.whole++;
        } else if (bytes(bodyOf(less)) < BODY_BYTES) {
          expect(data).toEqual(less);
          seen.less++;
        } else {
          expect(data).toMatchObject({ truncated: true, error: { code: 'upstream_rejected' } });
          seen.least++;
        }
      },
    ),
    { numRuns: 300 },
  );
  // Else the property would say less than it seems to.
  for (const times of Object.values(seen)) expect(times).toBeGreaterThan(5);
});

test('the body of a batch stays under 20,000 bytes, whatever was uploaded', async () => {
  const given = await bench.put({ columns: ['prompt'], rows: [{ values: ['A fox'] }] });
  const seen = { whole: 0, cut: 0 };
  const uploaded = (words: fc.Arbitrary<string>) => {
    const word = { column: words, value: words, detail: words };
    const problems = fc.array(fc.record({ ...word, line: fc.nat(), code: fc.constant('wrong_type') }), {
      maxLength: 3,
    });
    const columns = fc.array(words, { maxLength: 3 });
    return fc.record({
      ...{ columns, errors: problems, warnings: problems, template: words, name: words, hold: words, webhook: words },
      metadata: dictionaryOf(words),
    });
  };
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(uploaded(text), uploaded(textUpTo(60))),
      fc.constantFrom('paused', 'completed'),
      fc.boolean(),
      async ({ columns, errors, warnings, template, ...of }, status, isDeleted) => {
        const id = newId('bat');
        const options = { on_invalid: 'skip', prompt_template: template };
        const record = { ...given.record, id, columns, options, report: { rejected: { count: 9, errors }, warnings } };
        if (!isDeleted)
          await bench.store.put(recordKey(id), Buffer.from(JSON.stringify(record)), {
            contentType: 'application/json',
          });
        const hold = JSON.stringify({ reason: 'batch_failing', since: 1, detail: of.hold });
        const batch = batchHash(id, {
          ...{ status, name: of.name, webhook: of.webhook, metadata: JSON.stringify(of.metadata) },
          ...(status === 'paused' ? { hold } : {}),
        });
        const identity = { id, object: 'batch', status, counts: { succeeded: 1, failed: 1 }, cost: 0.02 };
        const data = await compose(eventOf({ type: 'batch.completed', batch }), identity);
        if (data.truncated) {
          seen.cut++;
          expect(data.report?.warnings).toBeUndefined();
        } else {
          seen.whole++;
          expect(data).toMatchObject(JSON.parse(JSON.stringify({ report: record.report, columns, options })));
        }
      },
    ),
    { numRuns: 100 },
  );
  for (const times of Object.values(seen)) expect(times).toBeGreaterThan(5);
});

test('the body of a row stays under 20,000 bytes, whatever stands in its columns', async () => {
  await fc.assert(
    fc.asyncProperty(text, text, async (prompt, own) => {
      const { id } = await bench.put({ columns: ['prompt', 'Own'], rows: [{ id: 'fox', values: [prompt, own] }] });
      const image = await putImage(bench.store, id, 'fox', Buffer.from('image'));
      const row = { row: 1, line: JSON.stringify(succeeded(1, image)) };
      const data = await compose(eventOf({ type: 'job.succeeded', batch_id: id, row }), { batch_id: id, row: 1 });
      expect(data.output).toMatchObject([{ key: image.key }]);
      if (bytes(JSON.stringify(prompt)) < 15_000) expect(data).not.toHaveProperty('truncated');
      else if (bytes(JSON.stringify(prompt)) > BODY_BYTES) expect(data).not.toHaveProperty('input');
    }),
    { numRuns: 40 },
  );
});

test('the body of an endpoint stays under 20,000 bytes, whatever its URL', async () => {
  await fc.assert(
    fc.asyncProperty(text, async (url) => {
      const event = eventOf({ type: 'endpoint.disabled', endpoint: { id: 'whk_1', url, reason: 'failing' } });
      const data = await compose(event, { object: 'webhook', id: 'whk_1', state: 'disabled', reason: 'failing' });
      // As it is sent: half a surrogate pair is written out.
      expect(data).toMatchObject(data.truncated ? {} : { url: JSON.parse(JSON.stringify(url)) });
    }),
  );
});
