import type { Nanocredits } from '../credits/amount.ts';
import { newSecret } from '../ids.ts';
import { originFields } from '../origin.ts';
import type { Redis } from '../redis/connect.ts';
import { defineScript } from '../redis/script.ts';
import { BATCH_EVENT_TYPES, eventsField } from '../webhook/event-type.ts';
import type { BatchDecision, BatchRecord, BatchStatus } from './batch.ts';
import { type BatchState, readBatchState } from './batch-state.ts';
import { parseRowJobId } from './row.ts';
import type { RowResult } from './row-result.ts';

/** A row that has not ended, and calls of it of which no result tells: their outcome is unknown. */
export interface BegunRow {
  readonly row: number;
  readonly calls: number;
  /** How many of these count against `UNCERTAIN_RETRIES`. */
  readonly limited: number;
  /** What they were estimated at, in all. */
  readonly cost: Nanocredits;
  /** When the first of them began, in milliseconds since 1970. */
  readonly startedAt: number;
}

/** How far a batch has come, as read from the store. Bits: row r is bit (r − 1) % 8 from the left of byte (r − 1) / 8. */
export interface BatchProgress {
  readonly succeeded: Uint8Array;
  readonly failed: Uint8Array;
  /** Rows up to `cursor` that have not ended, and are due again. */
  readonly again: Uint8Array;
  /** The highest row that was ever begun, as far as is known. */
  readonly cursor: number;
  readonly counts: { readonly succeeded: number; readonly failed: number };
  readonly cost: Nanocredits;
  readonly uncertain: number;
  /** The newest version of each results part. */
  readonly versions: ReadonlyMap<number, number>;
  readonly startedAt: number | undefined;
  /** Rows among `again` that go on with what they have cost; `cost` and `uncertain` have it already. */
  readonly begun?: readonly BegunRow[];
}

/** Results that wait to be written, of a batch that is this worker's to write for the time of its lease. */
export interface Flush {
  readonly batch: string;
  /** Of what is written under this lease: higher than every version before. */
  readonly version: number;
  readonly status: BatchStatus;
  /** Whether every row has ended: after these parts the manifest is due. */
  readonly ending: boolean;
  readonly parts: readonly { readonly part: number; readonly version: number | undefined }[];
}

const here = (file: string) => new URL(file, import.meta.url);
const scripts = {
  open: defineScript<Record<string, unknown>, { new: boolean }>(here('open-batch.lua')),
  decide: defineScript<Record<string, unknown>, { known: boolean }>(here('decide.lua')),
  takeFlush: defineScript<
    Record<string, unknown>,
    { flush?: { batch: string; version: number; status: BatchStatus; ending: boolean; parts?: [number, number][] } }
  >(here('take-flush.lua')),
  renewFlush: defineScript<Record<string, unknown>, { ours: boolean }>(here('renew-flush.lua')),
  flushed: defineScript<Record<string, unknown>, { ours: boolean }>(here('flushed.lua')),
  endFlush: defineScript<Record<string, unknown>, Record<string, never>>(here('end-flush.lua')),
  complete: defineScript<Record<string, unknown>, { done: boolean }>(here('complete-batch.lua')),
  forget: defineScript<Record<string, unknown>, { forgotten: boolean }>(here('forget-batch.lua')),
};

/** How long the state of an ended batch stays in Redis: 7 days. The store tells of it for ever. */
const KEEP_ENDED_MS = 7 * 24 * 3_600_000;
/** Bits that were written for a batch which then was not opened are gone after this. */
const OPENING_MS = 600_000;

export type BatchStates = ReturnType<typeof createBatchStates>;

