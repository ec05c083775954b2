import { describe, expect, it } from 'vitest';
import { COST, openBench } from './bench.ts';

const SLOTS = 10;
/** 20 times the guess in every slot. */
const ENOUGH = 20 * COST * SLOTS;

async function openUnknown(balance: number) {
  const bench = await openBench({ unknownModels: true });
  await bench.balance(balance);
  const askFor = async (costClass = 'class-a', model = 'model-a') =>
    bench.ask(await bench.job({ model }), { slots: SLOTS, costClass, model });
  const begin = (costClass = 'class-a', model = 'model-a') => bench.call({ slots: SLOTS, costClass, model });
  return { ...bench, askFor, begin };
}

const WAIT = { verdict: 'wait', reason: 'learn' };

describe('the first call of a model of which none was billed', () => {
  it('goes alone, whatever its class, and is followed by all others at what it has cost', async () => {
    await using bench = await openUnknown(ENOUGH - 1);
    const first = await bench.begin();
    expect(await bench.askFor()).toMatchObject(WAIT);
    expect(await bench.askFor('class-b')).toMatchObject(WAIT);
    expect(await bench.askFor('class-c', 'model-b')).toMatchObject(WAIT);
    await bench.end(first, { settlement: { kind: 'spent', cost: 4 * COST } });
    expect(await bench.askFor()).toMatchObject({ verdict: 'go', estimate: 4 * COST });
    expect(await bench.askFor('class-b')).toMatchObject({ verdict: 'go', estimate: 4 * COST });
    expect(await bench.askFor('class-c', 'model-b')).toMatchObject({ verdict: 'go', estimate: COST });
  });

  it('need not go alone where the worst that would be believed can be paid for in every slot', async () => {
    await using bench = await openUnknown(ENOUGH);
    for (let i = 0; i < SLOTS; i++) expect(await bench.askFor()).toMatchObject({ verdict: 'go' });
  });

  it('is followed by another one that goes alone, where it was not billed, and where nobody knows', async () => {
    await using bench = await openUnknown(ENOUGH / 2);
    await bench.end(await bench.begin(), { status: 'queued', settlement: { kind: 'released' } });
    await bench.end(await bench.begin(), { status: 'queued', settlement: { kind: 'uncertain', how: 'timeout' } });
    await bench.begin();
    expect(await bench.askFor()).toMatchObject(WAIT);
  });

  it('is followed by all others at the guess, where the upstream tells no cost', async () => {
    await using bench = await openUnknown(ENOUGH / 2);
    await bench.end(await bench.begin(), { settlement: { kind: 'spent', cost: undefined } });
    for (let i = 0; i < 3; i++) expect(await bench.askFor()).toMatchObject({ verdict: 'go', estimate: COST });
  });

  it('is waited for no longer when its worker is lost', async () => {
    await using bench = await openUnknown(ENOUGH / 2);
    await bench.begin();
    await bench.pass(60_000);
    expect(await bench.askFor()).toMatchObject({ verdict: 'go' });
  });
});
