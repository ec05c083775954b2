import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openIntakeBench, pieces } from './intake-bench.ts';

let bench: Awaited<ReturnType<typeof openIntakeBench>>;
beforeAll(async () => {
  bench = await openIntakeBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

const BREAKS = ['\n', '\r\n', '\r'] as const;
const ENCODINGS = ['utf8', 'utf8 with mark', 'utf16le', 'utf16be'] as const;

/** Texts of what CSV, Unicode and spreadsheets make special. No NUL: a text has none. */
const cell = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.string({ unit: fc.constantFrom(...'ab "\'\n\r,;\t=+-@\\é東🐈\u2028\ufeff'), maxLength: 8 }),
  },
  {
    weight: 1,
    arbitrary: fc
      .string({ unit: 'binary', maxLength: 12 })
      .filter((text) => text.isWellFormed() && !text.includes('\0')),
  },
);
/** The first column is the prompt: blank ones would be rejected, which is the reader's matter. */
const row = (columns: number) =>
  fc
    .tuple(cell, fc.array(cell, { minLength: columns - 1, maxLength: columns - 1 }))
    .map(([first, rest]) => [`p${first}`, ...rest]);
const table = fc
  .integer({ min: 1, max: 5 })
  .chain((columns) =>
    fc.record({ columns: fc.constant(columns), rows: fc.array(row(columns), { minLength: 1, maxLength: 8 }) }),
  );

function encode(text: string, encoding: (typeof ENCODINGS)[number]): Buffer {
  if (encoding === 'utf8') return Buffer.from(text);
  if (encoding === 'utf8 with mark') return Buffer.from(`\ufeff${text}`);
  const bytes = Buffer.from(`\ufeff${text}`, 'utf16le');
  return encoding === 'utf16le' ? bytes : bytes.swap16();
}

test('any table comes out as it was written, in any delimiter, line break, quoting, encoding and chunking', async () => {
  await fc.assert(
    fc.asyncProperty(
      table,
      fc.constantFrom(',', ';', '\t'),
      fc.constantFrom(...BREAKS),
      fc.constantFrom(...ENCODINGS),
      fc.boolean(),
      fc.boolean(),
      fc.integer({ min: 1, max: 40 }),
      async ({ columns, rows }, delimiter, lineBreak, encoding, quoteAll, endsWithBreak, size) => {
        const quote = (text: string) =>
          quoteAll || /[",;\t\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
        const header = Array.from({ length: columns }, (_, n) => (n === 0 ? 'prompt' : `c${n}`));
        const lines = [header, ...rows].map((cells) => cells.map(quote).join(delimiter));
        const text = lines.join(lineBreak) + (endsWithBreak ? lineBreak : '');
        const imported = await bench.import(pieces(encode(text, encoding), size), {
          // With one column, a header has no delimiter to be found by.
          ...(delimiter === '\t' ? { type: 'text/tab-separated-values' } : {}),
        });
        const breaksIn = (value: string) => value.match(/\r\n|\r|\n/g)?.length ?? 0;
        let line = 2;
        const expected = rows.map((values) => {
          const at = line;
          line += 1 + values.reduce((sum, value) => sum + breaksIn(value), 0);
          return { line: at, values };
        });
        expect(imported.rejectedLines).toEqual([]);
        expect(imported.rowRecords.map(({ line: at, values }) => ({ line: at, values }))).toEqual(expected);
        expect(imported.report.warnings.filter(({ code }) => code === 'bare_quote')).toEqual([]);
      },
    ),
    { numRuns: 300 },
  );
}, 120_000);
