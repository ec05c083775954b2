import { describe, expect, it } from 'vitest';
import { type Bench, COST, LIMITS, openBench } from './bench.ts';

const THRESHOLDS = { floor: 0, resume: 0, estimate: COST };
const SETTINGS = { floor: 0, low: 0, resume: 0 };

type Call = Awaited<ReturnType<Bench['call']>>;
const headerOf = ({ grant }: Call, value: number) => ({ value, seq: grant.seq, startedAt: grant.startedAt });
/** What the ledger believes to be left for calls that are not made yet. */
const believed = async (bench: Bench) => {
  const { balance, reserved, uncertain } = await bench.books();
  return (balance ?? 0) - reserved - uncertain;
};

describe('a word of the upstream that could hide what was spent', () => {
  it('in a header that is garbage does not say of an uncertain call that it is in the balance', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const unknown = await bench.call();
    await bench.end(unknown, { status: 'queued', settlement: { kind: 'uncertain', how: 'timeout' } });
    // It was billed: 99 are left.
    await bench.pass(LIMITS.timeoutMs + 31_000);
    const call = await bench.call();
    await bench.end(call, { reading: headerOf(call, 5000 * COST) });
    expect(await believed(bench)).toBe(98 * COST);
  });

  it('in a balance call that began before another was answered raises nothing', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const older = await bench.ledger.beginReading();
    // Somebody else spends 60.
    const newer = await bench.ledger.beginReading();
    await bench.ledger.takeReading(40 * COST, newer, THRESHOLDS);
    await bench.ledger.takeReading(100 * COST, older, THRESHOLDS);
    expect(await believed(bench)).toBe(40 * COST);
  });

  it('in a header is no first balance, where calls were settled since its call began', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const first = await bench.call();
    const second = await bench.call();
    // The first is billed, and its header says 99; the second is billed after it.
    await bench.ledger.meetUpstream('upstream', SETTINGS);
    await bench.balance(undefined);
    await bench.end(second);
    await bench.end(first, { reading: headerOf(first, 99 * COST) });
    expect((await bench.books()).balance).toBeUndefined();
  });

  it('in a balance call of another account, begun before this one was met, is not its balance', async () => {
    await using bench = await openBench();
    await bench.ledger.meetUpstream('one', SETTINGS);
    await bench.balance(1000 * COST);
    const begun = await bench.ledger.beginReading();
    await bench.pass(1000);
    await bench.ledger.meetUpstream('another', SETTINGS);
    const startedAt = begun.startedAt - 1000;
    await bench.ledger.takeReading(1000 * COST, { ...begun, startedAt }, THRESHOLDS);
    expect((await bench.books()).balance).toBeUndefined();
    expect(await bench.ask(await bench.job())).toMatchObject({ verdict: 'probe' });
  });

  it('is asked for anew where a worker started after the question', async () => {
    await using bench = await openBench();
    await bench.ledger.meetUpstream('one', SETTINGS);
    await bench.balance(1000 * COST);
    const begun = await bench.ledger.beginReading();
    await bench.pass(1000);
    await bench.ledger.meetUpstream('one', SETTINGS);
    const startedAt = begun.startedAt - 1000;
    await bench.ledger.takeReading(1000 * COST, { ...begun, startedAt }, THRESHOLDS);
    expect(await bench.ask(await bench.job())).toMatchObject({ verdict: 'probe' });
    await bench.balance(1000 * COST);
    expect(await bench.ask(await bench.job())).toMatchObject({ verdict: 'go' });
  });
});
