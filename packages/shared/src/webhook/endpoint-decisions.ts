import type { Logger } from '../logger.ts';
import type { Store } from '../store/store.ts';
import {
  type Endpoint,
  type EndpointDecision,
  endpointDecisionKey,
  endpointDecisionsPrefix,
  endpointsPrefix,
  parseEndpointDecisionKey,
} from './endpoint.ts';

export type EndpointDecisions = ReturnType<typeof createEndpointDecisions>;

/** The decisions about endpoints as they lie in the store. Every method throws `StoreError`. */
export function createEndpointDecisions({ store, logger }: { readonly store: Store; readonly logger: Logger }) {
  /** Oldest first. */
  async function listSeqs(account: string): Promise<number[]> {
    const seqs: number[] = [];
    for await (const { key } of store.list(endpointDecisionsPrefix(account))) {
      const seq = parseEndpointDecisionKey(key)?.seq;
      if (seq !== undefined) seqs.push(seq);
    }
    return seqs.sort((a, b) => a - b);
  }

  /** Undefined where there is none, or what lies there is no decision. */
  async function read(account: string, seq: number): Promise<EndpointDecision | undefined> {
    const object = await store.get(endpointDecisionKey(account, seq));
    if (object === undefined) return undefined;
    const text = Buffer.concat((await object.body.toArray()) as Buffer[]).toString('utf8');
    return parseDecision(text, account, seq);
  }

  return {
    /**
     * The decision that holds; undefined where nothing was ever decided. Where its object is damaged, the endpoints are
     * those that were decided about before, all of them disabled until somebody has looked and enabled them again; the
     * log says so.
     */
    async last(account: string): Promise<EndpointDecision | undefined> {
      const seqs = await listSeqs(account);
      const newest = seqs.at(-1);
      if (newest === undefined) return undefined;
      for (const seq of seqs.reverse()) {
        const decision = await read(account, seq);
        if (decision !== undefined) return seq === newest ? decision : damaged(account, newest, decision, logger);
      }
      return damaged(account, newest, undefined, logger);
    },

    /** The accounts about whose endpoints something was decided. */
    async listAccounts(): Promise<readonly string[]> {
      const accounts = new Set<string>();
      for await (const { key } of store.list(endpointsPrefix)) {
        const account = parseEndpointDecisionKey(key)?.account;
        if (account !== undefined) accounts.add(account);
      }
      return [...accounts];
    },

    /** @returns false, with nothing written, when another decision with this `seq` was quicker. */
    async write(decision: EndpointDecision): Promise<boolean> {
      const body = Buffer.from(`${JSON.stringify(decision)}\n`);
      const options = { contentType: 'application/json', ifAbsent: true };
      return (await store.put(endpointDecisionKey(decision.account, decision.seq), body, options)) === 'stored';
    },
  };
}

function parseDecision(text: string, account: string, seq: number): EndpointDecision | undefined {
  try {
    const decision = JSON.parse(text) as Partial<EndpointDecision> | null;
    const whole =
      decision?.account === account &&
      decision.seq === seq &&
      typeof decision.at === 'number' &&
      Array.isArray(decision.endpoints) &&
      decision.endpoints.every(isEndpoint);
    return whole ? (decision as EndpointDecision) : undefined;
  } catch {
    return undefined;
  }
}

function isEndpoint(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { id, url, state, secrets } = value as Partial<Endpoint>;
  const isText = typeof id === 'string' && typeof url === 'string';
  return isText && (state === 'enabled' || state === 'disabled') && Array.isArray(secrets) && secrets.length > 0;
}

/** What is not known to be wanted is not sent. */
function damaged(account: string, seq: number, before: EndpointDecision | undefined, logger: Logger): EndpointDecision {
  const at = before?.at ?? 0;
  logger.error(
    { key: endpointDecisionKey(account, seq) },
    'the last decision about webhooks is damaged in the store: those known before it are disabled until they are enabled again',
  );
  const endpoints = (before?.endpoints ?? []).map(
    (endpoint): Endpoint =>
      endpoint.state === 'disabled'
        ? endpoint
        : { ...endpoint, state: 'disabled', disabled: { reason: 'damaged', since: at } },
  );
  return { account, seq, at, action: 'disable', changes: [], endpoints };
}
