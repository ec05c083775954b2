import type { AuditChange, JsonValue } from '@renderyard/shared/audit-change';
import {
  type Endpoint,
  type EndpointDecision,
  type EndpointSecret,
  MOST_ENDPOINTS,
  MOST_SECRETS,
} from '@renderyard/shared/webhook/endpoint';
import { ProblemError } from '../errors/problem-error.ts';
import type { EndpointPatch, NewEndpoint } from './webhook-body.ts';

/** The endpoints of an account as they were decided about last, less those that have disabled themselves since. */
export interface EndpointStanding {
  readonly endpoints: readonly Endpoint[];
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** What is to hold from now on, and what that changes. */
export interface EndpointOutcome extends Pick<EndpointDecision, 'action' | 'changes' | 'endpoints'> {
  /** The endpoint that is meant. */
  readonly id: string;
}

/** Undefined where all is as it shall be. Throws where it makes no sense. */
export type EndpointChange = (standing: EndpointStanding) => EndpointOutcome | undefined;

const HOUR_MS = 3_600_000;

/**
 * The endpoint with this id.
 * @throws {ProblemError} `not_found`.
 */
export function endpointWith(endpoints: readonly Endpoint[], id: string): Endpoint {
  const found = endpoints.find((endpoint) => endpoint.id === id);
  if (found === undefined) throw new ProblemError('not_found', 'There is no such webhook.');
  return found;
}

/** The secrets that still sign, the newest first. */
export function validSecrets({ secrets }: Endpoint, now: number): readonly EndpointSecret[] {
  return secrets.filter(({ expires_at }) => expires_at === null || expires_at > now);
}

/** Adds an endpoint, unless an earlier run of the same request did. @param sealed its secret. */
export function create(id: string, given: NewEndpoint, sealed: string): EndpointChange {
  return ({ endpoints, now }) => {
    if (endpoints.some((endpoint) => endpoint.id === id)) return undefined;
    if (endpoints.length >= MOST_ENDPOINTS) throw new ProblemError('too_many_webhooks');
    const endpoint: Endpoint = {
      id,
      ...given,
      state: 'enabled',
      disabled: null,
      secrets: [{ sealed, request: id, created_at: now, expires_at: null }],
      created_at: now,
    };
    return {
      ...{ action: 'create', id, endpoints: [...endpoints, endpoint] },
      changes: changesOf(undefined, endpoint),
    };
  };
}

/** Changes what is given. One that is enabled by hand may fail for five days again. */
export function set(id: string, patch: EndpointPatch): EndpointChange {
  return ({ endpoints, now }) => {
    const before = endpointWith(endpoints, id);
    const { state = before.state, ...values } = patch;
    const since = state === 'enabled' ? null : (before.disabled ?? { reason: 'by_hand' as const, since: now });
    const after: Endpoint = { ...before, ...values, state, disabled: since };
    const changes = changesOf(before, after);
    return changes.length === 0 ? undefined : { action: 'set', id, changes, endpoints: replace(endpoints, after) };
  };
}

/**
 * Puts a new secret before the others, which sign as well until they expire: after `overlapHours`, unless they do
 * sooner. What an earlier run of the same request did is not done again.
 * @param request id of the request.
 */
export function rotate(
  id: string,
  {
    request,
    sealed,
    overlapHours,
  }: { readonly request: string; readonly sealed: string; readonly overlapHours: number },
): EndpointChange {
  return ({ endpoints, now }) => {
    const before = endpointWith(endpoints, id);
    if (before.secrets.some((secret) => secret.request === request)) return undefined;
    const until = now + overlapHours * HOUR_MS;
    const old = validSecrets(before, now)
      .map((secret) => ({ ...secret, expires_at: Math.min(secret.expires_at ?? until, until) }))
      .filter(({ expires_at }) => expires_at > now);
    if (old.length >= MOST_SECRETS) throw new ProblemError('too_many_secrets');
    const secrets = [{ sealed, request, created_at: now, expires_at: null }, ...old];
    const changes = [{ what: 'secret', from: null, to: { overlap_hours: overlapHours } }];
    return { action: 'rotate', id, changes, endpoints: replace(endpoints, { ...before, secrets }) };
  };
}

/** Takes an endpoint away, and with it what waits for it. */
export function remove(id: string): EndpointChange {
  return ({ endpoints }) => {
    const before = endpointWith(endpoints, id);
    const changes = [{ what: 'state', from: before.state, to: null }];
    return { action: 'delete', id, changes, endpoints: endpoints.filter((endpoint) => endpoint !== before) };
  };
}

function replace(endpoints: readonly Endpoint[], by: Endpoint): readonly Endpoint[] {
  return endpoints.map((endpoint) => (endpoint.id === by.id ? by : endpoint));
}

/** What is another, in the words of the API. */
function changesOf(before: Endpoint | undefined, after: Endpoint): readonly AuditChange[] {
  return (['url', 'events', 'description', 'state'] as const)
    .map((what) => ({ what, from: (before?.[what] ?? null) as JsonValue, to: after[what] as JsonValue }))
    .filter(({ from, to }) => JSON.stringify(from) !== JSON.stringify(to));
}
