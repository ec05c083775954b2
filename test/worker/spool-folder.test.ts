import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openSpoolFolder } from '@renderyard/worker/segmind/spool-folder';
import { expect, test } from 'vitest';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

/** No process has it: Linux counts to 4,194,304 at most, macOS to 99,999. */
const NOBODY = 4_999_999;

test('what dead processes of this machine left goes; what is of other machines, or of living ones, stays', async () => {
  const parent = await makeTemporaryFolder('spool');
  const others = [`mine-${process.ppid}`, `other-${NOBODY}`, 'other-1', 'mine-own-1', 'something'];
  for (const name of [...others, `mine-${NOBODY}`, 'mine-1']) await mkdir(join(parent, name));
  const own = await openSpoolFolder(parent, { host: 'mine', pid: 1 });
  expect((await readdir(parent)).sort()).toEqual([...others, 'mine-1'].sort());
  expect(own.path).toBe(join(parent, 'mine-1'));
  await own.remove();
  expect((await readdir(parent)).sort()).toEqual([...others].sort());
});
