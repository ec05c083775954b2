import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createRig, type Rig } from '../support/rig.ts';

const OLD = 'SG_00000000000000aa';
const NEW = 'SG_00000000000000bb';
/** Twice the second in which the file is looked at, and some for a busy machine; far less than a probe is away. */
const SOON_MS = 5000;

/** A mounted secret: it is replaced as a whole. */
async function keyFile(): Promise<{ readonly path: string; write: (key: string) => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'renderyard-key-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'key');
  const write = async (key: string) => {
    await writeFile(`${path}.new`, `${key}\n`);
    await rename(`${path}.new`, path);
  };
  await write(OLD);
  return { path, write };
}

const holds = async (rig: Rig) => (await rig.ledger.holds(Date.now())).map((hold) => hold.name).sort();
const isHeld = async (rig: Rig, name: string) =>
  (await rig.ledger.holds(Date.now())).some((hold) => hold.name === name);
const pictures = (n: number) => Array.from({ length: n }, (_, i) => `picture ${i}`);
const calls = async (rig: Rig, endpoint: 'render' | 'credits', status?: number) =>
  (await rig.upstream.allCalls()).filter(
    (call) => call.endpoint === endpoint && (status === undefined || call.status === status),
  ).length;
/** As if all probes that come round by themselves had just been made: the next are a minute away. */
async function probesAreOver(rig: Rig): Promise<void> {
  for (const turn of ['held-probe', 'read-settled', 'read-uncertain', 'read-working'])
    await rig.redis.set(`${rig.prefix}turn:${turn}`, 'another worker', 'PX', 60_000);
}
/** How many of the jobs are on record as refused for what they are. */
const refused = async (rig: Rig, ids: readonly string[]) =>
  (await Promise.all(ids.map((id) => rig.redis.hget(`${rig.prefix}job:${id}`, 'refused_at')))).filter(Boolean).length;
const all = (jobs: Awaited<ReturnType<Rig['ended']>>) =>
  jobs.map(({ status, attempts, uncertain }) => `${status} ${attempts} ${uncertain}`);

describe('a key file', () => {
  test('whose key is refused and then replaced: work goes on at once, however far away the next probe is', async () => {
    const file = await keyFile();
    await using rig = await createRig({
      workers: 2,
      simulator: { keys: [OLD], latencyMs: 30 },
      settings: { SEGMIND_API_KEY_FILE: file.path, CREDIT_PROBE_MS: '60000' },
    });
    await rig.ended(await rig.submit(['before']));
    await rig.upstream.keys({ accept: [NEW] });
    const ids = await rig.submit(pictures(30));
    await rig.until('the key is held', () => isHeld(rig, 'unauthorized'));
    await probesAreOver(rig);
    await rm(file.path);
    await rig.until('a worker misses the file', async () =>
      rig.logs.some((line) => String(line.msg).includes('the one before stays in use')),
    );
    expect(await calls(rig, 'render', 401)).toBeLessThanOrEqual(8);

    const replacedAt = Date.now();
    await file.write(NEW);
    await rig.until('the hold has ended', async () => !(await isHeld(rig, 'unauthorized')));
    expect(Date.now() - replacedAt).toBeLessThan(SOON_MS);
    expect(all(await rig.ended(ids))).toEqual(ids.map(() => 'succeeded 1 0'));
    expect((await rig.upstream.ledger()).billed_count).toBe(31);
    expect(await holds(rig)).toEqual([]);
    const missed = rig.logs.filter((line) => String(line.msg).includes('the one before stays in use')).length;
    expect(missed).toBeLessThanOrEqual(2);
    expect(JSON.stringify(rig.logs)).not.toMatch(new RegExp(`${OLD}|${NEW}`));
  });

  test('whose key is replaced before the old one is refused: nothing is held, and no attempt is used', async () => {
    const file = await keyFile();
    await using rig = await createRig({
      workers: 2,
      simulator: { keys: [OLD], latencyMs: 50 },
      settings: { SEGMIND_API_KEY_FILE: file.path, CREDIT_PROBE_MS: '60000' },
    });
    const ids = await rig.submit(pictures(60));
    await rig.until('some are done', async () => (await rig.upstream.ledger()).billed_count > 10);
    await file.write(NEW);
    await rig.upstream.keys({ accept: [NEW] });
    expect(all(await rig.ended(ids))).toEqual(ids.map(() => 'succeeded 1 0'));
    expect(await calls(rig, 'render', 401)).toBeGreaterThan(0);
    expect(await refused(rig, ids)).toBe(0);
    expect(rig.logs.filter((line) => line.hold !== undefined)).toEqual([]);
  });

  test('is read anew after a refusal that is not the key’s own: the other key may use the model', async () => {
    const file = await keyFile();
    await using rig = await createRig({
      simulator: { keys: [OLD, NEW] },
      settings: { SEGMIND_API_KEY_FILE: file.path, CREDIT_PROBE_MS: '60000' },
    });
    await rig.upstream.keys({ models: { [OLD]: [] } });
    await file.write(NEW);
    const ids = await rig.submit(pictures(10));
    expect(all(await rig.ended(ids))).toEqual(ids.map(() => 'succeeded 1 0'));
    expect(await calls(rig, 'render', 403)).toBeGreaterThan(0);
    expect(await refused(rig, ids)).toBe(0);
  });

  test('is read anew after a refusal for want of credits: it may name another account by then', async () => {
    const file = await keyFile();
    await using rig = await createRig({
      simulator: { keys: [OLD, NEW] },
      settings: { SEGMIND_API_KEY_FILE: file.path, CREDIT_PROBE_MS: '300' },
    });
    const fault = await rig.upstream.fault({ effect: { kind: 'status', status: 406, reason: 'spend_limit' } });
    const ids = await rig.submit(pictures(4));
    await rig.until('credits are held', () => isHeld(rig, 'credits'));
    await file.write(NEW);
    await rig.until('the other key is used', async () =>
      rig.logs.some((line) => String(line.msg).includes('holds another key')),
    );
    await rig.upstream.keys({ accept: [NEW] });
    await rig.upstream.clearFaults(fault);
    expect(all(await rig.ended(ids))).toEqual(ids.map(() => 'succeeded 1 0'));
  });

  test('with a key of no known shape: no text of the upstream’s that repeats it reaches a client or the log', async () => {
    const file = await keyFile();
    const odd = 'unlike-any-shape-0001';
    await file.write(odd);
    await using rig = await createRig({
      simulator: { keys: [odd] },
      settings: { SEGMIND_API_KEY_FILE: file.path },
    });
    await rig.upstream.fault({ effect: { kind: 'status', status: 400, message: `The key ${odd} may not do this.` } });
    const [job] = await rig.ended(await rig.submit(['x']));
    expect(job?.error?.detail).toContain('The key [redacted] may not do this.');
    expect(JSON.stringify(rig.logs)).not.toContain(odd);
  });
});

