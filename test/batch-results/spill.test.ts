import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createSpill } from '@renderyard/api/batches/results/spill';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openFiles } from '../store/directory-bench.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

let folder: string;
beforeAll(async () => {
  folder = join(await makeTemporaryFolder('spill'), 'made when needed');
});
afterAll(() => rm(join(folder, '..'), { recursive: true, force: true }));

test('what was written is read, whether it went to the file or not, and nothing is left behind', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 60 })), async (chunks) => {
      await using spill = createSpill(folder, 100);
      for (const chunk of chunks) await spill.write(Buffer.from(chunk));
      const whole = Buffer.concat(chunks);
      expect(Buffer.concat(await Readable.from(spill.read()).toArray()).equals(whole)).toBe(true);
      expect(spill.bytes).toBe(whole.length);
      const names = whole.length < 100 ? await readdir(folder).catch(() => []) : await readdir(folder);
      expect(names).toEqual([]);
    }),
  );
  expect(await openFiles(folder)).toEqual([]);
});
