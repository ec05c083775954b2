import { rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PACKAGES } from '../support/cache-folder.ts';
import { startService } from '../support/processes.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

test('with no setting at all, a prompt becomes an image, and it is still there after a restart', async () => {
  const dataDir = await makeTemporaryFolder('start');
  try {
    // Only so that the test does not download what the run has.
    await symlink(PACKAGES, join(dataDir, 'packages'));
    const env = { DATA_DIR: dataDir, PORT: '0' };
    let id = '';
    {
      await using first = await startService({ service: 'standalone', env });
      const answer = await fetch(`${first.url}/v1/jobs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', prefer: 'wait=30' },
        body: JSON.stringify({ input: { prompt: 'a lighthouse at dawn' } }),
      });
      expect(answer.status).toBe(200);
      const job = (await answer.json()) as { readonly id: string; readonly status: string };
      expect(job.status).toBe('succeeded');
      id = job.id;
      expect(await first.stop()).toMatchObject({ code: 0 });
    }
    await using second = await startService({ service: 'standalone', env });
    const image = await fetch(`${second.url}/v1/jobs/${id}/image`);
    expect(image.status).toBe(200);
    expect(image.headers.get('content-type')).toBe('image/jpeg');
    expect((await image.arrayBuffer()).byteLength).toBeGreaterThan(1_000);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}, 60_000);
