import { glob, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const SUITE = join(ROOT, 'test/black-box');
/** What a user of Renderyard could use as well. */
const OF_OTHERS = ['@aws-sdk/client-s3', 'csv-parse/sync', 'standardwebhooks', 'testcontainers', 'vitest', 'yauzl'];

test('the black-box suite imports nothing of what it tests: only itself, Node and packages of others', async () => {
  const wrong: string[] = [];
  let imports = 0;
  for await (const name of glob('**/*.ts', { cwd: SUITE })) {
    const file = join(SUITE, name);
    const text = await readFile(file, 'utf8');
    for (const [, specifier = ''] of text.matchAll(/\b(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g)) {
      imports += 1;
      const own = specifier.startsWith('.') && !relative(SUITE, join(dirname(file), specifier)).startsWith('..');
      if (!own && !specifier.startsWith('node:') && !OF_OTHERS.includes(specifier)) wrong.push(`${name}: ${specifier}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(imports).toBeGreaterThan(20);
});
