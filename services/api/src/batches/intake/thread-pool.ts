import { Worker } from 'node:worker_threads';
import type { Clock } from '@renderyard/shared/clock';
import { UploadError } from '../upload-error.ts';
import type { ThreadSetup } from './thread-messages.ts';

/** Imports at a time. Each may take a core; the rest of the machine is for those that ask. */
const MOST_THREADS = 2;
/** How long an import waits for another to end. */
const PATIENCE_MS = 10_000;
/** A thread that has had nothing to do for so long is ended: it keeps the memory of its largest import. */
const IDLE_MS = 30_000;

/** A thread while it is lent. */
export interface LentThread {
  readonly worker: Worker;
  /** Gives it back. One that is not `fit` any more is ended first, and another takes its place when one is needed. */
  release(fit: boolean): Promise<void>;
}

interface Thread {
  readonly worker: Worker;
  idle: NodeJS.Timeout | undefined;
}

export type ThreadPool = ReturnType<typeof createThreadPool>;

/** Threads for imports, started when they are needed. Those that wait keep no process alive. */
export function createThreadPool({
  setup,
  clock,
  patienceMs = PATIENCE_MS,
}: {
  readonly setup: ThreadSetup;
  readonly clock: Clock;
  readonly patienceMs?: number;
}) {
  const idle: Thread[] = [];
  const all = new Set<Thread>();
  const waiting: (() => void)[] = [];
  let lent = 0;
  let closed = false;

  const start = (): Thread => {
    const worker = new Worker(new URL('./import-thread.ts', import.meta.url), { workerData: setup });
    const thread: Thread = { worker, idle: undefined };
    all.add(thread);
    // Whoever has lent it hears of it too; an idle one is simply gone.
    worker.on('error', () => {});
    worker.once('exit', () => {
      all.delete(thread);
      const index = idle.indexOf(thread);
      if (index !== -1) idle.splice(index, 1);
      clearTimeout(thread.idle);
    });
    return thread;
  };

  const keep = (thread: Thread) => {
    thread.worker.unref();
    thread.idle = setTimeout(() => void thread.worker.terminate(), IDLE_MS).unref();
    idle.push(thread);
  };

  const take = (): Thread => {
    const thread = idle.pop() ?? start();
    clearTimeout(thread.idle);
    thread.worker.ref();
    return thread;
  };

  /** Waits until another gives its thread back. @throws {UploadError} `imports_busy`; the signal's reason. */
  const turn = async (signal: AbortSignal) => {
    const over = new AbortController();
    let mine: () => void = () => {};
    const called = new Promise<true>((resolve) => {
      mine = () => resolve(true);
    });
    waiting.push(mine);
    const patience = clock.sleep(patienceMs, AbortSignal.any([over.signal, signal])).then(() => false as const);
    const isMine = await Promise.race([called, patience]);
    over.abort();
    if (isMine) return;
    const index = waiting.indexOf(mine);
    // It was called and given up at the same time: the turn is another's.
    if (index === -1) passOn();
    else waiting.splice(index, 1);
    signal.throwIfAborted();
    throw new UploadError(
      'imports_busy',
      `${MOST_THREADS} uploads are being read, as many as this server reads at a time. Send it again in a little while.`,
    );
  };

  /** Gives the place of an import that has ended to the next. */
  const passOn = () => {
    const next = waiting.shift();
    if (next === undefined) lent--;
    else next();
  };

  return {
    /** @throws {UploadError} `imports_busy` when none is free for 10 s; the signal's reason when it aborts. */
    async lend(signal: AbortSignal): Promise<LentThread> {
      signal.throwIfAborted();
      if (lent < MOST_THREADS) lent++;
      else await turn(signal);
      if (closed) throw new Error('The importer is closed.');
      const thread = take();
      return {
        worker: thread.worker,
        async release(fit) {
          if (fit && !closed && all.has(thread)) keep(thread);
          else await thread.worker.terminate();
          passOn();
        },
      };
    },

    async close(): Promise<void> {
      closed = true;
      await Promise.all([...all].map(({ worker }) => worker.terminate()));
    },
  };
}
