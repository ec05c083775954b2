import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { HEADER_VALUE, readFaultHeaders } from './fault-headers.ts';
import { problemOf } from './form-problem.ts';

/**
 * Faults as data: which calls a rule takes, how often, and what happens to them. Times are in milliseconds, sizes in
 * bytes. `billed: true` lets the render complete and be billed before the fault.
 */

const closed = { additionalProperties: false } as const;
const Milliseconds = Type.Integer({ minimum: 0, maximum: 3_600_000 });
const Status = Type.Integer({ minimum: 200, maximum: 599 });
/** No control characters: Node refuses them in a header, and a rule must not fail when it is used. */
const HeaderValue = Type.String({ maxLength: 4000, pattern: HEADER_VALUE });
const AnyText = Type.String({ maxLength: 4000 });

/** What every effect may have besides its own fields. */
const everywhere = {
  /** The call takes this much longer. It is billed after that, so answers and balances change their order together. */
  delay_ms: Type.Optional(Milliseconds),
  /** The answer waits this long after billing: an older balance arrives after a newer one. */
  delay_after_billing_ms: Type.Optional(Milliseconds),
  /** Headers of the answer, replaced, doubled (an array) or taken away (null). `readFaultHeaders` checks them further. */
  headers: Type.Optional(
    Type.Record(Type.String(), Type.Union([AnyText, Type.Array(AnyText, { minItems: 1, maxItems: 10 }), Type.Null()])),
  ),
};
const billed = Type.Optional(Type.Boolean());

const EFFECTS = {
  /** Nothing but `delay_ms`, `delay_after_billing_ms` and `headers`. */
  none: Type.Object({ kind: Type.Literal('none'), ...everywhere }, closed),
  /** A status in place of the image, with the body it really has, or with `message`, or with `body` as it stands. */
  status: Type.Object(
    {
      kind: Type.Literal('status'),
      status: Status,
      message: Type.Optional(Type.String({ maxLength: 10_000 })),
      body: Type.Optional(Type.String({ maxLength: 1_000_000 })),
      content_type: Type.Optional(HeaderValue),
      /** Which 406 it is. */
      reason: Type.Optional(
        Type.Union([
          Type.Literal('credits'),
          Type.Literal('content_type'),
          Type.Literal('parameter'),
          Type.Literal('spend_limit'),
        ]),
      ),
      billed,
      ...everywhere,
    },
    closed,
  ),
  /** 429 whose reset is `reset_in_ms` from then, or `reset_at` as it stands; without either it has no such header. */
  rate_limit: Type.Object(
    {
      kind: Type.Literal('rate_limit'),
      reset_in_ms: Type.Optional(Type.Integer({ minimum: -1e13, maximum: 1e13 })),
      reset_at: Type.Optional(HeaderValue),
      ...everywhere,
    },
    closed,
  ),
  /** No answer, ever. */
  hang: Type.Object({ kind: Type.Literal('hang'), billed, ...everywhere }, closed),
  /** The connection is reset (RST) before any byte of an answer. */
  reset: Type.Object({ kind: Type.Literal('reset'), billed, ...everywhere }, closed),
  /** The image, slowly. */
  drip: Type.Object(
    {
      kind: Type.Literal('drip'),
      chunk_bytes: Type.Integer({ minimum: 1, maximum: 1e9 }),
      interval_ms: Milliseconds,
      ...everywhere,
    },
    closed,
  ),
  /** The connection ends within the body: after `bytes`, or after `share` (0 to 1) of it, one half when neither is said. */
  cut: Type.Object(
    {
      kind: Type.Literal('cut'),
      by: Type.Union([Type.Literal('length'), Type.Literal('chunk'), Type.Literal('close')]),
      bytes: Type.Optional(Type.Integer({ minimum: 0 })),
      share: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
      ...everywhere,
    },
    closed,
  ),
  /** The image under a content type that is not its own. */
  content_type: Type.Object({ kind: Type.Literal('content_type'), content_type: HeaderValue, ...everywhere }, closed),
  /** HTML with 200 in place of the image; billed unless `billed` is false. */
  html: Type.Object({ kind: Type.Literal('html'), billed, ...everywhere }, closed),
  /** JSON with 200 in place of the image; billed unless `billed` is false. */
  json: Type.Object({ kind: Type.Literal('json'), body: Type.Optional(Type.Unknown()), billed, ...everywhere }, closed),
  /** A valid image in a file padded to `bytes`. */
  oversize: Type.Object(
    { kind: Type.Literal('oversize'), bytes: Type.Integer({ minimum: 1, maximum: 64 * 1024 * 1024 }), ...everywhere },
    closed,
  ),
} as const;

