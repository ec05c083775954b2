import type { AuditChange, JsonValue } from '@renderyard/shared/audit-change';
import type { BatchDecision } from '@renderyard/shared/batch/batch';
import type { BatchFiles } from '@renderyard/shared/batch/batch-files';
import { toCredits } from '@renderyard/shared/credits/amount';
import { type Static, Type } from 'typebox';
import { ChangesSchema } from '../audit-schema.ts';
import type { Terms } from './batch-changes.ts';

/** One decision about a batch, as its owner reads it. */
export const BatchChangeSchema = Type.Object({
  object: Type.Literal('batch_change'),
  seq: Type.Integer(),
  at: Type.String({ format: 'date-time' }),
  by: Type.Union([Type.String(), Type.Null()], { description: 'The account; null where the batch paused itself.' }),
  action: Type.Enum(['create', 'pause', 'resume', 'cancel', 'retry', 'set']),
  changes: ChangesSchema,
});
export type BatchChangeView = Static<typeof BatchChangeSchema>;

/** What of the terms of a batch is another after a decision, in the words and the amounts of the API. */
export function changedTerms(before: Terms, after: Terms): readonly AuditChange[] {
  const credits = (amount: number | null) => (amount === null ? null : toCredits(amount));
  const pairs: readonly AuditChange[] = [
    { what: 'status', from: before.status, to: after.status },
    { what: 'budget', from: credits(before.budget), to: credits(after.budget) },
    { what: 'name', from: before.name, to: after.name },
    { what: 'runs', from: before.runs, to: after.runs },
    { what: 'metadata', from: before.metadata as JsonValue, to: after.metadata as JsonValue },
    { what: 'webhook', from: before.webhook ?? null, to: after.webhook ?? null },
    { what: 'webhook_events_filter', from: before.webhook_events ?? null, to: after.webhook_events ?? null },
  ];
  return pairs.filter(({ from, to }) => JSON.stringify(from) !== JSON.stringify(to));
}

/**
 * The decisions about a batch, the newest first.
 * @param before only those with a lower `seq`. @param account whose batch it is: nobody else can make it.
 */
export async function listBatchChanges(
  files: Pick<BatchFiles, 'listDecisions'>,
  { id, account }: { readonly id: string; readonly account: string },
  { before, limit }: { readonly before: number | undefined; readonly limit: number },
): Promise<{ readonly data: BatchChangeView[]; readonly next: string | null }> {
  const found = await files.listDecisions(id, { before, limit: limit + 1 });
  const page = found.slice(0, limit);
  const data = page.map((decision, index) => viewChange(decision, found[index + 1], account));
  return { data, next: found.length > limit ? String(page.at(-1)?.seq) : null };
}

function viewChange(decision: BatchDecision, previous: BatchDecision | undefined, account: string): BatchChangeView {
  const { seq, at, by, action, changes } = decision;
  const isFirst = seq === 1;
  const told = changes ?? (previous === undefined ? [] : changedTerms(previous, decision));
  return {
    object: 'batch_change',
    seq,
    at: new Date(at).toISOString(),
    by: by ?? (isFirst ? account : null),
    // A batch that did something by itself paused itself.
    action: action ?? (isFirst ? 'create' : 'pause'),
    changes: told.map((change) => ({ ...change })),
  };
}
