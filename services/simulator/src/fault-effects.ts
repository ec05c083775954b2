import { type Answer, errorAnswer, htmlAnswer, jsonAnswer, NOT_ACCEPTABLE, statusAnswer } from './answer.ts';
import type { FaultEffect } from './fault-rules.ts';
import type { Manner } from './transmit.ts';

/** Whether the render goes on and is billed in spite of the fault. */
export function isBilled(effect: FaultEffect): boolean {
  switch (effect.kind) {
    case 'rate_limit':
      return false;
    case 'status':
    case 'hang':
    case 'reset':
      return effect.billed ?? false;
    case 'html':
    case 'json':
      return effect.billed ?? true;
    default:
      return true;
  }
}

function withHeaders(answer: Answer, headers: FaultEffect['headers']): Answer {
  if (headers === undefined) return answer;
  const kept = answer.headers.filter(([name]) => !Object.hasOwn(headers, name));
  const added = Object.entries(headers).flatMap(([name, value]) =>
    (value === null ? [] : typeof value === 'string' ? [value] : value).map((one) => [name, one] as const),
  );
  return { ...answer, headers: [...kept, ...added] };
}

/** A status answer has its content type alone: the headers of cost and balance go with images only. */
function statusOf(effect: FaultEffect & { kind: 'status' }): Answer {
  const plain =
    effect.message !== undefined
      ? errorAnswer(effect.status, effect.message)
      : effect.reason !== undefined
        ? errorAnswer(effect.status, NOT_ACCEPTABLE[effect.reason])
        : statusAnswer(effect.status);
  const body = effect.body === undefined ? plain.body : Buffer.from(effect.body);
  const headers =
    effect.content_type === undefined ? plain.headers : ([['content-type', effect.content_type]] as const);
  return { status: effect.status, headers, body };
}

function replaced(effect: FaultEffect, normal: Answer, nowMs: number): Answer {
  const keep = normal.headers.filter(([name]) => name !== 'content-type');
  switch (effect.kind) {
    case 'status':
      return statusOf(effect);
    case 'rate_limit': {
      const resetAt =
        effect.reset_at ??
        (effect.reset_in_ms === undefined ? undefined : new Date(nowMs + effect.reset_in_ms).toISOString());
      const plain = statusAnswer(429);
      if (resetAt === undefined) return plain;
      return { ...plain, headers: [...plain.headers, ['x-rate-limit-reset-at-utc', resetAt]] };
    }
    case 'html': {
      const page = htmlAnswer(200, 'Service is starting');
      return { ...page, headers: [...page.headers, ...keep] };
    }
    case 'json': {
      const json = jsonAnswer(200, JSON.stringify(effect.body ?? { status: 'ok' }));
      return { ...json, headers: [...json.headers, ...keep] };
    }
    case 'content_type':
      return { ...normal, headers: [['content-type', effect.content_type], ...keep] };
    default:
      return normal;
  }
}

function mannerOf(effect: FaultEffect, answer: Answer): Manner {
  switch (effect.kind) {
    case 'hang':
    case 'reset':
      return { kind: effect.kind };
    case 'drip':
      return { kind: 'drip', chunkBytes: effect.chunk_bytes, intervalMs: effect.interval_ms };
    case 'cut': {
      const bytes = effect.bytes ?? Math.floor(answer.body.length * (effect.share ?? 0.5));
      return { kind: 'cut', framing: effect.by, bytes };
    }
    default:
      return { kind: 'whole' };
  }
}

/** What a fault makes of the answer that would have been sent, and how it is sent. */
export function applyFault(
  effect: FaultEffect | undefined,
  normal: Answer,
  nowMs: number,
): { readonly answer: Answer; readonly manner: Manner } {
  if (effect === undefined) return { answer: normal, manner: { kind: 'whole' } };
  const answer = withHeaders(replaced(effect, normal, nowMs), effect.headers);
  return { answer, manner: mannerOf(effect, answer) };
}

/** Whether the fault leaves the image itself in the answer. */
export function keepsImage(effect: FaultEffect | undefined): boolean {
  return effect === undefined || !['status', 'rate_limit', 'html', 'json'].includes(effect.kind);
}
