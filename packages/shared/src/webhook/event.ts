import type { BatchState } from '../batch/batch-state.ts';
import type { DeliveredType } from './event-type.ts';

/** Who is to be told: an endpoint, or the own webhook of a job or a batch. */
export type Addressee = { readonly webhook: string } | { readonly url: string };

/** What an entry of the outbox holds: what happened, as it was then, and who is to be told. Written by tell.lua. */
export interface OutboxEvent {
  /** The same for the same happening, however often it is told. */
  readonly id: string;
  readonly type: DeliveredType;
  readonly account: string;
  /** When it happened, in milliseconds since 1970. */
  readonly at: number;
  readonly to: readonly Addressee[];
  readonly job_id?: string;
  readonly batch_id?: string;
  /** Of a row: the request that submitted its batch, and its span. Of what has a hash, that tells. */
  readonly request?: string;
  readonly traceparent?: string;
  /** The Redis hash of a job outside of batches. */
  readonly job?: Readonly<Record<string, string>>;
  /** A row that ended; `line` is its `RowEnd`, as JSON. */
  readonly row?: { readonly row: number; readonly line: string };
  /** Of a batch that was canceled: all of its rows that were not rendered, which the store tells. */
  readonly rows?: true;
  /** The Redis hash of a batch. */
  readonly batch?: Readonly<Record<string, string>>;
  /** The same of one that Redis has forgotten; never in the outbox. */
  readonly state?: BatchState;
  readonly credits?: {
    readonly from: string;
    readonly to: string;
    readonly cause: string;
    /** Nanocredits, as texts; empty where not known. */
    readonly balance: string;
    readonly floor: string;
  };
  readonly endpoint?: { readonly id: string; readonly url: string; readonly reason: string };
}

/** An event from the fields of its entry in the outbox; undefined where they hold none. */
export function parseEvent(fields: readonly string[]): OutboxEvent | undefined {
  try {
    return JSON.parse(fields[fields.indexOf('event') + 1] ?? '') as OutboxEvent;
  } catch {
    return undefined;
  }
}
