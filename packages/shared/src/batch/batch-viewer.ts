import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import { toCredits } from '../credits/amount.ts';
import type { CreditState, KeySpending } from '../credits/credit-books.ts';
import { type Hold, holdFor, holdReason } from '../credits/hold.ts';
import type { Ledger } from '../credits/ledger.ts';
import { BATCH_EVENT_TYPES, type EventType } from '../webhook/event-type.ts';
import { type BatchRecord, isBatchFinal } from './batch.ts';
import type { BatchState } from './batch-state.ts';
import type { BatchView, DryRunView } from './batch-view.ts';
import { estimate, expectedCost, type Means } from './estimate.ts';
import { expectedEnd, measuredRate } from './eta.ts';
import type { FoundBatch } from './found-batch.ts';
import { limitOf } from './limit.ts';

/** So many ends Redis keeps of a batch. */
const MOST_LATEST = 50;
/** A batch of which nothing has run. */
const NOTHING = { spent: 0, reserved: 0, processing: 0 } as const;

/** What of the books is needed, and is left out where they cannot be read. */
type Books = Pick<
  CreditState,
  'balance' | 'reserved' | 'uncertain' | 'inFlight' | 'holds' | 'estimates' | 'ratios' | 'limits' | 'keys'
>;
const NO_BOOKS: Books = {
  ...{ balance: undefined, reserved: 0, uncertain: 0, inFlight: 0, holds: [], estimates: new Map() },
  ...{ ratios: new Map(), keys: new Map(), limits: { floor: undefined, low: undefined, resume: undefined } },
};

/** An upload that was read, and of which nothing was made. */
export interface ReadUpload
  extends Pick<BatchRecord, 'source' | 'options' | 'columns' | 'rows' | 'report' | 'classes' | 'model'> {
  readonly name: string | null;
  readonly budget: number | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly webhook: string | undefined;
  readonly webhookEvents: readonly EventType[] | undefined;
  readonly preview: readonly Readonly<DryRunView['preview'][number]>[];
  readonly accepted: boolean;
}

export type BatchViewer = ReturnType<typeof createBatchViewer>;

/** Shows batches as clients read them, beside the books, which are read once for all that are shown together. */
export function createBatchViewer({
  ledger,
  config,
  clock,
}: {
  readonly ledger: Pick<Ledger, 'snapshot'>;
  readonly config: Pick<Config, 'PUBLIC_URL' | 'SEGMIND_RPM' | 'SEGMIND_CONCURRENCY' | 'floor'>;
  readonly clock: Clock;
}) {
  const meansOf = (books: Books): Means => ({
    available:
      books.balance === undefined
        ? undefined
        : books.balance - books.reserved - books.uncertain - (books.limits.floor?.value ?? config.floor),
    perMinute: config.SEGMIND_RPM,
    slots: config.SEGMIND_CONCURRENCY,
  });

  /** What is shown of a batch and of what would be one. */
  function outlook(
    batch: Pick<BatchRecord, 'rows' | 'classes' | 'model'> & {
      readonly account: string;
      readonly budget: number | null;
    },
    progress: { readonly remaining: number; readonly spent: number; readonly reserved: number },
    books: Books,
  ) {
    const means = meansOf(books);
    const expected = expectedCost(batch.model, batch.classes, books);
    const key = leftOfKey(books.keys.get(batch.account));
    const found = estimate({ ...batch, ...progress, expected, key }, means);
    return {
      budget: creditsOrNull(batch.budget ?? undefined),
      estimate: {
        cost: toCredits(found.cost),
        seconds: found.seconds,
        fits: found.fits ?? null,
        balance: creditsOrNull(means.available),
        left: creditsOrNull(found.left),
        budget_left: creditsOrNull(found.budgetLeft),
        key_day_left: creditsOrNull(found.keyDayLeft),
        key_total_left: creditsOrNull(found.keyTotalLeft),
      },
    };
  }

  function viewWith({ record, state }: FoundBatch, books: Books, now: number): BatchView {
    const self = `${config.PUBLIC_URL}/v1/batches/${state.id}`;
    const ended = state.succeeded + state.failed + state.canceled;
    const remaining = isBatchFinal(state.status) ? 0 : Math.max(0, state.total - ended);
    const waits = remaining > 0 && (state.status === 'running' || state.status === 'paused');
    const means = meansOf(books);
    const hold = waits ? (state.hold ?? accountHold(books.holds, state, now)) : undefined;
    const limit = waits ? limitOf(means, { hold, inFlight: books.inFlight }) : undefined;
    const movement = { now, startedAt: state.startedAt, latest: state.latest, mostLatest: MOST_LATEST };
    return {
      id: state.id,
      object: 'batch',
      status: state.status,
      ...described(record, state),
      hold: viewHold(hold),
      counts: {
        total: state.total,
        rejected: state.rejected,
        queued: Math.max(0, remaining - state.processing),
        processing: state.processing,
        succeeded: state.succeeded,
        failed: state.failed,
        canceled: state.canceled,
        expired: 0,
      },
      cost: toCredits(state.cost),
      ...outlook(
        { ...record, budget: state.budget },
        { remaining, spent: state.cost, reserved: state.reserved },
        books,
      ),
      rate: round(isBatchFinal(state.status) ? rateOverall(state) : measuredRate(movement)),
      eta: waits && hold === undefined ? time(expectedEnd(remaining, movement, means)) : null,
      limited_by: limit?.by ?? null,
      limited_by_detail: limit?.detail ?? null,
      uncertain: state.uncertain,
      runs: state.runs,
      created_at: time(state.createdAt),
      started_at: timeOrNull(state.startedAt),
      ended_at: timeOrNull(state.endedAt),
      urls: {
        self,
        rows: `${self}/rows`,
        results_csv: `${self}/results.csv`,
        results_ndjson: `${self}/results.ndjson`,
        rejected_csv: `${self}/rejected.csv`,
        images_zip: `${self}/images.zip`,
        pause: `${self}/pause`,
        resume: `${self}/resume`,
        cancel: `${self}/cancel`,
        retry: `${self}/retry`,
      },
    };
  }

  const viewer = {
    async view(batches: readonly FoundBatch[]): Promise<BatchView[]> {
      if (batches.length === 0) return [];
      const now = clock.now();
      const books = await ledger.snapshot(now);
      return batches.map((batch) => viewWith(batch, books, now));
    },

    async viewOne(batch: FoundBatch): Promise<BatchView> {
      const [view] = await viewer.view([batch]);
      return view as BatchView;
    },

    /**
     * Of a batch that was just made: what cannot be read is left out, for this answer must not fail any more.
     * @param read the batch as it stands by now; undefined where it is not found.
     */
    async viewAccepted(made: FoundBatch, read: () => Promise<FoundBatch | undefined>): Promise<BatchView> {
      const now = clock.now();
      const [found, books] = await Promise.all([
        read().catch(() => undefined),
        ledger.snapshot(now).catch(() => NO_BOOKS),
      ]);
      return viewWith(found ?? made, books, now);
    },

    /** What an upload would make. */
    async viewDryRun(upload: ReadUpload, account: string): Promise<DryRunView> {
      const now = clock.now();
      const books = await ledger.snapshot(now);
      const means = meansOf(books);
      const { rows, report } = upload;
      const hold = accountHold(books.holds, { model: upload.model, account }, now);
      const limit = rows > 0 ? limitOf(means, { hold, inFlight: undefined }) : undefined;
      const movement = { now, startedAt: undefined, latest: [], mostLatest: MOST_LATEST };
      return {
        object: 'batch_dry_run',
        dry_run: true,
        accepted: upload.accepted,
        ...described(upload, upload),
        hold: viewHold(hold),
        counts: {
          ...{ total: rows, rejected: report.rejected.count, queued: rows, processing: 0 },
          ...{ succeeded: 0, failed: 0, canceled: 0, expired: 0 },
        },
        ...outlook({ ...upload, account }, { ...NOTHING, remaining: rows }, books),
        eta: rows > 0 && hold === undefined ? time(expectedEnd(rows, movement, means)) : null,
        limited_by: limit?.by ?? null,
        limited_by_detail: limit?.detail ?? null,
        images: rows,
        preview: upload.preview.map((row) => ({ ...row })),
      };
    },
  };
  return viewer;
}

