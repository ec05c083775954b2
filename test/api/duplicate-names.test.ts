import { duplicateNames } from '@renderyard/api/body/duplicate-names';
import fc from 'fast-check';
import { expect, test } from 'vitest';

/** A JSON value of which the members are kept as they are written, also those of the same name. */
type Written = string | readonly Written[] | { readonly members: readonly (readonly [string, Written])[] };

const space = fc.constantFrom('', ' ', '\n\t');
const name = fc.oneof(fc.constantFrom('a', 'b', '"', '\\', '{', '[1,', '', '/', '~'), fc.string({ maxLength: 4 }));
const { value } = fc.letrec<{ value: Written }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom('1', 'true', 'null', '-1.5e3', '""', '"{\\"a\\":1,\\"a\\":2}"', '"\\\\"', '"\\""', '"a"'),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.record({ members: fc.array(fc.tuple(name, tie('value')), { maxLength: 5 }) }),
  ),
}));

/** Names can be written in several ways: here some with their first character as an escape. */
function writeName(text: string, asEscape: boolean): string {
  const first = text.charCodeAt(0);
  return asEscape && text !== ''
    ? `"\\u${first.toString(16).padStart(4, '0')}${JSON.stringify(text.slice(1)).slice(1)}`
    : JSON.stringify(text);
}

function write(written: Written, gap: string, count = { names: 0 }): string {
  if (typeof written === 'string') return written;
  if ('members' in written) {
    const members = written.members.map(
      ([each, inner]) =>
        `${gap}${writeName(each, count.names++ % 2 === 1)}${gap}:${gap}${write(inner, gap, count)}${gap}`,
    );
    return `{${gap}${members.join(',')}}`;
  }
  return `[${gap}${written.map((inner) => write(inner, gap, count)).join(`${gap},${gap}`)}]`;
}

const escaped = (text: string) => text.replaceAll('~', '~0').replaceAll('/', '~1');

function expected(written: Written, at = ''): string[] {
  if (typeof written === 'string') return [];
  if (!('members' in written)) return written.flatMap((inner, index) => expected(inner, `${at}/${index}`));
  const seen = new Set<string>();
  return written.members.flatMap(([each, inner]) => {
    const here = `${at}/${escaped(each)}`;
    const own = seen.has(each) ? [here] : [];
    seen.add(each);
    return [...own, ...expected(inner, here)];
  });
}

test('exactly the names that an object has twice are found, however they are written', () => {
  fc.assert(
    fc.property(value, space, (written, gap) => {
      const text = write(written, gap);
      JSON.parse(text);
      expect(duplicateNames(text).map(({ pointer }) => pointer)).toEqual(expected(written).slice(0, 20));
    }),
    { numRuns: 2000 },
  );
});

test.each([
  ['brackets', `${'['.repeat(131_000)}${']'.repeat(131_000)}`, 0],
  ['objects', `${'{"a":'.repeat(43_000)}1${'}'.repeat(43_000)}`, 0],
  ['different names', `{${Array.from({ length: 24_000 }, (_, index) => `"n${index}":1`).join(',')}}`, 0],
  ['one name', `{${'"n":1,'.repeat(43_000)}"n":1}`, 20],
  ['quotes', `"${'\\"'.repeat(131_000)}"`, 0],
])('the largest body of nothing but %s is read in a moment', (_name, text, found) => {
  expect(text.length).toBeGreaterThan(240_000);
  const begun = performance.now();
  expect(duplicateNames(text)).toHaveLength(found);
  expect(performance.now() - begun).toBeLessThan(1000);
});
