import { type BoundPiece, fillTemplate, type OwnName } from './bound-template.ts';
import { foldKey, safeName } from './image-key.ts';
import { usesSeed } from './key-template.ts';
import type { Report } from './report.ts';
import { rowProblem } from './row-problem.ts';
import type { SeenTexts } from './seen-texts.ts';

const ROW_DIGITS = 6;
/** Where seeds make the keys and meet, so many more are drawn. */
const DRAWS = 100;

/** What a key is made of. */
export interface KeyParts {
  readonly row: number;
  readonly line: number;
  readonly id: string | undefined;
  readonly values: readonly unknown[];
}

/** Gives each row the name of its image, of which no two are the same on any file system. */
export interface RowKeys {
  /**
   * @param seed the row's seed; `draw` draws another where it is not the user's own
   * @returns the line that has taken the key already, where a template says what keys are
   */
  take(
    parts: KeyParts,
    seed: number,
    draw: (() => number) | undefined,
  ): { readonly key: string; readonly seed: number } | { readonly key: string; readonly takenBy: number };
}

/**
 * @param names the template, cut into folders and name; without one a key is the id, or else the row's number
 * @param seen the keys so far
 * @param mayHaveIds false when no row can have an id, so that numbers alone never meet and need not be remembered
 */
export function createRowKeys(
  names: readonly (readonly BoundPiece[])[] | undefined,
  mayHaveIds: boolean,
  report: Report,
  seen: SeenTexts,
): RowKeys {
  function changed(line: number, written: string, key: string): void {
    const first = rowProblem(line, null, 'key_changed', written, '');
    report.warn(first, (count, lines) =>
      count === 1
        ? `The image of ${lines} is called ${key}: some stores or file systems cannot keep the name as it was given.`
        : `${count} images are called otherwise than was given, the first ${key}, as some stores or file systems cannot keep such names (${lines}).`,
    );
  }

  function withoutTemplate({ row, line, id }: KeyParts): string {
    let key = id === undefined ? String(row).padStart(ROW_DIGITS, '0') : safeName(id);
    if (id !== undefined && key !== id) changed(line, id, key);
    if (!mayHaveIds) return key;
    const wanted = key;
    while (seen.add(foldKey(key), line) !== undefined) key = `${key}-${row}`;
    if (key !== wanted) {
      const first = rowProblem(line, null, 'key_shared', id, '');
      const example = key;
      report.warn(
        first,
        (count, lines) =>
          `${count === 1 ? 'An image has' : `${count} images have`} the row's number added to the name, such as ${example}: their ids differ from earlier ones only in ways that some file systems do not tell apart (${lines}).`,
      );
    }
    return key;
  }

  if (names === undefined) return { take: (parts, seed) => ({ key: withoutTemplate(parts), seed }) };

  const seeded = usesSeed(names);
  function fill(parts: KeyParts, seed: number): { readonly key: string; readonly written: string } {
    const own = (name: OwnName) => (name === 'seed' ? String(seed) : String(parts[name] ?? ''));
    const written = (names ?? []).map((name) => fillTemplate(name, parts.values, own));
    return { key: written.map((name) => safeName(name, written.length)).join('/'), written: written.join('/') };
  }

  return {
    take(parts, given, draw) {
      let seed = given;
      for (let left = seeded && draw !== undefined ? DRAWS : 0; ; left--) {
        const { key, written } = fill(parts, seed);
        const takenBy = seen.add(foldKey(key), parts.line);
        if (takenBy === undefined) {
          if (key !== written) changed(parts.line, written, key);
          return { key, seed };
        }
        if (left === 0 || draw === undefined) return { key, takenBy };
        seed = draw();
      }
    },
  };
}
