import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Installation } from '../support/installation.ts';
import { BREAKING, FEW_CALLS, type Watched, WORKING } from './watched.ts';

/** Something that goes wrong, and the alerts that tell of it. */
export interface Fault {
  /** What happens, as a sentence without its full stop. */
  readonly name: string;
  readonly job: typeof WORKING | typeof BREAKING;
  readonly alerts: readonly string[];
  /** Makes it so. @returns what ends it; it is asked for once the alerts have fired. */
  begin(watched: Watched): Promise<() => Promise<unknown>>;
}

const CREDITS = 100;
const nothing = async () => undefined;
/** An address of this machine where nobody listens: port 1 (tcpmux). */
const NOBODY = 'http://127.0.0.1:1/hook';
const prompts = (kind: string, count: number) => Array.from({ length: count }, (_, i) => `${kind} ${i}`);

async function must(answer: Promise<Response>): Promise<Response> {
  const got = await answer;
  if (!got.ok) throw new Error(`${got.url} answered ${got.status}: ${await got.text()}`);
  return got;
}

/** A webhook of the installation's one account. @returns what takes it away. */
export async function addWebhook(yard: Installation, url: string): Promise<() => Promise<unknown>> {
  const made = await must(yard.call('POST', '/v1/webhooks', { url }));
  const { id } = (await made.json()) as { readonly id: string };
  return () => must(yard.call('DELETE', `/v1/webhooks/${id}`));
}

/** In the order in which they are to begin: each is over before the next, but for those of the second installation. */
export const FAULTS: readonly Fault[] = [
  {
    name: 'more work than the rate lets through',
    job: BREAKING,
    alerts: ['RenderyardRateSaturated'],
    async begin({ breaking }) {
      await breaking.submit(prompts('picture', FEW_CALLS + 1));
      return nothing;
    },
  },
  {
    name: 'the only worker is killed, and the folder of the store goes',
    job: BREAKING,
    alerts: ['RenderyardDown', 'RenderyardStoreDown'],
    async begin({ breaking }) {
      breaking.workers.pop()?.kill('SIGKILL');
      await rename(join(breaking.folder, 'store'), join(breaking.folder, 'store-away'));
      return nothing;
    },
  },
  {
    name: 'calls are slow, fail, or break off, and a receiver of webhooks is away',
    job: WORKING,
    alerts: ['RenderyardCallsSlow', 'RenderyardCallsFailing', 'RenderyardUncertainCalls', 'RenderyardWebhooksFailing'],
    async begin({ working }) {
      const removeWebhook = await addWebhook(working, NOBODY);
      await working.upstream.fault({ match: { prompt_contains: 'slow' }, effect: { kind: 'none', delay_ms: 2500 } });
      await working.upstream.fault({ match: { prompt_contains: 'failing' }, effect: { kind: 'status', status: 500 } });
      await working.upstream.fault({ match: { prompt_contains: 'cut' }, effect: { kind: 'cut', by: 'length' } });
      await working.submit(['slow', 'failing', 'cut'].flatMap((kind) => prompts(kind, 8)));
      return async () => {
        await working.upstream.clearFaults();
        await removeWebhook();
      };
    },
  },
  {
    name: 'credits run low',
    job: WORKING,
    alerts: ['RenderyardCreditsLow'],
    async begin({ working }) {
      await working.upstream.setBalance(0.5);
      await working.submit(['picture of the last credits']);
      return nothing;
    },
  },
  {
    name: 'no credits are left',
    job: WORKING,
    alerts: ['RenderyardCreditsHeld'],
    async begin({ working }) {
      await working.upstream.setBalance(0);
      const waiting = await working.submit(prompts('picture', 2));
      return async () => {
        await working.upstream.setBalance(CREDITS);
        await working.ended(waiting);
      };
    },
  },
  {
    name: 'the key is refused',
    job: WORKING,
    alerts: ['RenderyardKeyRefused'],
    async begin({ working }) {
      await working.upstream.keys({ refuse: ['*'] });
      const waiting = await working.submit(prompts('picture', 2));
      return async () => {
        await working.upstream.keys({ restore: ['*'] });
        await working.ended(waiting);
      };
    },
  },
  {
    name: 'an operator holds the work, and the balance cannot be read',
    job: WORKING,
    alerts: ['RenderyardHeld', 'RenderyardBalanceUnknown'],
    async begin({ working }) {
      await working.upstream.fault({ match: { endpoint: 'credits' }, effect: { kind: 'status', status: 500 } });
      await must(working.call('POST', '/v1/credits/hold', {}));
      const waiting = await working.submit(prompts('picture', 2));
      return async () => {
        await working.upstream.clearFaults();
        await must(working.call('POST', '/v1/credits/resume', {}));
        await working.ended(waiting);
      };
    },
  },
  {
    name: 'the worker stands still, with work and webhooks waiting',
    job: WORKING,
    alerts: ['RenderyardQueueStuck', 'RenderyardWebhooksLate'],
    async begin({ working, receiver }) {
      const removeWebhook = await addWebhook(working, `${receiver.url}/hook`);
      working.workers[0]?.kill('SIGSTOP');
      const [first = '', ...waiting] = await working.submit(prompts('picture', 3));
      // The API tells of this by itself.
      await must(working.call('POST', `/v1/jobs/${first}/cancel`));
      return async () => {
        working.workers[0]?.kill('SIGCONT');
        await working.ended(waiting);
        await removeWebhook();
      };
    },
  },
  {
    name: 'the API gets the processor now and then only',
    job: WORKING,
    alerts: ['RenderyardEventLoopSlow'],
    async begin({ working }) {
      for (let i = 0; i < 5; i++) {
        working.api.kill('SIGSTOP');
        await sleep(700);
        working.api.kill('SIGCONT');
        await sleep(50);
      }
      return nothing;
    },
  },
  {
    name: 'a process of another version is there',
    job: WORKING,
    alerts: ['RenderyardVersionsDiffer'],
    async begin({ speak }) {
      speak('renderyard_build_info{service="worker",version="0.0.1"} 1\n');
      return async () => speak('');
    },
  },
  {
    name: 'the worker that was killed is missed',
    job: BREAKING,
    alerts: ['RenderyardNoWorker'],
    begin: async () => nothing,
  },
  {
    name: 'Redis is emptied while the store is away',
    job: BREAKING,
    alerts: ['RenderyardRebuilding'],
    async begin({ redis: { url } }) {
      const redis = new Redis(url);
      await redis.flushall();
      redis.disconnect();
      return nothing;
    },
  },
  {
    name: 'Redis dies, and clients go on asking',
    job: BREAKING,
    alerts: ['RenderyardRedisDown', 'RenderyardHttpErrors'],
    async begin({ redis, breaking, fired }) {
      const since = Date.now();
      redis.kill('SIGKILL');
      await redis.exited;
      const asked = breaking.until('enough requests have failed', async () => {
        await breaking.call('GET', '/v1/jobs').then((answer) => answer.body?.cancel());
        return (await fired(BREAKING, since)).has('RenderyardHttpErrors');
      });
      return () => asked;
    },
  },
];
