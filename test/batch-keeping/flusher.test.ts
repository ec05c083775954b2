import { execFile } from 'node:child_process';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { createBatchFiles } from '@renderyard/shared/batch/batch-files';
import { batchFolder, checksumsKey, openKey, resultsPrefix } from '@renderyard/shared/batch/batch-layout';
import { loadProgress } from '@renderyard/shared/recovery/load-progress';
import { GenerationLostError } from '@renderyard/shared/redis/script';
import { StoreError } from '@renderyard/shared/store/store-error';
import { describe, expect, test } from 'vitest';
import { decisionOf, sha256 } from '../support/stored-batch.ts';
import { openWorkshop, type Stored, withEach } from './workshop.ts';

type Workshop = Awaited<ReturnType<typeof openWorkshop>>;

/** Checks that a batch has ended and that the store alone tells all of it. */
async function expectEnded(
  shop: Workshop,
  { record }: Stored,
  failed: readonly number[] = [],
  runs = 0,
): Promise<void> {
  const { id } = record;
  expect(await shop.states.get(id)).toMatchObject({ status: 'completed', failed: failed.length });
  expect(await shop.keys('open/')).not.toContain(openKey(id));
  const manifest = await shop.manifest(id);
  expect(manifest).toMatchObject({
    status: 'completed',
    runs,
    counts: { total: record.rows, succeeded: record.rows - failed.length, failed: failed.length, canceled: 0 },
  });
  // Everything that it names is there, and is what it says; nothing else is.
  expect(manifest?.results.map(({ key }) => key)).toEqual(await shop.keys(resultsPrefix(id)));
  const named = [...(manifest?.rows ?? []), ...(manifest?.results ?? [])];
  for (const { key, bytes, sha256: hash } of [...named, { ...manifest?.checksums, key: checksumsKey(id) }]) {
    const text = Buffer.from((await shop.text(key)) ?? '');
    expect([text.length, sha256(text)], key).toEqual([bytes, hash]);
  }
  expect(sha256(Buffer.from((await shop.text(manifest?.record.key ?? 'none')) ?? ''))).toBe(manifest?.record.sha256);
  const results = await Promise.all(
    record.parts.map((_, part) =>
      shop.files
        .resultVersions(id)
        .then(async (versions) => [
          ...((await shop.files.readResults(id, part, versions.get(part) ?? 0))?.values() ?? []),
        ]),
    ),
  );
  expect(results.flat().map(({ row, status }) => [row, status])).toEqual(
    Array.from({ length: record.rows }, (_, i) => [i + 1, failed.includes(i + 1) ? 'failed' : 'succeeded']),
  );
  expect(await readdir(shop.dataFolder).catch(() => [])).toEqual([]);
}

/** The objects under a prefix as files of their names. */
async function download(shop: Workshop, prefix: string): Promise<string> {
  const folder = join(shop.folder, 'downloaded');
  for (const key of await shop.keys(prefix)) {
    const path = join(folder, key.slice(prefix.length));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, (await shop.text(key)) ?? '');
  }
  return folder;
}

