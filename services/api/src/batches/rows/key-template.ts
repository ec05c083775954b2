import { UploadError } from '../upload-error.ts';
import type { BoundPiece } from './bound-template.ts';
import { MOST_NAMES } from './image-key.ts';
import type { TemplatePiece } from './template.ts';

/**
 * A template of keys, cut at each `/` of its own text: the folders and, last, the name. A `/` in a value makes no
 * folder. So all keys of a batch lie equally deep, and none can be a file where another needs a folder.
 *
 * @throws {UploadError} `invalid_template` for a key that would begin or end with `/`, have `//`, `.` or `..` in it,
 * be the same for every row, or lie too deep.
 */
export function splitKeyTemplate(
  template: string,
  pieces: readonly TemplatePiece[],
): readonly (readonly TemplatePiece[])[] {
  const refuse = (why: string) =>
    new UploadError('invalid_template', `key_template cannot be used: ${why}`, { value: template });
  if (!pieces.some((piece) => 'name' in piece))
    throw refuse('it names no column, so every image would have the same key. Put {{id}} or {{row}} into it.');

  const names: TemplatePiece[][] = [[]];
  for (const piece of pieces) {
    if ('name' in piece) {
      names.at(-1)?.push(piece);
      continue;
    }
    piece.text.split('/').forEach((text, i) => {
      if (i > 0) names.push([]);
      if (text !== '') names.at(-1)?.push({ text });
    });
  }
  for (const name of names) {
    const literal = name.every((piece) => 'text' in piece)
      ? name.map((piece) => ('text' in piece ? piece.text : ''))
      : ['a'];
    if (/^[.\s]*$/.test(literal.join('')))
      throw refuse('a folder or name in it is empty, or only dots or spaces. A key neither begins nor ends with "/".');
  }
  if (names.length > MOST_NAMES) throw refuse(`it has more than ${MOST_NAMES - 1} folders.`);
  return names;
}

/** Whether the keys depend on the seed, so that another draw gives another key. */
export function usesSeed(names: readonly (readonly BoundPiece[])[]): boolean {
  return names.some((name) => name.some((piece) => piece.kind === 'own' && piece.name === 'seed'));
}