test('a balance that was asked for before the key was refused does not make the refusal the rows’ own', async () => {
  await using rig = await createRig({
    simulator: { keys: [OLD], latencyMs: 150 },
    settings: { SEGMIND_API_KEY: OLD, SEGMIND_CONCURRENCY: '6', CREDIT_PROBE_MS: '200' },
  });
  // Answers of before the refusal arrive after it, all the time.
  await rig.upstream.fault({ match: { endpoint: 'credits' }, effect: { kind: 'none', delay_ms: 700 } });
  const ids = await rig.submit(pictures(60));
  await rig.until('a balance is asked for while calls are made', async () => {
    const made = await rig.upstream.allCalls();
    const pending = made.filter((call) => call.answer === 'pending').map((call) => call.endpoint);
    return made.length > 10 && pending.includes('credits') && pending.includes('render');
  });
  await rig.upstream.keys({ refuse: [OLD] });
  await rig.until('the key is held', () => isHeld(rig, 'unauthorized'));
  expect(await refused(rig, ids)).toBe(0);
  expect(await holds(rig)).toEqual(['unauthorized']);
  await rig.upstream.keys({ restore: [OLD] });
  expect(all(await rig.ended(ids))).toEqual(ids.map(() => 'succeeded 1 0'));
});

test('a worker that starts with another key lifts the hold at once, however far away the next probe is', async () => {
  await using rig = await createRig({
    workers: 0,
    simulator: { keys: [NEW] },
    settings: { CREDIT_PROBE_MS: '60000' },
  });
  await rig.addWorker(OLD);
  const ids = await rig.submit(pictures(5));
  await rig.until('the key is held', () => isHeld(rig, 'unauthorized'));
  await rig.stopWorkers();
  await probesAreOver(rig);
  const startedAt = Date.now();
  await rig.addWorker(NEW);
  await rig.until('the hold has ended', async () => !(await isHeld(rig, 'unauthorized')));
  expect(Date.now() - startedAt).toBeLessThan(SOON_MS);
  expect(all(await rig.ended(ids))).toEqual(ids.map(() => 'succeeded 1 0'));
});

test('several holds at once: each is ended by its own cause, and nothing is called before the last', async () => {
  await using rig = await createRig({
    simulator: { balance: '1', keys: ['SG_any'] },
    settings: { SEGMIND_API_KEY: 'SG_any', CREDIT_FLOOR: '1', CREDIT_PROBE_MS: '200' },
  });
  const ids = await rig.submit(pictures(6));
  await rig.until('credits are held', () => isHeld(rig, 'credits'));
  await rig.ledger.setHold('operator', 'Held by hand.');
  const folder = join(rig.folder, 'store');
  await rename(folder, `${folder}-away`);
  await rig.ledger.setHold('store', 'The store cannot be used.');
  await rig.upstream.keys({ refuse: ['*'] });
  await rig.until('all stand', async () => (await holds(rig)).length === 4);
  expect(await holds(rig)).toEqual(['credits', 'operator', 'store', 'unauthorized']);

  // A balance that nobody may read ends nothing.
  await rig.upstream.topUp(1);
  const refused = await calls(rig, 'credits', 401);
  await rig.until('it was asked for again', async () => (await calls(rig, 'credits', 401)) >= refused + 2);
  expect(await holds(rig)).toEqual(['credits', 'operator', 'store', 'unauthorized']);
  await rig.upstream.setBalance('1');

  await rig.upstream.keys({ restore: ['*'] });
  await rig.until('the key is accepted', async () => !(await isHeld(rig, 'unauthorized')));
  expect(await holds(rig)).toEqual(['credits', 'operator', 'store']);
  await rename(`${folder}-away`, folder);
  await rig.until('the store works', async () => !(await isHeld(rig, 'store')));
  expect(await holds(rig)).toEqual(['credits', 'operator']);
  await rig.upstream.topUp(1);
  await rig.until('there are credits', async () => !(await isHeld(rig, 'credits')));
  expect(await holds(rig)).toEqual(['operator']);
  expect(await calls(rig, 'render')).toBe(0);
  await rig.ledger.releaseHold('operator');
  expect(all(await rig.ended(ids))).toEqual(ids.map(() => 'succeeded 1 0'));
});