describe('results of a batch that runs', () => {
  test('come into the store part by part, and leave Redis; a newer version takes the place of the older one', async () => {
    await using shop = await openWorkshop();
    const stored = await shop.batch({ rows: 10, perPart: 4 });
    const { id } = stored.record;
    const flusher = shop.flusher();
    await shop.endRows(stored, { most: 3, fails: (row) => row === 2 });
    await flusher.tick();
    expect(await shop.keys(resultsPrefix(id)), 'they are not due yet').toEqual([]);
    await shop.due(id);
    await flusher.tick();
    const [first] = (await shop.files.resultVersions(id)).entries();
    expect([...((await shop.files.readResults(id, 0, first?.[1] ?? 0))?.keys() ?? [])]).toEqual([1, 2, 3]);
    expect(await shop.states.unwritten(id, 0)).toEqual([]);
    expect(await shop.states.resultVersions(id)).toEqual(new Map([[0, first?.[1]]]));

    await shop.endRows(stored, { most: 3 });
    await shop.due(id);
    await flusher.tick();
    const versions = await shop.files.resultVersions(id);
    expect(await shop.keys(resultsPrefix(id))).toHaveLength(2);
    expect([...((await shop.files.readResults(id, 0, versions.get(0) ?? 0))?.keys() ?? [])]).toEqual([1, 2, 3, 4]);
    expect([...((await shop.files.readResults(id, 1, versions.get(1) ?? 0))?.keys() ?? [])]).toEqual([5, 6]);
    expect(versions.get(0)).toBeGreaterThan(first?.[1] ?? Infinity);
    expect(await shop.redis.zscore(`${shop.prefix}dirty`, id)).toBeNull();
  });

  test('are written with a marker, however that was lost', async () => {
    await using shop = await openWorkshop();
    const stored = await shop.batch();
    await shop.endRows(stored, { most: 1 });
    await shop.store.delete([openKey(stored.record.id)]);
    await shop.due(stored.record.id);
    await shop.flusher().tick();
    expect(await shop.keys('open/')).toEqual([openKey(stored.record.id)]);
  });

  test('wait in Redis while the store is away, which is told once, and hold up no other batch', async () => {
    await using shop = await openWorkshop();
    const [one, two] = [await shop.batch({ rows: 2 }), await shop.batch({ rows: 2 })];
    let away = true;
    const store = withEach(shop.store, (what) => {
      if (away && what.includes(one.record.id)) throw new StoreError('unavailable', 'The store is away.');
    });
    const flusher = shop.flusher({ store, files: createBatchFiles({ store }) });
    for (const { record } of [one, two]) await shop.due(record.id);
    const tickets = await shop.jobs.takeTickets(10);
    for (const { job } of tickets)
      await shop.jobs.record(
        { job, row: { part: 0 }, status: 'failed', error: { code: 'bad_image', detail: '' } },
        1000,
      );
    for (let tries = 0; tries < 3; tries++) {
      await flusher.tick();
      await shop.loseLease(one.record.id);
    }
    await expectEnded(shop, two, [1, 2]);
    expect(shop.logs.filter(({ level }) => level === 50)).toEqual([
      expect.objectContaining({ batch: one.record.id, msg: expect.stringContaining('cannot be stored') }),
    ]);
    expect(await shop.states.unwritten(one.record.id, 0)).toHaveLength(2);
    away = false;
    await flusher.tick();
    await expectEnded(shop, one, [1, 2]);
  });

  test('are left where they are by a Redis that was emptied', async () => {
    await using shop = await openWorkshop();
    await shop.redis.del(`${shop.prefix}generation`);
    await expect(shop.flusher().tick()).rejects.toThrow(GenerationLostError);
  });
});

