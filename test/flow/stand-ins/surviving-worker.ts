/**
 * A worker that lives: it looks after what the dead have left, as upkeep does, and makes calls of its own, each of which
 * ends well. On SIGTERM it lets them end and tells what it has done.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { newId } from '@renderyard/shared/ids';
import { connectLedger, MODEL, REAP_MS, rendered, TRIAL_MS, tell } from './connection.ts';

export interface SurvivorReport {
  readonly calls: number;
  /** Nanocredits. */
  readonly spent: number;
  /** Rounds of reaping: when each began and had ended, in milliseconds since 1970. */
  readonly reaps: readonly (readonly [began: number, ended: number])[];
}

const ACCOUNT = 'survivor';
const COST = 7_000_001;
const AT_ONCE = 3;
const CALL_MS = 100;

const { redis, ledger, jobs, grant, record } = await connectLedger({
  url: process.env.REDIS_URL ?? '',
  name: process.env.REDIS_PREFIX ?? '',
});
const slots = Number(process.env.SLOTS);
const stopped = new AbortController();
process.once('SIGTERM', () => stopped.abort());
process.once('disconnect', () => process.exit(1));
process.send?.({ ready: true });

const reaps: [number, number][] = [];
const upkeep = async () => {
  while (!stopped.signal.aborted) {
    const began = Date.now();
    await ledger.reap(TRIAL_MS);
    reaps.push([began, Date.now()]);
    await sleep(REAP_MS, undefined, { signal: stopped.signal }).catch(() => undefined);
  }
};
let calls = 0;
const render = async () => {
  while (!stopped.signal.aborted) {
    const job = newId('job');
    const planned = { job, call: newId('call'), cost: COST };
    const created = { id: job, account: ACCOUNT, model: MODEL, input: {}, metadata: {}, createdAt: Date.now() };
    await jobs.create({ ...created, expiresAt: undefined }, 1_000_000);
    await grant('survivor-1', planned, slots);
    await sleep(CALL_MS);
    await record(rendered(planned));
    calls++;
  }
};
await Promise.all([upkeep(), ...Array.from({ length: AT_ONCE }, render)]);
const report: SurvivorReport = { calls, spent: calls * COST, reaps };
tell({ report });
await redis.quit();
process.disconnect();
