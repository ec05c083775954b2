import type { Redis } from '../redis/connect.ts';
import type { BookEntry, Comparison, CreditState, KeySpending, LimitInForce, UncertainCall } from './credit-books.ts';
import type { KeyBudget } from './credit-decision.ts';
import type { CreditEvent, CreditEventType, CreditStateName } from './credit-state.ts';
import type { Hold, HoldName } from './hold.ts';

const DAY_MS = 86_400_000;

/** Reads the books; nothing here changes anything. */
export function createLedgerReads({ redis, prefix }: { readonly redis: Redis; readonly prefix: string }) {
  async function readKeys(now: number): Promise<ReadonlyMap<string, KeySpending>> {
    const [spenders, budgets] = await Promise.all([redis.smembers(`${prefix}keys`), redis.hgetall(`${prefix}budgets`)]);
    const accounts = [...new Set([...spenders, ...Object.keys(budgets)])].sort();
    const hashes = await Promise.all(accounts.map((account) => redis.hgetall(`${prefix}key:${account}`)));
    return new Map(
      accounts.map((account, i) => {
        const { total = 0, reserved = 0, day, day_spent = 0 } = hashes[i] ?? {};
        const today = Number(day) === Math.floor(now / DAY_MS);
        const budget = JSON.parse(
          (Object.hasOwn(budgets, account) ? budgets[account] : undefined) ?? '{}',
        ) as KeyBudget;
        return [
          account,
          { total: Number(total), reserved: Number(reserved), day: today ? Number(day_spent) : 0, budget },
        ];
      }),
    );
  }

  return {
    /** The books as they stand, read in one step; what keys have spent may be a moment younger. */
    async snapshot(now: number): Promise<CreditState> {
      const [answers, keys] = await Promise.all([
        redis
          .multi()
          .hgetall(`${prefix}credits`)
          .zcard(`${prefix}slots`)
          .hgetall(`${prefix}holds`)
          .hgetall(`${prefix}uncertain`)
          .hgetall(`${prefix}estimates`)
          .hgetall(`${prefix}ratios`)
          .hgetall(`${prefix}policy`)
          .lrange(`${prefix}differences`, 0, -1)
          .exec(),
        readKeys(now),
      ]);
      const [credits, inFlight, holds, uncertain, estimates, ratios, policy, differences] = (answers ?? []).map(
        ([error, value]) => {
          if (error) throw error;
          return value;
        },
      ) as [Hash, number, Hash, Hash, Hash, Hash, Hash, string[]];
      const number = (name: string) => (credits[name] === undefined ? undefined : Number(credits[name]));
      return {
        state: (credits.state ?? 'open') as CreditStateName,
        stateSince: number('state_since'),
        balance: number('balance'),
        balanceReadAt: number('read_at'),
        reserved: number('reserved') ?? 0,
        uncertain: number('uncertain') ?? 0,
        spent: number('spent') ?? 0,
        inFlight,
        holds: readHolds(holds, now),
        uncertainCalls: Object.entries(uncertain).map(([call, text]) => readUncertain(call, text)),
        estimates: new Map(Object.entries(estimates).map(([name, value]) => [name, Number(value)])),
        ratios: new Map(Object.entries(ratios).map(([model, value]) => [model, Math.max(1, Number(value) / 1e6)])),
        limits: {
          floor: readLimit(policy, 'floor'),
          low: readLimit(policy, 'low'),
          resume: readLimit(policy, 'resume'),
        },
        decision: Number(policy.decision ?? 0),
        keys,
        reconciliation: {
          last: credits.reconciled === undefined ? undefined : (JSON.parse(credits.reconciled) as Comparison),
          differences: differences.map((text) => JSON.parse(text) as Comparison),
          net: number('net') ?? 0,
          unexplained: number('unexplained') ?? 0,
          added: number('added') ?? 0,
        },
      };
    },

    /** The holds that stand; those that have run out are left out. */
    async holds(now: number): Promise<readonly Hold[]> {
      return readHolds(await redis.hgetall(`${prefix}holds`), now);
    },

    /** What was spent from one hour up to another, without that (hours since 1970), oldest first; of the last {@link BOOKS_DAYS} days. */
    async books({
      fromHour,
      toHour,
    }: {
      readonly fromHour: number;
      readonly toHour: number;
    }): Promise<readonly BookEntry[]> {
      const hours = (await redis.zrangebyscore(`${prefix}hours`, fromHour, `(${toHour}`)).map(Number);
      const hashes = await Promise.all(hours.map((hour) => redis.hgetall(`${prefix}books:${hour}`)));
      return hours.flatMap((hour, i) => readBooks(hour, hashes[i] ?? {}));
    },

    /** Changes of the state of credits, newest first; `before` is the id of the last one already seen. The last 1,000 are kept. */
    async events({
      limit,
      before,
    }: {
      readonly limit: number;
      readonly before?: string | undefined;
    }): Promise<readonly CreditEvent[]> {
      const all = ((await redis.xrevrange(`${prefix}credit-events`, '+', '-')) as [string, string[]][]).map(
        ([, fields]) => readEvent(fields),
      );
      const from = before === undefined ? 0 : all.findIndex(({ id }) => id === before) + 1;
      return before !== undefined && from === 0 ? [] : all.slice(from, from + limit);
    },
  };
}

