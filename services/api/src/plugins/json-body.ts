import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { App } from '../app-instance.ts';
import { valueProblems } from '../body/check-value.ts';
import { parseJson } from '../body/parse-json.ts';
import { invalidRequest, ProblemError } from '../errors/problem-error.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** SHA-256 of the body's bytes, in hex; of nothing where there is no body. */
    bodyHash: string;
  }
}

/** Bytes; a prompt and its negative of 20,000 characters each fit in whatever script they are written. */
export const BODY_LIMIT = 256 * 1024;

const HASH_OF_NOTHING = createHash('sha256').digest('hex');

/** Bodies are JSON in UTF-8, or nothing. An empty body counts as none, whatever type it claims. */
export function addJsonBody(app: App): void {
  app.decorateRequest('bodyHash', HASH_OF_NOTHING);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (request: FastifyRequest, bytes: Buffer) => {
      if (bytes.length === 0) return undefined;
      if (!/^utf-?8$/i.test(charsetOf(request.headers['content-type']) ?? 'utf-8'))
        throw new ProblemError('unsupported_media_type');
      request.bodyHash = createHash('sha256').update(bytes).digest('hex');
      const value = parseJson(bytes);
      const problems = valueProblems(value);
      if (problems.length > 0) throw invalidRequest(problems);
      return value;
    },
  );
  app.addContentTypeParser('*', async (request: FastifyRequest) => {
    if (request.headers['content-length'] === '0') return undefined;
    throw new ProblemError('unsupported_media_type');
  });
}

function charsetOf(contentType: string | undefined): string | undefined {
  return /;\s*charset="?([^";\s]+)/i.exec(contentType ?? '')?.[1];
}
