import type { Nanocredits } from '@renderyard/shared/credits/amount';
import type { ReceivedImage } from './received-image.ts';

/** What the headers of an answer tell; each may be missing, doubled or garbage, and is then left out. */
export interface AnswerFacts {
  readonly status: number;
  readonly cost: Nanocredits | undefined;
  /** Credits left after this request. */
  readonly remaining: Nanocredits | undefined;
  readonly requestId: string | undefined;
  readonly seed: number | undefined;
  readonly generationSeconds: number | undefined;
}

/**
 * How a call ended, as far as the worker has to tell endings apart. A closed set: every member has one line in
 * docs/endings.md.
 */
export type Outcome = ImageOutcome | NoImageOutcome;

/** A complete, valid image: billed. */
export interface ImageOutcome {
  readonly kind: 'image';
  readonly image: ReceivedImage;
  readonly facts: AnswerFacts;
}

/** Every other way in which a call can end. */
export type NoImageOutcome =
  /** A complete answer of 200 whose image is larger than we take: billed, and it would be again. */
  | { readonly kind: 'too_large'; readonly facts: AnswerFacts }
  /** The request is wrong, and would be again: not billed. */
  | { readonly kind: 'rejected'; readonly detail: string; readonly facts: AnswerFacts }
  /** The upstream or its gateway could not; `maybeBilled` where the gateway cannot know what lies behind it. */
  | { readonly kind: 'unavailable'; readonly maybeBilled: boolean; readonly facts: AnswerFacts }
  /** No connection carried the request: nothing was billed. */
  | { readonly kind: 'unreached'; readonly cause: string; readonly timeout: boolean }
  /** The request left and no complete, valid answer came: it may have been billed. */
  | {
      readonly kind: 'unknown';
      readonly how: UnknownHow;
      readonly cause: string;
      readonly facts: AnswerFacts | undefined;
    }
  /** 401 and 403: the key, or this model for this key. `keyVersion`: of the key that the call was made with. */
  | { readonly kind: 'unauthorized'; readonly keyVersion?: number; readonly facts: AnswerFacts }
  /** 404, 410 and redirects: the model's address. */
  | { readonly kind: 'no_such_model'; readonly facts: AnswerFacts }
  /** 402 and 406: the account cannot pay. `clear` is false where the message does not say so. */
  | { readonly kind: 'no_credits'; readonly clear: boolean; readonly detail: string; readonly facts: AnswerFacts }
  /** 429. `resetMs`: how long the answer says to wait, unclamped; undefined when it does not say. */
  | { readonly kind: 'rate_limited'; readonly resetMs: number | undefined; readonly facts: AnswerFacts };

/** How a call broke whose outcome nobody can know. */
export type UnknownHow = 'timeout' | 'reset' | 'cut' | 'bad_image' | 'shutdown';
