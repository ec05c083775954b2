import { parseRowJobId } from '../batch/row.ts';
import type { Nanocredits } from '../credits/amount.ts';
import { callOfNote, uncertainPrefix } from '../credits/uncertain-note.ts';
import type { Redis } from '../redis/connect.ts';
import { defineScript } from '../redis/script.ts';
import type { Store } from '../store/store.ts';
import { inParallel } from './in-parallel.ts';
import type { UncertainCall, UncertainRows } from './row-tally.ts';

/** A call whose outcome is unknown, as it is noted in the store: its entry in the ledger. */
export interface UncertainNote {
  readonly call: string;
  readonly entry: Readonly<Record<string, unknown>> & {
    readonly job: string;
    readonly estimate: Nanocredits;
    /** Milliseconds since 1970; from `resolve_after` on it is billed no more. */
    readonly started_at: number;
    readonly resolve_after: number;
    /** What became of it, as its settlement has it: `status_502`, `timeout`, `lost_worker`, … */
    readonly how?: string;
  };
}

const AT_ONCE = 16;
/** Calls put back by one script. */
const CHUNK = 200;

const restore = defineScript<Record<string, unknown>, { restored: number }>(
  new URL('restore-calls.lua', import.meta.url),
);

/** Reads all notes. What is none is told to `onDamaged` and left out. @throws {StoreError} */
export async function readUncertainNotes(
  store: Store,
  onDamaged: (key: string, error: unknown) => void,
  signal?: AbortSignal,
): Promise<readonly UncertainNote[]> {
  const notes: UncertainNote[] = [];
  await inParallel(store.list(uncertainPrefix), AT_ONCE, async ({ key }) => {
    signal?.throwIfAborted();
    const call = callOfNote(key);
    const object = call === undefined ? undefined : await store.get(key);
    if (call === undefined || object === undefined) return;
    const text = Buffer.concat((await object.body.toArray()) as Buffer[]).toString('utf8');
    try {
      notes.push({ call, entry: parseEntry(text) });
    } catch (error) {
      onDamaged(key, error);
    }
  });
  return notes.sort((a, b) => a.entry.started_at - b.entry.started_at);
}

function parseEntry(text: string): UncertainNote['entry'] {
  const entry = JSON.parse(text) as UncertainNote['entry'];
  if (typeof entry.job !== 'string' || ![entry.estimate, entry.started_at, entry.resolve_after].every(Number.isFinite))
    throw new TypeError('This is no call of the ledger.');
  return entry;
}

/** The notes' calls by batch and row. */
export function uncertainRowsOf(notes: readonly UncertainNote[]): ReadonlyMap<string, UncertainRows> {
  const batches = new Map<string, Map<number, UncertainCall[]>>();
  for (const { call, entry } of notes) {
    const found = parseRowJobId(entry.job);
    if (found === undefined) continue;
    const rows = batches.get(found.batch) ?? new Map<number, UncertainCall[]>();
    batches.set(found.batch, rows);
    // A gateway's answer does not count against UNCERTAIN_RETRIES, see judge.ts of the worker.
    const limited = !`${entry.how}`.startsWith('status_');
    const one = { call, estimate: entry.estimate, startedAt: entry.started_at, limited };
    rows.set(found.row, [...(rows.get(found.row) ?? []), one]);
  }
  return batches;
}

/**
 * Puts the calls into the books again, as charged to their jobs, and has the balance read anew before the next call.
 * @returns how many were not there yet.
 */
export async function restoreUncertain(
  { redis, prefix, generation }: { readonly redis: Redis; readonly prefix: string; readonly generation: string },
  notes: readonly UncertainNote[],
): Promise<number> {
  let restored = 0;
  for (let from = 0; from === 0 || from < notes.length; from += CHUNK) {
    const calls = notes.slice(from, from + CHUNK);
    restored += (await restore(redis, prefix, { generation, calls })).restored;
  }
  return restored;
}
