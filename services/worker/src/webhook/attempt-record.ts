import type { Logger } from '@renderyard/shared/logger';
import { endSpan, type Span, startSpan, traceField } from '@renderyard/shared/tracing/spans';
import type { AttemptRecord, Delivery } from '@renderyard/shared/webhook/delivery';

/**
 * Begins the span of an attempt: a part of the trace of the request that submitted the job or batch; of a row, one of its
 * own that refers to it. Receivers are sent nothing of it.
 */
export function beginAttempt({ id, event, type, jobId, batchId, origin, tries }: Delivery, url: string): Span {
  const isRow = jobId !== undefined && batchId !== undefined;
  return startSpan('webhook', {
    role: 'client',
    ...(isRow ? { link: origin?.traceparent } : { parent: origin?.traceparent }),
    attributes: {
      'renderyard.delivery': id,
      'renderyard.event': event,
      'renderyard.event_type': type,
      'renderyard.attempt': tries + 1,
      'server.address': new URL(url).hostname,
      ...(jobId === undefined ? {} : { 'renderyard.job': jobId }),
      ...(batchId === undefined ? {} : { 'renderyard.batch': batchId }),
      ...(origin?.request === undefined ? {} : { 'renderyard.request_id': origin.request }),
    },
  });
}

/** How an attempt went. */
export interface AttemptEnd {
  readonly told: AttemptRecord;
  readonly outcome: string;
  /** What went wrong, for the log alone. */
  readonly cause: string | undefined;
}

/** Ends its span, and writes its one line in the log. That has of the receiver's URL only the origin: paths hold secrets. */
export function tellAttempt(
  span: Span,
  { id, event, type, account, receiver, jobId, batchId, origin, tries }: Delivery,
  url: string,
  { told, outcome, cause }: AttemptEnd,
  logger: Logger,
): void {
  const status = told.status === undefined ? {} : { 'http.response.status_code': told.status };
  endSpan(span, { ...status, 'renderyard.outcome': outcome }, outcome === 'delivered' ? undefined : outcome);
  logger.info(
    {
      event,
      type,
      delivery: id,
      job: jobId,
      batch: batchId,
      account,
      request_id: origin?.request,
      receiver,
      to: new URL(url).origin,
      attempt: tries + 1,
      outcome,
      status: told.status,
      ms: told.ms,
      cause,
      ...traceField(span),
    },
    'webhook',
  );
}
