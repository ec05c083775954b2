import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { viewReconciliation } from '@renderyard/api/credits/uncertain-view';
import { BATCH_HOLD_REASONS } from '@renderyard/shared/batch/batch';
import { SETTINGS } from '@renderyard/shared/config';
import { nanocredits, toCredits } from '@renderyard/shared/credits/amount';
import { BOOKS_DAYS } from '@renderyard/shared/credits/credit-books';
import { CREDIT_TRANSITIONS } from '@renderyard/shared/credits/credit-state';
import { HOLD_REASONS } from '@renderyard/shared/credits/hold';
import { LATE_BILLING_MS } from '@renderyard/shared/credits/ledger';
import { describe, expect, test } from 'vitest';
import { LIMITS, openBench } from '../redis/bench.ts';

const root = join(import.meta.dirname, '../..');
const page = await readFile(join(root, 'docs/credits.md'), 'utf8');
const code = (name: string) => readFile(join(root, 'packages/shared/src/credits', name), 'utf8');

const section = (heading: string) => page.split(`${heading}\n`)[1]?.split(/\n##+ /)[0] ?? '';
/** The tables of a text, one after the other: each row as its cells, without the header. */
const tables = (text: string) =>
  [...text.matchAll(/^\|.*\|\n\|[-|]+\|\n((?:\|.*\|\n?)+)/gm)].map(([, rows = '']) =>
    rows
      .trim()
      .split('\n')
      .map((row) =>
        row
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim().replaceAll('`', '')),
      ),
  );
const firstColumn = (table: readonly (readonly string[])[] | undefined) => (table ?? []).map(([cell]) => cell);
const arrow = (from: string, to: string, causes: readonly string[]) => `${from} --> ${to} : ${causes.join(', ')}`;

describe('the states of credits in the docs', () => {
  const diagram = /```mermaid\nstateDiagram-v2\n([^`]*)```/.exec(section('## The states'))?.[1] ?? '';
  const drawn = diagram
    .trim()
    .split('\n')
    .map((line) => line.trim());

  test('have one diagram, with every change and every cause that the code has, and no other', () => {
    expect(page.split('```mermaid').length).toBe(2);
    const inCode = CREDIT_TRANSITIONS.map(({ from, to, causes }) => arrow(from, to, causes));
    expect(drawn).toEqual(['[*] --> open', ...inCode]);
  });

  test('change in Redis as they are drawn', async () => {
    const table = /local TRANSITIONS = \{\n(.*?)\n\}/s.exec(await code('states.lua'))?.[1] ?? '';
    const inLua = [...table.matchAll(/^ *\['(\w+) (\w+)'\] = \{ (.*) \},$/gm)].map(
      ([, from = '', to = '', causes = '']) => arrow(from, to, causes.replaceAll("'", '').split(', ')),
    );
    expect(inLua.length).toBe(table.split('\n').length);
    expect(['[*] --> open', ...inLua]).toEqual(drawn);
  });

  test('have every cause explained, and none that there is not', () => {
    const causes = new Set(CREDIT_TRANSITIONS.flatMap((each) => each.causes));
    expect(firstColumn(tables(section('## The states'))[0]).sort()).toEqual([...causes].sort());
  });

  test('have every event named that Redis knows, and none that there is not', async () => {
    const known = new Set((await code('states.lua')).match(/(?<=')credits\.[a-z]+(?=')/g));
    expect(known.size).toBe(3);
    expect(firstColumn(tables(section('## The states'))[1]).sort()).toEqual([...known].sort());
    const inTypes = /type CreditEventType = (.*);/.exec(await code('credit-state.ts'))?.[1] ?? '';
    expect(new Set(inTypes.match(/credits\.[a-z]+/g))).toEqual(known);
  });
});

test('the holds in the docs are those of the code, in the order in which one is shown', () => {
  const [table] = tables(section('## The holds'));
  expect(firstColumn(table)).toEqual([...HOLD_REASONS, ...BATCH_HOLD_REASONS]);
  for (const [reason, ...cells] of table ?? [])
    expect([reason, cells.every((cell) => cell !== '')]).toEqual([reason, true]);
});

test('the settings that the page names are settings', () => {
  const named = new Set(page.match(/\b[A-Z]+(?:_[A-Z]+)+\b/g));
  expect([...named].filter((name) => !(name in SETTINGS))).toEqual([]);
  expect([...named]).toEqual(
    expect.arrayContaining(['CREDIT_FLOOR', 'CREDIT_LOW', 'CREDIT_RESUME', 'CREDIT_ESTIMATE', 'CREDIT_PROBE_MS']),
  );
});

