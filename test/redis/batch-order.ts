import { parseRowJobId, rowJobId } from '@renderyard/shared/batch/row';
import type { RowResult } from '@renderyard/shared/batch/row-result';
import { expect } from 'vitest';
import type { Bench } from './bench.ts';
import { allKeys } from './keys.ts';

interface Entry {
  readonly job: string;
  readonly estimate: number;
  readonly of_batch?: boolean;
}

const bit = (bytes: Buffer, row: number) => ((bytes[(row - 1) >> 3] ?? 0) & (0x80 >> ((row - 1) & 7))) !== 0;
const rowsOf = (bytes: Buffer) =>
  Array.from({ length: bytes.length * 8 }, (_, i) => i + 1).filter((row) => bit(bytes, row));

/**
 * Checks what must hold of batches at any moment: each row is in exactly one place from which it goes on or where it
 * has ended, and every counter says what is there.
 */
export async function expectBatchesInOrder(
  bench: Pick<Bench, 'redis' | 'prefix'>,
  ids: readonly string[],
): Promise<void> {
  const { redis, prefix } = bench;
  const fed = await redis.zrange(`${prefix}fed`, '0', '-1');
  const keys = (await allKeys(redis, prefix)).map((key) => key.slice(prefix.length));
  await expectWindowInOrder(bench, fed);
  const entries = [
    ...Object.values(await redis.hgetall(`${prefix}calls`)),
    ...Object.values(await redis.hgetall(`${prefix}uncertain`)),
  ].map((text) => JSON.parse(text) as Entry);
  for (const id of ids) {
    const of = (place: ReturnType<typeof parseRowJobId>) => place?.batch === id;
    const rowsFed = fed
      .map(parseRowJobId)
      .filter(of)
      .map((place) => place?.row ?? 0);
    const hashes = keys
      .filter((key) => key.startsWith('job:'))
      .map((key) => parseRowJobId(key.slice(4)))
      .filter(of)
      .map((place) => place?.row ?? 0);
    const reserved = entries
      .filter(({ job, of_batch }) => of_batch && of(parseRowJobId(job)))
      .reduce((sum, { estimate }) => sum + estimate, 0);
    const own = keys.filter((key) => key.includes(id) && !key.startsWith('job:'));
    await expectBatchInOrder(bench, id, { rowsFed, hashes, reserved, own });
  }
}

/** The window counts the rows that have tickets, by account and by batch. */
async function expectWindowInOrder(
  { redis, prefix }: Pick<Bench, 'redis' | 'prefix'>,
  fed: readonly string[],
): Promise<void> {
  const counts: Record<string, string> = {};
  const add = (name: string) => {
    counts[name] = String(Number(counts[name] ?? 0) + 1);
  };
  for (const place of fed.map(parseRowJobId)) {
    if (place === undefined) continue;
    add('*');
    add(`b:${place.batch}`);
    add(`a:${await redis.hget(`${prefix}batch:${place.batch}`, 'account')}`);
  }
  expect(await redis.hgetall(`${prefix}window`)).toEqual(counts);
}

interface Found {
  readonly rowsFed: readonly number[];
  /** Rows that have a hash. */
  readonly hashes: readonly number[];
  /** Estimates of calls that hold some of the batch's budget. */
  readonly reserved: number;
  /** Keys that name the batch, less those of its rows. */
  readonly own: readonly string[];
}

