/**
 * A process that uses a directory store, for tests of what several of them do to each other, or leave when killed.
 * `claim DIRECTORY NAME` waits for a list of keys and creates each where nobody else has; `write DIRECTORY` writes on
 * and on until it is killed.
 */
import { createDirectoryStore } from '@renderyard/shared/store/directory-store';

const [work, directory = '', name = ''] = process.argv.slice(2);
const store = createDirectoryStore({ directory, publicUrl: 'http://renderyard.test', signingKey: Buffer.alloc(32) });
process.once('disconnect', () => process.exit(1));
await store.check();

if (work === 'claim') {
  process.once('message', async (keys: string[]) => {
    const results: string[] = [];
    for (const key of keys)
      results.push(await store.put(key, Buffer.from(name), { contentType: 'x/y', metadata: { name }, ifAbsent: true }));
    process.send?.(results);
  });
  process.send?.('ready');
} else {
  for (let n = 1; ; n++) {
    const metadata = { n: String(n) };
    await store.put('same.bin', Buffer.alloc(2 ** 21 + n, n), { contentType: 'x/y', metadata });
    await store.put(`new/${process.pid}-${n}.bin`, Buffer.alloc(2 ** 20 + n, n), {
      contentType: 'x/y',
      metadata,
      ifAbsent: true,
    });
    process.send?.(n);
  }
}
