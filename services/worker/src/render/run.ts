import type { Job } from '@renderyard/shared/job/job';
import { endSpan, type Span, startSpan } from '@renderyard/shared/tracing/spans';
import type { AnswerFacts } from '../segmind/outcome.ts';
import type { Ending } from './ending.ts';

/** What there is to tell of one run of a ticket, gathered while it goes on: for the job's line in the log, and its span. */
export interface Run {
  readonly span: Span;
  /** The call that was made, or is looked for. */
  call?: string;
  /** How that ended, after how many milliseconds, and what the headers of its answer told. */
  outcome?: string;
  callMs?: number;
  facts?: AnswerFacts | undefined;
  /** How long it took to put the image into the store, in milliseconds, all tries included. */
  storeMs?: number;
}

/**
 * Begins the span of a run: a part of the trace of the request that submitted the job. A batch may have a million rows, so
 * each run of a row has a trace of its own, which refers to that of the batch's request.
 */
export function beginRun({ id, batch, row, account, model, origin }: Job): Run {
  const parent = batch === undefined ? { parent: origin?.traceparent } : { link: origin?.traceparent };
  const span = startSpan('job', {
    role: 'consumer',
    ...parent,
    attributes: {
      'renderyard.job': id,
      'renderyard.account': account,
      'renderyard.model': model,
      ...(batch === undefined || row === undefined ? {} : { 'renderyard.batch': batch, 'renderyard.row': row }),
      ...(origin?.request === undefined ? {} : { 'renderyard.request_id': origin.request }),
    },
  });
  return { span };
}

/** Ends the span of a run. One in which nothing happened but waiting is not kept: work that is held is looked at often. */
export function endRun({ span, call }: Run, ending: Ending): void {
  if (call === undefined && (ending.kind === 'deferred' || ending.kind === 'void')) return;
  const code = ending.kind === 'failed' ? ending.code : undefined;
  endSpan(span, { 'renderyard.ending': ending.kind }, code);
}
