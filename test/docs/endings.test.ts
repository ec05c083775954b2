import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const endings = await readFile(join(root, 'docs/endings.md'), 'utf8');
const firstColumn = (section: string) =>
  [...(endings.split(`## ${section}`)[1]?.split('\n## ')[0] ?? '').matchAll(/^\| `([a-z_]+)` \|/gm)].map(
    ([, word]) => word,
  );

test('the endings in the docs are those of the code', async () => {
  const code = await readFile(join(root, 'services/worker/src/render/ending.ts'), 'utf8');
  const kinds = [...code.matchAll(/kind: '([a-z]+)'/g)].map(([, kind]) => kind);
  expect(firstColumn('Endings of a run').sort()).toEqual(kinds.sort());
});
