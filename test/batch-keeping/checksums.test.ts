import { rm } from 'node:fs/promises';
import { createChecksumFile } from '@renderyard/worker/batch/checksums';
import { expect, onTestFinished, test } from 'vitest';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

test('a file that cannot be written is told with the cause of it, however late it is asked for', async () => {
  const taken = await makeTemporaryFolder('checksums');
  onTestFinished(async () => {
    await rm(taken, { recursive: true, force: true });
  });
  const file = await createChecksumFile(taken, 'batch_1');
  const told = `The checksums of batch_1 cannot be gathered in DATA_DIR (${taken}): EISDIR`;
  await expect(file.add([])).rejects.toThrow(told);
  await expect(file.add([])).rejects.toThrow(told);
  await expect(file.end()).rejects.toThrow(told);
});
