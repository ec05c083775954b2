import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '@renderyard/shared/clock';
import type { RunningStandalone, Task } from '../run-standalone.ts';
import { count, formatCredits } from './amounts.ts';
import type { BatchView, CreditsView, Findings } from './batch-view.ts';
import type { DemoArguments } from './demo-arguments.ts';
import { createDemoClient, type DemoClient, type Upload } from './demo-client.ts';
import { DemoError } from './demo-error.ts';
import { DEMO_FILE, DEMO_OPTIONS } from './demo-file.ts';
import type { LiveTerminal } from './live-terminal.ts';
import { describeOutcome, succeeded } from './outcome-text.ts';
import { describeFindings } from './report-text.ts';
import { saveSheet } from './save-sheet.ts';
import { isStuck, watchBatch } from './watch-batch.ts';

const UNFINISHED = ['running', 'paused', 'canceling', 'finishing'];
/** How long the balance is waited for: a new installation reads it with its first call. */
const BALANCE_MS = 10_000;

/** Imports the example into what runs, shows how it gets on, and makes a contact sheet of it. */
export function createDemoTask(options: {
  readonly args: DemoArguments;
  /** Undefined where the API needs none. */
  readonly key: string | undefined;
  /** The example's path. */
  readonly csvFile: string;
  readonly terminal: LiveTerminal;
  readonly clock: Clock;
  /** Asks a person yes or no. */
  readonly ask: (question: string, signal: AbortSignal) => Promise<boolean>;
}): Task {
  const { args, key, csvFile, terminal, clock, ask } = options;
  const { say, warn } = terminal;

  const submit = async (client: DemoClient, running: RunningStandalone): Promise<BatchView | undefined> => {
    const upload: Upload = { csv: await readFile(csvFile), options: DEMO_OPTIONS };
    const tell = async (findings: Findings) => {
      const credits = await readCredits(client, clock, running.signal);
      say(`${describeFindings(DEMO_FILE, findings, credits)}\n`);
    };
    if (running.settings.simulate || args.yes) {
      const batch = await client.createBatch(upload);
      await tell(batch);
      return batch;
    }
    const findings = await client.dryRun(upload);
    await tell(findings);
    const question = `Spend about ${formatCredits(findings.estimate.cost)} of your Segmind account?`;
    return (await ask(question, running.signal)) ? client.createBatch(upload) : undefined;
  };

  const show = async (running: RunningStandalone): Promise<boolean> => {
    const { url, settings, dataDir, signal } = running;
    const client = createDemoClient({ url, key, clock, signal });
    for (const { id, name, status, counts } of await client.batches(UNFINISHED))
      if (name === DEMO_OPTIONS.name)
        say(
          `An earlier demo has not ended: ${id} is ${status}, with ${counts.succeeded} of ${count(counts.total, 'image')}. It goes on beside the new one.\n`,
        );
    const submitted = await submit(client, running);
    if (submitted === undefined) {
      say('Nothing was imported.');
      return false;
    }
    say(`Batch ${submitted.id}`);
    const batch = await watchBatch({ client, id: submitted.id, terminal, clock, signal, whileStuck: !args.exit });
    if (isStuck(batch)) warn(`The batch has paused itself: ${batch.hold?.detail}`);
    const sheet = await saveSheet({
      client,
      batch,
      into: join(dataDir, 'demo'),
      simulated: settings.simulate,
      signal,
    });
    if (sheet.missing > 0)
      warn(
        `${count(sheet.missing, 'image')} could not be downloaded for the contact sheet; ${sheet.missing === 1 ? 'it lies' : 'they lie'} in the store.`,
      );
    say(describeOutcome({ batch, page: sheet.page, storeAt: settings.storeAt, url, stays: !args.exit }));
    return succeeded(batch) && sheet.missing === 0;
  };

  return {
    interrupted: args.exit ? 1 : 0,
    run: async (running) => {
      let good = false;
      try {
        good = await show(running);
      } catch (error) {
        if (running.signal.aborted || !(error instanceof DemoError)) throw error;
        warn(`The demo ends: ${error.message}`);
        if (!args.exit) say(`Renderyard still runs: ${running.url}`);
      }
      if (!args.exit) return undefined;
      return good ? 0 : 1;
    },
  };
}

async function readCredits(client: DemoClient, clock: Clock, signal: AbortSignal): Promise<CreditsView> {
  const until = clock.now() + BALANCE_MS;
  for (;;) {
    const credits = await client.credits();
    if (credits.balance !== null || clock.now() > until) return credits;
    await clock.sleep(200, signal);
    signal.throwIfAborted();
  }
}