const Strings = Type.Array(Type.String(), { minItems: 1, maxItems: 100_000 });

const Rule = Type.Object(
  {
    id: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{1,60}$' })),
    /** Every condition that is given must hold; without any, the rule takes every call. */
    match: Type.Optional(
      Type.Object(
        {
          /** `render` when it is left out. */
          endpoint: Type.Optional(
            Type.Union([Type.Literal('render'), Type.Literal('credits'), Type.Literal('catalogue')]),
          ),
          slug: Type.Optional(Type.String()),
          /** The whole prompt, or one of several. */
          prompt: Type.Optional(Type.Union([Type.String(), Strings])),
          prompt_contains: Type.Optional(Type.String({ minLength: 1 })),
          /** A regular expression of JavaScript, with the flag `u`. */
          prompt_matches: Type.Optional(Type.String({ maxLength: 1000 })),
          /** The how-manieth calls since the start or the last reset, from 1: those that are sound and could be paid. */
          ordinals: Type.Optional(Type.Array(Type.Integer({ minimum: 1 }), { minItems: 1, maxItems: 100_000 })),
          /** 0 to 1; drawn from the simulator's seed, the rule, the prompt and its turn, so that runs repeat. */
          probability: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
        },
        closed,
      ),
    ),
    /** How many calls it takes before it is used up; without end when it is left out. */
    times: Type.Optional(Type.Integer({ minimum: 1 })),
    /** Counts `times` for each prompt on its own. */
    per_prompt: Type.Optional(Type.Boolean()),
    effect: Type.Unknown(),
  },
  closed,
);

type EffectKind = keyof typeof EFFECTS;
export type FaultEffect = { [K in EffectKind]: Static<(typeof EFFECTS)[K]> }[EffectKind];
export type FaultMatch = NonNullable<Static<typeof Rule>['match']>;
export interface FaultRule extends Omit<Static<typeof Rule>, 'effect'> {
  readonly effect: FaultEffect;
}

/** Thrown for a fault rule that cannot be used; the message says what would be right. */
export class FaultRuleError extends Error {
  override readonly name = 'FaultRuleError';
}

const ruleForm = Compile(Rule);
const effectForms = Object.fromEntries(Object.entries(EFFECTS).map(([kind, schema]) => [kind, Compile(schema)]));

/** @throws {FaultRuleError} when a header cannot be set. */
function withReadHeaders(effect: FaultEffect): FaultEffect {
  if (effect.headers === undefined) return effect;
  const read = readFaultHeaders(effect.headers);
  if ('problem' in read)
    throw new FaultRuleError(`A fault rule is wrong at /effect/headers in the header ${read.name}: ${read.problem}`);
  return { ...effect, headers: read.headers } as FaultEffect;
}

/** Reads a rule; header names are in lower case then. @throws {FaultRuleError} when it is no rule. */
export function parseFaultRule(value: unknown): FaultRule {
  if (!ruleForm.Check(value)) throw new FaultRuleError(`A fault rule is wrong ${problemOf(ruleForm.Errors(value))}`);
  const { effect, match } = value;
  const kind = typeof effect === 'object' && effect !== null && 'kind' in effect ? String(effect.kind) : '';
  const form = Object.hasOwn(effectForms, kind) ? effectForms[kind] : undefined;
  if (form === undefined)
    throw new FaultRuleError(
      `A fault rule's effect must have a kind that is one of ${Object.keys(EFFECTS).join(', ')}.`,
    );
  if (!form.Check(effect))
    throw new FaultRuleError(`A fault rule's effect, ${kind}, is wrong ${problemOf(form.Errors(effect))}`);
  try {
    if (match?.prompt_matches !== undefined) new RegExp(match.prompt_matches, 'u');
  } catch (error) {
    throw new FaultRuleError(`A fault rule's prompt_matches is no regular expression: ${String(error)}.`);
  }
  return { ...value, effect: withReadHeaders(effect as FaultEffect) };
}

/** Reads one rule or a list of them. @throws {FaultRuleError} when one is wrong; then none is taken. */
export function parseFaultRules(value: unknown): readonly FaultRule[] {
  return (Array.isArray(value) ? value : [value]).map(parseFaultRule);
}
