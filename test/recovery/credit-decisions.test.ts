import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { CreditDecision } from '@renderyard/shared/credits/credit-decision';
import { creditDecisionKey } from '@renderyard/shared/credits/credit-decision';
import { createCreditDecisions } from '@renderyard/shared/credits/credit-decisions';
import { createLedger } from '@renderyard/shared/credits/ledger';
import { reapplyDecision } from '@renderyard/shared/credits/reapply-decision';
import { createDirectoryStore } from '@renderyard/shared/store/directory-store';
import type { Store } from '@renderyard/shared/store/store';
import { StoreError } from '@renderyard/shared/store/store-error';
import { expect, test } from 'vitest';
import { startInstallation } from '../support/installation.ts';
import { openYard } from './yard.ts';

const decisionOf = (decision: Partial<CreditDecision> & { readonly seq: number }): CreditDecision => ({
  ...{ at: 1000 + decision.seq, by: 'ann', action: 'set', changes: [], limits: {}, budgets: {} },
  ...decision,
});
const floorOf = (value: number) => ({ floor: { value, over: 0 } });

/** Replaces whatever lies at the decision's key, which nobody else ever does. */
const damage = (store: Store, seq: number, text: string) =>
  store.put(creditDecisionKey(seq), Buffer.from(text), { contentType: 'application/json' });

test('of decisions with one number the first is kept, and the last number holds', async () => {
  await using yard = await openYard();
  const decisions = createCreditDecisions({ store: yard.store });
  expect(await decisions.last()).toBeUndefined();
  expect(await decisions.list({ limit: 5 })).toEqual([]);
  const written = await Promise.all(
    Array.from({ length: 5 }, (_, i) => decisions.write(decisionOf({ seq: 1, limits: floorOf(i) }))),
  );
  expect(written.filter(Boolean)).toHaveLength(1);
  expect((await decisions.last())?.limits).toEqual(floorOf(written.indexOf(true)));
  for (let seq = 2; seq <= 25; seq++) expect(await decisions.write(decisionOf({ seq }))).toBe(true);
  expect(await decisions.last()).toEqual(decisionOf({ seq: 25 }));
  const seqs = async (before: number | undefined, limit: number) =>
    (await decisions.list({ before, limit })).map(({ seq }) => seq);
  expect(await seqs(undefined, 3)).toEqual([25, 24, 23]);
  expect(await seqs(14, 12)).toEqual([13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
  expect(await seqs(3, 12)).toEqual([2, 1]);
});

test.each(['', '{"seq":3', 'null', '{"seq":2,"limits":{},"budgets":{}}', '{"seq":3,"limits":{}}'])(
  'where the last decision is damaged (%j), what was decided before holds, and so does all work',
  async (text) => {
    await using yard = await openYard();
    const decisions = createCreditDecisions({ store: yard.store });
    const budgets = { ann: { day: 5 } };
    await decisions.write(decisionOf({ seq: 1 }));
    await decisions.write(decisionOf({ seq: 2, limits: floorOf(7), budgets }));
    await damage(yard.store, 3, text);
    const last = await decisions.last();
    expect(last).toMatchObject({ seq: 3, action: 'hold', limits: floorOf(7), budgets });
    expect(last?.hold?.detail).toContain('credits/decisions/000003.json');
    expect((await decisions.list({ limit: 9 })).map(({ seq }) => seq)).toEqual([2, 1]);
  },
);

test('a Redis that was emptied has the last decision again: limits, budgets and the hold, and no older one', async () => {
  await using yard = await openYard();
  const process = yard.openProcess();
  await process.recovery.ensure();
  const decisions = createCreditDecisions({ store: yard.store });
  await decisions.write(decisionOf({ seq: 1, limits: floorOf(1), budgets: { bob: { day: 1 } } }));
  await decisions.write(
    decisionOf({
      ...{ seq: 2, limits: floorOf(9), budgets: { ann: { day: 5, total: 0 } } },
      hold: { since: 77, detail: 'Stop.' },
    }),
  );
  await yard.empty();
  await process.recovery.ensure();
  const ledger = createLedger({ ...yard, generation: process.generation });
  const state = await ledger.snapshot(Date.now());
  expect(state).toMatchObject({ decision: 2, limits: { floor: { value: 9 } } });
  expect(state.holds).toMatchObject([{ name: 'operator', since: 77, detail: 'Stop.' }]);
  expect([...state.keys].map(([name, { budget }]) => [name, budget])).toEqual([['ann', { day: 5, total: 0 }]]);
  // The older one changes nothing any more.
  await ledger.applyDecision(decisionOf({ seq: 1, limits: floorOf(1) }));
  expect((await ledger.snapshot(Date.now())).limits.floor?.value).toBe(9);
});

test('a damaged decision holds all work also after a rebuild, and ends with a resume by hand', async () => {
  await using yard = await openYard();
  await damage(yard.store, 1, 'no JSON');
  const process = yard.openProcess();
  await process.recovery.ensure();
  const ledger = createLedger({ ...yard, generation: process.generation });
  expect((await ledger.holds(Date.now())).map(({ name }) => name)).toEqual(['operator']);
  await ledger.applyDecision(decisionOf({ seq: 2, action: 'resume' }));
  expect(await ledger.holds(Date.now())).toEqual([]);
});

test('while the store cannot be read a process begins with what Redis knows, and says so', async () => {
  await using yard = await openYard();
  const process = yard.openProcess();
  await process.recovery.ensure();
  const ledger = createLedger({ ...yard, generation: process.generation });
  await ledger.applyDecision(decisionOf({ seq: 1, limits: floorOf(4) }));
  const decisions = { last: () => Promise.reject(new StoreError('unavailable', 'The disk is away.')) };
  expect(await reapplyDecision({ decisions, ledger, logger: yard.logger })).toBeUndefined();
  expect((await ledger.snapshot(Date.now())).limits.floor?.value).toBe(4);
  expect(yard.logs.at(-1)).toMatchObject({ level: 40, err: { message: 'The disk is away.' } });
});

test('a worker and an API that start put a decision into force that Redis was never told', async () => {
  await using yard = await startInstallation({ workers: 0 });
  const signingKey = randomBytes(32);
  const store = createDirectoryStore({ directory: join(yard.folder, 'store'), publicUrl: 'http://a.test', signingKey });
  const decisions = createCreditDecisions({ store });
  const floorIs = (credits: number) => async () =>
    ((await (await yard.call('GET', '/v1/credits')).json()) as { floor: number }).floor === credits;
  await decisions.write(decisionOf({ seq: 1, limits: floorOf(3_000_000_000) }));
  await yard.startWorker();
  await yard.until('the worker has told of it', floorIs(3));
  await decisions.write(decisionOf({ seq: 2, limits: floorOf(4_000_000_000) }));
  yard.api.kill('SIGTERM');
  await yard.restartApi();
  await yard.until('the API has told of it', floorIs(4));
  await store.close();
}, 60_000);