/** Batches in Redis: a cursor, two bits a row, counters, and results that are not in the store yet. */
export function createBatchStates({
  redis,
  prefix,
  generation,
}: {
  readonly redis: Redis;
  readonly prefix: string;
  /** The mark of the Redis that is meant; where a Redis is being rebuilt there is none yet, and none is asked for. */
  readonly generation: { readonly current: string } | undefined;
}) {
  const known = () => (generation === undefined ? {} : { generation: generation.current });

  async function writeBits(progress: BatchProgress): Promise<string> {
    const opening = newSecret(9);
    const write = redis.multi();
    const bits = { ok: progress.succeeded, failed: progress.failed, again: progress.again };
    for (const [name, value] of Object.entries(bits))
      if (value.some((byte) => byte !== 0))
        write.set(`${prefix}opening:${opening}:${name}`, Buffer.from(value), 'PX', OPENING_MS);
    await write.exec();
    return opening;
  }

  const states = {
    /**
     * Makes a batch known, with what is known of it in `progress`; it is fed from now on if it is to run. Harmless when
     * it is known already and has not ended: then nothing changes. With `onlyUnknown` also when it has ended.
     * @returns whether it is new.
     */
    async open(
      record: BatchRecord,
      decision: BatchDecision,
      progress?: BatchProgress,
      { onlyUnknown = false }: { readonly onlyUnknown?: boolean } = {},
    ): Promise<boolean> {
      const fields: Record<string, string | number> = {
        id: record.id,
        account: record.account,
        status: 'running',
        model: record.model,
        total: record.rows,
        rejected: record.report.rejected.count,
        cursor: progress?.cursor ?? 0,
        processing: 0,
        succeeded: progress?.counts.succeeded ?? 0,
        failed: progress?.counts.failed ?? 0,
        cost: progress?.cost ?? 0,
        reserved: 0,
        uncertain: progress?.uncertain ?? 0,
        runs: decision.runs,
        created_at: record.created_at,
        // No version that is written from now on may come before one that is there.
        version: Math.max(0, ...(progress?.versions.values() ?? [])),
        ...(progress?.startedAt === undefined ? {} : { started_at: progress.startedAt }),
        ...originFields(record),
      };
      const versions = [...(progress?.versions ?? [])].flat();
      const answer = await scripts.open(redis, prefix, {
        ...known(),
        id: record.id,
        account: record.account,
        fields: Object.entries(fields).flat().map(String),
        decision: decisionArgument(decision),
        opening: progress === undefined ? undefined : await writeBits(progress),
        versions: versions.length > 0 ? versions.map(String) : undefined,
        only_unknown: onlyUnknown || undefined,
        begun: progress?.begun?.length
          ? progress.begun.map(({ startedAt, ...row }) => ({ ...row, started_at: startedAt }))
          : undefined,
      });
      return answer.new;
    },

    async get(id: string): Promise<BatchState | undefined> {
      const answers = await redis.multi().hgetall(`${prefix}batch:${id}`).lrange(`${prefix}ends:${id}`, 0, -1).exec();
      const [[stateError, hash] = [], [endsError, ends] = []] = answers ?? [];
      if (stateError || endsError) throw stateError ?? endsError;
      return readBatchState(hash as Record<string, string>, ends as string[]);
    },

    /** Ids of an account's batches, the newest first; `after` is the id of the last one already seen. */
    async list(
      account: string,
      { after, limit }: { readonly after?: string | undefined; readonly limit: number },
    ): Promise<readonly string[]> {
      const from = after === undefined ? '+' : `(${after}`;
      return redis.zrange(`${prefix}batches:${account}`, from, '-', 'BYLEX', 'REV', 'LIMIT', 0, limit);
    },

    /** Has a batch listed that has ended and is not otherwise known. */
    async addToList(account: string, id: string): Promise<void> {
      await redis.zadd(`${prefix}batches:${account}`, '0', id);
    },

    /**
     * Puts a decision into force, unless a later one is. When a cancel resolves, no call is admitted any more.
     * @returns the state; undefined when the batch is not known.
     */
    async decide(id: string, decision: BatchDecision): Promise<BatchState | undefined> {
      await scripts.decide(redis, prefix, { ...known(), id, decision: decisionArgument(decision) });
      return states.get(id);
    },

    /** Results of a part that are not in the store yet, or newer than there. */
    async results(id: string, part: number): Promise<ReadonlyMap<number, RowResult>> {
      const lines = await states.unwritten(id, part);
      return new Map(lines.map((line) => JSON.parse(line) as RowResult).map((result) => [result.row, result]));
    },

    /** The same as lines, for {@link BatchStates.flushed}. */
    async unwritten(id: string, part: number): Promise<readonly string[]> {
      return redis.hvals(`${prefix}results:${id}:${part}`);
    },

    /** The version of each results part that holds. Empty where the batch has ended: the manifest tells then. */
    async resultVersions(id: string): Promise<ReadonlyMap<number, number>> {
      const versions = await redis.hgetall(`${prefix}versions:${id}`);
      return new Map(Object.entries(versions).map(([part, version]) => [Number(part), Number(version)]));
    },

    /** Rows with a call in flight. */
    async processing(id: string): Promise<readonly number[]> {
      const fed = await redis.zrange(`${prefix}fed`, '0', '-1');
      const own = fed.filter((job) => parseRowJobId(job)?.batch === id);
      const found = await Promise.all(own.map((job) => redis.hget(`${prefix}job:${job}`, 'status')));
      return own.filter((_, i) => found[i] === 'processing').map((job) => parseRowJobId(job)?.row ?? 0);
    },

    /** Takes a batch whose results are due to be written, for `leaseMs`; undefined when there is none. */
    async takeFlush(leaseMs: number): Promise<Flush | undefined> {
      const { flush } = await scripts.takeFlush(redis, prefix, { ...known(), lease_ms: leaseMs });
      if (flush === undefined) return undefined;
      const parts = (flush.parts ?? [])
        .map(([part, version]) => ({ part, version: version === 0 ? undefined : version }))
        .sort((a, b) => a.part - b.part);
      return { ...flush, parts };
    },

    /** Lets the lease run for `leaseMs` from now. @returns false when it has run out: another worker writes the batch. */
    async renewFlush({ batch, version }: Flush, leaseMs: number): Promise<boolean> {
      return (await scripts.renewFlush(redis, prefix, { ...known(), id: batch, version, lease_ms: leaseMs })).ours;
    },

    /**
     * Says that these lines of a part lie in the store, under the version of the flush.
     * @returns false, with nothing changed, when the lease has run out: another worker writes the batch.
     */
    async flushed(flush: Flush, part: number, lines: readonly string[]): Promise<boolean> {
      const { batch, version } = flush;
      return (await scripts.flushed(redis, prefix, { ...known(), id: batch, part, version, lines })).ours;
    },

    /** Ends the lease. */
    async endFlush({ batch, version }: Flush): Promise<void> {
      await scripts.endFlush(redis, prefix, { ...known(), id: batch, version });
    },

    /**
     * The last step, once all results and the manifest are in the store: the batch is completed or canceled.
     * @param endedAt milliseconds since 1970, as the manifest has it
     * @returns false, with nothing changed, when the lease has run out or the batch goes on.
     */
    async complete({ batch, version }: Flush, endedAt: number): Promise<boolean> {
      const args = { ...known(), id: batch, version, ended_at: endedAt, keep_ms: KEEP_ENDED_MS };
      return (await scripts.complete(redis, prefix, args)).done;
    },

    /** Forgets a batch that has ended. @returns false when it has not. */
    async forget(account: string, id: string): Promise<boolean> {
      return (await scripts.forget(redis, prefix, { ...known(), id, account })).forgotten;
    },
  };
  return states;
}

function decisionArgument({
  metadata,
  name,
  budget,
  by: _by,
  action: _action,
  changes: _,
  webhook,
  webhook_events: events,
  ...decision
}: BatchDecision) {
  // What is missing must be missing for Lua, too.
  return {
    ...decision,
    metadata: JSON.stringify(metadata),
    ...(name === null ? {} : { name }),
    ...(budget === null ? {} : { budget }),
    ...(webhook === undefined ? {} : { webhook }),
    ...(webhook === undefined && events === undefined
      ? {}
      : { webhook_events: eventsField(events ?? BATCH_EVENT_TYPES) }),
  };
}