test('the numbers that the page tells are those of the code', async () => {
  const number = async (file: string, pattern: RegExp) =>
    pattern.exec((await code(file)).replaceAll(' ', ''))?.slice(1);
  const [remembered, high, classes] =
    (await number('estimates.lua', /REMEMBERED,HIGH,MOST_CLASSES=(\d+),([\d.]+),(\d+)\n/)) ?? [];
  const [times] = (await number('estimates.lua', /MOST_TIMES=(\d+)\n/)) ?? [];
  const [beyond] = (await number('settle.lua', /settlement\.cost<=entry\.guess\*(\d+)/)) ?? [];
  const [pairs] = (await number('balance.lua', /PAIRS=(\d+)\n/)) ?? [];
  const [asked] = (await number('states.lua', /ASKED_MS=(\d+)\n/)) ?? [];
  const [again] = (await number('books.lua', /KEY_AGAIN_MS=(\d+)\n/)) ?? [];
  const [events] = (await number('states.lua', /MOST_EVENTS=(\d+)\n/)) ?? [];
  const told = (amount: unknown) => Number(amount).toLocaleString('en');
  const text = page.replace(/\s+/g, ' ');
  const words = ['zero', 'one', 'two', 'three', 'four'];
  for (const said of [
    `the ${Number(high) * 100}th percentile of the last ${remembered} `,
    `the dearest of the last ${remembered} `,
    `The ${told(classes)} classes that were used last are remembered`,
    `| more than ${times} times what \`CREDIT_ESTIMATE\` makes of it | itself | ${times} times that |`,
    `| more than ${told(beyond)} times that | the estimate | not learned |`,
    `the least of the last ${words[Number(pairs)]} differences is added`,
    `for ${Number(asked) / 1000} seconds nobody has asked`,
    `looked again every ${words[Number(again) / 1000]} seconds`,
    `The last ${told(events)} changes`,
    `and kept for ${BOOKS_DAYS} days`,
    `\`SEGMIND_TIMEOUT_MS\` and ${LATE_BILLING_MS / 1000} seconds`,
  ])
    expect(text).toContain(said);
});

/** What an image costs in an example, in credits, and a bench whose workers were told the limits of that example. */
async function openExample(
  cost: number,
  credits: { readonly floor: number; readonly low: number; readonly resume: number },
) {
  const bench = await openBench();
  const floor = nanocredits(credits.floor);
  const thresholds = { floor, low: nanocredits(credits.low), resume: nanocredits(credits.resume) };
  const asking = { floor, estimate: nanocredits(cost) };
  await bench.ledger.meetUpstream('one', thresholds);
  return Object.assign(bench, {
    read: async (left: number) =>
      bench.ledger.takeReading(nanocredits(left), await bench.ledger.beginReading(), { ...thresholds, ...asking }),
    render: async () => bench.end(await bench.call(asking), { settlement: { kind: 'spent', cost: asking.estimate } }),
    asking,
  });
}

test('credits sink and are topped up as the example of the docs says', async () => {
  const text = section('### High and low water').replace(/\s+/g, ' ');
  const limits = /`CREDIT_FLOOR=(\d+)`, `CREDIT_LOW=(\d+)`, `CREDIT_RESUME=(\d+)` and images of (\d+) credit:/.exec(
    text,
  );
  const [floor = 0, low = 0, resume = 0, cost = 0] = limits?.slice(1).map(Number) ?? [];
  await using example = await openExample(cost, { floor, low, resume });
  const { ledger, read, render, ask, job, asking } = example;
  const waiting = await job();

  const steps: readonly (() => Promise<unknown>)[] = [
    () => read(11.5),
    async () => [await render(), await render()],
    () => read(11.5),
    () => read(12.5),
    async () => {
      for (let images = 0; images < 7; images++) await render();
    },
    () => ask(waiting, asking),
    async () => [await read(5.5), await ask(waiting, asking)],
    () => read(8.5),
    async () => [await ledger.resume(), await read(8.5)],
  ];
  const lived: string[][] = [];
  let before: string | undefined;
  let told = 0;
  for (const step of steps) {
    await step();
    const { state, balance } = await ledger.snapshot(Date.now());
    const events = await ledger.events({ limit: 100 });
    const latest = events.slice(0, events.length - told);
    told = events.length;
    expect(latest.length).toBe(state === (before ?? 'open') ? 0 : 1);
    before = state;
    lived.push([String(toCredits(balance ?? 0)), state, latest[0]?.cause ?? '', latest[0]?.type ?? '']);
  }
  expect(tables(section('### High and low water'))[0]?.map((row) => row.slice(1))).toEqual(lived);
});

test('our books and the balance are compared as the example of the docs says', async () => {
  const text = section('### Reconciliation');
  const shown = JSON.parse(/```json\n(.*?)```/s.exec(text)?.[1] ?? '{}') as Record<string, number>;
  const price = Number(/ten images of ([\d.]+) credits/.exec(text)?.[1]);
  await using example = await openExample(price, { floor: 0, low: 0, resume: 0 });
  const { ledger, read, render, call, end, asking } = example;
  const reconciliation = async () => viewReconciliation((await ledger.snapshot(Date.now())).reconciliation);

  await read(shown.before ?? 0);
  for (let images = 0; images < 10; images++) await render();
  const lost = await call(asking);
  await end(lost, { status: 'queued', settlement: { kind: 'uncertain', how: 'timeout' } });
  await read(shown.read ?? 0);
  const { last, unexplained } = await reconciliation();
  expect(last).toMatchObject(shown);
  expect(unexplained).toBe(price);

  await read((shown.read ?? 0) + 5);
  expect(await reconciliation()).toMatchObject({ last: { difference: -5 }, unexplained: price, added: 5 });

  await example.pass(LIMITS.timeoutMs + LATE_BILLING_MS);
  await read((shown.read ?? 0) + 5);
  await end(lost, { settlement: { kind: 'spent', cost: asking.estimate } });
  expect(await reconciliation()).toMatchObject({ unexplained: 0, added: 5 });
});