type Hash = Readonly<Record<string, string>>;

function readHolds(hash: Hash, now: number): readonly Hold[] {
  return Object.entries(hash)
    .map(([name, text]): Hold => {
      const hold = JSON.parse(text) as { since: number; detail: string; until?: number; trial_at?: number };
      return {
        name: name as HoldName,
        since: hold.since,
        detail: hold.detail,
        ...(hold.until === undefined ? {} : { until: hold.until }),
        ...(hold.trial_at === undefined ? {} : { trialAt: hold.trial_at }),
      };
    })
    .filter((hold) => hold.until === undefined || hold.until > now);
}

function readUncertain(call: string, text: string): UncertainCall {
  const entry = JSON.parse(text) as {
    job: string;
    account?: string;
    model?: string;
    started_at: number;
    resolve_after: number;
    at: number;
    how: string;
    estimate: number;
    resolved?: boolean;
    net?: number;
    net_then?: number;
  };
  return {
    call,
    job: entry.job,
    account: entry.account,
    model: entry.model,
    startedAt: entry.started_at,
    at: entry.at,
    how: entry.how,
    estimate: entry.estimate,
    resolved: entry.resolved === true,
    billableUntil: entry.resolve_after,
    balanceNet: entry.net,
    balanceNetThen: entry.net_then,
  };
}

function readLimit(policy: Hash, name: string): LimitInForce | undefined {
  const value = policy[name] ?? policy[`told:${name}`];
  if (value === undefined) return undefined;
  return { value: Number(value), setting: Number(policy[`told:${name}`] ?? policy[`over:${name}`] ?? value) };
}

function readBooks(hour: number, hash: Hash): readonly BookEntry[] {
  return Object.keys(hash)
    .filter((name) => name.endsWith('|c'))
    .sort()
    .map((name) => {
      const [account = '', batch = ''] = name.split('|');
      const images = Number(hash[`${account}|${batch}|n`] ?? 0);
      return { hour, account, batch: batch === '' ? undefined : batch, credits: Number(hash[name]), images };
    });
}

/** Takes an entry of the stream of events apart: fields and values in turn. */
export function readEvent(fields: readonly string[]): CreditEvent {
  const value = (name: string) => fields[fields.indexOf(name) + 1] ?? '';
  const amount = (name: string) => (value(name) === '' ? undefined : Number(value(name)));
  return {
    id: value('id'),
    type: value('type') === '' ? undefined : (value('type') as CreditEventType),
    from: value('from') as CreditStateName,
    to: value('to') as CreditStateName,
    cause: value('cause'),
    at: Number(value('at')),
    balance: amount('balance'),
    floor: amount('floor'),
  };
}
