import { appendFileSync } from 'node:fs';
import { afterAll, expect } from 'vitest';

/** What a machine that is busy with other tests may add to a bound, in milliseconds. */
const BUSY_MS = 2500;
/** While it starts, a process ends within this time. */
export const START_END_MS = 2000 + BUSY_MS;
/** With nothing to wait for. */
export const AT_ONCE_MS = 1500 + BUSY_MS;
/** Signals closer together than 750 ms are one, as npm passes on what the terminal has sent already. */
export const SAME_SIGNAL_MS = 800;

/** One phase in which a process was told to stop, and what was measured. */
interface Row {
  readonly service: string;
  readonly phase: string;
  readonly graceMs: number;
  readonly ms: number;
  readonly code: number | null;
  readonly outcome: string;
}

const rows: Row[] = [];

/** What was measured goes to the file that SIGTERM_TABLE names, as rows of a Markdown table, if it is set. */
export function keepTable(): void {
  afterAll(() => {
    const file = process.env.SIGTERM_TABLE;
    if (file === undefined) return;
    for (const { service, phase, graceMs, ms, code, outcome } of rows)
      appendFileSync(file, `| ${service} | ${phase} | ${graceMs} | ${Math.round(ms)} | ${code} | ${outcome} |\n`);
  });
}

/** Holds a row against its bounds in milliseconds and its exit code, and keeps it for the table. */
export function note(row: Row, { least = 0, most, code = 0 }: { least?: number; most: number; code?: number }): void {
  rows.push(row);
  expect(row.code, row.phase).toBe(code);
  expect(row.ms, row.phase).toBeGreaterThanOrEqual(least);
  expect(row.ms, row.phase).toBeLessThanOrEqual(most);
}