describe('a batch all of whose rows have ended', () => {
  test('is told whole by its folder, which sha256sum finds right', async () => {
    await using shop = await openWorkshop();
    const stored = await shop.batch({
      rows: 9,
      perPart: 4,
      decisions: [decisionOf({ name: 'nine', metadata: { a: 1 } })],
    });
    await shop.endRows(stored, { fails: (row) => row === 6 });
    await shop.flusher().tick();
    await expectEnded(shop, stored, [6]);
    const state = await shop.states.get(stored.record.id);
    const manifest = await shop.manifest(stored.record.id);
    expect(manifest).toMatchObject({ name: 'nine', metadata: { a: 1 }, checksums: { images: 8 } });
    expect(manifest?.ended_at).toBe(state?.endedAt);
    const folder = await download(shop, batchFolder(stored.record.id));
    const [command, ...args] = process.platform === 'darwin' ? ['shasum', '-a', '256'] : ['sha256sum'];
    const { stdout } = await promisify(execFile)(command as string, [...args, '-c', 'SHA256SUMS.txt'], { cwd: folder });
    expect(stdout.trim().split('\n')).toEqual(
      stored.rows.filter(({ row }) => row !== 6).map(({ key }) => `images/${key}.png: OK`),
    );
  });

  test('ends also when none of its rows has an image', async () => {
    await using shop = await openWorkshop();
    const stored = await shop.batch({ rows: 2 });
    await shop.endRows(stored, { fails: () => true });
    await shop.flusher().tick();
    await expectEnded(shop, stored, [1, 2]);
    expect((await shop.manifest(stored.record.id))?.checksums).toMatchObject({ images: 0, bytes: 0 });
  });

  test('waits for a place to gather its checksums, and says what is the matter', async () => {
    await using shop = await openWorkshop();
    const stored = await shop.batch({ rows: 1 });
    await writeFile(shop.dataFolder, 'in the way');
    await shop.endRows(stored);
    const flusher = shop.flusher();
    for (let tries = 0; tries < 2; tries++) {
      await flusher.tick();
      await shop.loseLease(stored.record.id);
    }
    expect((await shop.states.get(stored.record.id))?.status).toBe('finishing');
    expect(shop.logs.filter(({ level }) => level === 50)).toEqual([
      expect.objectContaining({
        batch: stored.record.id,
        msg: expect.stringContaining('cannot be stored'),
        err: expect.objectContaining({
          message: expect.stringMatching(
            /^The checksums of \w+ cannot be gathered in DATA_DIR \(.+\): EEXIST: .+Make room/,
          ),
        }),
      }),
    ]);
    await rm(shop.dataFolder);
    await flusher.tick();
    await expectEnded(shop, stored);
  });

  test('that was canceled ends with what it has', async () => {
    await using shop = await openWorkshop();
    const stored = await shop.batch({ rows: 10, perPart: 4 });
    await shop.endRows(stored, { most: 6 });
    const cancel = decisionOf({ seq: 2, at: Date.now(), status: 'canceled' });
    await shop.files.writeDecision(stored.record.id, cancel);
    await shop.states.decide(stored.record.id, cancel);
    await shop.flusher().tick();
    const counts = { total: 10, succeeded: 6, failed: 0, canceled: 4 };
    expect(await shop.manifest(stored.record.id)).toMatchObject({ status: 'canceled', counts, ended_at: cancel.at });
    expect(await shop.states.get(stored.record.id)).toMatchObject({ status: 'canceled', succeeded: 6, canceled: 4 });
    expect(await shop.keys('open/')).toEqual([]);
  });

  test('goes on where a retry was written and not put into force', async () => {
    await using shop = await openWorkshop();
    const stored = await shop.batch({ rows: 3 });
    await shop.endRows(stored, { fails: (row) => row === 2 });
    await shop.files.writeDecision(stored.record.id, decisionOf({ seq: 2, runs: 1 }));
    const flusher = shop.flusher();
    await flusher.tick();
    expect(await shop.states.get(stored.record.id)).toMatchObject({ status: 'running', runs: 1 });
    expect(await shop.manifest(stored.record.id)).toBeUndefined();
    expect(await shop.endRows(stored)).toBe(1);
    await flusher.tick();
    await expectEnded(shop, stored, [], 1);
  });

  test('ends the same when it is broken off before or after any change of the store', async () => {
    await using shop = await openWorkshop();
    for (let at = 0, broke = true; broke; at++) {
      broke = false;
      const stored = await shop.batch({ rows: 6, perPart: 4 });
      await shop.endRows(stored, { most: 3 });
      await shop.due(stored.record.id);
      await shop.flusher().tick();
      await shop.endRows(stored, { fails: (row) => row === 5 });
      let changes = 0;
      const dies = (when: number) => () => {
        if (changes++ === when) {
          broke = true;
          throw new Error('The process dies here.');
        }
      };
      // Even numbers die before a change, odd ones after it.
      const die = {
        early: dies(at % 2 === 0 ? at / 2 : -1),
        late: at % 2 === 1 ? dies((at - 1) / 2) : () => {},
      };
      const store = {
        ...shop.store,
        put: async (...args: Parameters<typeof shop.store.put>) => {
          die.early();
          const put = await shop.store.put(...args);
          die.late();
          return put;
        },
        delete: async (...args: Parameters<typeof shop.store.delete>) => {
          die.early();
          await shop.store.delete(...args);
          die.late();
        },
      };
      await shop.flusher({ store, files: createBatchFiles({ store }) }).tick();
      await shop.loseLease(stored.record.id);
      await shop.flusher().tick();
      // Only the marker may be left: the state was final before it.
      if (broke && (await shop.keys('open/')).length > 0) await shop.store.delete([openKey(stored.record.id)]);
      await expectEnded(shop, stored, [5]);
    }
  }, 60_000);
});

