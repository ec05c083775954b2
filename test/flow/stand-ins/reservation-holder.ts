/**
 * A worker as far as the ledger knows one: it is granted calls, tells which, and goes on renewing their leases until it
 * is killed. Where its task says so, it ends by SIGKILL itself, at a chosen moment of a script's way to Redis.
 */
import { createCallsInFlight } from '@renderyard/worker/render/calls-in-flight';
import { connectLedger, type PlannedCall, rendered, tell } from './connection.ts';

export interface HolderTask {
  readonly worker: string;
  readonly calls: readonly PlannedCall[];
  readonly slots: number;
  /**
   * `holds`: is killed while it holds all its calls. `recorded`, `released`: the first was recorded before, and
   * answered. `records`: dies `turns` turns of the event loop after it began to record the first; `cuts`: the same, with a
   * command so long that only its beginning leaves. `asks`: dies so after it began to ask for the last.
   */
  readonly ends: 'holds' | 'recorded' | 'released' | 'records' | 'cuts' | 'asks';
  readonly turns: number;
}

const task = JSON.parse(process.env.TASK ?? '') as HolderTask;
const { ledger, logger, grant, record } = await connectLedger({
  url: process.env.REDIS_URL ?? '',
  name: process.env.REDIS_PREFIX ?? '',
});
process.once('disconnect', () => process.exit(1));
process.send?.({ ready: true });

const inFlight = createCallsInFlight({ ledger, logger });
const asked = task.ends === 'asks' ? task.calls.slice(0, -1) : task.calls;
const grants: { readonly call: string; readonly estimate: number }[] = [];
for (const planned of asked) {
  const { estimate } = await grant(task.worker, planned, task.slots);
  inFlight.enter(planned.call);
  grants.push({ call: planned.call, estimate });
}
tell({ grants });

/** More than the buffers between two processes hold: what is not sent by the time of our death never is. */
const LONG_TEXT_BYTES = 24 * 1024 * 1024;

async function dieAfter(turns: number): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
  process.kill(process.pid, 'SIGKILL');
}

const [first] = task.calls;
const last = task.calls.at(-1);
if (first === undefined || last === undefined) throw new Error('a holder needs calls to hold');
switch (task.ends) {
  case 'holds':
    break;
  case 'recorded':
    tell({ recorded: await record(rendered(first)) });
    break;
  case 'released':
    tell({
      recorded: await record({
        job: first.job,
        status: 'queued',
        call: { id: first.call, settlement: { kind: 'released' } },
      }),
    });
    break;
  case 'records':
    void record(rendered(first));
    await dieAfter(task.turns);
    break;
  case 'cuts': {
    const error = { code: 'upstream_failed', detail: 'x'.repeat(LONG_TEXT_BYTES) } as const;
    void record({ ...rendered(first), status: 'failed', error });
    await dieAfter(task.turns);
    break;
  }
  case 'asks':
    void grant(task.worker, last, task.slots);
    await dieAfter(task.turns);
    break;
}
