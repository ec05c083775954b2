import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { REPOSITORY } from '../support/cache-folder.ts';

test('npm is told to accept the oldest Node that the README promises', async () => {
  const readme = await readFile(join(REPOSITORY, 'README.md'), 'utf8');
  const promised = /Node (\d+) or newer/.exec(readme)?.[1];
  expect(promised).toBeDefined();
  const { engines } = JSON.parse(await readFile(join(REPOSITORY, 'package.json'), 'utf8')) as {
    engines: { node: string };
  };
  expect(engines.node).toBe(`>=${promised}`);
});
