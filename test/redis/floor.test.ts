import { newId } from '@renderyard/shared/ids';
import { describe, expect, it } from 'vitest';
import { COST, LIMITS, openBench } from './bench.ts';

const FLOOR = 500 * COST;

describe('many askers on several connections', () => {
  it('are granted no more together than lies above the floor, whatever each of them asks', async () => {
    await using bench = await openBench();
    await bench.balance(FLOOR + 37 * COST + COST - 1);
    const processes = await Promise.all(Array.from({ length: 5 }, () => bench.connect()));
    const estimates = [COST, 2 * COST, COST / 2];
    const grants = await Promise.all(
      Array.from({ length: 150 }, async (_, i) => {
        const job = await bench.job();
        const estimate = estimates[i % estimates.length] ?? COST;
        const request = { job, call: newId('call'), worker: `w${i % 5}`, model: 'm', costClass: `c${i % 3}`, estimate };
        const { ledger } = processes[i % processes.length] ?? bench;
        const verdict = await ledger.admit(request, { ...LIMITS, floor: FLOOR, perMinute: 1e9 });
        if (verdict.verdict !== 'go') expect(verdict).toMatchObject({ verdict: 'wait' });
        return verdict.verdict === 'go' ? { id: request.call, job, estimate: verdict.estimate } : undefined;
      }),
    );
    const granted = grants.filter((grant) => grant !== undefined);
    const sum = granted.reduce((all, { estimate }) => all + estimate, 0);
    expect(sum).toBeGreaterThan(0);
    expect(sum).toBeLessThanOrEqual(38 * COST - 1);
    expect(await bench.books()).toMatchObject({ reserved: sum, inFlight: granted.length });
    await Promise.all(granted.map((call) => bench.end(call, { settlement: { kind: 'spent', cost: call.estimate } })));
    const { balance, reserved } = await bench.books();
    expect(reserved).toBe(0);
    expect(balance).toBe(FLOOR + 38 * COST - 1 - sum);
    expect(balance).toBeGreaterThanOrEqual(FLOOR);
  });

  it('make as many calls as the credits allow, and stop there, however calls end', async () => {
    await using bench = await openBench();
    const affordable = 25;
    let account = FLOOR + affordable * COST;
    await bench.balance(account);
    const processes = await Promise.all(Array.from({ length: 4 }, () => bench.connect()));
    let calls = 0;
    const asker = async (index: number) => {
      const { ledger, jobs } = processes[index % processes.length] ?? bench;
      for (;;) {
        const [job, call] = [await bench.job(), newId('call')];
        const request = { job, call, worker: `w${index}`, model: 'm', costClass: 'c', estimate: COST };
        const verdict = await ledger.admit(request, { ...LIMITS, floor: FLOOR, slots: 6, perMinute: 1e9 });
        if (verdict.verdict === 'hold') return;
        if (verdict.verdict === 'probe') {
          await ledger.takeReading(account, await ledger.beginReading(), { floor: FLOOR, resume: 0, estimate: COST });
        }
        if (verdict.verdict !== 'go') continue;
        account -= COST;
        expect(account).toBeGreaterThanOrEqual(FLOOR);
        const settlement =
          calls++ % 5 === 4 ? ({ kind: 'released' } as const) : ({ kind: 'spent', cost: COST } as const);
        if (settlement.kind === 'released') account += COST;
        await jobs.record({ job, status: 'succeeded', call: { id: call, settlement } }, LIMITS.trialMs);
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, index) => asker(index)));
    expect(account).toBe(FLOOR);
    expect(await bench.books()).toMatchObject({ balance: FLOOR, reserved: 0, spent: affordable * COST, inFlight: 0 });
  });
});
