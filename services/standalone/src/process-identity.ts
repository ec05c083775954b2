import { execFile } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { promisify } from 'node:util';

/** Names one process for good: a pid alone is given to another process sooner or later. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in whatever form the system tells it; empty when the system does not. */
  readonly started: string;
  /** Where the pid means something: the running system and, on Linux, the pid namespace. */
  readonly place: string;
}

/** Instead of a start: of a process that is dead but that its parent has not asked about. */
const ENDED = 'ended';

function place(): string {
  try {
    // The boot id changes with each boot, the namespace with each container.
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
  }
}

async function startOf(pid: number): Promise<string> {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // proc(5): the name in parentheses may hold anything; after it come the state and, 19 fields on, `starttime`.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return /[ZX]/.test(fields[0] ?? '') ? ENDED : (fields[19] ?? '');
  } catch {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'lstart=', '-p', String(pid)]).catch(() => ({
      stdout: '',
    }));
    return stdout.trim();
  }
}

/** The identity of a process of this machine, by default our own. */
export async function identifyProcess(pid: number = process.pid): Promise<ProcessIdentity> {
  return { pid, started: await startOf(pid), place: place() };
}

/**
 * Whether that very process still runs. `unknown` when it was started where we cannot look: in another container, on
 * another machine, or before the last boot.
 */
export async function isRunning(identity: ProcessIdentity): Promise<'yes' | 'no' | 'unknown'> {
  if (identity.place !== place()) return 'unknown';
  try {
    process.kill(identity.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return 'no';
  }
  const started = await startOf(identity.pid);
  if (started === ENDED) return 'no';
  return started === identity.started || identity.started === '' ? 'yes' : 'no';
}
