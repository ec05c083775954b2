import { setImmediate } from 'node:timers/promises';
import { valueProblems } from '../../body/check-value.ts';
import { parseJson } from '../../body/parse-json.ts';
import { ProblemError } from '../../errors/problem-error.ts';
import type { Read, RowReader } from '../rows/read.ts';
import { UploadError } from '../upload-error.ts';
import { readItem } from './json-item.ts';
import { MOST_JSON_BYTES } from './limits.ts';
import { rowTooLong } from './row-problems.ts';
import { countBreaks, type TextSource } from './text-source.ts';

/** After so many items the thread looks at what else there is to do. */
const ITEMS_AT_A_TIME = 500;

/**
 * One JSON document: an array of items, or an object that has them as `items` and options beside it.
 */
export function createJsonSource({
  mostRowBytes,
  open,
  take,
  breathe,
}: {
  readonly mostRowBytes: number;
  /** Called once, with the members beside `items`. */
  readonly open: (fields: Readonly<Record<string, unknown>>) => Promise<RowReader>;
  readonly take: (read: Read) => void;
  /** Waits until more rows may come. */
  readonly breathe: () => Promise<void>;
}): TextSource {
  let pieces: Buffer[] = [];
  let bytes = 0;

  return {
    line: () => pieces.reduce((line, piece) => line + countBreaks(piece), 1),

    async push(text) {
      bytes += text.length;
      if (bytes > MOST_JSON_BYTES)
        throw new UploadError(
          'json_too_large',
          `JSON is read up to ${MOST_JSON_BYTES} bytes, and this is more. Send NDJSON (application/x-ndjson) or CSV, which have no such limit.`,
        );
      pieces.push(text);
    },

    async end() {
      if (bytes === 0) throw new UploadError('empty_upload');
      const document = Buffer.concat(pieces);
      pieces = [];
      const { items, fields } = split(parse(document));
      const reader = await open(fields);
      for (let index = 0; index < items.length; index++) {
        if (index % ITEMS_AT_A_TIME === ITEMS_AT_A_TIME - 1) {
          await breathe();
          await setImmediate();
        }
        const line = index + 1;
        const length = Buffer.byteLength(JSON.stringify(items[index]));
        if (length > mostRowBytes) take(reader.reject(line, [], rowTooLong(line, length, mostRowBytes)));
        else take(readItem(reader, line, items[index]));
        // Let go of what was read: all of it at once is the most memory that an import takes.
        items[index] = undefined;
      }
    },
  };
}

function parse(document: Buffer): unknown {
  try {
    return parseJson(document);
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    const [first] = error.options.errors ?? [];
    const at = first?.pointer === undefined ? '' : ` (at ${first.pointer})`;
    const hint =
      error.code === 'invalid_json' && looksLikeNdjson(document)
        ? ' It looks like NDJSON: send it as application/x-ndjson.'
        : '';
    throw new UploadError('invalid_json', `${error.message}${at}${hint}`, { line: first?.line, cause: error });
  }
}

/** A first line that is a whole object, and another after it. */
function looksLikeNdjson(document: Buffer): boolean {
  const end = document.indexOf('\n');
  const first = end === -1 ? '' : document.toString('utf8', 0, end).trim();
  return (
    first.startsWith('{') &&
    first.endsWith('}') &&
    document
      .toString('utf8', end, end + 100)
      .trim()
      .startsWith('{')
  );
}

function split(document: unknown): { items: unknown[]; fields: Readonly<Record<string, unknown>> } {
  if (Array.isArray(document)) return { items: document, fields: {} };
  if (typeof document !== 'object' || document === null || !('items' in document) || !Array.isArray(document.items))
    throw new UploadError('no_items');
  const { items, ...fields } = document;
  const [problem] = valueProblems(fields, { exactNumbers: true });
  if (problem !== undefined) throw new UploadError('invalid_json', `${problem.detail} (at ${problem.pointer ?? ''})`);
  return { items, fields };
}
