import { createHash } from 'node:crypto';
import { contactSheet } from '@renderyard/standalone/demo/contact-sheet';
import { pictureName } from '@renderyard/standalone/demo/save-sheet';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchView, batchWith, resultRow } from './views.ts';

const NAMED: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', '#39': "'" };
/** What a browser makes of text. */
const decode = (html: string) => html.replace(/&(lt|gt|amp|quot|#39);/g, (_, name: string) => NAMED[name] ?? '');
const markup = (page: string) => page.replace(/<style>[\s\S]*?<\/style>/, '').match(/<[^>]*>/g) ?? [];

/** A page on which every text that comes from outside is the given one. */
function pageOf(text: string): string {
  const problem = { line: 3, column: text, code: text, value: text, detail: text };
  return contactSheet({
    batch: batchWith(
      { total: 3, succeeded: 1, failed: 1, canceled: 1, rejected: 1 },
      { name: text, report: { rejected: { count: 1, errors: [problem] }, warnings: [problem] } },
    ),
    rows: [
      resultRow(1, { id: text, input: { prompt: text } }),
      resultRow(2, { id: text, input: { prompt: text }, status: 'failed', error: { code: text, detail: text } }),
      resultRow(3, { id: text, input: { prompt: text }, status: 'canceled', output: [] }),
    ],
    pictures: new Map([[1, `images/${text}`]]),
    simulated: false,
  });
}

const hostile = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc
    .array(
      fc.constantFrom(
        '<',
        '>',
        '"',
        "'",
        '&',
        '&lt;',
        '<script>',
        '-->',
        '<!--',
        '</style>',
        ' onload=',
        '`',
        '=',
        '$&',
        'a',
      ),
      {
        maxLength: 12,
      },
    )
    .map((parts) => parts.join('')),
);

test('no text becomes markup, and every text is shown as it is', () => {
  const elements = (page: string) => markup(page).map((tag) => /^<\/?[\w!]+/.exec(tag)?.[0]);
  const wanted = elements(pageOf('plain'));
  fc.assert(
    fc.property(hostile, (text) => {
      const page = pageOf(text);
      expect(elements(page)).toEqual(wanted);
      const prompts = [...page.matchAll(/<p class="prompt"[^>]*>([\s\S]*?)<\/p>/g)].map(([, html]) =>
        decode(html ?? ''),
      );
      expect(prompts).toEqual([text]);
      const cells = [...page.matchAll(/<td dir="auto">([\s\S]*?)<\/td>/g)].map(([, html]) => decode(html ?? ''));
      expect(cells.slice(0, 4)).toEqual(['3', text, text, `${text}: ${text}`]);
      expect(cells.slice(8, 12)).toEqual(['3', text, text, text]);
      expect(decode(/alt="([^"]*)"/.exec(page)?.[1] ?? '')).toBe(text);
    }),
    { numRuns: 300 },
  );
});

test('its policy allows the one style that it has and its images, and there is nothing that it forbids', () => {
  const page = pageOf('plain');
  const style = /<style>([\s\S]*?)<\/style>/.exec(page)?.[1] ?? '';
  const hash = createHash('sha256').update(style).digest('base64');
  const policy = /http-equiv="content-security-policy" content="([^"]*)"/.exec(page)?.[1] ?? '';
  expect(policy.split('; ')).toEqual([
    "default-src 'none'",
    "img-src 'self' file:",
    `style-src 'sha256-${hash}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ]);
  for (const tag of markup(page)) expect(tag).not.toMatch(/^<(script|link|iframe|object)|\s(style|on\w+)=|https?:/i);
});

test('images load when they come into view, keep their place until then, and are named by relative paths', () => {
  const page = contactSheet({
    batch: batchView(),
    rows: [resultRow(1)],
    pictures: new Map([[1, 'images/0001-Größe #1?.jpg']]),
    simulated: true,
  });
  const source = 'images/0001-Gr%C3%B6%C3%9Fe%20%231%3F.jpg';
  expect(page).toContain(`<a href="${source}"><img src="${source}" width="832" height="1216" loading="lazy"`);
  expect(page).toContain('Simulation');
});

test('an image shows its prompt, id, seed, size and cost, and a row without an id its number', () => {
  const page = contactSheet({
    batch: batchView(),
    rows: [resultRow(1), resultRow(2, { id: null })],
    pictures: new Map(),
    simulated: false,
  });
  expect(page).toContain(
    '>a picture of 1 things</p><p class="facts"><b dir="auto">id-1</b><span>seed 7</span><span>832 × 1216</span><span>0.0138 credits</span></p>',
  );
  expect(page).toContain('<b dir="auto">row 2</b>');
  expect(page).not.toContain('<table>');
});

test('each shape has one rule, and no shape is wider or narrower than a row bears', () => {
  const sized = (row: number, width: number, height: number) =>
    resultRow(row, { output: [{ key: 'k.jpg', width, height, seed: 1 }] });
  const page = contactSheet({
    batch: batchView(),
    rows: [sized(1, 1024, 1024), sized(2, 512, 512), sized(3, 2048, 64), sized(4, 64, 2048)],
    pictures: new Map(),
    simulated: false,
  });
  expect([...page.matchAll(/--ratio:([\d.]+);/g)].map(([, ratio]) => ratio)).toEqual(['1.0000', '3.0000', '0.3333']);
});

test('a file is named after the row and its key, and stays in its folder', () => {
  const name = (key: string) => pictureName({ row: 7, output: [{ key, width: 1, height: 1, seed: 1 }] });
  expect(name('batches/bat_1/images/fox-12.jpg')).toBe('0007-fox-12.jpg');
  expect(name('batches/bat_1/images/deep/東京 夜.png')).toBe('0007-東京_夜.png');
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (key) => {
      expect(name(key)).toMatch(/^0007-[\p{L}\p{M}\p{N}_-]*\.[\p{L}\p{M}\p{N}_-]*$/u);
    }),
  );
});
