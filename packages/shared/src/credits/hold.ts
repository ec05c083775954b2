/** Why work waits. A hold stands until its own cause is gone; several can stand at once. */
export type HoldName =
  | 'upgrade'
  | 'operator'
  | 'unauthorized'
  | 'credits'
  | 'store'
  | 'upstream'
  | 'rate'
  | `model:${string}`
  | `key:${string}`;

/** The reason as clients read it, in the order in which one is shown when several stand. */
export const HOLD_REASONS = [
  'upgrade',
  'operator',
  'unauthorized',
  'credits',
  'store',
  'upstream',
  'rate',
  'model',
  'key_budget',
] as const;
export type HoldReason = (typeof HOLD_REASONS)[number];

export interface Hold {
  readonly name: HoldName;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** Public text: what is the matter and what ends it. */
  readonly detail: string;
  /** The hold ends by itself at this time. */
  readonly until?: number;
  /** From this time on one call is let through to see whether the cause is gone. */
  readonly trialAt?: number;
}

/** A hold that this version does not know is one under which a newer one takes over. */
export function holdReason(name: HoldName): HoldReason {
  if (name.startsWith('model:')) return 'model';
  if (name.startsWith('key:')) return 'key_budget';
  return HOLD_REASONS.find((reason) => reason === name) ?? 'upgrade';
}

/** Whether a hold keeps all work, not only that of one model, of one API key, or of what a newer version names so. */
export function holdsAll(name: HoldName): boolean {
  return !name.includes(':');
}

/** The hold that keeps a job of this model and account waiting, the gravest first; undefined when nothing does. */
export function holdFor(
  holds: readonly Hold[],
  { model, account }: { readonly model: string; readonly account: string },
  now: number,
): Hold | undefined {
  return holds
    .filter(
      (hold) =>
        (hold.until === undefined || hold.until > now) &&
        (holdsAll(hold.name) || hold.name === `model:${model}` || hold.name === `key:${account}`),
    )
    .sort((a, b) => HOLD_REASONS.indexOf(holdReason(a.name)) - HOLD_REASONS.indexOf(holdReason(b.name)))[0];
}
