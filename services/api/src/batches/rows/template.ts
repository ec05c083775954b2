import { UploadError } from '../upload-error.ts';

/** A piece of a template: text that stands as it is, or the name of a column, trimmed. */
export type TemplatePiece = { readonly text: string } | { readonly name: string };

/** No template is longer, in characters. */
const LONGEST_TEMPLATE = 20_000;

/**
 * Takes a template apart: `{{name}}` stands for a column, all else for itself. What is put in is never read again, so a
 * cell that holds `{{…}}` is plain text.
 *
 * @throws {UploadError} `invalid_template` for braces that are not closed, or close nothing, and for a name that is
 * empty or holds a brace.
 */
export function parseTemplate(option: 'prompt_template' | 'key_template', template: string): readonly TemplatePiece[] {
  const refuse = (why: string) =>
    new UploadError('invalid_template', `${option} cannot be read: ${why} Write names of columns as {{name}}.`, {
      value: template,
    });
  if (template.trim() === '') throw refuse('it is blank.');
  if (template.length > LONGEST_TEMPLATE) throw refuse(`it is longer than ${LONGEST_TEMPLATE} characters.`);
  if (!template.isWellFormed()) throw refuse('it holds half of a surrogate pair, which no encoding can carry.');

  const pieces: TemplatePiece[] = [];
  let from = 0;
  while (from < template.length) {
    const open = template.indexOf('{{', from);
    const text = template.slice(from, open < 0 ? template.length : open);
    const stray = text.indexOf('}}');
    if (stray >= 0) throw refuse(`the }} at character ${from + stray + 1} closes nothing.`);
    if (text !== '') pieces.push({ text });
    if (open < 0) break;
    const close = template.indexOf('}}', open);
    if (close < 0) throw refuse(`the {{ at character ${open + 1} is not closed.`);
    const name = template.slice(open + 2, close).trim();
    if (name === '') throw refuse(`{{}} at character ${open + 1} names no column.`);
    if (/[{}]/.test(name)) throw refuse(`the name after the {{ at character ${open + 1} holds a brace.`);
    pieces.push({ name });
    from = close + 2;
  }
  return pieces;
}
