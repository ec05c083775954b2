import { rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createS3Store } from '@renderyard/shared/store/s3-store';
import { expect, test } from 'vitest';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

test('a file that is removed between two tries to store it fails the put, and not the process', async () => {
  const folder = await makeTemporaryFolder('vanished');
  const path = join(folder, 'image');
  await writeFile(path, Buffer.alloc(100_000));
  const server = createServer(async (request, response) => {
    await request.resume().toArray();
    await rm(path, { force: true });
    response.writeHead(503).end();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  const store = createS3Store({
    bucket: 'bucket',
    endpoint: `http://127.0.0.1:${port}`,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: 'id', secretAccessKey: 'secret' },
  });
  try {
    await expect(store.put('a', { path, bytes: 100_000 }, { contentType: 'image/png' })).rejects.toMatchObject({
      name: 'StoreError',
      kind: 'invalid',
      message: expect.stringContaining(path),
    });
  } finally {
    await store.close();
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
    await rm(folder, { recursive: true, force: true });
  }
});
