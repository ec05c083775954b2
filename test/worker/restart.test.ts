import { describe, expect, test } from 'vitest';
import { createRig } from '../support/rig.ts';

const heldBy = async (rig: Awaited<ReturnType<typeof createRig>>, name: string) =>
  (await rig.ledger.holds(Date.now())).find((hold) => hold.name === name);

describe('a worker that starts', () => {
  test('believes no balance of before: what the account lost meanwhile is seen before the first call', async () => {
    await using rig = await createRig({
      simulator: { balance: 20, latencyMs: 50 },
      settings: { CREDIT_FLOOR: '5', CREDIT_PROBE_MS: '60000' },
    });
    await rig.ended(await rig.submit(['a', 'b']));
    await rig.stopWorkers();
    await rig.upstream.setBalance('5');
    await rig.submit(Array.from({ length: 10 }, (_, i) => `picture ${i}`));
    await rig.addWorker();
    await rig.until('credits are held', async () => (await heldBy(rig, 'credits')) !== undefined);
    expect((await rig.upstream.ledger()).billed_count).toBe(2);
  });

  test('for another upstream holds what was meant for the old one, and forgets its books', async () => {
    await using rig = await createRig({ workers: 0 });
    const ids = await rig.submit(['a', 'b', 'c']);
    expect(await rig.ledger.meetUpstream('https://one.example', { floor: 0, low: 0, resume: 0 })).toEqual({
      waiting: 0,
    });
    const begun = await rig.ledger.beginReading();
    await rig.ledger.takeReading(9_000_000_000, begun, { floor: 0, resume: 0, estimate: 1 });
    expect(await rig.ledger.meetUpstream('https://two.example', { floor: 0, low: 0, resume: 0 })).toEqual({
      was: 'https://one.example',
      waiting: 3,
    });
    expect((await rig.ledger.snapshot(Date.now())).balance).toBeUndefined();
    expect((await heldBy(rig, 'operator'))?.detail).toMatch(
      /3 jobs were submitted while the upstream was https:\/\/one/,
    );
    expect((await Promise.all(ids.map(rig.job))).every((job) => job.status === 'queued')).toBe(true);
  });
});

describe('headers', () => {
  test('that claim riches raise nothing as long as the balance can be asked for', async () => {
    await using rig = await createRig({
      simulator: { balance: '1.0002', latencyMs: 20 },
      settings: { CREDIT_FLOOR: '1', CREDIT_ESTIMATE: '0.000216', CREDIT_PROBE_MS: '60000' },
    });
    await rig.upstream.fault({ effect: { kind: 'none', headers: { 'x-remaining-credits': '999' } } });
    await rig.submit(Array.from({ length: 20 }, (_, i) => `picture ${i}`));
    await rig.until('credits are held', async () => (await heldBy(rig, 'credits')) !== undefined);
    expect((await rig.upstream.ledger()).balance).toBeGreaterThanOrEqual(1);
  });

  test('that claim an absurd cost stop nobody', async () => {
    await using rig = await createRig();
    await rig.upstream.fault({ times: 1, effect: { kind: 'none', headers: { 'x-cost': '500' } } });
    const jobs = await rig.ended(await rig.submit(['odd', 'a', 'b', 'c', 'd']));
    expect(jobs.every((job) => job.status === 'succeeded')).toBe(true);
    expect(Math.max(...jobs.map((job) => job.cost))).toBeLessThan(1_000_000_000);
  });
});

describe('an image that comes after its job was given up', () => {
  test('is kept, and a retry finds it without another call', async () => {
    await using rig = await createRig({ simulator: { latencyMs: 300 } });
    const [id = ''] = await rig.submit(['x']);
    await rig.until('the call is under way', async () => (await rig.job(id)).call !== '');
    const { call } = await rig.job(id);
    // As if the worker had been frozen for so long that another one gave the job up.
    await rig.jobs.record(
      {
        job: id,
        call: { id: call, settlement: { kind: 'uncertain', how: 'lost_worker' } },
        status: 'failed',
        error: { code: 'outcome_uncertain', detail: 'lost' },
      },
      1000,
    );
    expect((await rig.job(id)).status).toBe('failed');
    await rig.until('the image has come', async () => (await rig.job(id)).output.length === 1);
    expect(await rig.jobs.retry(id, 10)).toBe('succeeded');
    expect((await rig.upstream.ledger()).billed_count).toBe(1);
    expect((await rig.ledger.snapshot(Date.now())).uncertainCalls).toEqual([]);
  });
});
