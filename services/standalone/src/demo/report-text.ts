import { count, formatCredits, formatSeconds } from './amounts.ts';
import type { CreditsView, Findings, RowProblem } from './batch-view.ts';

function describeProblem({ line, column, value, detail }: RowProblem): string {
  const place = column === null ? `line ${line}` : `line ${line}, ${column}`;
  const shown = value === null || value === '' || detail.includes(value) ? '' : ` (${JSON.stringify(value)})`;
  return `  ${place}${shown}: ${detail}`;
}

/** What was found in the file, for people: rows, what is wrong with which, and what the rest will cost. */
export function describeFindings(
  file: string,
  { counts, report, estimate }: Findings,
  { balance, floor }: CreditsView,
): string {
  const { rejected, warnings } = report;
  const lines = [
    `${file}: ${count(counts.total + counts.rejected, 'row')}, ${counts.total} accepted, ${counts.rejected} rejected.`,
  ];
  if (rejected.errors.length > 0) lines.push('', 'Rejected:', ...rejected.errors.map(describeProblem));
  if (warnings.length > 0) lines.push('', 'Worth knowing:', ...warnings.map(describeProblem));
  if (counts.total > 0) {
    const kept = floor > 0 ? `, of which ${formatCredits(floor)} are never spent` : '';
    const there = balance === null ? 'The balance is not known yet' : `There are ${formatCredits(balance)}${kept}`;
    lines.push(
      '',
      `Estimated: ${formatCredits(estimate.cost)} for ${count(counts.total, 'image')}, about ${formatSeconds(estimate.seconds)}. ${there}.`,
    );
    if (estimate.fits === false) lines.push('That is not enough for all of them: the rest will wait for credits.');
  }
  return lines.join('\n');
}
