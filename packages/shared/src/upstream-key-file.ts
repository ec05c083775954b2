import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { SETTINGS } from './config.ts';
import { isMissing, NO_SUCH_FILE } from './secret-files.ts';

/** What a key file holds, or what is wrong with it: a sentence that names the setting and the file, never the content. */
export type KeyFileContent = { readonly key: string } | { readonly problem: string };

/** Bytes that are read at most: the longest key, and blanks around it. */
const MOST_BYTES = 4096;

/**
 * Reads the upstream's key from the file that `SEGMIND_API_KEY_FILE` names. White space around it is no part of it; most
 * editors and `echo` leave a newline behind. Never throws.
 */
export async function readKeyFile(path: string): Promise<KeyFileContent> {
  const wrong = (why: string): KeyFileContent => ({ problem: `SEGMIND_API_KEY_FILE names ${path}, ${why}` });
  let text: string;
  try {
    text = await readBeginning(path);
  } catch (error) {
    return isMissing(error) ? { problem: `SEGMIND_API_KEY_FILE ${NO_SUCH_FILE}` } : wrong(explain(error));
  }
  const { parse, expects } = SETTINGS.SEGMIND_API_KEY;
  const trimmed = text.trim();
  if (trimmed === '') return wrong(`which is empty. It must hold the key: ${expects}.`);
  const key = parse(trimmed);
  return key === undefined ? wrong(`which holds no key. A key is ${expects}.`) : { key };
}

/** Thrown for folders, pipes and devices: they cannot be read again and again. */
class NotAFileError extends Error {
  override readonly name = 'NotAFileError';
}

async function readBeginning(path: string): Promise<string> {
  // Without O_NONBLOCK the opening of a pipe waits until somebody writes to it.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!(await file.stat()).isFile()) throw new NotAFileError();
    const buffer = Buffer.alloc(MOST_BYTES);
    let bytes = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, bytes, MOST_BYTES - bytes, bytes);
      bytes += bytesRead;
      if (bytesRead === 0 || bytes === MOST_BYTES) return buffer.toString('utf8', 0, bytes);
    }
  } finally {
    await file.close();
  }
}

function explain(error: unknown): string {
  if (error instanceof NotAFileError) return 'which is not a file. It must be one that holds the key.';
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
  if (code === 'EACCES' || code === 'EPERM') return `which this user may not read (${code}).`;
  return `which cannot be read (${code}).`;
}
