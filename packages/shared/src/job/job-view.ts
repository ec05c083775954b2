import { type Static, type TSchema, Type } from 'typebox';
import { BATCH_HOLD_REASONS, type BatchHold } from '../batch/batch.ts';
import { toCredits } from '../credits/amount.ts';
import { HOLD_REASONS, type Hold, holdFor, holdReason } from '../credits/hold.ts';
import { EVENT_TYPES, JOB_EVENT_TYPES } from '../webhook/event-type.ts';
import { JOB_ERROR_CODES, JOB_STATUSES, type Job } from './job.ts';

const nullable = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()]);
const Time = Type.String({ format: 'date-time', description: 'RFC 3339, UTC.' });

/** A job as clients read it. */
export const JobSchema = Type.Object({
  id: Type.String(),
  object: Type.Literal('job'),
  status: Type.Enum([...JOB_STATUSES]),
  cancel_requested: Type.Boolean({
    description: 'A call was in flight when the job was canceled: the job ends when the call has.',
  }),
  hold: nullable(
    Type.Object(
      { reason: Type.Enum([...HOLD_REASONS, ...BATCH_HOLD_REASONS]), since: Time, detail: Type.String() },
      { description: 'Why a queued job waits, other than for its turn.' },
    ),
  ),
  model: Type.String(),
  input: Type.Object({}, { additionalProperties: true, description: 'As it is sent, every default filled in.' }),
  output: Type.Array(
    Type.Object({
      url: Type.String({
        description: 'Stays the same; it leads to a link that expires. Needs the API key, if there is one.',
      }),
      key: Type.String({ description: 'Where the image lies in the object store.' }),
      content_type: Type.String(),
      bytes: Type.Integer(),
      width: Type.Integer(),
      height: Type.Integer(),
      sha256: Type.String(),
      seed: Type.Integer(),
    }),
  ),
  error: nullable(Type.Object({ code: Type.Enum([...JOB_ERROR_CODES]), detail: Type.String() })),
  attempts: Type.Integer({ description: 'Calls made to the upstream.' }),
  uncertain: Type.Integer({ description: 'Of those, calls whose outcome is unknown; each counts as spent.' }),
  cost: Type.Number({ description: 'Credits.' }),
  batch_id: nullable(Type.String({ description: 'Of a row of a batch.' })),
  row: nullable(Type.Integer({ description: 'From 1, in the order of the upload.' })),
  metadata: Type.Object({}, { additionalProperties: true }),
  webhook: nullable(Type.String({ description: 'Who is told of it, besides the endpoints of the account.' })),
  webhook_events_filter: nullable(Type.Array(Type.Enum([...EVENT_TYPES]), { description: 'What goes there.' })),
  created_at: Time,
  started_at: nullable(Time),
  ended_at: nullable(Time),
  expires_at: nullable(Time),
  urls: Type.Object({ self: Type.String(), image: Type.String(), cancel: Type.String(), retry: Type.String() }),
});
export type JobView = Static<typeof JobSchema>;

/** A job that is to be shown: of a row also what its batch waits for. */
export interface ShownJob extends Job {
  readonly batchHold?: BatchHold | undefined;
}

/** What a job's representation needs besides the job. */
export interface ViewContext {
  readonly publicUrl: string;
  readonly holds: readonly Hold[];
  /** Milliseconds since 1970. */
  readonly now: number;
}

export function viewJob(job: ShownJob, { publicUrl, holds, now }: ViewContext): JobView {
  const self = `${publicUrl}/v1/jobs/${job.id}`;
  return {
    id: job.id,
    object: 'job',
    status: job.status,
    cancel_requested: job.cancelRequested,
    hold: job.status === 'queued' ? viewHold(job.batchHold, holdFor(holds, job, now)) : null,
    model: job.model,
    input: job.input,
    output: job.output.map((image) => ({ url: `${self}/image`, ...image })),
    error: job.error ?? null,
    attempts: job.attempts,
    uncertain: job.uncertain,
    cost: toCredits(job.cost),
    batch_id: job.batch ?? null,
    row: job.row ?? null,
    metadata: job.metadata,
    webhook: job.webhook ?? null,
    webhook_events_filter: job.webhook === undefined ? null : [...(job.webhookEvents ?? JOB_EVENT_TYPES)],
    created_at: time(job.createdAt),
    started_at: timeOrNull(job.startedAt),
    ended_at: timeOrNull(job.endedAt),
    expires_at: timeOrNull(job.expiresAt),
    urls: { self, image: `${self}/image`, cancel: `${self}/cancel`, retry: `${self}/retry` },
  };
}

/** A row's batch comes first: while it is paused, nothing else matters. */
function viewHold(ofBatch: BatchHold | undefined, ofAll: Hold | undefined): JobView['hold'] {
  if (ofBatch !== undefined) return { reason: ofBatch.reason, since: time(ofBatch.since), detail: ofBatch.detail };
  return ofAll === undefined
    ? null
    : { reason: holdReason(ofAll.name), since: time(ofAll.since), detail: ofAll.detail };
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}

function timeOrNull(ms: number | undefined): string | null {
  return ms === undefined ? null : time(ms);
}
