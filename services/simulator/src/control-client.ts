import type { KeyChange, ModelChange } from './access.ts';
import type { CallPage, FaultInForce, LedgerPage, SimulatorState } from './control-views.ts';
import type { FaultRule } from './fault-rules.ts';
import type { CallEntry, LedgerEntry } from './records.ts';

export type { KeyChange, ModelChange } from './access.ts';
export type { CallPage, FaultInForce, LedgerPage, SimulatorState } from './control-views.ts';
export type { FaultEffect, FaultMatch, FaultRule } from './fault-rules.ts';
export type { CallEntry, LedgerEntry } from './records.ts';

/** Thrown when the simulator refuses; `status` is what it answered. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Credits as a number, or as a plain decimal text where it has to be exact. */
export type Amount = number | string;

/** What the balance is after a change, and what another spender really took. */
export interface BalanceAfter {
  readonly balance: number;
  readonly balance_exact: string;
  readonly spent: number;
  readonly spent_exact: string;
}

export interface PageOptions {
  readonly after?: number;
  /** From 1 to 10,000; 1,000 when it is left out. A page of about 8 MiB ends before. */
  readonly limit?: number;
}

/**
 * A client for the control endpoints of a simulator.
 * @param url the simulator's, such as `http://127.0.0.1:8090`. Its host must be a loopback one.
 */
export function createControlClient(url: string) {
  const ask = async (method: string, path: string, body?: unknown): Promise<Response> => {
    const response = await fetch(new URL(`/control/${path}`, url), {
      method,
      ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    if (response.ok) return response;
    const text = await response.text();
    throw new ControlError(
      response.status,
      `The simulator refused ${method} /control/${path} with ${response.status}: ${text}`,
    );
  };
  const json = async <T>(method: string, path: string, body?: unknown) =>
    (await (await ask(method, path, body)).json()) as T;
  const query = (options: PageOptions & { readonly bodies?: boolean }) =>
    new URLSearchParams(
      Object.entries(options).map(([name, value]): [string, string] => [name, String(value)]),
    ).toString();

  async function all<T>(
    page: (after: number) => Promise<{ readonly data: T[]; readonly next: number | null }>,
  ): Promise<T[]> {
    const data: T[] = [];
    for (let after: number | null = 0; after !== null; ) {
      const got: { readonly data: T[]; readonly next: number | null } = await page(after);
      data.push(...got.data);
      after = got.next;
    }
    return data;
  }

  const client = {
    state: () => json<SimulatorState>('GET', 'state'),
    /** A page of what was billed. */
    ledger: (options: PageOptions = {}) => json<LedgerPage>('GET', `ledger?${query(options)}`),
    /** All that was billed and is still kept. */
    wholeLedger: (): Promise<LedgerEntry[]> => all((after) => client.ledger({ after, limit: 10_000 })),
    /** A page of the calls that arrived; with `bodies`, each has its raw body. */
    calls: (options: PageOptions & { readonly bodies?: boolean } = {}) =>
      json<CallPage>('GET', `calls?${query(options)}`),
    allCalls: (): Promise<CallEntry[]> => all((after) => client.calls({ after, limit: 10_000 })),
    /** Adds a rule after those in force; returns its id. */
    fault: async (rule: FaultRule): Promise<string> => {
      const { ids } = await json<{ ids: [string] }>('POST', 'faults', rule);
      return ids[0];
    },
    faults: async (): Promise<FaultInForce[]> => (await json<{ data: FaultInForce[] }>('GET', 'faults')).data,
    /** Takes out one rule, or all. */
    clearFaults: async (id?: string): Promise<void> => {
      await ask('DELETE', id === undefined ? 'faults' : `faults/${encodeURIComponent(id)}`);
    },
    /** Whatever calls in flight hold; free credits go. */
    setBalance: (credits: Amount) => json<BalanceAfter>('POST', 'balance', { set: credits }),
    topUp: (credits: Amount) => json<BalanceAfter>('POST', 'balance', { add: credits }),
    /** Another spender takes this much, but nothing that calls in flight hold. */
    spend: (credits: Amount) => json<BalanceAfter>('POST', 'balance', { spend: credits }),
    /** Another spender takes this much each second from now on; 0 stops it. */
    spendPerSecond: (credits: Amount) => json<BalanceAfter>('POST', 'balance', { spend_per_second: credits }),
    keys: (change: KeyChange) => json<SimulatorState['keys']>('POST', 'keys', change),
    models: (change: ModelChange) => json<SimulatorState['models']>('POST', 'models', change),
    /** Puts everything back to how the simulator was started, and cuts the calls in flight. */
    reset: () => json<SimulatorState>('POST', 'reset', {}),
    /** The picture of a billed render, byte for byte as it was made. */
    image: async (requestId: string): Promise<Uint8Array> =>
      new Uint8Array(await (await ask('GET', `images/${encodeURIComponent(requestId)}`)).arrayBuffer()),
  };
  return client;
}

export type ControlClient = ReturnType<typeof createControlClient>;