async function expectBatchInOrder(
  { redis, prefix }: Pick<Bench, 'redis' | 'prefix'>,
  id: string,
  found: Found,
): Promise<void> {
  const hash = await redis.hgetall(`${prefix}batch:${id}`);
  const status = hash.status ?? 'forgotten';
  const number = (name: string) => Number(hash[name] ?? 0);
  const [total, processing, succeeded, failed, canceled] = [
    'total',
    'processing',
    'succeeded',
    'failed',
    'canceled',
  ].map(number) as [number, number, number, number, number];
  const account = hash.account ?? '';
  const feeding = {
    listed: (await redis.zscore(`${prefix}feeding:${account}`, id)) !== null,
    account: (await redis.zscore(`${prefix}feeding`, account)) !== null,
  };
  if (['completed', 'canceled', 'forgotten'].includes(status)) {
    expect({
      hashes: found.hashes,
      fed: found.rowsFed,
      reserved: number('reserved'),
      listed: feeding.listed,
      own: found.own,
    }).toEqual({ hashes: [], fed: [], reserved: 0, listed: false, own: status === 'forgotten' ? [] : [`batch:${id}`] });
    if (status === 'completed') expect([succeeded + failed, processing, canceled]).toEqual([total, 0, 0]);
    if (status === 'canceled') expect([succeeded + failed + canceled, processing]).toEqual([total, 0]);
    return;
  }
  const read = async (name: string) => (await redis.getBuffer(`${prefix}bits:${id}:${name}`)) ?? Buffer.alloc(0);
  const [okBits, failedBits, againBits] = [await read('ok'), await read('failed'), await read('again')];
  const [ok, lost, again] = [rowsOf(okBits), rowsOf(failedBits), rowsOf(againBits)];
  expect({ succeeded, failed }).toEqual({ succeeded: ok.length, failed: lost.length });

  // Every row that was ever fed is in one place, and a row that was not is in none.
  const cursor = number('cursor');
  const places = new Map<number, string[]>();
  const put = (rows: readonly number[], place: string) => {
    for (const row of rows) places.set(row, [...(places.get(row) ?? []), place]);
  };
  put(ok, 'ok');
  put(lost, 'failed');
  put(again, 'again');
  put(found.rowsFed, 'fed');
  const wrong: string[] = [];
  for (const [row, where] of places)
    if (where.length !== 1 || row > cursor || row > total) wrong.push(`row ${row} is in ${where.join(' and ')}`);
  if (status !== 'canceling')
    for (let row = 1; row <= cursor; row++) if (!places.has(row)) wrong.push(`row ${row} is nowhere`);
  expect(wrong, `of ${id}, which is ${status}, with its cursor at ${cursor}`).toEqual([]);

  // Only rows that have a ticket, or that have cost something, have a hash.
  const jobs = new Map(
    await Promise.all(
      found.hashes.map(async (row) => [row, await redis.hgetall(`${prefix}job:${rowJobId(id, row)}`)] as const),
    ),
  );
  for (const row of found.rowsFed) expect(jobs.has(row), `row ${row} has a ticket and a hash`).toBe(true);
  for (const [row, job] of jobs)
    if (!found.rowsFed.includes(row))
      expect({
        row,
        again: bit(againBits, row),
        kept: Number(job.attempts) > 0 || Number(job.cost) > 0,
        call: job.call,
      }).toEqual({
        row,
        again: true,
        kept: true,
        call: '',
      });
  const inFlight = [...jobs.values()].filter(({ call }) => call !== '');
  expect(processing).toBe(inFlight.length);
  expect([...jobs.values()].filter((job) => job.status === 'processing')).toEqual(inFlight);
  expect(number('reserved')).toBe(found.reserved);

  // It goes on by itself.
  const due = cursor < total || again.length > 0;
  if (status === 'running' && due) expect(feeding).toEqual({ listed: true, account: true });
  if (status !== 'running') expect(feeding.listed).toBe(false);
  expect(status === 'finishing', `a batch that is ${status} has ${succeeded} + ${failed} of ${total} rows`).toBe(
    status !== 'canceling' && succeeded + failed === total,
  );
  const dirty = await redis.smembers(`${prefix}dirty:${id}`);
  const parts = found.own.filter((key) => key.startsWith('results:')).map((key) => key.slice(`results:${id}:`.length));
  expect(dirty.sort()).toEqual(parts.sort());
  const ends = status === 'finishing' || (status === 'canceling' && processing === 0);
  if (parts.length > 0 || ends)
    expect(await redis.zscore(`${prefix}dirty`, id), `${id} is due to be written`).not.toBeNull();
  for (const part of parts)
    for (const [row, line] of Object.entries(await redis.hgetall(`${prefix}results:${id}:${part}`))) {
      const result = JSON.parse(line) as RowResult;
      expect(result.row).toBe(Number(row));
      if (result.status === 'succeeded') expect(bit(okBits, result.row)).toBe(true);
      else if (result.run === number('runs')) expect(bit(failedBits, result.row)).toBe(true);
      expect(result.run).toBeLessThanOrEqual(number('runs'));
    }
}
