import { styleText } from 'node:util';
import { formatCredits, formatSeconds } from './amounts.ts';
import type { BatchView } from './batch-view.ts';

const NARROWEST_BAR = 10;
const WIDEST_BAR = 40;

/** How far the batch is, in words: rows, rate, time left, credits. */
export function progressFacts(batch: BatchView, now: number): string {
  const { counts, cost, rate, eta } = batch;
  const ended = counts.succeeded + counts.failed + counts.canceled;
  const left = eta === null ? undefined : (Date.parse(eta) - now) / 1000;
  return [
    `${ended} of ${counts.total}`,
    ...(counts.failed > 0 ? [`${counts.failed} failed`] : []),
    ...(batch.status === 'finishing'
      ? ['writing the results']
      : [
          ...(rate === 0 ? [] : [`${Math.round(rate)}/min`]),
          ...(left === undefined || ended >= counts.total ? [] : [`${formatSeconds(left)} left`]),
        ]),
    formatCredits(cost),
  ].join(' · ');
}

/** Why nothing moves, where that is so. */
export function progressHold({ hold }: BatchView): string | undefined {
  return hold === null ? undefined : `waits (${hold.reason}): ${hold.detail}`;
}

/** The bar with its facts, at most `width` columns wide, and below it why nothing moves, where that is so. */
export function progressBar(
  batch: BatchView,
  { now, width }: { readonly now: number; readonly width: number },
): string {
  const { total, succeeded, failed, canceled } = batch.counts;
  const facts = progressFacts(batch, now);
  const room = Math.min(WIDEST_BAR, width - facts.length - 3);
  const hold = progressHold(batch);
  const below = hold === undefined ? '' : `\n  ${hold}`;
  if (room < NARROWEST_BAR) return `${facts}${below}`;
  const cells = (rows: number) => (total === 0 ? 0 : Math.floor((rows / total) * room));
  const green = cells(succeeded);
  const red = cells(succeeded + failed + canceled) - green;
  const paint = (colour: 'green' | 'red' | 'dim', text: string) => styleText(colour, text, { validateStream: false });
  const bar = paint('green', '█'.repeat(green)) + paint('red', '█'.repeat(red));
  return `  ${bar}${paint('dim', '░'.repeat(room - green - red))} ${facts}${below}`;
}
