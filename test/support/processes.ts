import { join } from 'node:path';
import { type Ended, startGuarded } from '@renderyard/standalone/guarded-process';
import { CACHE, REPOSITORY } from './cache-folder.ts';

/** How many lines of a service's log are kept; the oldest go first. */
const LOG_LINES = 10_000;

/** One line of a service's log. What is no JSON stands in `text`. */
type LogLine = Readonly<Record<string, unknown>>;

/** One of our services, or something like it, as a process of its own. */
export interface ServiceProcess extends AsyncDisposable {
  readonly pid: number;
  /** Where it listens, as it said itself. @throws {Error} for a service that does not listen. */
  readonly url: string;
  /** Its log so far, at most 10,000 lines. */
  readonly logs: readonly LogLine[];
  readonly exited: Promise<Ended>;
  /** `SIGKILL` is a crash, `SIGTERM` a request to drain. */
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, and SIGKILL after `deadlineMs`. */
  stop(deadlineMs?: number): Promise<Ended>;
  /** The first line, past or future, that fits. @throws {Error} when the process ends or `patienceMs` pass before. */
  untilLog(fits: (line: LogLine) => boolean, patienceMs?: number): Promise<LogLine>;
}

export interface ProcessOptions {
  /** For messages. */
  readonly name: string;
  /** What Node is to run. */
  readonly file: string;
  /** All that it gets besides `PATH` and `HOME`: nothing of the developer's own settings. */
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** How long it may take until it is ready; 30 s by default. */
  readonly readyMs?: number;
}

function parseLine(line: string): LogLine {
  try {
    const parsed: unknown = JSON.parse(line);
    if (typeof parsed === 'object' && parsed !== null) return parsed as LogLine;
  } catch {
    // Text for people.
  }
  return { text: line };
}

export interface ServiceOptions extends Omit<ProcessOptions, 'name' | 'file'> {
  readonly service: 'api' | 'worker' | 'simulator' | 'standalone';
  /** The folder of the source, where it is another version's. */
  readonly root?: string;
}

/** Starts a service as users start it; see `startProcess`. */
export function startService({ service, root = REPOSITORY, ...options }: ServiceOptions): Promise<ServiceProcess> {
  return startProcess({ ...options, name: service, file: join(root, 'services', service, 'src/main.ts') });
}

/**
 * Runs a file with Node and waits until it says that it is ready. It ends with the test that started it
 * (`await using`), or with the test's process.
 * @throws {Error} with its last lines, when it ends or the time passes before it is ready.
 */
export async function startProcess({
  name,
  file,
  env = {},
  args = [],
  readyMs = 30_000,
}: ProcessOptions): Promise<ServiceProcess> {
  const logs: LogLine[] = [];
  const waiting = new Set<(line: LogLine) => void>();
  const { PATH, HOME } = process.env;
  const started = startGuarded({
    command: process.execPath,
    args: [file, ...args],
    cwd: REPOSITORY,
    env: { PATH, HOME, NODE_COMPILE_CACHE: join(CACHE, 'compiled'), ...env },
    ipc: true,
    orphanMs: 1_000,
    onLine: (text) => {
      const line = parseLine(text);
      logs.push(line);
      if (logs.length > LOG_LINES) logs.shift();
      for (const look of waiting) look(line);
    },
  });

  const within = async <T>(what: string, patienceMs: number, promise: Promise<T>): Promise<T> => {
    let timer: NodeJS.Timeout | undefined;
    const failed = new Promise<never>((_, reject) => {
      const fail = (why: string, output: string) => reject(new Error(`${name} ${why} before ${what}:\n${output}`));
      timer = setTimeout(() => fail(`took longer than ${patienceMs} ms`, JSON.stringify(logs.slice(-10))), patienceMs);
      void started.exited.then((end) => fail(`ended (${end.signal ?? `code ${end.code}`})`, end.output));
    });
    try {
      return await Promise.race([promise, failed]);
    } finally {
      clearTimeout(timer);
    }
  };

  const ready = new Promise<string | undefined>((resolve) => {
    started.child.on('message', (message: { readonly ready?: boolean; readonly url?: string }) => {
      if (message.ready === true) resolve(message.url);
    });
  });
  let url: string | undefined;
  try {
    url = await within('it was ready', readyMs, ready);
  } catch (error) {
    await started.stop(0);
    throw error;
  }

  const stop = (deadlineMs = 30_000) => started.stop(deadlineMs);
  return {
    pid: started.pid,
    logs,
    exited: started.exited,
    get url() {
      if (url === undefined) throw new Error(`${name} does not listen.`);
      return url;
    },
    kill: started.kill,
    stop,
    untilLog: async (fits, patienceMs = 20_000) => {
      const past = logs.find(fits);
      if (past !== undefined) return past;
      let look = (_line: LogLine) => {};
      const found = new Promise<LogLine>((resolve) => {
        look = (line) => {
          if (fits(line)) resolve(line);
        };
        waiting.add(look);
      });
      try {
        return await within('it logged what was waited for', patienceMs, found);
      } finally {
        waiting.delete(look);
      }
    },
    [Symbol.asyncDispose]: async () => {
      started.kill('SIGCONT');
      await stop(5_000);
    },
  };
}
