import { endSpan, startSpan } from '@renderyard/shared/tracing/spans';
import type { ImageOutcome, Outcome } from '../segmind/outcome.ts';
import type { RenderDependencies } from './render-dependencies.ts';
import { type Stored, storeImage } from './store-image.ts';
import type { RunningWork } from './work.ts';

/**
 * The call to the upstream, as a span of its run. Only we see that: nothing of a trace is sent to the upstream.
 * @see SegmindClient.render, which never throws
 */
export async function callTraced(
  { job, run }: RunningWork,
  call: { readonly id: string },
  { segmind, abort }: Pick<RenderDependencies, 'segmind' | 'abort'>,
): Promise<Outcome> {
  run.call = call.id;
  const span = startSpan('call', {
    role: 'client',
    parent: run.span,
    attributes: { 'renderyard.call': call.id, 'renderyard.model': job.model },
  });
  const outcome = await segmind.render({ id: call.id, model: job.model, input: job.input, signal: abort });
  const facts = 'facts' in outcome ? outcome.facts : undefined;
  endSpan(
    span,
    {
      'renderyard.outcome': outcome.kind,
      ...(facts === undefined ? {} : { 'http.response.status_code': facts.status }),
      ...(facts?.requestId === undefined ? {} : { 'renderyard.upstream_request': facts.requestId }),
    },
    outcome.kind === 'image' ? undefined : outcome.kind,
  );
  return outcome;
}

/** Storing its image, as a span of the run: all tries, and the waits between them. @see storeImage */
export async function storeTraced(
  { job, run }: RunningWork,
  call: { readonly id: string },
  { image, facts }: ImageOutcome,
  deps: RenderDependencies,
): Promise<Stored> {
  const began = deps.clock.now();
  const span = startSpan('store', {
    role: 'client',
    parent: run.span,
    attributes: { 'renderyard.call': call.id, 'renderyard.bytes': image.bytes },
  });
  const stored = await storeImage(job, call.id, image, facts, deps);
  run.storeMs = deps.clock.now() - began;
  const key = stored.kind === 'stored' ? { 'renderyard.key': stored.image.key } : {};
  endSpan(span, key, stored.kind === 'stored' ? undefined : stored.kind);
  return stored;
}
