import { stripVTControlCharacters } from 'node:util';
import { formatCredits, formatSeconds } from '@renderyard/standalone/demo/amounts';
import { parseDemoArguments } from '@renderyard/standalone/demo/demo-arguments';
import { findDemoKey } from '@renderyard/standalone/demo/demo-key';
import { describeOutcome } from '@renderyard/standalone/demo/outcome-text';
import { progressBar } from '@renderyard/standalone/demo/progress-text';
import { describeFindings } from '@renderyard/standalone/demo/report-text';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchView, batchWith } from './views.ts';

const NOW = Date.parse('2026-05-04T10:00:10Z');
const HASH = 'a'.repeat(64);

test('the report tells rows, each mistake with its place and what would be right, and the cost beside the balance', () => {
  const errors = [
    { line: 5, column: 'steps', code: 'out_of_range', value: '500', detail: 'steps must be from 10 to 70.' },
    { line: 9, column: null, code: 'template_blank', value: null, detail: 'light is blank.' },
    { line: 9, column: 'id', code: 'duplicate_id', value: 'fox', detail: 'The id fox is that of line 5.' },
  ];
  const warning = { line: 1, column: 'promt', code: 'unknown_column', value: null, detail: 'Did you mean prompt?' };
  const findings = batchWith(
    { total: 44, rejected: 3 },
    {
      estimate: { ...batchView().estimate, cost: 0.88, seconds: 64, fits: false },
      report: { rejected: { count: 3, errors }, warnings: [warning] },
    },
  );
  expect(describeFindings('examples/prompts.csv', findings, { balance: 0.5, floor: 0 })).toBe(`\
examples/prompts.csv: 47 rows, 44 accepted, 3 rejected.

Rejected:
  line 5, steps ("500"): steps must be from 10 to 70.
  line 9: light is blank.
  line 9, id: The id fox is that of line 5.

Worth knowing:
  line 1, promt: Did you mean prompt?

Estimated: 0.88 credits for 44 images, about 1 min 4 s. There are 0.5 credits.
That is not enough for all of them: the rest will wait for credits.`);
});

test('the bar shows rows, rate, time left and credits', () => {
  const running = batchWith(
    { total: 40, succeeded: 19, failed: 1 },
    { status: 'running', eta: '2026-05-04T10:01:30Z', rate: 29.7, cost: 0.276 },
  );
  const bar = stripVTControlCharacters(progressBar(running, { now: NOW, width: 120 }));
  expect(bar).toBe(
    `  ${'█'.repeat(20)}${'░'.repeat(20)} 20 of 40 · 1 failed · 30/min · 1 min 20 s left · 0.276 credits`,
  );
});

test('the bar never is wider than the terminal, unless its facts alone are, and is full when all rows ended', () => {
  fc.assert(
    fc.property(
      fc.nat(5_000_000),
      fc.nat(5_000_000),
      fc.nat(5_000_000),
      fc.integer({ min: 1, max: 300 }),
      (succeeded, failed, queued, width) => {
        const counts = { total: succeeded + failed + queued, succeeded, failed, queued };
        const [bar = ''] = stripVTControlCharacters(
          progressBar(batchWith(counts, { status: 'running' }), { now: NOW, width }),
        ).split('\n');
        const drawn = bar.match(/[█░]/g)?.length ?? 0;
        if (drawn > 0) expect(bar.length).toBeLessThanOrEqual(width);
        if (drawn > 0 && counts.total > 0)
          expect(bar.match(/█/g)?.length ?? 0).toBe(Math.floor(((succeeded + failed) / counts.total) * drawn));
      },
    ),
  );
});

test('below the bar stands why nothing moves', () => {
  const hold = { reason: 'credits', since: '2026-05-04T10:00:00Z', detail: 'The floor is reached.' } as const;
  const bar = progressBar(batchWith({ succeeded: 1 }, { status: 'running', hold }), { now: NOW, width: 100 });
  expect(bar.split('\n')[1]).toBe('  waits (credits): The floor is reached.');
});

test('the outcome names what failed, was canceled, or is not known', () => {
  const batch = batchWith({ succeeded: 1, failed: 1, canceled: 1 }, { uncertain: 2, started_at: null });
  const text = describeOutcome({ batch, page: '/d/index.html', storeAt: 's3://b/p', url: 'http://h', stays: false });
  expect(text.split('\n')).toEqual([
    '',
    '1 of 3 images for 0.0414 credits, 1 failed, 1 canceled, 2 calls of unknown outcome.',
    '',
    'Contact sheet: /d/index.html',
    `Images:        s3://b/p/batches/${batch.id}/images/`,
  ]);
});

test('amounts are short, and no amount looks like nothing', () => {
  expect([0, 1, 0.0138, 12.34567, 0.000012, 0.1 + 0.2].map(formatCredits)).toEqual([
    '0 credits',
    '1 credit',
    '0.0138 credits',
    '12.3457 credits',
    '0.000012 credits',
    '0.3 credits',
  ]);
  expect([-3, 0.4, 59.6, 60, 61, 3599.6, 3660, 90_000].map(formatSeconds)).toEqual([
    '0 s',
    '0 s',
    '1 min',
    '1 min',
    '1 min 1 s',
    '1 h',
    '1 h 1 min',
    '25 h',
  ]);
});

test('arguments that are not known are refused by name', () => {
  expect(parseDemoArguments(['--exit', '-y'])).toEqual({ exit: true, yes: true, help: false });
  expect(parseDemoArguments([])).toEqual({ exit: false, yes: false, help: false });
  expect(() => parseDemoArguments(['--exti'])).toThrow("'--exti'");
  expect(() => parseDemoArguments(['other.csv'])).toThrow("'other.csv'");
  expect(() => parseDemoArguments(['--exit=no'])).toThrow('--exit');
});

test('the first key that is there in clear is used', () => {
  expect(findDemoKey({})).toBeUndefined();
  expect(findDemoKey({ RENDERYARD_API_KEYS: ' ' })).toBeUndefined();
  expect(findDemoKey({ RENDERYARD_API_KEYS: 'shop:one:two,other:three' })).toBe('one:two');
  expect(findDemoKey({ RENDERYARD_API_KEYS: `shop:sha256:${HASH}, other:two` })).toBe('two');
});

test('with nothing but hashes the demo says what is missing', () => {
  expect(() => findDemoKey({ RENDERYARD_API_KEYS: `shop:sha256:${HASH},b:sha256:${HASH}` })).toThrow(
    /has only hashes of keys\. Add one as name:secret/,
  );
});
