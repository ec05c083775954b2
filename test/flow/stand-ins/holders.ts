import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { newId } from '@renderyard/shared/ids';
import { queuePrefix } from '@renderyard/shared/redis/keys';
import { inject } from 'vitest';
import { allKeys } from '../../redis/keys.ts';
import { REPOSITORY } from '../../support/cache-folder.ts';
import { type ServiceProcess, startProcess } from '../../support/processes.ts';
import { connectLedger, MODEL, type PlannedCall } from './connection.ts';
import type { HolderTask } from './reservation-holder.ts';

/** A holder that runs. */
export interface Holder {
  readonly task: HolderTask;
  readonly process: ServiceProcess;
}

/** What is known of a holder after its death. Times in milliseconds since 1970. */
export interface DeadHolder {
  readonly task: HolderTask;
  readonly killedAt: number;
  /** What was reserved for each call that it told to be granted. */
  readonly estimates: ReadonlyMap<string, number>;
  /** Of each call that still had a slot after the death: until when. */
  readonly leases: ReadonlyMap<string, number>;
}

/** Whose jobs the holders' calls are for. */
export const ACCOUNT = 'acme';
const PATIENCE_MS = 60_000;

export type Holders = Awaited<ReturnType<typeof openHolders>>;

/** Keys of their own in the run's Redis, and processes that are granted calls there and killed. Use it with `await using`. */
export async function openHolders() {
  const name = `kills-${randomBytes(6).toString('hex')}`;
  const url = inject('redisUrl');
  const [here, elsewhere] = await Promise.all([connectLedger({ url, name }), connectLedger({ url, name })]);
  const { redis, prefix, ledger, jobs } = here;
  let planned = 0;

  const standIn = (file: string, env: Readonly<Record<string, string>>): Promise<ServiceProcess> =>
    startProcess({
      name: file,
      file: join(REPOSITORY, 'test/flow/stand-ins', file),
      env: { REDIS_URL: url, REDIS_PREFIX: name, ...env },
    });

  const plan = (count: number): Promise<PlannedCall[]> =>
    Promise.all(
      Array.from({ length: count }, async () => {
        const job = newId('job');
        // Each has a cost of its own, so that no two mistakes make up for each other.
        const cost = 10_000_000 + 3 ** (planned++ % 13) + planned;
        const created = { id: job, account: ACCOUNT, model: MODEL, input: {}, metadata: {}, createdAt: Date.now() };
        await jobs.create({ ...created, expiresAt: undefined }, 1_000_000);
        return { job, call: newId('call'), cost };
      }),
    );

  /** The slots that these calls have, with the ends of their leases. */
  const leasesOf = async (calls: readonly PlannedCall[]): Promise<ReadonlyMap<string, number>> => {
    const ends = await redis.zmscore(`${prefix}slots`, ...calls.map(({ call }) => call));
    return new Map(calls.flatMap(({ call }, i) => (ends[i] == null ? [] : [[call, Number(ends[i])]])));
  };

  return {
    /** Two processes' worth of connections. */
    connections: [here, elsewhere] as const,
    plan,
    leasesOf,
    standIn,
    books: () => ledger.snapshot(Date.now()),
    async start(task: HolderTask): Promise<Holder> {
      return { task, process: await standIn('reservation-holder.ts', { TASK: JSON.stringify(task) }) };
    },
    /** Kills a holder as soon as it has told its grants; one that kills itself is waited for. */
    async kill({ task, process }: Holder): Promise<DeadHolder> {
      const { grants } = (await process.untilLog((line) => 'grants' in line, PATIENCE_MS)) as unknown as {
        readonly grants: readonly { readonly call: string; readonly estimate: number }[];
      };
      let killedAt = Date.now();
      if (task.ends === 'records' || task.ends === 'cuts' || task.ends === 'asks') {
        await process.exited;
        killedAt = Date.now();
      } else if (task.ends !== 'holds') await process.untilLog((line) => 'recorded' in line);
      process.kill('SIGKILL');
      const { signal, output } = await process.exited;
      if (signal !== 'SIGKILL') throw new Error(`A holder was not killed, but ended by itself:\n${output}`);
      const estimates = new Map(grants.map(({ call, estimate }) => [call, estimate]));
      return { task, killedAt, estimates, leases: await leasesOf(task.calls) };
    },
    /** Two processes record these calls at once, as workers that were thought dead. */
    async tellLate(calls: readonly PlannedCall[]): Promise<void> {
      const env = { TASK: JSON.stringify(calls) };
      const tellers = await Promise.all([standIn('late-teller.ts', env), standIn('late-teller.ts', env)]);
      for (const teller of tellers) teller.kill('SIGUSR2');
      await Promise.all(tellers.map((teller) => teller.untilLog((line) => 'told' in line, PATIENCE_MS)));
      await Promise.all(tellers.map((teller) => teller.stop()));
    },
    /** The tickets of all jobs that have none yet, by job. */
    async tickets(): Promise<ReadonlyMap<string, number>> {
      const tickets = new Map<string, number>();
      for (;;) {
        const some = await jobs.takeTickets(1_000_000);
        if (some.length === 0) return tickets;
        for (const { job, generation } of some) tickets.set(job, generation);
      }
    },
    async [Symbol.asyncDispose]() {
      const keys = await allKeys(redis, queuePrefix(name));
      if (keys.length > 0) await redis.del(...keys);
      await Promise.all([here, elsewhere].map((connection) => connection.redis.quit()));
    },
  };
}
