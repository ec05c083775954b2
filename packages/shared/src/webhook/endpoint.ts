import type { AuditChange } from '../audit-change.ts';
import type { EventType } from './event-type.ts';

/** Endpoints that an account may have. */
export const MOST_ENDPOINTS = 20;
/** Secrets that one endpoint may have at once: the newest, and those before it that have not expired. */
export const MOST_SECRETS = 5;

/**
 * Why nothing is sent to an endpoint: it answered 410, every attempt failed for five days, somebody said so, or the
 * decision about it is damaged in the store.
 */
export const DISABLED_REASONS = ['gone', 'failing', 'by_hand', 'damaged'] as const;
export type DisabledReason = (typeof DISABLED_REASONS)[number];

/** A secret of an endpoint. Times are milliseconds since 1970. */
export interface EndpointSecret {
  /** As `sealSecret` makes it. */
  readonly sealed: string;
  /** The request that it was made for, so that one which broke off makes no second. */
  readonly request: string;
  readonly created_at: number;
  /** Until then it signs as well; null for the newest. */
  readonly expires_at: number | null;
}

/** Where an account wants to hear of its events. Times are milliseconds since 1970. */
export interface Endpoint {
  /** `whk_…` */
  readonly id: string;
  /** As it is asked for. It may hold a token: it is for its owner alone. */
  readonly url: string;
  /** The types that it hears; null for all. */
  readonly events: readonly EventType[] | null;
  readonly description: string | null;
  readonly state: 'enabled' | 'disabled';
  /** Null as long as it is enabled. */
  readonly disabled: { readonly reason: DisabledReason; readonly since: number } | null;
  /** The newest first; never empty. */
  readonly secrets: readonly EndpointSecret[];
  readonly created_at: number;
}

/**
 * What was decided about the endpoints of an account, all of them, and what the last decision changed. Each is an object
 * of its own in the store, created and never replaced; the one with the highest `seq` holds.
 */
export interface EndpointDecision {
  readonly account: string;
  /** From 1; each is higher than the one before. */
  readonly seq: number;
  /** Milliseconds since 1970. Later than every `disabled.since` that it knows of. */
  readonly at: number;
  /** The account that decided; left out where an endpoint disabled itself. */
  readonly by?: string;
  readonly action: 'create' | 'set' | 'rotate' | 'delete' | 'disable';
  readonly changes: readonly AuditChange[];
  readonly endpoints: readonly Endpoint[];
}

/** What Redis knows of an endpoint's being disabled. */
export interface OwnDisabling {
  readonly state: 'enabled' | 'disabled';
  readonly reason?: DisabledReason | undefined;
  /** Milliseconds since 1970. */
  readonly disabledAt?: number | undefined;
  /** Redis disabled it, and no decision says so yet. */
  readonly undecided: boolean;
}

/**
 * The endpoints as they were decided about last, less what came about since: those that Redis disabled by itself are
 * disabled. The others are the very objects that were given.
 * @param states by id of the endpoint.
 */
export function withOwnDisablings(
  endpoints: readonly Endpoint[],
  states: ReadonlyMap<string, OwnDisabling>,
): readonly Endpoint[] {
  return endpoints.map((endpoint) => {
    const known = states.get(endpoint.id);
    if (!known?.undecided || known.state !== 'disabled' || endpoint.state === 'disabled') return endpoint;
    const { reason = 'failing', disabledAt = 0 } = known;
    return { ...endpoint, state: 'disabled', disabled: { reason, since: disabledAt } };
  });
}

export const endpointsPrefix = 'webhooks/';
export const endpointDecisionsPrefix = (account: string) => `${endpointsPrefix}${account}/`;
export const endpointDecisionKey = (account: string, seq: number) =>
  `${endpointDecisionsPrefix(account)}${String(seq).padStart(6, '0')}.json`;

/** The account and the `seq` that a key of {@link endpointDecisionKey} names. */
export function parseEndpointDecisionKey(key: string): { readonly account: string; readonly seq: number } | undefined {
  const match = /^webhooks\/([^/]+)\/(\d{6,15})\.json$/.exec(key);
  return match?.[1] === undefined ? undefined : { account: match[1], seq: Number(match[2]) };
}
