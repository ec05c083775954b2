import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SETTINGS } from '@renderyard/shared/config';
import { expect, test } from 'vitest';

const docs = join(import.meta.dirname, '../../docs');
const rows = [...(await readFile(join(docs, 'settings.md'), 'utf8')).matchAll(/^\| `([A-Z0-9_]+)` \| (.+?) \|/gm)].map(
  ([, name, value]) => [name ?? '', value ?? ''] as const,
);

test('every setting is documented, and nothing else is', () => {
  expect(rows.map(([name]) => name).sort()).toEqual(Object.keys(SETTINGS).sort());
});

test('the documented defaults are the real ones', () => {
  const plain = rows.filter(([, value]) => /^`?[\w.:/]+`?$/.test(value));
  expect(plain.length).toBeGreaterThan(15);
  for (const [name, value] of plain) {
    expect([name, String(SETTINGS[name as keyof typeof SETTINGS].fallback)]).toEqual([name, value.replaceAll('`', '')]);
  }
});
