import { setMaxListeners } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Clock } from '@renderyard/shared/clock';
import { createKeys, createModels } from './access.ts';
import { createAccount } from './account.ts';
import { createBoundedLog } from './bounded-log.ts';
import { parseCredits } from './credits.ts';
import { createFaultBook } from './fault-book.ts';
import { parseFaultRules } from './fault-rules.ts';
import { createLatency } from './latency.ts';
import {
  DEFAULT_BALANCE,
  DEFAULT_LOG_BYTES,
  DEFAULT_LOG_ENTRIES,
  DEFAULT_MODEL,
  DEFAULT_PRICE,
  type SimulatorOptions,
} from './options.ts';
import { createPromptCounter } from './prompt-counter.ts';
import { createRateLimit } from './rate-limit.ts';
import type { CallRecord, LedgerRecord } from './records.ts';

/** What an entry takes besides the texts that its caller chose: an estimate, in bytes. */
const ENTRY_BYTES = 600;

function sizeOfCall({ body, path, contentType }: CallRecord): number {
  return body.length + path.length + (contentType?.length ?? 0) + ENTRY_BYTES;
}

/**
 * Everything that a reset puts back to its start. A reset makes a new world; calls still in flight in the old one are
 * stopped, and bill nothing to the new one.
 */
export function createWorld(options: SimulatorOptions, clock: Clock) {
  const seed = options.seed ?? 1;
  const log = { entries: options.logEntries ?? DEFAULT_LOG_ENTRIES, bytes: options.logBytes ?? DEFAULT_LOG_BYTES };
  const end = new AbortController();
  setMaxListeners(0, end.signal);

  return {
    seed,
    startedAt: clock.now(),
    account: createAccount({
      credits: parseCredits(options.balance ?? DEFAULT_BALANCE),
      freeCredits: parseCredits(options.freeCredits ?? 0),
      overdraft: options.overdraft ?? false,
      clock,
    }),
    price: parseCredits(options.price ?? DEFAULT_PRICE),
    priceNoise: options.priceNoise ?? 0,
    latency: createLatency({
      medianMs: options.latencyMs ?? 0,
      p95Ms: options.latencyP95Ms,
      coldStartMs: options.coldStartMs ?? 0,
      coldAfterMs: options.coldAfterMs ?? 300_000,
      seed,
      clock,
    }),
    rateLimit: createRateLimit({ perMinute: options.rateLimit, clock }),
    keys: createKeys(options.keys),
    models: createModels(options.models ?? [DEFAULT_MODEL], options.retiredModels ?? []),
    faults: createFaultBook({ seed, rules: parseFaultRules(options.faults ?? []) }),
    calls: createBoundedLog<CallRecord>({ ...log, sizeOf: sizeOfCall }),
    ledger: createBoundedLog<LedgerRecord>({ ...log, sizeOf: (render) => render.body.length + ENTRY_BYTES }),
    /** Exact, also when entries were dropped. */
    billed: { count: 0, total: 0n },
    spendLimit: options.spendLimit === undefined ? undefined : parseCredits(options.spendLimit),
    ordinals: { render: 0, credits: 0, catalogue: 0, other: 0 },
    inFlight: new Set<IncomingMessage>(),
    /** Aborts when the world ends. */
    ended: end.signal as AbortSignal,
    /** How often each prompt came. */
    turns: createPromptCounter(),
    /** Stops every call in flight: those not billed yet never are. */
    stop(): void {
      end.abort();
      for (const request of this.inFlight) request.socket.destroy();
    },
  };
}

export type World = ReturnType<typeof createWorld>;
