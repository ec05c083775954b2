import { join } from 'node:path';
import { systemClock } from '@renderyard/shared/clock';
import { type Ended, startGuarded } from '@renderyard/standalone/guarded-process';
import { CACHE, REPOSITORY } from '../support/cache-folder.ts';
import type { ServiceProcess } from '../support/processes.ts';

type Signalled = Pick<ServiceProcess, 'kill' | 'exited'>;

/** Sends SIGTERM. @returns how long the process took from then on, and how it ended. */
export async function terminate(one: Signalled): Promise<{ readonly ms: number; readonly code: number | null }> {
  const began = performance.now();
  one.kill('SIGTERM');
  const { code } = await one.exited;
  return { ms: performance.now() - began, code };
}

/** A process that need not become ready. */
export interface StartingProcess extends AsyncDisposable, Signalled {
  /** The first line of its log, past or future, of this message. */
  untilLog(msg: string): Promise<Readonly<Record<string, unknown>>>;
  readonly exited: Promise<Ended>;
}

/** Starts a service and waits for nothing. Use it with `await using`. */
export function startWithoutWaiting(service: 'api' | 'worker', env: Readonly<Record<string, string>>): StartingProcess {
  const logs: Readonly<Record<string, unknown>>[] = [];
  const { PATH, HOME } = process.env;
  const started = startGuarded({
    command: process.execPath,
    args: [join(REPOSITORY, 'services', service, 'src/main.ts')],
    cwd: REPOSITORY,
    env: { PATH, HOME, NODE_COMPILE_CACHE: join(CACHE, 'compiled'), ...env },
    orphanMs: 1000,
    onLine: (line) => logs.push(line.startsWith('{') ? JSON.parse(line) : { text: line }),
  });
  return {
    exited: started.exited,
    kill: started.kill,
    async untilLog(msg) {
      const end = Date.now() + 30_000;
      for (;;) {
        const found = logs.find((line) => line.msg === msg);
        if (found !== undefined) return found;
        if (!started.running || Date.now() > end) throw new Error(`No line “${msg}”:\n${JSON.stringify(logs)}`);
        await systemClock.sleep(10);
      }
    },
    [Symbol.asyncDispose]: async () => {
      await started.stop(5000);
    },
  };
}

/** Resolves when the check, looked at again and again, is true. @throws after 20 s. */
export async function untilTrue(what: string, check: () => Promise<boolean> | boolean): Promise<void> {
  const end = Date.now() + 20_000;
  while (!(await check())) {
    if (Date.now() > end) throw new Error(`Waited in vain: ${what}.`);
    await systemClock.sleep(20);
  }
}

interface Health {
  readonly status: number;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[];
}

/** What those who watch over a process are told: its status, and its checks. */
export async function askReady(url: unknown): Promise<Health> {
  const answer = await fetch(`${url}/health/ready`);
  const { checks } = (await answer.json()) as Health;
  return { status: answer.status, checks };
}

/** Where a process serves metrics and health, as its log says. */
export async function watchersUrl(one: ServiceProcess | StartingProcess): Promise<unknown> {
  const msg = 'metrics and health are served';
  const line = 'logs' in one ? await one.untilLog((each) => each.msg === msg) : await one.untilLog(msg);
  return line.url;
}

export const STOPPING = { status: 503, checks: [{ name: 'process', ok: false, detail: 'The process is stopping.' }] };
