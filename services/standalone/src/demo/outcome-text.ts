import { count, formatCredits, formatSeconds } from './amounts.ts';
import type { BatchView } from './batch-view.ts';

/** Whether every accepted row has its image. */
export function succeeded({ status, counts }: BatchView): boolean {
  return status === 'completed' && counts.total > 0 && counts.succeeded === counts.total;
}

/** How the demo came out, and where everything lies. */
export function describeOutcome(options: {
  readonly batch: BatchView;
  /** The contact sheet's path. */
  readonly page: string;
  /** Where the store keeps its objects: a folder or an `s3://` address, without a `/` at its end. */
  readonly storeAt: string;
  readonly url: string;
  /** Whether Renderyard goes on running. */
  readonly stays: boolean;
}): string {
  const { batch, page, storeAt, url, stays } = options;
  const { counts, started_at, ended_at } = batch;
  const took =
    started_at === null || ended_at === null
      ? ''
      : ` in ${formatSeconds((Date.parse(ended_at) - Date.parse(started_at)) / 1000)}`;
  const without = [
    ...(counts.failed > 0 ? [`${counts.failed} failed`] : []),
    ...(counts.canceled > 0 ? [`${counts.canceled} canceled`] : []),
    ...(batch.uncertain > 0 ? [`${count(batch.uncertain, 'call')} of unknown outcome`] : []),
  ];
  const all = `${counts.succeeded} of ${count(counts.total, 'image')}${took} for ${formatCredits(batch.cost)}`;
  return `
${[all, ...without].join(', ')}.

Contact sheet: ${page}
Images:        ${storeAt}/batches/${batch.id}/images/
${stays ? `Results:       ${url}/v1/batches/${batch.id}/results.csv\n\nRenderyard still runs: ${url} (Ctrl-C stops all of it)` : ''}`.trimEnd();
}
