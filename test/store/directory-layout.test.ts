import { namesOfSegment, pathOfKey, segmentOfNames } from '@renderyard/shared/store/directory-layout';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keys, longKeys } from './arbitraries.ts';

const anyKey = fc.oneof(keys, longKeys);

describe('pathOfKey', () => {
  it('keeps the names that people look for', () => {
    const at = (key: string) => pathOfKey(key, { fold: false }).join('/');
    expect(at('batches/bat_01/images/Red Fox – 7.png')).toBe('batches/bat_01/images/Red Fox – 7.png');
    expect(at('batches/bat_01/rows/00001.ndjson')).toBe('batches/bat_01/rows/00001.ndjson');
    expect(at('open/bat_01')).toBe('open/bat_01%file');
  });

  describe.each([{ fold: false }, { fold: true }])('with %o', (layout) => {
    it('gives names that a file system takes', () => {
      fc.assert(
        fc.property(anyKey, (key) => {
          for (const name of pathOfKey(key, layout)) {
            expect(Buffer.byteLength(name)).toBeLessThanOrEqual(210);
            expect(name).not.toMatch(/^$|^\.|\/|\0/);
          }
        }),
      );
    });

    it('gives no key the place of another, nor a file the place of a folder', () => {
      const same = (name: string) => (layout.fold ? name.toUpperCase().toLowerCase() : name);
      fc.assert(
        fc.property(fc.uniqueArray(anyKey, { minLength: 2, maxLength: 8 }), (several) => {
          const files = several.map((key) => same(pathOfKey(key, layout).join('/')));
          expect(new Set(files).size).toBe(several.length);
          const folders = new Set(
            files.flatMap((file) => [...file.matchAll(/\//g)].map(({ index }) => file.slice(0, index))),
          );
          for (const file of files) expect(folders).not.toContain(file);
        }),
        { numRuns: 300 },
      );
    });

    it('can be read back', () => {
      const segments = fc.tuple(
        anyKey.map((key) => key.split('/')[0] ?? ''),
        fc.boolean(),
      );
      fc.assert(
        fc.property(segments, ([segment, folder]) => {
          expect(segmentOfNames(namesOfSegment(segment, folder, layout), folder, layout)).toBe(segment);
        }),
      );
    });
  });

  it('takes a key and the same key as a folder, in any mixture, for different places', () => {
    const paths = ['a', 'a/b', 'a.b', 'a.b/c', 'a%file', 'a%file/b', 'a%more/b', 'A'].map((key) =>
      pathOfKey(key, { fold: true }).join('/').toLowerCase(),
    );
    for (const one of paths) for (const two of paths) if (one !== two) expect(two.startsWith(`${one}/`)).toBe(false);
    expect(new Set(paths).size).toBe(paths.length);
  });

  it.each(['%zz.png', '%2e.png', '%41.png', 'a', 'b%2Epng%file', '%E0%A4.png'])(
    'does not take the file %j for one of its own',
    (name) => expect(segmentOfNames([name], false, { fold: false })).toBeUndefined(),
  );
});
