import { startGuarded } from './guarded-process.ts';
import { toReadableLine } from './readable-line.ts';
import { describeEnd, type Running } from './supervisor.ts';

/** Node, the modules and the connections: a second or two; a machine under load, some more. */
const READY_MS = 60_000;

/** A service that has said that it is ready. */
export interface ServiceProcess extends Running {
  readonly pid: number;
  /** Where it listens; undefined for one that does not. */
  readonly url: string | undefined;
}

/** Thrown when a service ends, or takes longer than a minute, before it is ready. Why, its own lines have said. */
export class ServiceStartError extends Error {
  override readonly name = 'ServiceStartError';
}

/**
 * Starts a service as a child that ends when we do, and waits for its `{ ready: true, url? }` over IPC.
 * @param orphanMs how long it may drain when we are gone.
 * @throws {ServiceStartError} also when `signal` aborts before it is ready.
 */
export async function startServiceProcess(options: {
  readonly name: string;
  /** Its main.ts. */
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly onLine: (line: string) => void;
  readonly orphanMs: number;
  readonly signal: AbortSignal;
}): Promise<ServiceProcess> {
  const { name, file, env, onLine, orphanMs, signal } = options;
  const child = startGuarded({ command: process.execPath, args: [file], env, ipc: true, orphanMs, onLine });
  const lines = new AbortController();
  try {
    const url = await new Promise<string | undefined>((resolve, reject) => {
      const fail = (what: string) => reject(new ServiceStartError(`The ${name} ${what}.`));
      child.child.on('message', (message: { readonly ready?: unknown; readonly url?: unknown }) => {
        if (message.ready === true) resolve(typeof message.url === 'string' ? message.url : undefined);
      });
      const timer = setTimeout(() => fail(`was not ready within ${READY_MS / 1_000} s`), READY_MS);
      lines.signal.addEventListener('abort', () => clearTimeout(timer));
      signal.addEventListener('abort', () => fail('was stopped before it was ready'), { signal: lines.signal });
      if (signal.aborted) fail('was stopped before it was ready');
      void child.exited.then((ended) => fail(`ended ${describeEnd(ended)} before it was ready`));
    });
    const exited = child.exited.then((ended) => ({
      ...ended,
      output: ended.output
        .split('\n')
        .flatMap((line) => toReadableLine(name, line) ?? [])
        .slice(-10)
        .join('\n'),
    }));
    return { pid: child.pid, url, exited, stop: child.stop, kill: child.kill };
  } catch (error) {
    await child.stop(0);
    throw error;
  } finally {
    lines.abort();
  }
}
