import type { Clock } from '@renderyard/shared/clock';
import type { Config } from '@renderyard/shared/config';
import type { Ledger } from '@renderyard/shared/credits/ledger';
import type { JobStore } from '@renderyard/shared/job/job-store';
import { type CreditsView, MOST_CALLS, viewCredits } from './credits-view.ts';

/** The books, with the ids of only those jobs that the account made. Where there is one account it may know of all. */
export async function readCredits(
  {
    ledger,
    jobs,
    config,
    clock,
  }: { readonly ledger: Ledger; readonly jobs: JobStore; readonly config: Config; readonly clock: Clock },
  account: string,
): Promise<CreditsView> {
  const state = await ledger.snapshot(clock.now());
  const own = new Set<string>();
  const alone = config.RENDERYARD_API_KEYS.length <= 1;
  if (!alone) {
    const latest = [...state.uncertainCalls].sort((a, b) => b.at - a.at).slice(0, MOST_CALLS);
    const found = await Promise.all([...new Set(latest.map((call) => call.job))].map((id) => jobs.get(id)));
    for (const job of found) if (job?.account === account) own.add(job.id);
  }
  const limits = { floor: config.CREDIT_FLOOR, low: config.CREDIT_LOW, resume: config.CREDIT_RESUME };
  return viewCredits(state, limits, (job) => alone || own.has(job));
}
