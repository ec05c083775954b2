import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Ends the command when we are gone; see there. */
const GUARD = join(import.meta.dirname, 'guard.sh');
const TAIL_LINES = 50;
/** How long we wait for the last output of a process that has ended but whose own children hold its pipes. */
const LAST_OUTPUT_MS = 250;

/** How a process ended: `code` or `signal`, and the last lines that it wrote (at most 50). */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
}

export interface GuardedProcess {
  readonly pid: number;
  /** Resolves when the process is gone, and with it all that it started. Never rejects. */
  readonly exited: Promise<Ended>;
  readonly running: boolean;
  /** Sends a signal to the process; does nothing when it is gone. */
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, after `deadlineMs` SIGKILL for the process and all that it started. */
  stop(deadlineMs: number): Promise<Ended>;
  /** The raw child, for its messages. */
  readonly child: ChildProcess;
}

export interface GuardedProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Opens an IPC channel, for a child that is Node. */
  readonly ipc?: boolean;
  /** Called with each line of its output. */
  readonly onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
  /** When we die without stopping it: how long it may take from SIGTERM on before it is killed. 10 s by default. */
  readonly orphanMs?: number;
}

/**
 * Starts a process that cannot outlive us, not even when we are killed. It runs in a session of its own, so a Ctrl-C
 * in the terminal reaches us alone and we decide in which order things stop. Needs `/bin/sh`.
 */
export function startGuarded(options: GuardedProcessOptions): GuardedProcess {
  const { command, args, env, cwd, ipc = false, onLine, orphanMs = 10_000 } = options;
  const child = spawn('/bin/sh', [GUARD, String(Math.ceil(orphanMs / 100)), command, ...args], {
    detached: true,
    env,
    ...(cwd === undefined ? {} : { cwd }),
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', ...(ipc ? (['ipc'] as const) : [])],
  });
  const tail: string[] = [];
  for (const stream of ['stdout', 'stderr'] as const) {
    const source = child[stream];
    if (source === null) continue;
    createInterface({ input: source, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) => {
      tail.push(line.slice(0, 2_000));
      if (tail.length > TAIL_LINES) tail.shift();
      onLine?.(line, stream);
    });
  }
  // A process that has ended resets the pipe; there is nothing to be done about it.
  child.stdio[3]?.on('error', () => undefined);
  const { pid } = child;
  let running = pid !== undefined;
  const signalGroup = () => {
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL');
    } catch {
      // Nobody of the group is left.
    }
  };
  const exited = new Promise<Ended>((resolve) => {
    const end = (code: number | null, signal: NodeJS.Signals | null) =>
      resolve({ code, signal, output: tail.join('\n') });
    child.once('error', (error) => {
      running = false;
      tail.push(error.message);
      end(null, null);
    });
    child.once('exit', (code, signal) => {
      running = false;
      // The guard is still in the group, so the number cannot have gone to somebody else.
      signalGroup();
      child.stdio[3]?.destroy();
      const timer = setTimeout(() => end(code, signal), LAST_OUTPUT_MS);
      child.once('close', () => {
        clearTimeout(timer);
        end(code, signal);
      });
    });
  });
  return {
    pid: pid ?? 0,
    exited,
    child,
    get running() {
      return running;
    },
    kill: (signal) => {
      if (running) child.kill(signal);
    },
    stop: async (deadlineMs) => {
      if (running) child.kill('SIGTERM');
      const timer = setTimeout(signalGroup, deadlineMs);
      try {
        return await exited;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
