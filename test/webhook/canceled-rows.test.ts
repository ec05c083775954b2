import { expect, test } from 'vitest';
import { openHttpReceiver, verified } from './http-receiver.ts';
import { openTellingYard } from './telling.ts';

const FILTER = 'job.succeeded,job.canceled,batch.canceled';

test('rows that are canceled with their batch are told one by one to those who asked for it, each once', async () => {
  await using yard = await openTellingYard({ workers: 2 });
  await using own = await openHttpReceiver();
  await using account = await openHttpReceiver();
  const { secret } = await yard.endpoint(account.url);
  expect((await yard.post('/v1/credits/hold', { detail: 'Wait.' })).status).toBeLessThan(300);
  const prompts = Array.from({ length: 30 }, (_, i) => `row ${i + 1}`);
  const batch = await yard.upload(prompts, { webhook_events_filter: FILTER, webhook: own.url });
  const silent = await yard.upload(['not asked for']);
  for (const id of [batch, silent]) await yard.post(`/v1/batches/${id}/cancel`, {});
  for (const id of [batch, silent]) await yard.ended(id);

  const canceled = (received: typeof own.received) => received.filter(({ json }) => json.type === 'job.canceled');
  await yard.until('all rows are told', () => [own, account].every(({ received }) => canceled(received).length >= 30));
  await yard.until('nothing waits', async () => (await yard.redis.zcard(`${yard.prefix}owed`)) === 0);
  for (const { received } of [own, account]) {
    expect(
      canceled(received)
        .map(({ json }) => json.data.row)
        .sort((a, b) => a - b),
    ).toEqual(prompts.map((_, i) => i + 1));
  }
  expect(
    canceled(own.received)
      .map(({ id }) => id)
      .sort(),
  ).toEqual(
    canceled(account.received)
      .map(({ id }) => id)
      .sort(),
  );
  // What is told is what a GET shows.
  const [one] = canceled(account.received);
  if (one === undefined) throw new Error('No row was told.');
  const { data } = verified(secret, one);
  const shown = (await yard.get(`/v1/jobs/${data.id}`)).json;
  expect(data).toEqual(shown);
  expect(data).toMatchObject({ status: 'canceled', batch_id: batch, input: { prompt: `row ${data.row}` } });
  const types = account.received.filter(({ json }) => json.data.id === silent).map(({ json }) => json.type);
  expect(types).toEqual(['batch.canceled']);
}, 60_000);
