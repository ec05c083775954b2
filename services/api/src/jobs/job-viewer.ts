import type { Clock } from '@renderyard/shared/clock';
import type { Ledger } from '@renderyard/shared/credits/ledger';
import { type JobView, type ShownJob, viewJob } from '@renderyard/shared/job/job-view';

export interface JobViewer {
  /** The holds are read once for all jobs, and only if one of them is queued. */
  view(jobs: readonly ShownJob[]): Promise<JobView[]>;
  viewOne(job: ShownJob): Promise<JobView>;
  /** Shows no hold where they cannot be read: for an answer that must not fail any more. */
  viewAccepted(job: ShownJob): Promise<JobView>;
}

export function createJobViewer({
  ledger,
  publicUrl,
  clock,
}: {
  readonly ledger: Ledger;
  readonly publicUrl: string;
  readonly clock: Clock;
}): JobViewer {
  const holdsFor = async (jobs: readonly ShownJob[]) => {
    const now = clock.now();
    return { publicUrl, now, holds: jobs.some((job) => job.status === 'queued') ? await ledger.holds(now) : [] };
  };
  return {
    view: async (jobs) => {
      const context = await holdsFor(jobs);
      return jobs.map((job) => viewJob(job, context));
    },
    viewOne: async (job) => viewJob(job, await holdsFor([job])),
    viewAccepted: async (job) =>
      viewJob(job, await holdsFor([job]).catch(() => ({ publicUrl, now: clock.now(), holds: [] }))),
  };
}