function described(
  record: Pick<BatchRecord, 'model' | 'report' | 'options' | 'columns' | 'source'>,
  { name, metadata, webhook, webhookEvents }: Pick<BatchState, 'name' | 'metadata' | 'webhook' | 'webhookEvents'>,
) {
  const events = webhookEvents ?? (webhook === undefined ? undefined : BATCH_EVENT_TYPES);
  const { rejected, warnings } = record.report;
  return {
    name,
    model: record.model,
    report: { rejected: { count: rejected.count, errors: [...rejected.errors] }, warnings: [...warnings] },
    options: record.options,
    metadata,
    webhook: webhook ?? null,
    webhook_events_filter: events === undefined ? null : [...events],
    columns: [...record.columns],
    source: record.source,
  };
}

function leftOfKey(key: KeySpending | undefined) {
  const left = (name: 'day' | 'total') => {
    const budget = key?.budget[name];
    return key === undefined || budget === undefined ? undefined : budget - key[name] - key.reserved;
  };
  return { day: left('day'), total: left('total') };
}

interface ShownHold extends Pick<Hold, 'since' | 'detail'> {
  readonly reason: NonNullable<BatchView['hold']>['reason'];
}

function accountHold(
  holds: readonly Hold[],
  batch: { readonly model: string; readonly account: string },
  now: number,
): ShownHold | undefined {
  const hold = holdFor(holds, batch, now);
  return hold && { reason: holdReason(hold.name), since: hold.since, detail: hold.detail };
}

function viewHold(hold: ShownHold | undefined): BatchView['hold'] {
  return hold === undefined ? null : { reason: hold.reason, since: time(hold.since), detail: hold.detail };
}

function rateOverall({ startedAt, endedAt, succeeded, failed }: BatchState): number {
  if (startedAt === undefined || endedAt === undefined) return 0;
  return ((succeeded + failed) * 60_000) / Math.max(endedAt - startedAt, 1000);
}

function round(rate: number): number {
  return Math.round(rate * 100) / 100;
}

function creditsOrNull(amount: number | undefined): number | null {
  return amount === undefined ? null : toCredits(amount);
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}

function timeOrNull(ms: number | undefined): string | null {
  return ms === undefined ? null : time(ms);
}