describe('a worker that was frozen while another did its work', () => {
  test.each(['results/', 'SHA256SUMS.txt', 'manifest.json'])(
    'changes nothing for the worse when its %s come late',
    async (late) => {
      await using shop = await openWorkshop();
      const stored = await shop.batch({ rows: 6, perPart: 4 });
      await shop.endRows(stored, { fails: (row) => row === 5 });
      let [frozen, thawed] = [false, false];
      const afterwards: string[] = [];
      const store = withEach(shop.store, async (what) => {
        if (thawed) afterwards.push(what);
        if (frozen || !what.startsWith('put') || !what.includes(late)) return;
        frozen = true;
        await shop.loseLease(stored.record.id);
        await shop.flusher().tick();
        expect(await shop.states.get(stored.record.id)).toMatchObject({ status: 'completed' });
        thawed = true;
      });
      await shop.flusher({ store, files: createBatchFiles({ store }) }).tick();
      expect(frozen).toBe(true);
      expect(afterwards, 'it stops as soon as it can know').toEqual([]);
      if (late === 'results/') {
        // A version that came late lies there, and does not hold.
        const [, ...others] = await shop.keys(resultsPrefix(stored.record.id));
        expect(others.length).toBeGreaterThan(0);
        const manifest = await shop.manifest(stored.record.id);
        for (const { key, part } of manifest?.results ?? [])
          expect(key, `part ${part}`).toBe(
            (await shop.keys(resultsPrefix(stored.record.id))).filter((each) => each.includes(`/00000${part}-`)).at(-1),
          );
      } else await expectEnded(shop, stored, [5]);
    },
  );

  test('takes no marker from a batch that was opened again', async () => {
    await using shop = await openWorkshop();
    const stored = await shop.batch({ rows: 3 });
    await shop.endRows(stored, { fails: (row) => row === 2 });
    const { id } = stored.record;
    const store = withEach(shop.store, async (what) => {
      if (what !== `delete ${openKey(id)}`) return;
      const retry = decisionOf({ seq: 2, runs: 1 });
      await shop.files.writeDecision(id, retry);
      await shop.states.open(stored.record, retry, await loadProgress(shop, stored.record, retry));
    });
    await shop.flusher({ store }).tick();
    expect(await shop.states.get(id)).toMatchObject({ status: 'running', succeeded: 2, failed: 0 });
    expect(await shop.keys('open/')).toEqual([openKey(id)]);
    expect(await shop.endRows(stored)).toBe(1);
    await shop.flusher().tick();
    await expectEnded(shop, stored, [], 1);
  });
});

describe('a batch that paused itself', () => {
  test('stays paused when Redis is emptied', async () => {
    await using shop = await openWorkshop();
    const stored = await shop.batch({ rows: 40 });
    await shop.endRows(stored, { most: 20, fails: () => true });
    expect(await shop.states.get(stored.record.id)).toMatchObject({
      status: 'paused',
      hold: { reason: 'batch_failing' },
    });
    const flusher = shop.flusher();
    await flusher.tick();
    expect(await shop.files.readDecision(stored.record.id)).toMatchObject({
      seq: 2,
      status: 'paused',
      hold: { reason: 'batch_failing' },
    });
    expect(await shop.states.get(stored.record.id)).toMatchObject({ decision: 2 });
    await shop.empty();
    const fresh = shop.openProcess();
    await fresh.recovery.ensure();
    expect(await fresh.states.get(stored.record.id)).toMatchObject({
      status: 'paused',
      failed: 20,
      hold: { reason: 'batch_failing' },
    });
  });

  test('tells whom it told before, also when Redis is emptied', async () => {
    await using shop = await openWorkshop();
    const told = { webhook: 'https://example.com/hooks', webhook_events: ['batch.paused', 'job.failed'] as const };
    const stored = await shop.batch({ rows: 40, decisions: [decisionOf(told)] });
    const { id } = stored.record;
    await shop.endRows(stored, { most: 20, fails: () => true });
    await shop.flusher().tick();
    expect(await shop.files.readDecision(id)).toMatchObject({ seq: 2, status: 'paused', ...told });
    const shown = { status: 'paused', decision: 2, webhook: told.webhook, webhookEvents: told.webhook_events };
    expect(await shop.states.get(id)).toMatchObject(shown);
    await shop.empty();
    const fresh = shop.openProcess();
    await fresh.recovery.ensure();
    expect(await fresh.states.get(id)).toMatchObject(shown);
  });

  test('goes on where a person has decided so meanwhile', async () => {
    await using shop = await openWorkshop();
    const stored = await shop.batch({ rows: 40 });
    await shop.endRows(stored, { most: 20, fails: () => true });
    await shop.files.writeDecision(stored.record.id, decisionOf({ seq: 2, budget: 9 }));
    await shop.flusher().tick();
    expect(await shop.files.readDecision(stored.record.id)).toMatchObject({ seq: 2, status: 'running' });
    expect(await shop.states.get(stored.record.id)).toMatchObject({ status: 'running', budget: 9, decision: 2 });
  });
});
